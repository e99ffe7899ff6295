#include "simulation/monitor.h"
#include "base/lifetimes.h"
#include "base/mutant.h"
#include "core/properties/bounds.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace holdfast::sim {

using core::Task;

namespace {
constexpr Duration silence_max = monitor_silence_default;
constexpr Duration address_lifetime = address_lifetime_default;
constexpr Duration address_refresh_pace = address_refresh(address_lifetime);
constexpr Duration probe_time = core::address_probe_time, await_conflict = address_conflict_wait;
constexpr Duration command_limit = Duration::seconds(2);
constexpr Duration ending_max = ending_lost.end;
constexpr Duration gate_watch = Duration::milliseconds(500);
constexpr Hold disk_hold = Hold::write_exclusive_registrants_only;
}  // namespace

Monitor::Monitor(Scheduler& time, Machine& machine, Surroundings& around, const ResourceFaults& faults,
                 std::shared_ptr<GrantDescriptor> grant, std::function<void(monitor::FromMonitor)> say,
                 std::function<void()> ended)
    : time_(time),
      machine_(machine),
      around_(around),
      faults_(faults),
      grant_(std::move(grant)),
      say_(std::move(say)),
      ended_(std::move(ended)),
      last_frame_(machine.clock()) {
  watch();
}

Monitor::~Monitor() = default;

// Everything the monitor does later: not while it is stopped, and never after its end.
void Monitor::after(Duration d, std::function<void()> what) {
  time_.after(d, [this, what = std::move(what), alive = std::weak_ptr<int>(token_)] {
    if (alive.expired() || !machine_.powered()) return;
    if (stopped_ || machine_.paused())
      late_.push_back(what);
    else
      what();
  });
}

void Monitor::stop() {
  stopped_ = true;
}

void Monitor::go_on() {
  stopped_ = false;
  if (machine_.paused()) return;
  // The lease is judged before anything else: it may have been stopped for long.
  check_time();
  auto inbox = std::exchange(inbox_, {});
  for (const auto& message : inbox) receive(message);
  auto late = std::exchange(late_, {});
  std::weak_ptr<int> alive = token_;
  for (auto& what : late)
    if (!alive.expired()) what();
}

void Monitor::hear(const monitor::ToMonitor& message) {
  if (stopped_ || machine_.paused())
    inbox_.push_back(message);
  else
    receive(message);
}

void Monitor::receive(const monitor::ToMonitor& message) {
  last_frame_ = machine_.clock();
  if (message.has_grant()) {
    const Instant until{static_cast<int64_t>(message.grant().lease_until_boottime_ns())};
    if (until <= lease_until_) return;
    lease_until_ = until;
    if (ending_ || !lease_valid() || !lapsed_) return;
    lapsed_ = false;
    watch();
    for (auto& [name, r] : resources_) {
      if (!r.held) continue;
      r.held = false;
      if (r.active && r.type == "ip-address") machine_.put_address(r.parameters["Address"], address_lifetime);
      report(name, 0, r, "released");
    }
    return;
  }
  if (message.has_order()) return order(message.order());
  if (message.shutdown()) {
    orderly_ = true;
    begin_ending();
  }
}

bool Monitor::lease_valid() const {
  return machine_.clock() < lease_until_;
}

// Deadlines move only away from us, so a timer that comes too early looks again.
void Monitor::watch() {
  Instant next = ending_ ? ending_since_ + ending_max : last_frame_ + silence_max;
  if (mutant(Mutant::silence_ignored) && !ending_) next = Instant::infinite();
  if (!lapsed_ && !mutant(Mutant::lapsed_lease_ignored)) next = std::min(next, lease_until_);
  if (watched_until_ <= next) return;
  watched_until_ = next;
  const Instant at = std::max(machine_.to_world(next), time_.now()) + Duration{1};
  after(at - time_.now(), [this, next] {
    if (watched_until_ != next) return;
    watched_until_ = Instant::infinite();
    std::weak_ptr<int> alive = token_;
    check_time();
    if (!alive.expired()) watch();
  });
}

void Monitor::check_time() {
  const Instant now = machine_.clock();
  if (!lapsed_ && !lease_valid() && !mutant(Mutant::lapsed_lease_ignored)) {
    lapsed_ = true;
    for (auto& [name, r] : resources_) {
      if (guarded(r) || !r.active || r.held) continue;
      r.held = true;
      if (r.type == "ip-address") machine_.delete_address(r.parameters["Address"]);
      report(name, 0, r, "held");
    }
  }
  if (!ending_ && now >= last_frame_ + silence_max && !mutant(Mutant::silence_ignored)) begin_ending();
  if (ending_ && now >= ending_since_ + ending_max) pump_ending();
}

void Monitor::service_gone() {
  if (mutant(Mutant::silence_ignored)) return;
  connected_ = false;
  after(Duration::microseconds(100), [this] {
    orderly_ = false;
    begin_ending();
  });
}

// Resources end in the reverse of the order in which they came online.
void Monitor::begin_ending() {
  if (ending_) return;
  ending_ = true;
  ending_since_ = machine_.clock();
  watch();
  for (auto& [name, r] : resources_) {
    r.orders.clear();
    ++r.run;
    r.busy = false;
  }
  pump_ending();
}

void Monitor::pump_ending() {
  std::string last;
  for (auto& [name, r] : resources_)
    if (r.active && (last.empty() || r.online_number > resources_[last].online_number)) last = name;
  if (last.empty() || machine_.clock() >= ending_since_ + ending_max) {
    sweep();
    if (orderly_ && connected_) {
      monitor::FromMonitor out;
      out.set_all_terminated(true);
      say_(out);
    }
    auto ended = std::exchange(ended_, nullptr);
    token_.reset();
    if (ended) ended();
    return;
  }
  take_offline(
      last, [this] { pump_ending(); }, true);
}

void Monitor::sweep() {
  for (auto& [name, r] : resources_)
    if (r.active) end_now(r);
}

void Monitor::end_now(Resource& r) {
  r.was_active = r.active;
  r.active = r.held = false;
  r.state = monitor::OFFLINE;
  if (r.type == "ip-address") machine_.delete_address(r.parameters["Address"]);
  if (r.type == "filesystem")
    if (Target* target = around_.find_disk(r.uses_disk)) machine_.unmount(*target);
}

Duration Monitor::operation() {
  Random& random = machine_.random;
  if (faults_.hang_permille > 0 && random.below(1000) < static_cast<uint64_t>(faults_.hang_permille))
    return Duration::seconds(30 + static_cast<int64_t>(random.below(60)));
  if (faults_.slow_permille > 0 && random.below(1000) < static_cast<uint64_t>(faults_.slow_permille))
    return Duration{static_cast<int64_t>(random.below(static_cast<uint64_t>(faults_.slow_max.ns)))};
  return Duration::microseconds(500 + static_cast<int64_t>(random.below(20'000)));
}

bool Monitor::alive(const std::string& name, uint64_t run) const {
  auto it = resources_.find(name);
  return it != resources_.end() && it->second.run == run;
}

void Monitor::report(const std::string& name, uint64_t order, const Resource& r, const std::string& message) {
  if (!connected_) return;
  monitor::FromMonitor out;
  auto* report = out.mutable_report();
  report->set_resource(name);
  report->set_order(order);
  report->set_state(r.state);
  report->set_generation(r.generation);
  report->set_held(r.held);
  report->set_message(message);
  report->set_dirty(r.state == monitor::OFFLINE && r.was_active && order != 0 && fails());
  if (r.type == "generic-program" && r.state == monitor::ONLINE && faults_.lie_permille > 0 &&
      machine_.random.below(1000) < static_cast<uint64_t>(faults_.lie_permille))
    report->set_state(monitor::FAILED);
  if (r.state == monitor::ONLINE && r.type == "physical-disk") {
    auto* published = report->add_published();
    published->set_name("Device");
    published->set_value(r.parameters.at("Device"));
  }
  say_(out);
}

void Monitor::became(const std::string& name, const monitor::Order& order, monitor::State state,
                     const std::string& message) {
  if (connected_ && !message.empty()) {
    monitor::FromMonitor out;
    out.mutable_log()->set_resource(order.resource());
    out.mutable_log()->set_text(message);
    say_(out);
  }
  Resource& r = resources_[name];
  r.state = state;
  r.busy = false;
  report(name, order.order(), r, message);
  next(name);
}

void Monitor::order(const monitor::Order& order) {
  const std::string name = order.resource();
  auto refuse = [&](ErrorCode code) {
    monitor::FromMonitor out;
    auto* report = out.mutable_report();
    report->set_resource(name);
    report->set_order(order.order());
    auto it = resources_.find(name);
    report->set_state(it == resources_.end() ? monitor::OFFLINE : it->second.state);
    report->set_error(static_cast<uint32_t>(code));
    report->set_generation(order.generation());
    say_(out);
  };
  if (ending_) return refuse(ErrorCode::cancelled);
  auto it = resources_.find(name);
  if (it == resources_.end()) {
    if (order.action() == monitor::Order::ONLINE || order.action() == monitor::Order::CONTROL)
      return refuse(ErrorCode::not_found);
    if (order.action() != monitor::Order::OPEN) return refuse(ErrorCode::ok);
    it = resources_.emplace(name, Resource{}).first;
    it->second.type = order.type();
  }
  Resource& r = it->second;
  if (order.expires_boottime_ns() != 0 && !mutant(Mutant::old_orders_obeyed) &&
      machine_.clock().ns > static_cast<int64_t>(order.expires_boottime_ns()))
    return refuse(ErrorCode::cancelled);
  if (order.generation() != 0 && order.generation() < r.generation && !mutant(Mutant::old_orders_obeyed))
    return refuse(ErrorCode::conflict);
  if (order.generation() != 0) r.generation = order.generation();
  if (order.action() == monitor::Order::TERMINATE) {
    r.orders.clear();
    const uint64_t run = ++r.run;
    r.busy = true;
    if (fails()) return will_not_end(name, order, run);
    return take_offline(
        name, [this, name, order] { became(name, order, monitor::OFFLINE); }, true);
  }
  r.orders.push_back(order);
  next(name);
}

bool Monitor::fails() {
  return faults_.fail_permille > 0 &&
         machine_.random.below(1000) < static_cast<uint64_t>(faults_.fail_permille);
}

// It goes on: a dismount that a process in the kernel's hands does not let end.
void Monitor::will_not_end(const std::string& name, const monitor::Order& order, uint64_t run) {
  after(operation(), [this, name, order, run] {
    if (alive(name, run)) became(name, order, monitor::FAILED, "it does not end");
  });
}

void Monitor::next(const std::string& name) {
  auto it = resources_.find(name);
  if (it == resources_.end() || it->second.busy || it->second.orders.empty() || ending_) return;
  Resource& r = it->second;
  const monitor::Order order = r.orders.front();
  r.orders.pop_front();
  r.busy = true;
  const uint64_t run = ++r.run;
  switch (order.action()) {
    case monitor::Order::ONLINE:
      r.state = monitor::ONLINE_PENDING;
      report(name, order.order(), r, "");
      return after(operation(), [this, name, order, run] {
        if (alive(name, run)) bring_online(name, order);
      });
    case monitor::Order::OPEN:
    case monitor::Order::OFFLINE:
      if (order.action() == monitor::Order::OFFLINE) {
        r.state = monitor::OFFLINE_PENDING;
        report(name, order.order(), r, "");
        if (r.active && fails()) return will_not_end(name, order, run);
      }
      return take_offline(name, [this, name, order] { became(name, order, monitor::OFFLINE); });
    case monitor::Order::CLOSE:
      return take_offline(name, [this, name, order] {
        became(name, order, monitor::OFFLINE);
        resources_.erase(name);
      });
    default:
      return became(name, order, r.state);
  }
}

void Monitor::bring_online(const std::string& name, const monitor::Order& order) {
  Resource& r = resources_[name];
  const uint64_t run = r.run;
  for (const auto& p : order.parameters()) r.parameters[p.name()] = p.value();
  auto failed = [&](const std::string& why) {
    end_now(r);
    became(name, order, monitor::FAILED, why);
  };
  if (fails()) return failed("it broke");
  if (!guarded(r) && !lease_valid()) return failed("not a member");
  if (r.type == "ip-address") return probe_address(name, order, run, machine_.clock() + await_conflict);
  if (r.type == "physical-disk") {
    r.key = {order.reservation_key()};
    r.victim = {order.victim_key()};
    r.task.emplace(acquire(name, order, run));
    return r.task->start();
  }
  if (r.type == "filesystem") {
    for (const auto& provider : order.providers())
      for (const auto& value : provider.list())
        if (value.starts_with("Device=")) r.uses_disk = value.substr(7);
    Target* target = around_.find_disk(r.uses_disk);
    if (target == nullptr) return failed("there is no disk " + r.uses_disk);
    machine_.mount(*target, order.generation(), grant_ ? grant_->grant() : nullptr);
  }
  r.active = true;
  r.online_number = ++onlines_;
  if (r.type == "filesystem" && grant_) watch_gate(name, r.online_number);
  became(name, order, monitor::ONLINE);
}

// The kernel tells of a gate that closed: nothing that is written behind it arrives any more.
void Monitor::watch_gate(const std::string& name, uint64_t online_number) {
  after(gate_watch, [this, name, online_number] {
    auto it = resources_.find(name);
    if (it == resources_.end() || !it->second.active || it->second.online_number != online_number) return;
    if (!it->second.busy && !ending_ && gate_state(*grant_->grant(), machine_.clock()) == GateState::closed)
      return break_down(name, "its write gate is closed");
    watch_gate(name, online_number);
  });
}

// Waits for an owner whose kernel still has to expire the address; then takes it.
void Monitor::probe_address(const std::string& name, const monitor::Order& order, uint64_t run,
                            Instant until) {
  after(probe_time, [this, name, order, run, until] {
    if (!alive(name, run)) return;
    Resource& r = resources_[name];
    if (around_.somebody_answers_for(r.parameters["Address"], machine_.id) && machine_.clock() < until)
      return probe_address(name, order, run, until);
    if (!lease_valid()) return became(name, order, monitor::FAILED, "not a member");
    r.active = true;
    r.online_number = ++onlines_;
    machine_.put_address(r.parameters["Address"], address_lifetime);
    keep_address(name, run);
    became(name, order, monitor::ONLINE);
  });
}

void Monitor::keep_address(const std::string& name, uint64_t run) {
  const uint64_t number = resources_[name].online_number;
  after(address_refresh_pace, [this, name, run, number] {
    auto it = resources_.find(name);
    if (it == resources_.end() || !it->second.active || it->second.online_number != number) return;
    if (!it->second.held && lease_valid())
      machine_.put_address(it->second.parameters["Address"], address_lifetime);
    keep_address(name, run);
  });
}

// One command to a disk, repeated after an attention. "" = done.
Task<std::string> Monitor::run_command(Target& target, Command command) {
  Session& session = machine_.disk(target);
  if (!session.is_open()) {
    auto login = session.log_in(command_limit);
    Reply reply = co_await login;
    if (!reply.answered) co_return "the disk does not answer";
  }
  for (int attempt = 0; attempt < 5; ++attempt) {
    auto call = session.call(command, command_limit);
    Reply reply = co_await call;
    if (!reply.answered) co_return "the disk does not answer";
    if (reply.status == Scsi::attention) continue;
    co_return reply.status == Scsi::good ? "" : reply.status == Scsi::conflict ? "conflict" : "unsupported";
  }
  co_return "attention";
}

Task<std::string> Monitor::look(Target& target, std::shared_ptr<Seen> seen) {
  Command command = [seen](ScsiLun& lun, Nexus nexus) {
    const Scsi status = lun.look(nexus);
    *seen = {lun.holder_key(), lun.hold(), lun.keys()};
    return status;
  };
  auto running = run_command(target, command);
  std::string why = co_await running;
  co_return why;
}

Task<std::string> Monitor::preempt(Target& target, ReservationKey own, ReservationKey victim) {
  const bool abort = target.lun.kind().preempt_and_abort;
  Command command = [own, victim, abort](ScsiLun& lun, Nexus nexus) {
    return lun.preempt(nexus, own, victim, disk_hold, abort);
  };
  auto running = run_command(target, command);
  std::string why = co_await running;
  co_return why;
}

// The steps of resources/physical-disk/acquire.cc. "" = the disk is ours.
Task<std::string> Monitor::take(Target& target, ReservationKey own, ReservationKey victim) {
  auto seen = std::make_shared<Seen>();
  auto looking = look(target, seen);
  std::string why = co_await looking;
  if (!why.empty()) co_return why;
  const Seen before = *seen;
  auto acceptable = [&](ReservationKey key) {
    return mutant(Mutant::victim_read_at_the_disk) || key == own || key == victim ||
           (key.tag() == own.tag() && key.counter() < own.counter());
  };
  const bool held = before.hold != Hold::none;
  if (held && before.holder != own && (before.hold != disk_hold || !acceptable(before.holder)))
    co_return "held by somebody else";
  for (auto key : before.keys)
    if (!acceptable(key)) co_return "registered by somebody else";
  Command command = [own](ScsiLun& lun, Nexus nexus) { return lun.register_ignore(nexus, own); };
  auto registering = run_command(target, command);
  why = co_await registering;
  if (!why.empty()) co_return why;
  bool reset = !target.lun.kind().preempt_and_abort;
  if (!held) {
    command = [own](ScsiLun& lun, Nexus nexus) { return lun.reserve(nexus, own, disk_hold); };
    auto reserving = run_command(target, command);
    why = co_await reserving;
    reset = true;  // whoever held it before may have commands in flight
  } else if (before.holder != own) {
    auto preempting = preempt(target, own, before.holder);
    why = co_await preempting;
  }
  if (!why.empty()) co_return why;
  const std::set<ReservationKey> others(before.keys.begin(), before.keys.end());
  for (auto key : others) {
    if (key == own || (held && key == before.holder)) continue;
    auto preempting = preempt(target, own, key);
    why = co_await preempting;
    if (!why.empty()) co_return why;
  }
  if (reset && !mutant(Mutant::no_reset_of_a_disk)) {
    command = [](ScsiLun& lun, Nexus nexus) { return lun.reset(nexus); };
    auto resetting = run_command(target, command);
    why = co_await resetting;
    if (!why.empty()) co_return why;
  }
  auto verifying = look(target, seen);
  why = co_await verifying;
  if (!why.empty()) co_return why;
  if (seen->holder != own || seen->hold != disk_hold) co_return "lost again";
  for (auto key : seen->keys)
    if (key != own) co_return "still registered by somebody else";
  co_return "";
}

Task<void> Monitor::acquire(std::string name, monitor::Order order, uint64_t run) {
  const ReservationKey own{order.reservation_key()}, victim{order.victim_key()};
  Target* target = around_.find_disk(resources_[name].parameters["Device"]);
  if (target == nullptr) {
    became(name, order, monitor::FAILED, "there is no such disk");
    co_return;
  }
  auto taking = take(*target, own, victim);
  std::string why = co_await taking;
  if (!why.empty()) {
    Command command = [own](ScsiLun& lun, Nexus nexus) {
      return lun.holder_key() == own ? Scsi::good : lun.register_key(nexus, own, {});
    };
    auto withdrawing = run_command(*target, command);
    std::string ignored = co_await withdrawing;
  }
  if (!alive(name, run)) co_return;
  if (!why.empty()) {
    became(name, order, monitor::FAILED, why);
    co_return;
  }
  around_.disk_acquired(*target, machine_.id, order.generation());
  Resource& r = resources_[name];
  r.active = true;
  r.online_number = ++onlines_;
  became(name, order, monitor::ONLINE);
}

void Monitor::take_offline(const std::string& name, std::function<void()> done, bool terminate) {
  Resource& r = resources_[name];
  const bool was_active = r.active;
  Duration takes = was_active ? operation() : Duration::microseconds(300);
  if (terminate) takes = std::min(takes, Duration::milliseconds(500));  // who hangs is killed
  after(takes, [this, name, was_active, run = r.run, done = std::move(done)] {
    auto it = resources_.find(name);
    if (it == resources_.end() || it->second.run != run) return;
    end_now(it->second);
    if (mutant(Mutant::disk_given_back) && was_active && it->second.type == "physical-disk")
      if (Target* target = around_.find_disk(it->second.parameters["Device"])) target->lun.give_away();
    done();  // a disk stays reserved for its next owner
  });
}

bool Monitor::break_one(uint64_t which) {
  std::vector<std::string> active;
  for (auto& [name, r] : resources_)
    if (r.active && !r.busy) active.push_back(name);
  if (active.empty() || ending_) return false;
  break_down(active[which % active.size()], "it broke");
  return true;
}

void Monitor::break_down(const std::string& name, const std::string& why) {
  Resource& r = resources_[name];
  r.busy = true;
  ++r.run;
  r.state = monitor::OFFLINE_PENDING;
  report(name, 0, r, why);
  take_offline(name, [this, name, why] {
    Resource& broken = resources_[name];
    broken.state = monitor::FAILED;
    broken.busy = false;
    report(name, 0, broken, why);
    next(name);
  });
}

}  // namespace holdfast::sim
