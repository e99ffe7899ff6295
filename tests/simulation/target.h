// Target: where a logical unit lives, and the sessions that lead to it. Everything that takes time on the way
// to a disk is here: commands travel, wait in a frozen target, are executed, and their answers travel back or
// get lost. A command whose sender has given up may still be executed, as with real targets.
#pragma once

#include <coroutine>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/tests/random.h"
#include "simulation/scheduler.h"
#include "simulation/scsi_lun.h"

namespace holdfast::sim {

struct TargetFaults {
  Duration latency_min = Duration::microseconds(20), latency_max = Duration::microseconds(150);  // one way
  Duration landing_min = Duration::microseconds(20), landing_max = Duration::microseconds(200);  // of a write
  int lost_answer_permille = 0;
  int late_permille = 0;  // a write that the target has accepted and puts down up to `late_max` later
  Duration late_max = Duration::milliseconds(6000);
  // Of the medium: one write that is acknowledged and never there, one that lands elsewhere.
  bool lose_next = false, misdirect_next = false;
  int slow_permille = 0;  // a command or a landing that takes up to `slow_max`
  Duration slow_max = Duration::milliseconds(1500);
};

class Target {
 public:
  Target(Scheduler& time, uint64_t seed, uint64_t bytes, TargetKind kind);

  ScsiLun lun;
  TargetFaults faults;

  // Nodes whose way to the target is cut.
  std::set<int> cut;
  bool reaches(int node) const { return !cut.count(node); }

  void freeze() { frozen_ = true; }
  void thaw();
  bool frozen() const { return frozen_; }
  // All sessions break. `memory`: what is left of the reservations. `writes_survive`: what was in flight
  // still lands, unless a reset or an abort stops it.
  enum class Memory : uint8_t { kept, forgotten, stale };
  void restart(Memory memory, bool writes_survive = false);
  // What a restart with a stale memory comes back with.
  void remember() { stale_ = lun.image(); }
  uint64_t boots() const { return boots_; }

  Scheduler& time() { return time_; }
  Random& random() { return random_; }
  Duration way();
  Duration landing();
  bool land(uint64_t write);
  // Flips a bit of what is in use.
  void rot();
  // Runs when the target gets to it: now, or when it thaws.
  void arrive(std::function<void()> command);
  Nexus new_nexus() { return next_nexus_++; }

 private:
  Scheduler& time_;
  Random random_;
  bool frozen_ = false;
  std::vector<std::function<void()>> waiting_;
  uint64_t boots_ = 0;
  Nexus next_nexus_ = 1;
  ScsiLun::Image stale_;  // of some time ago
};

// What a command came to. `answered` = false: the session is gone, and nobody knows whether it was executed.
struct Reply {
  bool answered = false;
  Scsi status = Scsi::good;
};

// One session of one node. Several commands may be under way.
class Session {
 public:
  Session(Target& target, int node) : target_(target), node_(node) {}
  ~Session() { abandon(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  bool is_open() const { return life_ != nullptr; }
  // What is under way may still be executed. Callers are told, or with abandon() are no more.
  void close();
  void abandon();
  Nexus nexus() const { return nexus_; }
  int node() const { return node_; }
  Target& target() { return target_; }

  using Done = std::function<void(Reply)>;
  void login(Duration limit, Done done);
  // `command` runs at the target.
  void send(std::function<Scsi(ScsiLun&, Nexus)> command, Duration limit, Done done);
  // Done when it has landed.
  void write(uint64_t offset_bytes, std::string data, std::string by, Duration limit, Done done);

  // co_await session.call(…) and the like. A coroutine that is destroyed meanwhile is not resumed.
  struct Call {
    std::function<void(Done)> begin;
    std::shared_ptr<Reply> reply = std::make_shared<Reply>();
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      begin([handle, weak = std::weak_ptr<Reply>(reply)](Reply r) {
        auto waiting = weak.lock();
        if (!waiting) return;
        *waiting = r;
        waiting.reset();
        handle.resume();
      });
    }
    Reply await_resume() { return *reply; }
  };
  Call call(std::function<Scsi(ScsiLun&, Nexus)> command, Duration limit) {
    return {
        [this, command = std::move(command), limit](Done done) { send(command, limit, std::move(done)); }};
  }
  Call log_in(Duration limit) {
    return {[this, limit](Done done) { login(limit, std::move(done)); }};
  }
  Call put(uint64_t offset_bytes, std::string data, std::string by, Duration limit) {
    return {[this, offset_bytes, data = std::move(data), by = std::move(by), limit](Done done) {
      write(offset_bytes, data, by, limit, std::move(done));
    }};
  }

 private:
  struct Life {  // of one login; those who wait hold a weak reference
    Session* session = nullptr;
    uint64_t boot = 0;
    std::map<uint64_t, Done> waiting;  // by call
  };
  // One command of one login; without a life nobody waits for it any more.
  struct Ticket {
    std::weak_ptr<Life> life;
    uint64_t call = 0;
  };
  // The connections of this path: what one login sends arrives in the order in which it was sent, and what an
  // earlier one sent is dropped when the next has arrived (RFC 7143, session reinstatement).
  struct Connections {
    uint64_t begun = 0, arrived = 0;  // logins
    Instant last;                     // when the newest command arrives
  };
  void transmit(std::function<void(const Ticket&)> at_target, Duration limit, Done done);
  static void lose(const Ticket& ticket);
  static void answer(const Ticket& ticket, Scsi status);

  Target& target_;
  const int node_;
  Nexus nexus_ = 0;
  std::shared_ptr<Life> life_;
  std::shared_ptr<Connections> connections_ = std::make_shared<Connections>();
  uint64_t calls_ = 0;
};

}  // namespace holdfast::sim
