// Monitor: the resource monitor of one node with its resources, as docs/protocols/monitor.md describes it. It
// outlives its service: it ends everything when the service is gone or silent, holds what no reservation
// guards when the lease lapses, and its own death leaves behind what only the kernel and a sweep can end.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "core/quorum/task.h"
#include "proto/monitor.pb.h"
#include "simulation/machine.h"
#include "simulation/write_gate.h"

namespace holdfast::sim {

// What a resource does that nobody asked it for.
struct ResourceFaults {
  int fail_permille = 0;  // an online that fails, an end that does not work or is dirty
  int slow_permille = 0;  // an operation that takes up to `slow_max`
  Duration slow_max = Duration::seconds(5);
  int hang_permille = 0;  // an operation that takes half a minute or more
  int lie_permille = 0;   // a program that says that it failed and goes on
};

// What the monitor needs to know of the world.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  virtual Target* find_disk(const std::string& device) = 0;
  virtual bool somebody_answers_for(const std::string& address, int asking) = 0;
  // The disk is acquired: nobody else may write it from here on.
  virtual void disk_acquired(Target& target, int node, uint64_t generation) = 0;
};

class Monitor {
 public:
  // `grant`: the gates of its disks are made with it; null: the kernel has none.
  Monitor(Scheduler& time, Machine& machine, Surroundings& around, const ResourceFaults& faults,
          std::shared_ptr<GrantDescriptor> grant, std::function<void(monitor::FromMonitor)> say,
          std::function<void()> ended);
  ~Monitor();

  void hear(const monitor::ToMonitor& message);
  void service_gone();
  void stop();  // SIGSTOP
  void killed() {
    stop();
    grant_.reset();
  }
  void go_on();
  // A resource breaks by itself.
  bool break_one(uint64_t which);
  // Everything that is left, ended at once from outside: what a sweep does.
  void sweep();

  struct Resource {
    std::string type, group_disk;
    monitor::State state = monitor::OFFLINE;
    uint64_t generation = 0, online_number = 0;
    std::map<std::string, std::string> parameters;
    ReservationKey key, victim;
    std::string uses_disk;  // of a filesystem: its device
    std::deque<monitor::Order> orders;
    bool busy = false, held = false, active = false, was_active = false;
    uint64_t run = 0;  // counts operations: a terminate makes older ones void
    std::optional<core::Task<void>> task;
  };
  const std::map<std::string, Resource>& resources() const { return resources_; }
  // May something that no reservation guards be served now?
  bool lease_valid() const;

 private:
  void receive(const monitor::ToMonitor& message);
  void order(const monitor::Order& order);
  void next(const std::string& name);
  void bring_online(const std::string& name, const monitor::Order& order);
  using Command = std::function<Scsi(ScsiLun&, Nexus)>;
  struct Seen {
    ReservationKey holder;
    Hold hold = Hold::none;
    std::vector<ReservationKey> keys;
  };
  core::Task<std::string> run_command(Target& target, Command command);
  core::Task<std::string> look(Target& target, std::shared_ptr<Seen> seen);
  core::Task<std::string> preempt(Target& target, ReservationKey own, ReservationKey victim);
  core::Task<std::string> take(Target& target, ReservationKey own, ReservationKey victim);
  core::Task<void> acquire(std::string name, monitor::Order order, uint64_t run);
  void take_offline(const std::string& name, std::function<void()> done, bool terminate = false);
  void end_now(Resource& r);
  void became(const std::string& name, const monitor::Order& order, monitor::State state,
              const std::string& message = {});
  void report(const std::string& name, uint64_t order, const Resource& r, const std::string& message);
  void probe_address(const std::string& name, const monitor::Order& order, uint64_t run, Instant until);
  void keep_address(const std::string& name, uint64_t run);
  void watch_gate(const std::string& name, uint64_t online_number);
  void break_down(const std::string& name, const std::string& why);
  void check_time();
  void watch();
  void begin_ending();
  void pump_ending();
  Duration operation();
  bool fails();
  void will_not_end(const std::string& name, const monitor::Order& order, uint64_t run);
  bool guarded(const Resource& r) const { return r.type == "physical-disk" || r.type == "filesystem"; }
  bool alive(const std::string& name, uint64_t run) const;
  void after(Duration d, std::function<void()> what);

  Scheduler& time_;
  Machine& machine_;
  Surroundings& around_;
  const ResourceFaults& faults_;
  std::shared_ptr<GrantDescriptor> grant_;
  std::function<void(monitor::FromMonitor)> say_;
  std::function<void()> ended_;
  std::map<std::string, Resource> resources_;
  std::deque<monitor::ToMonitor> inbox_;  // while it is stopped
  bool stopped_ = false, connected_ = true, ending_ = false, orderly_ = false, lapsed_ = true;
  Instant lease_until_, last_frame_, ending_since_, watched_until_ = Instant::infinite();
  uint64_t onlines_ = 0;
  std::vector<std::function<void()>> late_;  // timers that fired while it was stopped
  std::shared_ptr<int> token_ = std::make_shared<int>();
};

}  // namespace holdfast::sim
