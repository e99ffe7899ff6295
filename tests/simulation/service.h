// Service: the cluster service of one node: the same core and the same output runner as in production, on
// simulated ports. It lives through lives as daemon/main does: sweep, start, leave, back off, begin again.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/cluster/core.h"
#include "host/output_runner.h"
#include "simulation/machine.h"
#include "simulation/monitor.h"
#include "simulation/network.h"
#include "simulation/quorum_path.h"
#include "simulation/write_gate.h"

namespace holdfast::sim {

// What the checkers and the administrators hear.
class ServiceObserver {
 public:
  virtual ~ServiceObserver() = default;
  virtual void after_step(int node) = 0;
  virtual void stepped(int node, const core::Event& event, const core::Output& output) = 0;
  virtual void died(int node) = 0;
  virtual void committed(int node, const core::Output::ReplicaWrite& write) = 0;
  virtual void answered(uint64_t client, const api::Response& response) = 0;
  virtual void monitor_died(int node) = 0;
  virtual void said(int node, const std::string& text) = 0;
};

class Service final : public Endpoint, private OutputPorts {
 public:
  Service(Scheduler& time, Machine& machine, Network& network, Target& quorum, Surroundings& around,
          ServiceObserver& observer, const ResourceFaults& faults, std::set<int> known);
  ~Service() override;

  // The process starts, and with it its first life, once an earlier monitor has ended.
  void start();
  // kill -9. The monitor lives on, unless `monitor_too`.
  void kill(bool monitor_too);
  void kill_monitor();
  bool stop_monitor(Duration d);  // SIGSTOP for so long
  void stop();                    // SIGSTOP
  void go_on();
  // Starved: nothing runs before then, but nothing is stopped.
  void starve(Duration d);
  // Dies after so many more orders of an output: between any two.
  void die_after(int orders) { orders_left_ = orders; }
  void ask_to_stop();
  void forget_replica() { replica_.reset(); }
  void power_lost();
  void machine_resumed();
  // Its kernel has write gates.
  void use_gates(bool yes) { gates_ = yes; }

  bool running() const { return running_; }
  bool stopped() const { return stopped_; }
  core::Core* core() { return core_.get(); }
  const core::Core* core() const { return core_.get(); }
  Monitor* monitor() { return monitor_.get(); }
  // An event from outside: commands of administrators.
  void deliver(core::Event event);

  // Endpoint
  void on_datagram(int from, uint64_t incarnation, int network, const std::string& payload) override;
  void on_connected(int peer, uint64_t incarnation) override;
  void on_disconnected(int peer, const std::string& why) override;
  void on_message(int from, uint64_t incarnation, const std::string& payload) override;
  bool responsive() const override;

 private:
  void sweep();
  // OutputPorts
  void set_gates(const core::GateLease& lease) override;
  void life_ended(const core::LifeEnded& end) override;
  void execute(const core::LunOp& op) override;
  void set_epoch(uint64_t epoch) override;
  void send_datagram(NodeId to, const std::string& payload) override;
  void send_message(NodeId to, uint64_t epoch, const std::string& payload) override;
  void tell_monitor(const monitor::ToMonitor& message) override;
  void answer(uint64_t client, api::Response response) override;
  void publish(const api::Event& event) override;
  void write_replica(const core::Output::ReplicaWrite& write) override;
  void learn_roster(const tree::Tree& roster) override;
  void nodes_changed() override;
  void arm(Instant deadline) override;
  void trace(const std::string& text) override;

  bool still_alive();  // counts an order; false: the process died before it
  void begin_life();
  void end_process();
  void start_monitor();
  void drain();
  void schedule_timer();
  bool asleep() const;
  void after(Duration d, std::function<void()> what);
  std::set<int> known_nodes() const;

  Scheduler& time_;
  Machine& machine_;
  Network& network_;
  Target& quorum_;
  Surroundings& around_;
  ServiceObserver& observer_;
  const ResourceFaults& faults_;
  const std::set<int> configured_;
  std::optional<std::set<int>> replica_;  // the nodes that it names

  bool running_ = false, stopped_ = false, stop_asked_ = false;
  uint64_t monitors_ = 0;  // counts them
  uint64_t process_ = 0;   // counts lives and processes: what belongs to an earlier one is dropped
  std::unique_ptr<core::Core> core_;
  std::unique_ptr<QuorumPath> disk_;
  bool gates_ = false;
  std::shared_ptr<GrantDescriptor> grant_;  // of this life; the monitor inherits it
  std::unique_ptr<Monitor> monitor_;
  std::vector<std::unique_ptr<Monitor>> left_;  // killed, not swept yet
  uint64_t incarnation_ = 0;
  std::deque<core::Event> queue_;
  bool stepping_ = false, timer_due_ = false, over_ = false, dead_ = false, peers_stale_ = false;
  Instant deadline_ = Instant::infinite(), scheduled_ = Instant::infinite(), starved_until_;
  int orders_left_ = -1;
  std::optional<core::LifeEnded> verdict_;
};

}  // namespace holdfast::sim
