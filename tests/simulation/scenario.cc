#include "simulation/scenario.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "core/failover/group_state.h"
#include "simulation/history.h"
#include "simulation/world.h"

namespace holdfast::sim {
namespace {

std::set<int> ids_of(const std::string& text) {
  std::set<int> out;
  std::istringstream parts(text);
  for (std::string id; std::getline(parts, id, ',');) out.insert(atoi(id.c_str()));
  return out;
}

std::string rest_of(std::istream& words) {
  std::string rest;
  std::getline(words >> std::ws, rest);
  return rest;
}

class Play {
 public:
  ScenarioResult run(const std::string& text) {
    std::istringstream lines(text);
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
      ++number;
      line = line.substr(0, line.find('#'));
      line.erase(line.find_last_not_of(" \t\r") + 1);
      if (line.empty()) continue;
      std::string why = obey(line);
      if (why.empty() && world_) why = world_->failure();
      if (!why.empty()) return end("line " + std::to_string(number) + " (" + line + "): " + why);
    }
    if (!world_) return end("nothing happens in it");
    if (auto why = heal_and_settle(*world_); !why.empty()) return end("at the end: " + why);
    for (const auto& text : never_)
      if (said(text, 0)) return end("it was said after all: " + text);
    return end("");
  }

 private:
  ScenarioResult end(const std::string& failure) {
    ScenarioResult out;
    out.failure = failure;
    if (!world_) return out;
    if (!failure.empty()) out.state = world_->describe();
    out.log = world_->log();
    for (const auto& line : out.log) decision(line, &out.trace);
    return out;
  }

  // What was decided: no times, no durations.
  static void decision(const std::string& line, std::vector<std::string>* out) {
    static const std::vector<std::string> kinds = {
        " > ",           " VIEW ",      " REGROUP ",  " NODE_REMOVED ", " forms ", " QUORUM_STATE ",
        " GROUP_OWNER ", " life ended", " nominates "};
    if (std::none_of(kinds.begin(), kinds.end(), [&](const auto& k) { return line.find(k) != line.npos; }))
      return;
    std::string text = line.substr(line.find(' ') + 1);
    for (const char* tail : {" (regroup took", " (arbitration took", " (tried again"})
      if (auto at = text.find(tail); at != text.npos) text.resize(at);
    out->push_back(text);
  }

  std::string obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "world") return make_world(words);
    config_.keep_log = true;
    if (!world_) world_ = std::make_unique<World>(config_);
    if (verb == "cluster") return cluster(words);
    if (verb == "group") return group(words);
    if (verb == "wait") {
      int64_t ms = 0;
      words >> ms;
      world_->run(Duration::milliseconds(ms));
      return {};
    }
    if (verb == "mark") {
      mark_ = world_->log().size();
      return {};
    }
    if (verb == "never") {
      never_.push_back(rest_of(words));
      return {};
    }
    if (verb == "expect") return expect(rest_of(words));
    if (verb == "stays") return stays(words);
    return world_->act(line) ? "" : "there is no such verb, or it makes no sense now";
  }

  // world nodes=3 networks=2 disks=1 seed=1 abort=0|1 nexus=same|new memory=kept|lost log=empty|full
  // gates=0|1
  std::string make_world(std::istream& words) {
    if (world_) return "the world exists already";
    config_.keep_log = true;
    for (std::string pair; words >> pair;) {
      const size_t equals = pair.find('=');
      const std::string name = pair.substr(0, equals),
                        value = equals == pair.npos ? "" : pair.substr(equals + 1);
      if (name == "nodes")
        config_.nodes = atoi(value.c_str());
      else if (name == "networks")
        config_.networks = atoi(value.c_str());
      else if (name == "disks")
        config_.disks = atoi(value.c_str());
      else if (name == "seed")
        config_.seed = strtoull(value.c_str(), nullptr, 10);
      else if (name == "abort")
        config_.kind.preempt_and_abort = value == "1";
      else if (name == "nexus")
        config_.kind.same_nexus = value == "same";
      else if (name == "memory")
        config_.kind.persistent = value == "kept";
      else if (name == "gates")
        config_.gates = value == "1";
      else if (name == "log")
        config_.full_log = value == "full";
      else
        return "there is no property '" + name + "' of a world";
    }
    return {};
  }

  // cluster [IDS]: these start, and come together.
  std::string cluster(std::istream& words) {
    std::string text;
    words >> text;
    std::set<int> ids = ids_of(text);
    if (text.empty())
      for (int id = 1; id <= world_->nodes(); ++id) ids.insert(id);
    for (int id : ids) (void)world_->act("start " + std::to_string(id));
    return world_->run_until([&] { return view_is(ids); }, Duration::seconds(60))
               ? ""
               : "they do not come together";
  }

  // group NAME N disk|address|all [NODE]: with the disk N and the address N, online, on NODE.
  std::string group(std::istream& words) {
    std::string g, n, what, node;
    words >> g >> n >> what >> node;
    const std::string at = "command " + std::to_string(*members().begin()) + " ";
    auto act = [&](const std::string& line) {
      return world_->act(at + line) && (world_->run(Duration::milliseconds(30)), true);
    };
    bool good = act("GROUP_CREATE " + g + " -");
    if (what != "address") {
      good = good &&
             act("RESOURCE_CREATE disk" + n + " - Group=" + g + " Type=physical-disk Device=naa.600" + n);
      good = good && act("RESOURCE_CREATE fs" + n + " - Group=" + g + " Type=filesystem MountPoint=/srv/" +
                         n + " Dependencies=disk" + n);
    }
    if (what != "disk")
      good = good && act("RESOURCE_CREATE ip" + n + " - Group=" + g + " Type=ip-address Address=10.0.9." + n +
                         " PrefixLength=24");
    if (what == "all")
      good = good && act("RESOURCE_CREATE app" + n + " - Group=" + g +
                         " Type=generic-program CommandLine=/bin/app Dependencies=fs" + n + ",ip" + n);
    good = good && act("GROUP_ONLINE " + g + " " + (node.empty() ? "-" : "n" + node));
    if (!good) return "the commands were not taken";
    return world_->run_until([&] { return state_is(g, core::GroupState::online); }, Duration::seconds(30))
               ? ""
               : "the group does not come online";
  }

  // expect WHAT [within MS]
  std::string expect(std::string what) {
    int64_t ms = 0;
    if (auto at = what.rfind(" within "); at != what.npos) {
      ms = atoll(what.c_str() + at + 8);
      what.resize(at);
    }
    std::string why;
    const auto holds = [&] { return judge(what, &why); };
    if (holds()) return {};
    if (!why.empty()) return why;
    if (ms > 0 && world_->run_until(holds, Duration::milliseconds(ms))) return {};
    return ms > 0 ? "it did not happen within " + std::to_string(ms) + " ms" : "it is not so";
  }

  // stays MS WHAT
  std::string stays(std::istream& words) {
    int64_t ms = 0;
    words >> ms;
    const std::string what = rest_of(words);
    std::string why;
    const bool broke = world_->run_until([&] { return !judge(what, &why); }, Duration::milliseconds(ms));
    if (!why.empty()) return why;
    return broke ? "it did not stay so" : "";
  }

  bool judge(const std::string& what, std::string* why) {
    std::istringstream words(what);
    std::string kind, a, b;
    words >> kind;
    if (kind == "said") return said(rest_of(words), mark_);
    words >> a >> b;
    if (kind == "view") return view_is(ids_of(a));
    if (kind == "member") return is_member(atoi(a.c_str()));
    if (kind == "outside") return !is_member(atoi(a.c_str()));
    if (kind == "dead") return !world_->service(atoi(a.c_str())).running();
    if (kind == "quorum") {
      const auto ids = members();
      return !ids.empty() && world_->service(*ids.begin()).core()->membership().view().owner.value ==
                                 strtoull(a.c_str(), nullptr, 10);
    }
    if (kind == "owner") return owner_of(a) == atoi(b.c_str());
    if (kind == "online") return state_is(a, core::GroupState::online);
    if (kind == "offline") return state_is(a, core::GroupState::offline);
    if (kind == "address")
      return holders([&](int id) { return world_->machine(id).answers_for(a); }) == ids_of(b);
    if (kind == "mounted") {
      Target* disk = world_->target(a);
      if (disk == nullptr) return *why = "there is no disk " + a, false;
      return holders([&](int id) { return world_->machine(id).mounted(*disk); }) == ids_of(b);
    }
    if (kind == "writing" || kind == "waiting" || kind == "refused") {  // DISK NODES
      Target* disk = world_->target(a);
      if (disk == nullptr) return *why = "there is no disk " + a, false;
      const auto wanted = kind == "writing"   ? Machine::Writes::pass
                          : kind == "waiting" ? Machine::Writes::wait
                                              : Machine::Writes::refused;
      return holders([&](int id) { return world_->machine(id).writes(*disk) == wanted; }) == ids_of(b);
    }
    if (kind == "updates") return world_->missing_updates(true).empty();
    *why = "nobody knows what '" + kind + "' means";
    return false;
  }

  template <typename Holds>
  std::set<int> holders(Holds holds) const {
    std::set<int> out;
    for (int id = 1; id <= world_->nodes(); ++id)
      if (holds(id)) out.insert(id);
    if (out.empty()) out.insert(0);  // nobody
    return out;
  }
  bool said(const std::string& text, size_t from) const {
    const auto& log = world_->log();
    return std::any_of(log.begin() + static_cast<ptrdiff_t>(from), log.end(),
                       [&](const auto& line) { return line.find(text) != line.npos; });
  }
  bool is_member(int id) const {
    const core::Core* core = world_->service(id).core();
    return core != nullptr && core->membership().phase() == core::Phase::member && core->updates().ready();
  }
  // Of the newest view.
  std::set<int> members() const {
    uint64_t newest = 0;
    std::set<int> out;
    for (int id = 1; id <= world_->nodes(); ++id) {
      if (!is_member(id)) continue;
      const uint64_t epoch = world_->service(id).core()->membership().view().epoch.value;
      if (epoch > newest) out.clear();
      newest = std::max(newest, epoch);
      if (epoch == newest) out.insert(id);
    }
    return out;
  }
  bool view_is(const std::set<int>& ids) const {
    if (members() != ids || ids.empty()) return false;
    NodeSet all;
    for (int id : ids) all.add(NodeId{static_cast<uint64_t>(id)});
    return world_->service(*ids.begin()).core()->membership().view().set() == all;
  }
  const core::Core* somebody() const {
    const auto ids = members();
    return ids.empty() ? nullptr : world_->service(*ids.begin()).core();
  }
  int owner_of(const std::string& group) const {
    const core::Core* core = somebody();
    return core ? static_cast<int>(core->tree().number("groups/" + group, "Owner")) : -1;
  }
  bool state_is(const std::string& group, core::GroupState state) const {
    const core::Core* core = somebody();
    return core && core::derive_group_state(core->tree(), group, core->membership().view().set()) == state;
  }

  WorldConfig config_;
  std::unique_ptr<World> world_;
  size_t mark_ = 0;
  std::vector<std::string> never_;
};

}  // namespace

ScenarioResult run_scenario(const std::string& text) {
  return Play().run(text);
}

}  // namespace holdfast::sim
