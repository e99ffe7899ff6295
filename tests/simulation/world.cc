#include "simulation/world.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "core/database/nodes.h"
#include "core/failover/group_state.h"
#include "core/log/layout.h"
#include "core/properties/bounds.h"
#include "simulation/client.h"
#include "simulation/cluster_image.h"

namespace holdfast::sim {
namespace {

constexpr uint64_t data_disk_bytes = 1024 * 1024;
constexpr Duration tick_pace = Duration::milliseconds(100);
constexpr Duration excuse = Duration::milliseconds(2100);  // one lifetime of an address, after a resume
constexpr int64_t stale_after_ticks = 20;

std::string number(int64_t n) {
  return std::to_string(n);
}

}  // namespace

World::World(const WorldConfig& config)
    : config_(config),
      random_(config.seed),
      checker_(time_, config.nodes),
      conformance_(config.conformance, [this](const std::string& why) { checker_.broken(why); }) {
  quorum_ = std::make_unique<Target>(time_, random_.next(), core::quorum_lun_bytes_min, config.kind);
  format_cluster(quorum_->lun, config.nodes - config.spares, config.networks, config.full_log);
  quorum_->lun.on_landed = [this](const ScsiLun::Write& write) {
    if (damaged_) return;  // what went astray is nobody's
    if (auto why = quorum_watch_.landed(write); !why.empty()) checker_.broken(why);
  };
  for (int d = 1; d <= config.disks; ++d) {
    auto disk = std::make_unique<Target>(time_, random_.next(), data_disk_bytes, config.kind);
    disk->lun.on_landed = [this, t = disk.get()](const ScsiLun::Write& write) {
      std::istringstream by(write.by);
      int node = 0;
      uint64_t generation = 0;
      by >> node >> generation;
      checker_.landed(t, node, generation);
    };
    disks_.push_back(std::move(disk));
  }
  checker_.epoch_on_lun = [this] {
    const core::HeadView head = core::decode_superblocks(quorum_->lun.peek(0, core::head_bytes));
    return head.valid ? head.superblock.epoch() : 0;
  };
  network_ = std::make_unique<Network>(time_, random_.next(), config.nodes, config.networks);
  std::set<int> known;
  for (int id = 1; id <= config.nodes; ++id) known.insert(id);
  machines_.resize(1);
  services_.resize(1);
  for (int id = 1; id <= config.nodes; ++id) {
    machines_.push_back(std::make_unique<Machine>(time_, static_cast<Witness&>(*this), random_.next(), id));
    services_.push_back(std::make_unique<Service>(
        time_, *machines_.back(), *network_, *quorum_, static_cast<Surroundings&>(*this),
        static_cast<ServiceObserver&>(*this), resource_faults_, known));
    services_.back()->use_gates(config.gates);
    machines_.back()->on_resume = [this, id] { services_[static_cast<size_t>(id)]->machine_resumed(); };
  }
  tick();
}

World::~World() = default;

void World::tick() {
  network_->tick();
  if (random_.below(stale_after_ticks) == 0) {
    quorum_->remember();
    for (auto& disk : disks_) disk->remember();
  }
  time_.after(tick_pace, [this] { tick(); });
}

void World::run(Duration d) {
  time_.run_until(time_.now() + d, checker_.failed());
}

bool World::run_until(const std::function<bool()>& condition, Duration limit) {
  const Instant end = time_.now() + limit;
  while (time_.now() < end && !checker_.failed()) {
    if (condition()) return true;
    run(Duration::milliseconds(20));
  }
  return condition();
}

// --- what the parts tell ---

void World::address_changed(int node, const std::string& address, bool present) {
  const Machine& m = *machines_[static_cast<size_t>(node)];
  const bool excused = !m.resumed_at().is_never() && time_.now() - m.resumed_at() < excuse;
  checker_.address(address, node, present, excused);
}

// M2. What a node's own core knows comes first; then what the others may rely on once their guard is over,
// whatever became of that node's programs. A machine that was paused has a clock that stood still.
void World::write_passed(int node) {
  const Machine& writer = machine(node);
  if (const core::Core* own = service(node).core(); own != nullptr && service(node).running()) {
    const core::Membership& m = own->membership();
    if (m.phase() != core::Phase::member)
      checker_.broken("M2: a write of node " + number(node) + " passed its gate while it is in phase " +
                      core::to_string(m.phase()));
    else if (m.lease_until() <= writer.clock())
      checker_.broken("M2: a write of node " + number(node) + " passed its gate after its lease");
  }
  for (int id = 1; id <= config_.nodes; ++id) {
    const core::Core* other = id == node || !service(id).running() ? nullptr : service(id).core();
    if (other == nullptr || other->membership().phase() != core::Phase::member ||
        other->membership().view().epoch.value != checker_.newest_epoch())
      continue;
    const core::Membership& m = other->membership();
    const Duration lease = core::takeover_wait(m.timing());
    const bool was_paused = !writer.resumed_at().is_never() && time_.now() - writer.resumed_at() < lease * 2;
    if (m.view().set().contains(NodeId{static_cast<uint64_t>(node)}) || was_paused) continue;
    if (machine(id).clock() >= m.guard_until())
      checker_.broken("M2: a write of node " + number(node) + " passed its gate, while node " + number(id) +
                      " is in view " + m.view().text() + " and its guard is over");
  }
}

Target* World::find_disk(const std::string& device) {
  for (size_t d = 0; d < disks_.size(); ++d)
    if (device == "naa.600" + std::to_string(d + 1)) return disks_[d].get();
  return nullptr;
}

bool World::somebody_answers_for(const std::string& address, int asking) {
  for (int id = 1; id <= config_.nodes; ++id) {
    if (id == asking || !machine(id).answers_for(address)) continue;
    for (int network = 0; network < config_.networks; ++network)
      if (!network_->line(id, asking, network).cut && !network_->line(asking, id, network).cut) return true;
  }
  return false;
}

void World::disk_acquired(Target& target, int node, uint64_t generation) {
  // Who is a member beside the new owner has ended it before; only the removed are fenced.
  if (const core::Core* owner = service(node).core())
    for (int other = 1; other <= config_.nodes; ++other) {
      const core::Core* core = other == node || !service(other).running() ? nullptr : service(other).core();
      if (core != nullptr && core->membership().phase() == core::Phase::member &&
          core->membership().view().epoch == owner->membership().view().epoch &&
          machine(other).mounted(target))
        checker_.broken("I3: node " + number(node) + " acquired a disk that member " + number(other) +
                        " still has mounted");
    }
  checker_.acquired(&target, node, machine(node).boots(), generation);
}

void World::after_step(int node) {
  if (auto* core = services_[static_cast<size_t>(node)]->core()) checker_.after_step(node, *core);
}

void World::stepped(int node, const core::Event& event, const core::Output& output) {
  conformance_.stepped(node, event, output, *services_[static_cast<size_t>(node)]->core());
}

void World::committed(int node, const core::Output::ReplicaWrite& write) {
  checker_.committed(node, *services_[static_cast<size_t>(node)]->core(), write);
}

void World::answered(uint64_t client, const api::Response& response) {
  auto it = asked_.find(client);
  if (it == asked_.end()) return;
  if (it->second.update && response.error() == 0) {
    acked_[it->second.key] = response.sequence();
    ++acknowledged_;
  }
  say("answer to " + it->second.key + ": " +
      (response.error() == 0 ? "done" : response.message() + " (" + response.hint() + ")"));
  asked_.erase(it);
}

void World::monitor_died(int node) {
  checker_.nobody_withdraws_addresses(node);
}

void World::said(int node, const std::string& text) {
  if (!damaged_ && text.starts_with("life ended: the replica of this node cannot go on"))
    checker_.broken("I2: node " + number(node) + ", though no medium lost anything: " + text);
  say("n" + std::to_string(node) + " " + text);
}

void World::say(const std::string& text) {
  const int64_t at = (time_.now() - Instant{1'000'000'000'000}).us();
  auto mix = [&](unsigned char c) { digest_ = (digest_ ^ c) * 1099511628211ULL; };
  for (char c : text) mix(static_cast<unsigned char>(c));
  for (int64_t t = at; t != 0; t >>= 8) mix(static_cast<unsigned char>(t));
  if (config_.keep_log) log_.push_back(number(at) + " " + text);
  if (config_.live) fprintf(stderr, "%s %s\n", number(at).c_str(), text.c_str());
}

// --- what fate and administrators do ---

bool World::act(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  words >> verb;
  say("> " + line);
  return act_on_node(verb, words) || act_on_network(verb, words) || act_on_disk(verb, words) ||
         act_as_administrator(verb, words);
}

bool World::act_on_node(const std::string& verb, std::istream& words) {
  static const std::set<std::string> verbs = {
      "start", "kill",      "kill-all", "kill-monitor", "power-off", "power-on", "stop",     "starve",
      "pause", "die-after", "forget",   "drift",        "wall",      "break",    "shutdown", "stop-monitor"};
  if (!verbs.count(verb)) return false;
  int node = 0;
  int64_t amount = 0;
  words >> node;
  words >> amount;
  if (!valid(node)) return false;
  Service& s = service(node);
  Machine& m = machine(node);
  const Duration time = Duration::milliseconds(amount);
  if (verb == "start") {
    s.start();
  } else if (verb == "kill") {
    s.kill(false);
  } else if (verb == "kill-all") {
    s.kill(true);
  } else if (verb == "kill-monitor") {
    s.kill_monitor();
  } else if (verb == "power-off") {
    s.power_lost();
    m.power_off();
  } else if (verb == "power-on") {
    m.power_on();
  } else if (verb == "stop") {
    s.stop();
    time_.after(time, [&s] { s.go_on(); });
  } else if (verb == "stop-monitor") {
    return s.stop_monitor(time);
  } else if (verb == "starve") {
    s.starve(time);
  } else if (verb == "pause") {
    if (!m.powered() || m.paused()) return false;
    m.pause();
    time_.after(time, [&m] { m.resume(); });
  } else if (verb == "die-after") {
    s.die_after(static_cast<int>(amount));
  } else if (verb == "forget") {
    s.forget_replica();
  } else if (verb == "drift") {
    if (!m.paused()) m.set_drift(amount);
  } else if (verb == "wall") {
    m.wall_offset_ms = static_cast<uint64_t>(static_cast<int64_t>(m.wall_offset_ms) + amount);
  } else if (verb == "break") {
    return s.monitor() && s.monitor()->break_one(static_cast<uint64_t>(amount));
  } else {
    s.ask_to_stop();
  }
  return true;
}

bool World::act_on_network(const std::string& verb, std::istream& words) {
  auto lines = [&](auto change) {
    for (int a = 1; a <= config_.nodes; ++a)
      for (int b = 1; b <= config_.nodes; ++b)
        for (int network = 0; a != b && network < config_.networks; ++network)
          change(a, b, network, network_->line(a, b, network));
  };
  if (verb == "partition") {  // 1,2|3: parts that do not hear each other
    std::string text;
    words >> text;
    std::map<int, int> part;
    int at = 0;
    std::istringstream parts(text);
    for (std::string p; std::getline(parts, p, '|'); ++at) {
      std::istringstream ids(p);
      for (std::string id; std::getline(ids, id, ',');) part[atoi(id.c_str())] = at;
    }
    lines([&](int a, int b, int, Line& l) { l.cut = part[a] != part[b]; });
  } else if (verb == "cut" || verb == "mend") {  // FROM TO NETWORK|all: one direction
    int from = 0, to = 0;
    std::string which;
    words >> from >> to >> which;
    lines([&](int a, int b, int network, Line& l) {
      if (a == from && b == to && (which == "all" || which == std::to_string(network))) l.cut = verb == "cut";
    });
  } else if (verb == "heal-network") {
    lines([&](int, int, int, Line& l) { l = Line{}; });
  } else if (verb == "loss") {  // PERCENT LATE DUPLICATE, everywhere
    int loss = 0, late = 0, twice = 0;
    words >> loss >> late >> twice;
    lines([&](int, int, int, Line& l) {
      l.loss_percent = loss;
      l.late_percent = late;
      l.duplicate_percent = twice;
    });
  } else if (verb == "delay") {  // FROM TO MAX_US
    int from = 0, to = 0;
    int64_t us = 0;
    words >> from >> to >> us;
    lines([&](int a, int b, int, Line& l) {
      if (a == from && b == to) l.delay_max = std::max(l.delay_min, Duration::microseconds(us));
    });
  } else if (verb == "clog") {  // FROM TO MS
    int from = 0, to = 0;
    int64_t ms = 0;
    words >> from >> to >> ms;
    lines([&](int a, int b, int, Line& l) {
      if (a == from && b == to) l.clogged_until = time_.now() + Duration::milliseconds(ms);
    });
  } else if (verb == "replay") {  // FROM TO: what was recorded is sent again
    int from = 0, to = 0;
    words >> from >> to;
    if (!valid(from) || !valid(to) || from == to) return false;
    network_->replay(from, to);
  } else if (verb == "reset-session") {
    int a = 0, b = 0;
    words >> a >> b;
    if (!valid(a) || !valid(b) || a == b) return false;
    network_->break_session(a, b);
  } else {
    return false;
  }
  return true;
}

Target* World::target(const std::string& name) {
  if (name == "quorum") return quorum_.get();
  const int d = atoi(name.c_str());
  return d >= 1 && d <= config_.disks ? disks_[static_cast<size_t>(d - 1)].get() : nullptr;
}

bool World::act_on_disk(const std::string& verb, std::istream& words) {
  if (verb == "resources") {  // FAIL SLOW HANG LIE, in thousandths
    words >> resource_faults_.fail_permille >> resource_faults_.slow_permille >>
        resource_faults_.hang_permille >> resource_faults_.lie_permille;
    return true;
  }
  static const std::set<std::string> verbs = {"freeze",   "restart-target", "lun-cut",
                                              "lun-mend", "lun-faults",     "damage"};
  if (!verbs.count(verb)) return false;
  std::string name;
  words >> name;
  Target* t = target(name);
  if (t == nullptr) return false;
  if (verb == "freeze") {  // TARGET MS
    int64_t ms = 0;
    words >> ms;
    if (t->frozen()) return false;
    t->freeze();
    time_.after(Duration::milliseconds(ms), [t] { t->thaw(); });
  } else if (verb == "restart-target") {  // TARGET kept|forgotten|stale [writes]: what is in flight survives
    std::string memory, writes;
    words >> memory >> writes;
    if (memory != "kept") checker_.nobody_guards(t);
    t->restart(memory == "kept"    ? Target::Memory::kept
               : memory == "stale" ? Target::Memory::stale
                                   : Target::Memory::forgotten,
               writes == "writes");
  } else if (verb == "lun-cut" || verb == "lun-mend") {  // TARGET NODE
    int node = 0;
    words >> node;
    if (!valid(node)) return false;
    if (verb == "lun-cut")
      t->cut.insert(node);
    else
      t->cut.erase(node);
  } else if (verb == "damage") {  // TARGET rot|lose|misdirect: once, and to one write
    std::string what;
    words >> what;
    if (t == quorum_.get()) {
      damaged_ = true;
      checker_.history_may_end();
    }
    if (what == "rot")
      t->rot();
    else
      (what == "lose" ? t->faults.lose_next : t->faults.misdirect_next) = true;
  } else {  // TARGET LOST SLOW LATE, in thousandths
    words >> t->faults.lost_answer_permille >> t->faults.slow_permille >> t->faults.late_permille;
  }
  return true;
}

void World::ask(int node, api::Command command) {
  core::ApiRequested r;
  r.client = next_client_++;
  asked_[r.client] = {"command", false};
  r.may_change = true;
  r.who = "administrator";
  r.request.set_id(1);
  r.request.set_version_min(1);
  r.request.set_version_max(9);
  *r.request.mutable_command() = std::move(command);
  service(node).deliver(r);
}

void World::transact(int node, const std::string& answer_key, bool counts, core::Transaction transaction) {
  core::ApiRequested r;
  r.client = next_client_++;
  asked_[r.client] = {answer_key, counts};
  r.may_change = true;
  r.request.set_id(1);
  r.request.set_version_min(1);
  r.request.set_version_max(9);
  *r.request.mutable_transact()->mutable_transaction() = std::move(transaction);
  service(node).deliver(r);
}

void World::ask_update(int node) {
  const std::string key = "u/" + number(static_cast<int64_t>(next_update_++));
  transact(node, key, true, core::Edit().set(key, "v", "x").done());
}

void World::try_something(int node, Random& random) {
  const core::Core* core = service(node).core();
  if (core == nullptr || service(node).stopped()) return;
  core::ApiRequested r;
  r.client = next_client_++;
  asked_[r.client] = {"somebody", false};
  r.may_change = random.chance(97);
  r.who = "somebody";
  r.request = random_request(random, core->tree());
  const uint64_t client = r.client;
  service(node).deliver(r);
  if (random.chance(15)) service(node).deliver(core::ApiClosed{client});
  if (random.chance(10))
    service(node).deliver(core::LoadSampled{static_cast<uint32_t>(random.below(101)),
                                            static_cast<uint32_t>(random.below(101))});
  if (random.chance(5) && service(node).core())
    service(node).deliver(core::TransactionAsked{core::Edit().set("odd/asked", "by", number(node)).done(),
                                                 "an adapter asks", [](const Status&) {}});
  if (random.chance(5))
    service(node).deliver(core::NetworkChanged{static_cast<int>(random.below(3)), random.chance(50)});
}

// Nodes have the ids in the order in which they were added, and ours are numbered.
bool World::enroll(int by, int node) {
  if (!valid(node) || service(by).core()->tree().number("cluster", "NextNode") != static_cast<uint64_t>(node))
    return false;
  api::Command command;
  command.set_verb(api::Command::NODE_ADD);
  command.set_object("n" + number(node));
  auto* addresses = command.add_properties();
  addresses->set_name("Addresses");
  for (int network = 0; network < config_.networks; ++network)
    addresses->set_value(addresses->value() + (network == 0 ? "" : ",") + static_cast<char>('a' + network) +
                         "=10." + number(network) + ".0." + number(node));
  ask(by, std::move(command));
  return true;
}

// COMMAND NODE VERB OBJECT TARGET NAME=VALUE…; "-" = nothing.
bool World::act_as_administrator(const std::string& verb, std::istream& words) {
  int node = 0;
  words >> node;
  if (!valid(node) || !service(node).core() || service(node).stopped()) return false;
  if (verb == "update") {
    ask_update(node);
    return true;
  }
  if (verb == "flood") {  // NODE COUNT BYTES: large updates, so that the log wraps
    int64_t count = 0;
    size_t bytes = 0;
    words >> count >> bytes;
    for (int64_t i = 0; i < count; ++i)
      time_.after(Duration::milliseconds(4 * i), [this, node, i, bytes] {
        if (service(node).core() && !service(node).stopped())
          transact(
              node, "flood", false,
              core::Edit()
                  .set("flood/" + number(i % 8), "v", std::string(bytes, static_cast<char>('a' + i % 26)))
                  .done());
      });
    return true;
  }
  if (verb == "ask") {  // NODE COUNT SEED: requests of somebody who tries everything
    uint64_t count = 0, seed = 0;
    words >> count >> seed;
    for (Random random(seed); count > 0; --count) try_something(node, random);
    return true;
  }
  if (verb == "enroll") {
    int whom = 0;
    words >> whom;
    return enroll(node, whom);
  }
  if (verb != "command") return false;
  std::string what, object, target;
  words >> what >> object >> target;
  api::Command::Verb known;
  if (!api::Command::Verb_Parse(what, &known)) return false;
  api::Command command;
  command.set_verb(known);
  if (object != "-") command.set_object(object);
  if (target != "-") command.set_target(target);
  for (std::string pair; words >> pair;) {
    auto* p = command.add_properties();
    const size_t equals = pair.find('=');
    p->set_name(pair.substr(0, equals));
    p->set_value(equals == std::string::npos ? "" : pair.substr(equals + 1));
  }
  ask(node, std::move(command));
  return true;
}

// --- the end of a history ---

void World::heal() {
  act("heal-network");
  for (const std::string name : {"quorum", "1", "2", "3", "4"})
    if (Target* t = target(name)) {
      t->thaw();
      t->cut.clear();
      t->faults = TargetFaults{};
    }
  resource_faults_ = ResourceFaults{};
  for (int id = 1; id <= config_.nodes; ++id) {
    machine(id).resume();
    machine(id).power_on();
    service(id).die_after(-1);
    service(id).starve({});
    service(id).go_on();
    service(id).start();
  }
}

const core::Core* World::wisest() const {
  const core::Core* best = nullptr;
  for (int id = 1; id <= config_.nodes; ++id) {
    const core::Core* core = service(id).core();
    if (core == nullptr || core->membership().phase() != core::Phase::member || !core->updates().ready())
      continue;
    if (best == nullptr || core->updates().committed().value > best->updates().committed().value) best = core;
  }
  return best;
}

int World::any_member() const {
  const core::Core* best = wisest();
  for (int id = 1; id <= config_.nodes; ++id)
    if (best != nullptr && service(id).core() == best) return id;
  return 0;
}

std::set<int> World::population() const {
  std::set<int> out;
  if (const core::Core* core = wisest())
    for (const auto& node : core::all_nodes(core->tree())) out.insert(static_cast<int>(node.id.value));
  else
    for (int id = 1; id <= config_.nodes - config_.spares; ++id) out.insert(id);
  return out;
}

bool World::together() const {
  NodeSet all;
  const std::set<int> population = this->population();
  for (int id : population) all.add(NodeId{static_cast<uint64_t>(id)});
  Epoch epoch;
  for (int id : population) {
    const core::Core* core = service(id).core();
    if (core == nullptr || core->membership().phase() != core::Phase::member || !core->updates().ready())
      return false;
    const core::View& view = core->membership().view();
    if (!(view.set() == all) || (!epoch.is_none() && view.epoch != epoch)) return false;
    epoch = view.epoch;
  }
  return true;
}

std::set<std::string> World::groups() const {
  std::set<std::string> out;
  if (const core::Core* core = wisest())
    for (const auto& resource : core->tree().children("resources"))
      if (const std::string group = core->tree().text("resources/" + resource, "Group"); !is_odd(group))
        out.insert(group);
  return out;
}

bool World::groups_online() const {
  const core::Core* core = wisest();
  if (core == nullptr) return false;
  for (const auto& group : groups())
    if (core->tree().number("groups/" + group, "PersistentState") == 1 &&
        core::derive_group_state(core->tree(), group, core->membership().view().set()) !=
            core::GroupState::online)
      return false;
  return true;
}

std::string World::missing_updates(bool members_only) const {
  for (int id : population()) {
    const core::Core* core = service(id).core();
    const bool member =
        core != nullptr && core->membership().phase() == core::Phase::member && core->updates().ready();
    if (members_only && !member) continue;
    for (const auto& [key, sequence] : acked_) {
      const auto* found = core ? core->tree().find(key) : nullptr;
      if (found == nullptr) return "I2: acknowledged update " + key + " is not on node " + std::to_string(id);
      if (found->changed_at != sequence)
        return "I2: update " + key + " was acknowledged as " + std::to_string(sequence) + " and is " +
               std::to_string(found->changed_at);
    }
  }
  return "";
}

std::string World::describe() const {
  std::string out;
  for (int id = 1; id <= config_.nodes; ++id) {
    const Service& s = service(id);
    out += "n" + std::to_string(id) + ": ";
    if (!s.running())
      out += "no process";
    else if (!s.core())
      out += "between two lives";
    else
      out += std::string(core::to_string(s.core()->membership().phase())) + ", " +
             s.core()->membership().view().text() + ", " + s.core()->membership().phase_reason() +
             (s.core()->updates().ready() ? "" : ", not recovered");
    out += "\n";
  }
  if (const core::Core* core = wisest())
    for (const auto& group : core->tree().children("groups"))
      out += group + ": owner " + std::to_string(core->tree().number("groups/" + group, "Owner")) +
             ", wanted " + std::to_string(core->tree().number("groups/" + group, "PersistentState")) +
             ", failed " + std::to_string(core->tree().number("groups/" + group, "Failed")) + ", " +
             core->tree().text("groups/" + group, "Reason") + "\n";
  return out;
}

}  // namespace holdfast::sim
