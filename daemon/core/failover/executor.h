// Executor: every node's half of the failover manager: makes the committed ownership true with the local
// resource monitor, restarts what fails, and reports states. It never acts on what is not committed.
// Invariants:
//   R1  a resource is ordered online only on the committed owner of its group, in the present generation.
//   R2  providers are online before their dependents, dependents offline before their providers.
//   R3  what no reservation guards is not ordered online before guard_until().
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>

#include "core/failover/facts.h"
#include "core/failover/failover_host.h"

namespace holdfast::core {

class Executor {
 public:
  explicit Executor(FailoverHost& host) : host_(host) {}

  void evaluate(Instant now);
  void on_report(const monitor::Report& report, Instant now);
  void on_committed(const std::vector<ChangeNotice>& notices, Instant now);
  void monitor_ready(bool ready);
  // The view changed: state proposals of before may have been lost.
  void reset_proposals() { busy_.clear(); }
  // Membership is lost: everything is terminated, nothing is started any more.
  void terminate_all();
  bool all_offline() const;
  bool owns_nothing() const;
  Instant next_deadline() const { return wake_at_; }
  void check_invariants() const;

 private:
  enum class Phase : uint8_t {
    closed,
    offline,
    online_pending,
    online,
    offline_pending,
    terminating,
    failed
  };
  struct Local {
    std::string group;
    Phase phase = Phase::closed;
    uint64_t order = 0;            // the newest order; reports of older ones are dropped
    uint64_t generation = 0;       // in which it was started
    Instant since;                 // of the phase
    std::deque<Instant> failures;  // within RestartPeriod
    Instant not_before;            // RestartDelay
    bool exhausted = false;        // no more restarts here
    bool restarting = false;       // failed, waits for its restart
    bool play_failure = false;     // an administrator asked for a failure
    bool stuck = false;            // terminate did not succeed
    bool held = false;
    std::string message;
    std::vector<std::string> published;
  };
  bool active(const Local& l) const {
    return l.phase != Phase::closed && l.phase != Phase::offline && l.phase != Phase::failed;
  }

  void evaluate_group(const failover::GroupFacts& group, const std::vector<std::string>& resources,
                      Instant now);
  bool group_may_run(const failover::GroupFacts& group, const std::vector<std::string>& resources) const;
  void drive(const failover::GroupFacts& group, const failover::ResourceFacts& resource, bool goal_online,
             Instant now);
  void publish(const failover::GroupFacts& group, const std::vector<std::string>& resources, Instant now);
  void fail_resource(const std::string& name, Local& local, const std::string& why, Instant now);
  void send(const std::string& name, Local& local, monitor::Order::Action action, Instant now);
  void fill_online(monitor::Order& order, const std::string& name) const;
  void drop_deleted(Instant now);
  uint64_t published_state(const Local& local, Instant now);
  std::vector<std::string> dependents_of(const std::string& name, const std::string& group) const;
  void wake(Instant at);

  FailoverHost& host_;
  std::map<std::string, Local> locals_;
  std::set<std::string> busy_;            // groups with a state proposal under way
  std::set<std::string> failover_asked_;  // groups to ask a failover for, with the next proposal
  bool monitor_ready_ = false;
  bool lost_ = false;
  uint64_t next_order_ = 1;
  Instant wake_at_ = Instant::infinite();
};

// Resource types whose authority is a reservation: they need not wait for the leases of removed nodes.
bool guarded_by_reservation(const std::string& type);

}  // namespace holdfast::core
