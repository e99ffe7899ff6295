// Director: the locker's half of the failover manager (M7, M8). It looks at the committed database and the
// view and proposes who owns each group. Planned and unplanned moves are one algorithm: `change_owner` makes
// the new owner; a planned move only waits before it until the old owner has ended everything ("released").
// Invariants:
//   R1  one proposal a group is under way; each carries what it relied on as preconditions, so that a new
//       locker that repeats it changes nothing twice.
//   R2  ownership changes only when the owner left the view (and has not come back: its `Joins` is the one
//   that
//       was seen), or has released the group.
#pragma once

#include <map>
#include <set>
#include <string>

#include "core/failover/facts.h"
#include "core/failover/failover_host.h"
#include "core/failover/placement.h"

namespace holdfast::core {

class Director {
 public:
  explicit Director(FailoverHost& host) : host_(host) {}

  // Looks at every group. Call when ready and locker, after each change.
  void evaluate(Instant now);
  // A view change or a new locker: proposals of before may have been lost.
  void on_view(NodeSet joined, Instant now);
  Instant next_deadline() const { return wake_at_; }

 private:
  void evaluate_group(const std::string& group, const std::vector<std::string>& resources, Instant now);
  void evaluate_without_owner(const failover::GroupFacts& group, const std::vector<std::string>& resources);
  void evaluate_move(const failover::GroupFacts& group, const std::vector<std::string>& resources);
  void evaluate_failed(const failover::GroupFacts& group, const std::vector<std::string>& resources,
                       Instant now);
  void evaluate_failover_request(const failover::GroupFacts& group);
  void evaluate_failback(const failover::GroupFacts& group, const std::vector<std::string>& resources,
                         Instant now);
  bool in_failback_window(const std::string& path, Instant now);
  void take_over(const failover::GroupFacts& group, NodeId to, const std::string& reason);
  void finish_move(const failover::GroupFacts& group, NodeId to, const std::string& reason);
  void change_owner(const failover::GroupFacts& group, NodeId to, const std::string& reason, Edit edit);
  void start_move(const failover::GroupFacts& group, NodeId to, const std::string& reason, Edit edit = {});
  void propose(const std::string& group, Edit edit, const std::string& cause);
  void remark(const failover::GroupFacts& group, const std::string& reason);
  Placement choose(const failover::GroupFacts& group, PlacementCause cause, NodeSet excluded) const;

  FailoverHost& host_;
  std::set<std::string> busy_;                  // R1
  std::map<std::string, NodeId> planned_;       // decided, not committed: the next placement counts them
  NodeSet returned_;                            // joined lately: failback to them is looked at
  Instant returned_until_;                      // until then,
  std::set<std::string> returned_seen_;         // once for each group
  std::map<std::string, std::string> remarks_;  // last Reason proposed without another change
  Instant wake_at_ = Instant::infinite();
};

}  // namespace holdfast::core
