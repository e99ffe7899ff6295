#include "core/commands/planner.h"

namespace holdfast::core {

Status Planner::group_create() {
  HOLDFAST_CHECK(check_new_name(object_, tree_.children("groups")));
  std::string key = group_key(object_);
  change_structure();
  edit_.require_absent(key);
  edit_.create(key).set(key, "Owner", uint64_t{0});
  // Generations are counters of disk keys: a new group goes on where any deleted one ended.
  rely_on("cluster", "GenerationFloor");
  edit_.set(key, "Generation", tree_.number("cluster", "GenerationFloor"));
  HOLDFAST_TRY(bool wanted, flag("PersistentState", true));
  edit_.set(key, "PersistentState", uint64_t{wanted});
  for (const auto& p : command_.properties()) {
    if (p.name() == "PersistentState") continue;
    if (p.name() == "PreferredOwners") HOLDFAST_CHECK(check_node_names(p.name(), items_of(p)));
    HOLDFAST_CHECK(set_property(Scope::group, {}, key, p));
  }
  return {};
}

Status Planner::group_delete() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_CHECK(need_group(object_));
  std::string key = group_key(object_);
  auto resources = resources_of(tree_, object_);
  if (!resources.empty() && !command_.force())
    return refuse(ErrorCode::busy, "it still has the resources " + quoted_list(resources),
                  "delete them first, or use force to delete all");
  change_structure();
  for (const char* name : {"Owner", "Generation", "MoveTo"}) rely_on(key, name);
  for (const auto& resource : resources) {
    auto state = effective_resource_state(tree_, context_.members, resource);
    // Not even by force: nobody would know any more who has it online, or with which key its disk is
    // reserved.
    if (state != ResourceState::offline && state != ResourceState::failed)
      return refuse(ErrorCode::busy, "its resource '" + resource + "' is " + std::string(to_string(state)),
                    "take it offline first: 'holdfast group offline " + object_ + "'");
    for (const char* name : {"State", "StateGeneration"}) rely_on(resource_key(resource), name);
  }
  bool wanted = !resources.empty() && tree_.number(key, "PersistentState");
  if (wanted && !tree_.number(key, "Failed"))
    return refuse(ErrorCode::busy, "it is wanted online and may start at any moment",
                  "take it offline first: 'holdfast group offline " + object_ + "'");
  rely_on(key, "PersistentState");
  rely_on(key, "Failed");
  uint64_t counter = tree_.number(key, "Generation");
  for (const auto& resource : resources) {
    counter = std::max(counter, key_counter(resource));
    say_that_disk_stays_reserved(resource);
    edit_.remove(resource_key(resource));
  }
  edit_.remove(key);
  raise_generation_floor(counter);
  return {};
}

Status Planner::group_set() {
  HOLDFAST_CHECK(need_group(object_));
  if (command_.properties().empty()) return refuse(ErrorCode::invalid_argument, "no property is given");
  std::string key = group_key(object_);
  edit_.require_key(key);
  for (const auto& p : command_.properties()) {
    if (p.name() == "PreferredOwners") {
      HOLDFAST_CHECK(check_node_names(p.name(), items_of(p)));
      change_structure();
    }
    HOLDFAST_CHECK(set_property(Scope::group, {}, key, p));
  }
  return {};
}

Status Planner::start_move(const std::string& group, const NodeRecord& target) {
  std::string key = group_key(group);
  if (auto why = why_unfit(tree_, context_.members, target, group); !why.empty()) {
    auto fit = fit_nodes_text(tree_, context_.members, group);
    return refuse(ErrorCode::busy, "node '" + target.name + "' " + why,
                  fit.empty() ? "no node can take it now" : "nodes that can take it: " + fit);
  }
  uint64_t under_way = tree_.number(key, "MoveTo");
  if (under_way && under_way != target.id.value && !command_.force())
    return refuse(ErrorCode::busy, "it is being moved to '" + node_name(tree_, NodeId{under_way}) + "'",
                  "wait for it, or use force");
  for (const char* name : {"Owner", "Generation", "MoveTo"}) rely_on(key, name);
  for (const char* name : {"Name", "Paused", "Draining", "Stopping"}) rely_on(target.key, name);
  put(key, "MoveTo", number_value(target.id.value));
  return {};
}

Status Planner::group_online() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_CHECK(need_group(object_));
  std::string key = group_key(object_);
  edit_.require_key(key);
  NodeId owner{tree_.number(key, "Owner")};
  if (!command_.target().empty()) {
    HOLDFAST_TRY(NodeRecord target, need_node(command_.target()));
    if (target.id != owner) HOLDFAST_CHECK(start_move(object_, target));
  } else if (!context_.members.contains(owner) && fit_nodes_text(tree_, context_.members, object_).empty()) {
    if (!command_.force())
      return refuse(ErrorCode::busy, "no node that is up can own it now",
                    "check its PossibleOwners and paused nodes; with force it starts as soon as one can");
    plan_.remark = "no node that is up can own it now; it starts as soon as one can";
  }
  put(key, "PersistentState", number_value(1));
  for (const char* name : {"Failed", "FailoverCount", "FailoverSince", "Reason"}) drop(key, name);
  auto resources = resources_of(tree_, object_);
  for (const auto& resource : resources) {
    edit_.require_key(resource_key(resource));
    drop(resource_key(resource), "PersistentState");
    forget_failure(resource);
  }
  if (resources.empty()) plan_.remark = "the group has no resources: there is nothing to bring online";
  if (tree_.number("cluster", "Maintenance") || tree_.number(key, "Maintenance"))
    plan_.remark = "it is in maintenance: nothing is started before that ends";
  if (command_.target().empty())
    wait_for(Wait::Kind::group_online, object_);
  else
    wait_for(Wait::Kind::group_owner, object_, find_node(tree_, command_.target())->id);
  return {};
}

Status Planner::group_offline() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_CHECK(need_group(object_));
  std::string key = group_key(object_);
  edit_.require_key(key);
  put(key, "PersistentState", number_value(0));
  drop(key, "MoveTo");
  drop(key, "Failed");
  for (const auto& resource : resources_of(tree_, object_)) {
    edit_.require_key(resource_key(resource));
    drop(resource_key(resource), "PersistentState");
  }
  wait_for(Wait::Kind::group_offline, object_);
  return {};
}

Status Planner::group_move() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_CHECK(need_group(object_));
  std::string key = group_key(object_);
  NodeId owner{tree_.number(key, "Owner")};
  NodeId to;
  if (command_.target().empty()) {
    to = best_target(tree_, context_.members, object_);
    if (to.is_none())
      return refuse(ErrorCode::busy, "no other node can take it now",
                    "check its PossibleOwners and paused nodes");
  } else {
    HOLDFAST_TRY(NodeRecord target, need_node(command_.target()));
    to = target.id;
  }
  if (to == owner && !tree_.find_value(key, "MoveTo")) {
    plan_.remark = "it is there already";
  } else {
    HOLDFAST_CHECK(start_move(object_, *find_node(tree_, std::to_string(to.value))));
    drop(key, "Failed");
  }
  wait_for(Wait::Kind::group_owner, object_, to);
  return {};
}

}  // namespace holdfast::core
