#include "core/failover/director.h"

#include <algorithm>

#include "core/failover/group_state.h"

namespace holdfast::core {

using failover::group_path;
using failover::GroupFacts;
using failover::name_of_node;

void Director::evaluate(Instant now) {
  wake_at_ = Instant::infinite();
  if (!host_.ready() || !host_.is_locker()) return;
  auto index = failover::index_groups(host_.database());
  // Names first: a proposal may be committed at once and change the tree under us.
  std::vector<std::string> groups;
  for (const auto& [group, resources] : index)
    if (!group.empty() && host_.database().exists(group_path(group))) groups.push_back(group);
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
  if (host_.database().text(group_path(group.name), "Reason") == reason || remarks_[group.name] == reason)
    return;
  remarks_[group.name] = reason;
  propose(group.name,
          std::move(Edit().require_key(group_path(group.name)).set(group_path(group.name), "Reason", reason)),
          reason);
}

void Director::change_owner(const GroupFacts& group, NodeId to, const std::string& reason) {
  const std::string path = group_path(group.name);
  planned_[group.name] = to;
  Edit edit;
  // R1: a second proposal of the same change fails on these.
  if (group.owner.is_none() && !host_.database().find_value(path, "Owner"))
    edit.require_unset(path, "Owner");
  else
    edit.require_equal(path, "Owner", number_value(group.owner.value));
  if (host_.database().find_value(path, "Generation"))
    edit.require_equal(path, "Generation", number_value(group.generation));
  else
    edit.require_unset(path, "Generation");
  edit.set(path, "Owner", to.value).set(path, "Generation", group.generation + 1);
  if (!group.owner.is_none()) edit.set(path, "PreviousOwner", group.owner.value);
  edit.set(path, "Reason", reason)
      .unset(path, "MoveTo")
      .unset(path, "FailoverRequested")
      .unset(path, "ReleasedGeneration");
  host_.event("GROUP_OWNER", group.name, name_of_node(host_.database(), group.owner),
              name_of_node(host_.database(), to), reason);
  propose(group.name, std::move(edit),
          "group '" + group.name + "' to node '" + name_of_node(host_.database(), to) + "': " + reason);
}

void Director::start_move(const GroupFacts& group, NodeId to, const std::string& reason) {
  const std::string path = group_path(group.name);
  planned_[group.name] = to;
  Edit edit;
  edit.require_equal(path, "Owner", number_value(group.owner.value))
      .require_equal(path, "Generation", number_value(group.generation))
      .require_unset(path, "MoveTo")
      .set(path, "MoveTo", to.value)
      .set(path, "Reason", reason)
      .unset(path, "FailoverRequested");
  propose(group.name, std::move(edit),
          "move group '" + group.name + "' to node '" + name_of_node(host_.database(), to) + "': " + reason);
}

void Director::evaluate_group(const std::string& name, const std::vector<std::string>& resources,
                              Instant now) {
  if (busy_.count(name)) return;
  const Tree& tree = host_.database();
  const GroupFacts group = failover::read_group(tree, name);
  if (!group.exists || group.maintenance) return;
  const bool wanted = failover::wanted_online(tree, group, resources);

  if (group.owner.is_none()) {
    if (!wanted || resources.empty()) return;
    auto placement = choose(group, PlacementCause::created, {});
    if (placement.chosen.is_none())
      remark(group, "no node can own it: " + placement.text(tree));
    else
      change_owner(group, placement.chosen, placement.text(tree));
    return;
  }
  if (!host_.members().contains(group.owner)) {  // R2
    auto placement = choose(group, PlacementCause::node_failure, NodeSet::of(group.owner));
    if (placement.chosen.is_none())
      remark(group, "its owner is gone and no other node can own it: " + placement.text(tree));
    else
      change_owner(
          group, placement.chosen,
          "node '" + name_of_node(tree, group.owner) + "' left the cluster; " + placement.text(tree));
    return;
  }
  if (!group.move_to.is_none()) {
    std::string unfit = group.move_to == group.owner
                            ? "it is there already"
                            : why_unfit(tree, host_.members(), resources, group.move_to);
    if (!unfit.empty()) {
      propose(name,
              std::move(
                  Edit()
                      .require_equal(group_path(name), "MoveTo", number_value(group.move_to.value))
                      .unset(group_path(name), "MoveTo")
                      .set(group_path(name), "Reason",
                           "the move to '" + name_of_node(tree, group.move_to) + "' was given up: " + unfit)),
              "move of group '" + name + "' given up: " + unfit);
      return;
    }
    if (group.released() || resources.empty()) {  // R2
      std::string reason = tree.text(group_path(name), "Reason");
      change_owner(group, group.move_to, reason.empty() ? "moved as asked" : reason);
    }
    return;
  }
  if (group.released() && wanted) {
    change_owner(group, group.owner, "stays: the move was taken back");
    return;
  }
  if (group.failover_wanted()) {
    evaluate_failover_request(group);
    return;
  }
  if (group.failed) {
    uint64_t since = tree.number(group_path(name), "FailedSince");
    uint64_t retry = failover::infinite;
    for (const auto& r : resources) retry = std::min(retry, failover::read_resource(tree, r).retry_period_ms);
    if (wanted && since != 0 && retry != failover::infinite) {
      if (host_.wall_time_ms() >= since + retry)
        propose(name,
                std::move(Edit()
                              .require_equal(group_path(name), "Failed", number_value(1))
                              .unset(group_path(name), "Failed")
                              .unset(group_path(name), "FailedSince")
                              .set(group_path(name), "Reason", "tried again after RetryPeriodOnFailure")),
                "group '" + name + "' is tried again after RetryPeriodOnFailure");
      else
        wake_at_ = std::min(wake_at_, now + Duration::milliseconds(
                                                static_cast<int64_t>(since + retry - host_.wall_time_ms())));
    }
    return;
  }
  const bool draining = failover::node_flag(tree, group.owner, "Draining") ||
                        failover::node_flag(tree, group.owner, "Stopping");
  if (draining) {
    auto placement = choose(group, PlacementCause::drain, NodeSet::of(group.owner));
    if (!placement.chosen.is_none())
      start_move(group, placement.chosen,
                 "node '" + name_of_node(tree, group.owner) + "' is being emptied; " + placement.text(tree));
    return;
  }
  if (wanted) evaluate_failback(group);
}

void Director::evaluate_failover_request(const GroupFacts& group) {
  const Tree& tree = host_.database();
  const std::string path = group_path(group.name);
  const uint64_t threshold_set = tree.number(path, "FailoverThreshold", failover::infinite);
  const uint64_t nodes = failover::configured_nodes(tree).size();
  const uint64_t threshold =
      threshold_set == failover::infinite ? std::max<uint64_t>(1, nodes - 1) : threshold_set;
  const uint64_t period_ms = tree.number(path, "FailoverPeriod", 6) * 3'600'000;
  uint64_t since = tree.number(path, "FailoverSince");
  uint64_t count = tree.number(path, "FailoverCount");
  if (since == 0 || host_.wall_time_ms() > since + period_ms) since = host_.wall_time_ms(), count = 0;
  auto placement = choose(group, PlacementCause::resource_failure, NodeSet::of(group.owner));
  Edit edit;
  edit.require_equal(path, "FailoverRequested", number_value(group.generation))
      .unset(path, "FailoverRequested");
  std::string why;
  if (count >= threshold)
    why = "it failed over " + std::to_string(count) + " times within FailoverPeriod (FailoverThreshold " +
          std::to_string(threshold) + ")";
  else if (placement.chosen.is_none())
    why = "no other node can own it: " + placement.text(tree);
  if (!why.empty()) {
    edit.set(path, "Failed", uint64_t{1})
        .set(path, "FailedSince", host_.wall_time_ms())
        .set(path, "Reason", "failed: " + why);
    host_.event("GROUP_STATE", group.name, "", "Failed", why);
    propose(group.name, std::move(edit), "group '" + group.name + "' has failed: " + why);
    return;
  }
  planned_[group.name] = placement.chosen;
  std::string reason =
      "a resource failed on '" + name_of_node(tree, group.owner) + "'; " + placement.text(tree);
  edit.set(path, "FailoverCount", count + 1)
      .set(path, "FailoverSince", since)
      .set(path, "MoveTo", placement.chosen.value)
      .set(path, "Reason", reason);
  propose(group.name, std::move(edit), "group '" + group.name + "' fails over: " + reason);
}

bool Director::evaluate_failback(const GroupFacts& group) {
  const Tree& tree = host_.database();
  const std::string path = group_path(group.name);
  if (tree.number(path, "AutoFailbackType") != 1) return false;
  auto index = failover::index_groups(tree);
  const auto& resources = failover::resources_in(index, group.name);
  if (derive_group_state(tree, group.name) != GroupState::online) return false;
  for (const auto& name : tree.list(path, "PreferredOwners")) {
    NodeId node = failover::node_named(tree, name);
    if (node == group.owner) return false;
    if (node.is_none() || !why_unfit(tree, host_.members(), resources, node).empty()) continue;
    start_move(group, node, "failback: '" + name + "' is preferred and has returned");
    return true;
  }
  return false;
}

}  // namespace holdfast::core
