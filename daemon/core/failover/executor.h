// Executor: every node's half of the failover manager: makes the committed ownership true with the local
// resource monitor, restarts what fails, and reports states. It never acts on what is not committed.
// Invariants:
//   R1  a resource is ordered online only on the committed owner of its group, in the present generation.
//   R2  providers are online before their dependents, dependents offline before their providers.
//   R3  what no reservation guards is not ordered online before guard_until().
//   R4  nothing is ordered online before this life's `Joins` is committed: a takeover that was decided while
//   this
//       node was away is then either committed already, or can no longer be.
//   R5  a release counts only as long as the group's key is as it was when everything had ended.
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
  void on_committed(const std::vector<ChangeNotice>& notices);
  void monitor_ready(bool ready, Instant now);
  // The view changed: state proposals of before may have been lost.
  void reset_proposals() { busy_.clear(); }
  // Membership is lost: everything is terminated, nothing is started any more.
  void terminate_all(Instant now);
  bool all_offline() const;
  bool owns_nothing() const;
  Instant next_deadline() const { return wake_at_; }
  void check_invariants() const;

 private:
  enum class Phase : uint8_t {
    closed,  // not known to the monitor
    offline,
    online_pending,
    online,
    offline_pending,
    terminating,
    stuck,  // terminate did not succeed: it may still run
    failed  // has ended, and is not started again by itself
  };
  struct Local {
    std::string group;
    Phase phase = Phase::closed;
    uint64_t order = 0;       // the newest order; reports of older ones are dropped
    uint64_t generation = 0;  // in which it was started
    Instant deadline;         // of a pending phase, should the monitor not keep it; stuck: next terminate
    std::deque<Instant> failures;  // within RestartPeriod
    Instant not_before;            // RestartDelay
    Instant retry_at;              // exhausted, but tried once more then (RetryPeriodOnFailure)
    bool exhausted = false;        // no more restarts here
    bool restarting = false;       // failed, waits for its restart
    bool play_failure = false;     // an administrator asked for a failure
    bool count_failure = false;    // terminating: counts as failed when that has ended
    bool held = false;
    std::string message;
    std::vector<std::string> published;
  };
  static bool active(const Local& l) {
    return l.phase != Phase::closed && l.phase != Phase::offline && l.phase != Phase::failed;
  }
  static bool pending(const Local& l) {
    return l.phase == Phase::online_pending || l.phase == Phase::offline_pending ||
           l.phase == Phase::terminating;
  }

  void evaluate_group(const failover::GroupFacts& group, const std::vector<std::string>& resources,
                      Instant now);
  bool group_may_run(const failover::GroupFacts& group) const;
  bool announced();
  void ask_for_failover(const failover::GroupFacts& group, const std::vector<std::string>& resources);
  void watch_deadlines(const std::string& name, Local& local, Instant now);
  bool may_start(const failover::GroupFacts& group, const failover::ResourceFacts& resource, Local& local,
                 Instant now);
  bool sound(const std::string& name, const failover::GroupFacts& group, bool may_run) const;
  bool guarded(const failover::ResourceFacts& resource) const;
  void drive(const failover::GroupFacts& group, const failover::ResourceFacts& resource, bool may_run,
             Instant now);
  void publish(const failover::GroupFacts& group, const std::vector<std::string>& resources, Instant now);
  void add_states(Edit& edit, std::string& what, const failover::GroupFacts& group,
                  const std::vector<std::string>& resources) const;
  void fail_resource(const std::string& name, Local& local, const std::string& why, Instant now);
  void on_offline(const std::string& name, Local& local, const monitor::Report& report, Instant now);
  void on_failed(const std::string& name, Local& local, const monitor::Report& report, Instant now);
  void start_anew(Local& local);
  void send(const std::string& name, Local& local, monitor::Order::Action action, Instant now);
  void fill_online(monitor::Order& order, const std::string& name) const;
  void drop_deleted(Instant now);
  static uint64_t published_state(const Local& local);
  std::vector<std::string> dependents_of(const std::string& name, const std::string& group) const;
  void wake(Instant at);

  FailoverHost& host_;
  std::map<std::string, Local> locals_;
  std::set<std::string> busy_;                         // groups with a state proposal under way
  std::map<std::string, std::string> failover_asked_;  // group -> why this node gave it up
  std::map<std::string, Instant> unpublished_since_;   // groups whose states in the database are behind
  bool monitor_ready_ = false;
  bool lost_ = false;
  bool announcing_ = false, announced_ = false;  // R4
  uint64_t next_order_ = 1;
  Instant wake_at_ = Instant::infinite();
};

}  // namespace holdfast::core
