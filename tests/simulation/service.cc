#include "simulation/service.h"

#include <utility>

#include "core/database/nodes.h"
#include "simulation/quorum_watch.h"

namespace holdfast::sim {
namespace {

std::set<int> nodes_of(const core::Tree& tree) {
  std::set<int> out;
  for (const auto& node : core::all_nodes(tree)) out.insert(static_cast<int>(node.id.value));
  return out;
}

}  // namespace

Service::Service(Scheduler& time, Machine& machine, Network& network, Target& quorum, Surroundings& around,
                 ServiceObserver& observer, const ResourceFaults& faults, std::set<int> known)
    : time_(time),
      machine_(machine),
      network_(network),
      quorum_(quorum),
      around_(around),
      observer_(observer),
      faults_(faults),
      configured_(std::move(known)) {}

Service::~Service() = default;

void Service::after(Duration d, std::function<void()> what) {
  time_.after(d, [this, what = std::move(what), process = process_] {
    if (process == process_ && running_) what();
  });
}

bool Service::asleep() const {
  return stopped_ || machine_.paused() || time_.now() < starved_until_;
}

bool Service::responsive() const {
  return running_ && !asleep() && machine_.powered();
}

void Service::start() {
  if (running_ || !machine_.powered() || machine_.paused()) return;
  ++process_;
  running_ = true;
  stopped_ = stop_asked_ = false;
  starved_until_ = {};
  begin_life();
}

// Nothing of an earlier life may be left: others take a new incarnation for a promise.
void Service::begin_life() {
  if (stop_asked_) return end_process();
  if (monitor_) {
    // It holds the lock; after 5 s it is killed and what it left is swept.
    after(Duration::milliseconds(100), [this] { begin_life(); });
    return;
  }
  sweep();
  ++process_;
  over_ = dead_ = false;
  orders_left_ = -1;
  queue_.clear();
  verdict_.reset();
  timer_due_ = false;
  deadline_ = scheduled_ = Instant::infinite();
  incarnation_ = machine_.random.next() | 1;
  core::CoreConfig c;
  c.cluster_id = "c1";
  c.cluster_name = "sim";
  c.node_name = "n" + std::to_string(machine_.id);
  c.self = NodeId{static_cast<uint64_t>(machine_.id)};
  c.incarnation = Incarnation{incarnation_};
  for (int id : known_nodes())
    if (id != machine_.id) c.peers[NodeId{static_cast<uint64_t>(id)}] = "n" + std::to_string(id);
  for (int network = 0; network < network_.networks(); ++network)
    c.networks.push_back({std::string(1, static_cast<char>('a' + network)),
                          "10." + std::to_string(network) + ".0." + std::to_string(machine_.id)});
  core_ = std::make_unique<core::Core>(std::move(c));
  const std::string signature = QuorumWatch::signature(machine_.id, incarnation_);
  disk_ = std::make_unique<QuorumPath>(
      quorum_, machine_.id, signature, [this, process = process_](core::LunResult r) {
        // Later: what the step does may end the path itself.
        time_.after(Duration{0}, [this, process, r = std::move(r)]() mutable {
          if (process == process_) deliver(core::LunCompleted{std::move(r)});
        });
      });
  grant_ = gates_ ? std::make_shared<GrantDescriptor>([this] { return machine_.clock(); }) : nullptr;
  network_.attach(machine_.id, incarnation_, this);
  network_.know(machine_.id, known_nodes());
  start_monitor();
  deliver(core::Started{});
}

std::set<int> Service::known_nodes() const {
  if (core_ && core_->tree().exists("nodes")) return nodes_of(core_->tree());
  return replica_ && !replica_->empty() ? *replica_ : configured_;
}

void Service::start_monitor() {
  after(Duration::milliseconds(3 + static_cast<int64_t>(machine_.random.below(20))), [this] {
    if (monitor_ || over_) return;
    ++monitors_;
    monitor_ = std::make_unique<Monitor>(
        time_, machine_, around_, faults_, grant_,
        [this, process = process_](monitor::FromMonitor message) {
          time_.after(Duration::microseconds(50), [this, process, message = std::move(message)]() mutable {
            if (process == process_ && running_) deliver(core::MonitorSaid{std::move(message)});
          });
        },
        [this, process = process_] {
          // Out of its own call stack.
          time_.after(Duration{0}, [this, process] {
            monitor_.reset();
            if (process != process_ || !running_) return;
            if (over_) return;  // the life waits for it
            deliver(core::MonitorDied{"the monitor ended"});
            start_monitor();
          });
        });
    deliver(core::MonitorStarted{});
  });
}

// Steps are never nested, and a process that does not run reads its events later.
void Service::deliver(core::Event event) {
  if (!running_ || over_ || !core_) return;
  queue_.push_back(std::move(event));
  drain();
}

void Service::drain() {
  if (stepping_ || asleep() || !core_) return;
  stepping_ = true;
  while ((timer_due_ || !queue_.empty()) && !over_ && !dead_) {
    // The timer fires first, as in an event loop that was away.
    core::Event next = core::TimeReached{};
    if (timer_due_) {
      timer_due_ = false;
    } else {
      next = std::move(queue_.front());
      queue_.pop_front();
    }
    const Instant now = machine_.clock();
    if (auto* datagram = std::get_if<core::DatagramReceived>(&next)) datagram->received_at = now;
    auto output = core_->step(next, now, machine_.wall_ms());
    observer_.stepped(machine_.id, next, output);
    run_output(output, *this);
    if (dead_) break;
    if (peers_stale_) {
      peers_stale_ = false;
      network_.know(machine_.id, known_nodes());
    }
    observer_.after_step(machine_.id);
  }
  stepping_ = false;
  if (dead_) {
    dead_ = false;
    kill(machine_.random.chance(30));
    return;
  }
  if (verdict_) {
    auto end = *std::exchange(verdict_, std::nullopt);
    if (end.stop) stop_asked_ = true;
    network_.detach(machine_.id);
    monitor::ToMonitor message;
    message.set_shutdown(true);
    if (monitor_) monitor_->hear(message);
    const uint64_t process = process_;
    after(Duration::milliseconds(500), [this, process] {
      if (process != process_) return;
      core_.reset();
      disk_.reset();
      grant_.reset();
      begin_life();
    });
    return;
  }
  schedule_timer();
}

void Service::schedule_timer() {
  if (deadline_ >= scheduled_ || deadline_ >= Instant::infinite()) return;
  scheduled_ = deadline_;
  time_.at(machine_.to_world(deadline_), [this, process = process_, at = deadline_] {
    if (process != process_ || !running_ || over_ || scheduled_ != at) return;
    scheduled_ = Instant::infinite();
    if (machine_.paused()) return;  // armed again when it resumes
    if (machine_.clock() < deadline_) return schedule_timer();
    timer_due_ = true;
    deadline_ = Instant::infinite();
    drain();
  });
}

void Service::starve(Duration d) {
  if (!running_) return;
  starved_until_ = time_.now() + d;
  after(d + Duration{1}, [this] { drain(); });
}

void Service::stop() {
  stopped_ = true;
}

void Service::go_on() {
  stopped_ = false;
  if (running_) drain();
}

void Service::machine_resumed() {
  if (monitor_) monitor_->go_on();
  if (!running_) return;
  scheduled_ = Instant::infinite();
  schedule_timer();
  drain();
}

void Service::end_process() {
  observer_.died(machine_.id);
  running_ = stopped_ = false;
  ++process_;
  network_.detach(machine_.id);
  core_.reset();
  disk_.reset();
  grant_.reset();
  queue_.clear();
}

void Service::kill(bool monitor_too) {
  if (!running_) return;
  if (stepping_) {  // by an order of its own step: at its end
    dead_ = true;
    return;
  }
  end_process();
  if (monitor_too)
    kill_monitor();
  else if (monitor_)
    monitor_->service_gone();
}

void Service::sweep() {
  for (auto& left : std::exchange(left_, {})) left->sweep();
}

// What it ran is still there: addresses until they expire, mounts until the sweep of the next service.
void Service::kill_monitor() {
  if (!monitor_) return;
  observer_.monitor_died(machine_.id);
  const bool told = running_ && !over_;
  // The sweep: soon when the service lives, else when the next one starts; the kernel's share stays until
  // then.
  monitor_->killed();
  left_.push_back(std::move(monitor_));
  if (!told) return;
  after(Duration::milliseconds(20 + static_cast<int64_t>(machine_.random.below(200))), [this] {
    sweep();
    deliver(core::MonitorDied{"the monitor was killed"});
    start_monitor();
  });
}

bool Service::stop_monitor(Duration d) {
  if (!monitor_) return false;
  monitor_->stop();
  observer_.monitor_died(machine_.id);  // nobody withdraws its addresses either
  time_.after(d, [this, number = monitors_] {
    if (monitor_ && monitors_ == number) monitor_->go_on();
  });
  return true;
}

void Service::power_lost() {
  observer_.died(machine_.id);
  running_ = stopped_ = false;
  ++process_;
  network_.detach(machine_.id);
  core_.reset();
  disk_.reset();
  grant_.reset();
  monitor_.reset();
  left_.clear();
  queue_.clear();
}

void Service::ask_to_stop() {
  if (!running_) return;
  stop_asked_ = true;
  deliver(core::StopRequested{"asked to"});
}

void Service::on_datagram(int from, uint64_t incarnation, int network, const std::string& payload) {
  deliver(core::DatagramReceived{NodeId{static_cast<uint64_t>(from)}, Incarnation{incarnation}, network,
                                 payload, machine_.clock()});
}
void Service::on_connected(int peer, uint64_t incarnation) {
  deliver(core::PeerConnected{NodeId{static_cast<uint64_t>(peer)}, Incarnation{incarnation}, "sim"});
}
void Service::on_disconnected(int peer, const std::string& why) {
  deliver(core::PeerDisconnected{NodeId{static_cast<uint64_t>(peer)}, why});
}
void Service::on_message(int from, uint64_t incarnation, const std::string& payload) {
  deliver(core::MessageReceived{NodeId{static_cast<uint64_t>(from)}, Incarnation{incarnation}, payload});
}

bool Service::still_alive() {
  if (dead_) return false;
  if (orders_left_ < 0) return true;
  if (orders_left_-- > 0) return true;
  dead_ = true;
  return false;
}

// No order that a dying process may leave out: its end holds the gates all the same.
void Service::set_gates(const core::GateLease& lease) {
  if (!dead_ && grant_) grant_->renew(lease.open_until, lease.close_at);
}

void Service::life_ended(const core::LifeEnded& end) {
  if (!still_alive()) return;
  observer_.said(machine_.id, "life ended: " + end.reason);
  over_ = true;
  verdict_ = end;
}
void Service::execute(const core::LunOp& op) {
  if (still_alive()) disk_->execute(op);
}
void Service::set_epoch(uint64_t epoch) {
  if (still_alive()) network_.set_epoch(machine_.id, epoch);
}
void Service::send_datagram(NodeId to, const std::string& payload) {
  if (still_alive()) network_.send_datagram(machine_.id, static_cast<int>(to.value), payload);
}
void Service::send_message(NodeId to, uint64_t epoch, const std::string& payload) {
  if (still_alive()) network_.send_message(machine_.id, static_cast<int>(to.value), epoch, payload);
}
void Service::tell_monitor(const monitor::ToMonitor& message) {
  if (!still_alive() || !monitor_) return;
  time_.after(Duration::microseconds(30), [this, message, process = process_] {
    if (monitor_ && process == process_) monitor_->hear(message);
  });
}
void Service::answer(uint64_t client, api::Response response) {
  if (still_alive()) observer_.answered(client, response);
}
void Service::publish(const api::Event& event) {
  if (still_alive() && event.kind() != "VALUE")
    observer_.said(machine_.id, event.kind() + " " + event.object() + " " + event.new_value() + " (" +
                                    event.cause() + ")");
}
void Service::write_replica(const core::Output::ReplicaWrite& write) {
  if (!still_alive()) return;
  observer_.committed(machine_.id, write);
}
void Service::learn_roster(const tree::Tree& roster) {
  if (!still_alive()) return;
  core::Tree tree;
  if (tree.load(roster)) {
    replica_ = nodes_of(tree);
    peers_stale_ = true;
  }
}
void Service::nodes_changed() {
  if (!still_alive()) return;
  replica_ = nodes_of(core_->tree());
  peers_stale_ = true;
}
void Service::arm(Instant deadline) {
  if (still_alive()) deadline_ = deadline;
}
void Service::trace(const std::string& text) {
  if (still_alive()) observer_.said(machine_.id, text);
}

}  // namespace holdfast::sim
