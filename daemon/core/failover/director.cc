#include "core/failover/director.h"

#include <algorithm>

#include "base/mutant.h"
#include "core/failover/group_state.h"

namespace holdfast::core {

using failover::group_path;
using failover::GroupFacts;
using failover::name_of_node;

namespace {
constexpr uint64_t hour_ms = 3'600'000;

// The value must be what the database says now, or absent as it is now.
void rely_on(Edit& edit, const Tree& tree, const std::string& path, const char* name) {
  if (const Value* value = tree.find_value(path, name))
    edit.require_equal(path, name, *value);
  else
    edit.require_unset(path, name);
}
}  // namespace

// Proposals of before may have been lost, or come late: their preconditions take care of those.
void Director::on_view(NodeSet joined, Instant now) {
  busy_.clear();
  planned_.clear();
  remarks_.clear();
  // Every node remembers, since the locker may be another one before the move has begun. A minute later a
  // group that is not where it prefers to be is where somebody wanted it.
  if (joined.empty()) return;
  returned_ = now < returned_until_ ? returned_ | joined : joined;
  returned_until_ = now + Duration::seconds(60);
  returned_seen_.clear();
}

void Director::evaluate(Instant now) {
  wake_at_ = Instant::infinite();
  if (!host_.ready() || !host_.is_locker()) return;
  const auto index = failover::index_groups(host_.database());
  // Names first: a proposal may be committed at once and change the tree under us.
  std::vector<std::string> groups;
  for (const auto& [group, resources] : index)
    if (!group.empty() && host_.database().exists(group_path(group))) groups.push_back(group);
  std::stable_sort(groups.begin(), groups.end(), [&](const auto& a, const auto& b) {
    return host_.database().number(group_path(a), "Priority", 2000) >
           host_.database().number(group_path(b), "Priority", 2000);
  });
  for (const auto& group : groups) evaluate_group(group, failover::resources_in(index, group), now);
}

Placement Director::choose(const GroupFacts& group, PlacementCause cause, NodeSet excluded) const {
  PlacementInput input;
  input.database = &host_.database();
  input.members = host_.members();
  input.group = group.name;
  input.cause = cause;
  input.excluded = excluded;
  input.planned = planned_;
  for (NodeId id : host_.members()) input.loads[id] = host_.load_of(id);
  return place(input);
}

void Director::propose(const std::string& group, Edit edit, const std::string& cause) {
  busy_.insert(group);
  host_.propose(edit.done(), cause, [this, group](const Status&) {
    busy_.erase(group);
    planned_.erase(group);
    // Refused or committed: what is true now is looked at again with the next event; a conflict means that it
    // changed.
    wake_at_ = Instant{1};
  });
}

void Director::remark(const GroupFacts& group, const std::string& reason) {
  const std::string path = group_path(group.name);
  if (host_.database().text(path, "Reason") == reason || remarks_[group.name] == reason) return;
  remarks_[group.name] = reason;
  Edit edit;
  edit.require_key(path);
  rely_on(edit, host_.database(), path, "Owner");
  rely_on(edit, host_.database(), path, "Generation");
  edit.set(path, "Reason", reason);
  propose(group.name, std::move(edit), reason);
}

// The one algorithm: whatever led to it, this is what makes a new owner.
void Director::change_owner(const GroupFacts& group, NodeId to, const std::string& reason, Edit edit) {
  const Tree& tree = host_.database();
  const std::string path = group_path(group.name);
  planned_[group.name] = to;
  edit.require_key(path);
  for (const char* name : {"Owner", "Generation"}) rely_on(edit, tree, path, name);  // R1
  edit.set(path, "Owner", to.value).set(path, "Generation", group.generation + 1);
  // PreviousOwner always belongs to Generation - 1: it is the victim of the disks.
  if (group.owner.is_none())
    edit.unset(path, "PreviousOwner");
  else
    edit.set(path, "PreviousOwner", group.owner.value);
  edit.set(path, "Reason", reason);
  for (const char* name : {"MoveTo", "MoveReason", "FailoverRequested", "ReleasedGeneration", "FailbackTo"})
    if (tree.find_value(path, name)) edit.unset(path, name);
  host_.event("GROUP_OWNER", group.name, name_of_node(tree, group.owner), name_of_node(tree, to), reason);
  propose(group.name, std::move(edit),
          "group '" + group.name + "' to node '" + name_of_node(tree, to) + "': " + reason);
}

// The owner is gone, or there never was one.
void Director::take_over(const GroupFacts& group, NodeId to, const std::string& reason) {
  const Tree& tree = host_.database();
  const std::string path = group_path(group.name);
  Edit edit;
  if (!group.owner.is_none()) {
    if (!mutant(Mutant::takeover_of_the_living)) rely_on(edit, tree, node_path(group.owner), "Joins");  // R2
    // Another node is another chance.
    for (const char* name : {"Failed", "FailedSince"})
      if (tree.find_value(path, name)) edit.unset(path, name);
    if (tree.number(path, "Priority", 2000) == 0) edit.set(path, "PersistentState", uint64_t{0});
  }
  change_owner(group, to, reason, std::move(edit));
}

// The owner has released it.
void Director::finish_move(const GroupFacts& group, NodeId to, const std::string& reason) {
  Edit edit;
  for (const char* name : {"MoveTo", "ReleasedGeneration"})
    rely_on(edit, host_.database(), group_path(group.name), name);  // R2
  change_owner(group, to, reason, std::move(edit));
}

void Director::start_move(const GroupFacts& group, NodeId to, const std::string& reason, Edit edit) {
  const Tree& tree = host_.database();
  const std::string path = group_path(group.name);
  planned_[group.name] = to;
  for (const char* name : {"Owner", "Generation", "MoveTo"}) rely_on(edit, tree, path, name);
  edit.set(path, "MoveTo", to.value).set(path, "MoveReason", reason).set(path, "Reason", reason);
  for (const char* name : {"FailoverRequested", "FailbackTo"})
    if (tree.find_value(path, name)) edit.unset(path, name);
  propose(group.name, std::move(edit),
          "move group '" + group.name + "' to node '" + name_of_node(tree, to) + "': " + reason);
}

void Director::evaluate_group(const std::string& name, const std::vector<std::string>& resources,
                              Instant now) {
  if (busy_.count(name)) return;
  const Tree& tree = host_.database();
  const GroupFacts group = failover::read_group(tree, name);
  if (!group.exists || group.maintenance) return;
  const bool wanted = failover::wanted_online(tree, group, resources);
  const bool draining = failover::node_flag(tree, group.owner, "Draining") ||
                        failover::node_flag(tree, group.owner, "Stopping");

  if (group.owner.is_none()) {
    if ((wanted && !resources.empty()) || !group.move_to.is_none()) evaluate_without_owner(group, resources);
  } else if (!host_.members().contains(group.owner)) {
    evaluate_without_owner(group, resources);
  } else if (!group.move_to.is_none()) {
    evaluate_move(group, resources);
  } else if (group.released()) {
    if (wanted) finish_move(group, group.owner, "stays: the move was taken back");
  } else if (group.failover_wanted() && !draining) {
    evaluate_failover_request(group);
  } else if (draining) {
    auto placement = choose(group, PlacementCause::drain, NodeSet::of(group.owner));
    if (!placement.chosen.is_none())
      start_move(group, placement.chosen,
                 "node '" + name_of_node(tree, group.owner) + "' is being emptied; " + placement.text(tree));
  } else if (group.failed) {
    if (wanted) evaluate_failed(group, resources, now);
  } else {
    evaluate_failback(group, resources, now);
  }
}

void Director::evaluate_without_owner(const GroupFacts& group, const std::vector<std::string>& resources) {
  const Tree& tree = host_.database();
  const bool never = group.owner.is_none();
  std::string why = never ? "" : "node '" + name_of_node(tree, group.owner) + "' left the cluster; ";
  if (!group.move_to.is_none() && why_unfit(tree, host_.members(), resources, group.move_to).empty()) {
    take_over(group, group.move_to,
              why + "it was to be moved to '" + name_of_node(tree, group.move_to) + "'");
    return;
  }
  auto placement = choose(group, never ? PlacementCause::created : PlacementCause::node_failure,
                          never ? NodeSet() : NodeSet::of(group.owner));
  if (placement.chosen.is_none())
    remark(group, why + placement.text(tree));
  else
    take_over(group, placement.chosen, why + placement.text(tree));
}

void Director::evaluate_move(const GroupFacts& group, const std::vector<std::string>& resources) {
  const Tree& tree = host_.database();
  const std::string path = group_path(group.name);
  std::string unfit = group.move_to == group.owner
                          ? "it is there already"
                          : why_unfit(tree, host_.members(), resources, group.move_to);
  if (unfit.empty()) {
    if (group.released() || mutant(Mutant::moves_unreleased))  // R2
      finish_move(group, group.move_to, tree.text(path, "MoveReason", "moved as an administrator asked"));
    return;
  }
  unfit = "the move to '" + name_of_node(tree, group.move_to) + "' was given up: " + unfit;
  Edit edit;
  rely_on(edit, tree, path, "MoveTo");
  edit.unset(path, "MoveTo").unset(path, "MoveReason").set(path, "Reason", unfit);
  propose(group.name, std::move(edit), "group '" + group.name + "': " + unfit);
}

void Director::evaluate_failed(const GroupFacts& group, const std::vector<std::string>& resources,
                               Instant now) {
  const Tree& tree = host_.database();
  const std::string path = group_path(group.name);
  const uint64_t since = tree.number(path, "FailedSince");
  uint64_t retry = failover::infinite;
  for (const auto& r : resources) {
    const auto facts = failover::read_resource(tree, r);
    if (facts.restart_action != 0) retry = std::min(retry, facts.retry_period_ms);
  }
  if (since == 0 || retry == failover::infinite) return;
  if (host_.wall_time_ms() < since + retry) {
    // The wall clock may be set: look again at least once a minute.
    const uint64_t rest = std::min<uint64_t>(since + retry - host_.wall_time_ms(), 60'000);
    wake_at_ = std::min(wake_at_, now + Duration::milliseconds(static_cast<int64_t>(rest)));
    return;
  }
  Edit edit;
  for (const char* name : {"Generation", "Failed", "FailedSince"}) rely_on(edit, tree, path, name);
  edit.unset(path, "Failed")
      .unset(path, "FailedSince")
      .set(path, "Reason", "tried again after RetryPeriodOnFailure");
  propose(group.name, std::move(edit),
          "group '" + group.name + "' is tried again after RetryPeriodOnFailure");
}

void Director::evaluate_failover_request(const GroupFacts& group) {
  const Tree& tree = host_.database();
  const std::string path = group_path(group.name);
  const uint64_t threshold_set = tree.number(path, "FailoverThreshold", failover::infinite);
  const uint64_t nodes = static_cast<uint64_t>(node_ids(tree).size());
  const uint64_t threshold =
      threshold_set == failover::infinite ? std::max<uint64_t>(2, nodes) - 1 : threshold_set;
  const uint64_t period_ms = tree.number(path, "FailoverPeriod", 6) * hour_ms;
  uint64_t since = tree.number(path, "FailoverSince");
  uint64_t count = tree.number(path, "FailoverCount");
  if (since == 0 || host_.wall_time_ms() > since + period_ms) since = host_.wall_time_ms(), count = 0;
  auto placement = choose(group, PlacementCause::resource_failure, NodeSet::of(group.owner));
  const std::string cause = tree.text(path, "Reason", "a resource failed");  // as the owner said
  Edit edit;
  rely_on(edit, tree, path, "FailoverRequested");
  std::string why;
  if (count >= threshold)
    why = "it failed over " + std::to_string(count) + " times within FailoverPeriod (FailoverThreshold " +
          std::to_string(threshold) + ")";
  else if (placement.chosen.is_none())
    why = placement.text(tree);
  if (why.empty()) {
    edit.set(path, "FailoverCount", count + 1).set(path, "FailoverSince", since);
    start_move(group, placement.chosen,
               cause + " on '" + name_of_node(tree, group.owner) + "'; " + placement.text(tree),
               std::move(edit));
    return;
  }
  edit.unset(path, "FailoverRequested")
      .set(path, "Failed", uint64_t{1})
      .set(path, "FailedSince", host_.wall_time_ms())
      .set(path, "Reason", "failed: " + cause + "; " + why);
  host_.event("GROUP_STATE", group.name, "", "Failed", cause + "; " + why);
  propose(group.name, std::move(edit), "group '" + group.name + "' has failed: " + cause + "; " + why);
}

}  // namespace holdfast::core
