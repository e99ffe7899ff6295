// Failback (M9): a group goes back to a node that it prefers and that has returned, within its hours, and not
// more often than failback_attempts_max times in a FailoverPeriod.
#include <algorithm>

#include "core/failover/director.h"
#include "core/failover/group_state.h"

namespace holdfast::core {

using failover::group_path;
using failover::GroupFacts;

namespace {
constexpr uint64_t hour_ms = 3'600'000;
// A node that comes and goes must not drag its groups along for ever.
constexpr uint64_t failback_attempts_max = 3;
}  // namespace

// Hours of the day, UTC. Without both ends: always. End before start: past midnight.
bool Director::in_failback_window(const std::string& path, Instant now) {
  const Tree& tree = host_.database();
  if (!tree.find_value(path, "FailbackWindowStart") || !tree.find_value(path, "FailbackWindowEnd"))
    return true;
  const uint64_t start = tree.number(path, "FailbackWindowStart"),
                 end = tree.number(path, "FailbackWindowEnd");
  const uint64_t hour = host_.wall_time_ms() / hour_ms % 24;
  const bool inside = start < end ? hour >= start && hour < end : start == end || hour >= start || hour < end;
  if (!inside) {
    const uint64_t rest = hour_ms - host_.wall_time_ms() % hour_ms;
    wake_at_ = std::min(wake_at_, now + Duration::milliseconds(static_cast<int64_t>(rest)));
  }
  return inside;
}

void Director::evaluate_failback(const GroupFacts& group, const std::vector<std::string>& resources,
                                 Instant now) {
  const Tree& tree = host_.database();
  const std::string path = group_path(group.name);
  const NodeId remembered{tree.number(path, "FailbackTo")};
  const bool fresh = now < returned_until_ && !returned_seen_.count(group.name);
  if (remembered.is_none() && !fresh) return;
  if (tree.number(path, "AutoFailbackType") != 1) return;

  NodeId to;  // the most preferred one of those that returned, if it is preferred to the owner
  for (const auto& name : tree.list(path, "PreferredOwners")) {
    NodeId node = failover::node_named(tree, name);
    if (node == group.owner) break;
    const bool asked = node == remembered || (fresh && returned_.contains(node));
    if (node.is_none() || !asked || !why_unfit(tree, host_.members(), resources, node).empty()) continue;
    to = node;
    break;
  }
  if (to.is_none()) {  // it is where it should be, or cannot go there: done with these returns
    returned_seen_.insert(group.name);
    return;
  }

  uint64_t since = tree.number(path, "FailbackSince"), count = tree.number(path, "FailbackCount");
  const uint64_t period_ms = tree.number(path, "FailoverPeriod", 6) * hour_ms;
  if (since == 0 || host_.wall_time_ms() > since + period_ms) since = host_.wall_time_ms(), count = 0;
  if (count >= failback_attempts_max) return;

  // What is on its way is let arrive first.
  const GroupState state = derive_group_state(tree, group.name, host_.members());
  const bool at_rest = group.persistent ? state == GroupState::online : state == GroupState::offline;
  const std::string name = failover::name_of_node(tree, to);
  Edit edit;
  if (at_rest && in_failback_window(path, now)) {
    edit.set(path, "FailbackCount", count + 1).set(path, "FailbackSince", since);
    start_move(group, to, "failback: '" + name + "' is preferred and has returned", std::move(edit));
  } else if (remembered != to) {
    // Remembered in the database: the hours may come when another node is locker.
    edit.require_equal(path, "Owner", number_value(group.owner.value)).set(path, "FailbackTo", to.value);
    propose(group.name, std::move(edit), "group '" + group.name + "' is to go back to '" + name + "'");
  }
}

}  // namespace holdfast::core
