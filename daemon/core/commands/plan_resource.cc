#include <algorithm>

#include "core/commands/planner.h"

namespace holdfast::core {

Status Planner::set_dependencies(const std::string& resource, const std::string& group,
                                 const std::vector<std::string>& names) {
  std::set<std::string> seen;
  for (const auto& name : names) {
    if (name == resource) return refuse(ErrorCode::invalid_argument, "it cannot depend on itself");
    if (!seen.insert(name).second)
      return refuse(ErrorCode::invalid_argument, "Dependencies name '" + name + "' twice");
    if (!valid_component(name) || !tree_.exists(resource_key(name)))
      return refuse(ErrorCode::not_found, "it depends on '" + name + "', which does not exist",
                    "create '" + name + "' first");
    std::string other = tree_.text(resource_key(name), "Group");
    if (other != group)
      return refuse(ErrorCode::invalid_argument, "it depends on '" + name + "' of group '" + other + "'",
                    "dependencies stay within group '" + group + "'; move one of them first");
  }
  if (auto cycle = dependency_cycle(tree_, resource, names); !cycle.empty())
    return refuse(ErrorCode::invalid_argument, "the dependencies would go round: " + cycle,
                  "remove one of them");
  change_structure();
  put(resource_key(resource), "Dependencies", list_value(names));
  return {};
}

Status Planner::set_possible_owners(const std::string& resource, const std::string& group,
                                    const std::vector<std::string>& names) {
  HOLDFAST_CHECK(check_node_names("PossibleOwners", names));
  NodeSet left;
  for (const auto& node : all_nodes(tree_)) left.add(node.id);
  if (!names.empty()) left = nodes_of_list(tree_, names);
  for (const auto& other : resources_of(tree_, group)) {
    auto theirs = tree_.list(resource_key(other), "PossibleOwners");
    if (other == resource || theirs.empty()) continue;
    if ((left & nodes_of_list(tree_, theirs)).empty())
      return refuse(ErrorCode::invalid_argument, "no node could own group '" + group + "' any more, since '" +
                                                     other + "' runs only on " + quoted_list(theirs));
    left = left & nodes_of_list(tree_, theirs);
  }
  NodeId owner{tree_.number(group_key(group), "Owner")};
  if (!owner.is_none() && !left.contains(owner))
    plan_.remark = "group '" + group + "' is on '" + node_name(tree_, owner) +
                   "', which is no possible owner now; move it";
  change_structure();
  put(resource_key(resource), "PossibleOwners", list_value(names));
  return {};
}

// The keys of a disk count up with its group: a second resource on it would take whoever owns the first one
// for an earlier owner of its own, and preempt it.
Status Planner::check_disk_is_free(const std::string& resource, const std::string& device) {
  for (const auto& other : tree_.children("resources")) {
    if (other == resource || tree_.text(resource_key(other), "Type") != "physical-disk") continue;
    if (same_name(tree_.text(resource_key(other) + "/Parameters", "Device"), device))
      return refuse(ErrorCode::already_exists, "disk '" + device + "' belongs to resource '" + other + "'",
                    "a disk is one resource; move '" + other + "' to the group, or delete it");
  }
  change_structure();  // two commands at a time must not both find it free
  return {};
}

Status Planner::set_resource_properties(const std::string& resource, const std::string& group,
                                        const std::string& type, bool creating) {
  for (const auto& p : command_.properties()) {
    if (creating && (p.name() == "Group" || p.name() == "Type")) continue;
    auto items = p.unset() ? std::vector<std::string>() : items_of(p);
    if (p.name() == "Dependencies") {
      HOLDFAST_CHECK(set_dependencies(resource, group, items));
    } else if (p.name() == "PossibleOwners") {
      HOLDFAST_CHECK(set_possible_owners(resource, group, items));
    } else if (p.name() == "PersistentState" && creating) {
      HOLDFAST_TRY(bool wanted, flag("PersistentState", true));
      edit_.set(resource_key(resource), "PersistentState", uint64_t{wanted});
    } else {
      if (type == "physical-disk" && p.name() == "Device" && !p.unset())
        HOLDFAST_CHECK(check_disk_is_free(resource, p.value()));
      HOLDFAST_CHECK(set_property(Scope::resource, type, resource_key(resource), p));
    }
  }
  return {};
}

Status Planner::resource_create() {
  HOLDFAST_CHECK(check_new_name(object_, tree_.children("resources")));
  std::string group = given("Group") ? given("Group")->value() : "",
              type = given("Type") ? given("Type")->value() : "";
  if (group.empty())
    return refuse(ErrorCode::invalid_argument, "no Group is given",
                  "every resource belongs to a group: Group=NAME");
  HOLDFAST_CHECK(need_group(group));
  auto types = builtin_types();
  auto registered = tree_.children("types");
  types.insert(types.end(), registered.begin(), registered.end());
  if (type.empty() || !valid_component(type) ||
      (std::find(types.begin(), types.end(), type) == types.end() && !command_.force())) {
    std::string known;
    for (auto name : types) known += (known.empty() ? "" : ", ") + std::string(name);
    return refuse(ErrorCode::not_found,
                  type.empty() ? "no Type is given" : "there is no resource type '" + type + "'",
                  "types: " + known + (type.empty() ? "" : "; force takes a type of a plug-in of your own"));
  }
  std::string key = resource_key(object_);
  change_structure();
  edit_.require_absent(key).require_key(group_key(group));
  edit_.set(key, "Group", group).set(key, "Type", type);
  rely_on("cluster", "GenerationFloor");
  keys_go_on_above(object_, group, tree_.number("cluster", "GenerationFloor"));
  HOLDFAST_CHECK(set_resource_properties(object_, group, type, true));
  for (const auto& p : all_properties())
    if (p.required && p.type == type && !given(p.name))
      return refuse(ErrorCode::invalid_argument,
                    "a resource of type '" + type + "' needs " + std::string(p.name),
                    std::string(p.name) + ": " + std::string(p.help));
  return {};
}

Status Planner::resource_delete() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_CHECK(need_resource(object_));
  std::string key = resource_key(object_), group = tree_.text(key, "Group");
  auto state = effective_resource_state(tree_, context_.members, object_);
  if (state != ResourceState::offline && state != ResourceState::failed)
    return refuse(ErrorCode::busy, "it is " + std::string(to_string(state)),
                  "take it offline first: 'holdfast resource offline " + object_ + "'");
  bool may_start = wanted_online(tree_, object_) && !tree_.number(group_key(group), "Failed");
  if (may_start && !command_.force())
    return refuse(ErrorCode::busy, "it is wanted online and may start at any moment",
                  "take it offline first: 'holdfast resource offline " + object_ + "', or use force");
  auto dependents = dependents_of(tree_, object_);
  if (!dependents.empty() && !command_.force())
    return refuse(ErrorCode::busy, "it is needed by " + quoted_list(dependents),
                  "delete those first, or use force to take the dependency away from them");
  change_structure();
  for (const char* name : {"State", "StateGeneration", "PersistentState"}) rely_on(key, name);
  for (const auto& dependent : dependents) {
    auto list = tree_.list(resource_key(dependent), "Dependencies");
    list.erase(std::remove(list.begin(), list.end(), object_), list.end());
    edit_.set(resource_key(dependent), "Dependencies", list);
  }
  edit_.remove(key);
  rely_on(group_key(group), "Generation");
  raise_generation_floor(key_counter(object_));
  say_that_disk_stays_reserved(object_);
  return {};
}

Status Planner::resource_set() {
  HOLDFAST_CHECK(need_resource(object_));
  if (command_.properties().empty()) return refuse(ErrorCode::invalid_argument, "no property is given");
  std::string key = resource_key(object_);
  edit_.require_key(key);
  rely_on(key, "Type");
  HOLDFAST_CHECK(set_resource_properties(object_, tree_.text(key, "Group"), tree_.text(key, "Type"), false));
  bool changes_online = false;
  for (const auto& p : command_.properties()) {
    const Property* known = find_property(Scope::resource, tree_.text(key, "Type"), p.name());
    changes_online |= !known || !known->live;
  }
  if (changes_online && effective_resource_state(tree_, context_.members, object_) != ResourceState::offline)
    plan_.remark = "some of it takes effect when the resource next comes online";
  return {};
}

void Planner::forget_report(const std::string& resource) {
  for (const char* name : {"State", "StateGeneration", "Message", "Published"})
    drop(resource_key(resource), name);
}

// The highest counter that a key of its disk can have now. The disk keeps its last key when it goes offline.
uint64_t Planner::key_counter(const std::string& resource) const {
  const std::string key = resource_key(resource);
  return tree_.number(group_key(tree_.text(key, "Group")), "Generation") + tree_.number(key, "KeyOffset");
}

// Every key that its disk gets in `group` shall count as newer than `counter`. (A generation that grows
// meanwhile only adds to it.)
void Planner::keys_go_on_above(const std::string& resource, const std::string& group, uint64_t counter) {
  const std::string key = group_key(group);
  // A group without an owner counts up before anything of it comes online.
  const uint64_t next = tree_.number(key, "Generation") + (tree_.number(key, "Owner") == 0 ? 1 : 0);
  if (next > counter)
    drop(resource_key(resource), "KeyOffset");
  else
    put(resource_key(resource), "KeyOffset", number_value(counter + 1 - next));
}

void Planner::say_that_disk_stays_reserved(const std::string& resource) {
  if (tree_.text(resource_key(resource), "Type") == "physical-disk")
    plan_.remark =
        "its disk stays reserved for this cluster; to use it for something else: 'holdfast disk release "
        "DEVICE'";
}

void Planner::raise_generation_floor(uint64_t counter) {
  if (counter <= tree_.number("cluster", "GenerationFloor")) return;
  rely_on("cluster", "GenerationFloor");
  edit_.set("cluster", "GenerationFloor", counter);
}

// A resource that gave up counts as Offline again, so that it is started like any other that is wanted
// online.
void Planner::forget_failure(const std::string& resource) {
  if (effective_resource_state(tree_, context_.members, resource) != ResourceState::failed) return;
  for (const char* name : {"State", "StateGeneration"}) rely_on(resource_key(resource), name);
  forget_report(resource);
}

Status Planner::resource_online() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_CHECK(need_resource(object_));
  std::string group = tree_.text(resource_key(object_), "Group");
  rely_on(group_key(group), "PersistentState");
  bool group_wanted = tree_.number(group_key(group), "PersistentState") != 0;
  auto chain = providers_of(tree_, object_);  // what it needs comes online with it
  chain.push_back(object_);
  for (const auto& name : chain) {
    rely_on(resource_key(name), "Group");
    if (group_wanted)
      drop(resource_key(name), "PersistentState");
    else
      put(resource_key(name), "PersistentState", number_value(1));
    forget_failure(name);
  }
  for (const char* name : {"Failed", "FailoverCount", "FailoverSince"}) drop(group_key(group), name);
  wait_for(Wait::Kind::resource_online, object_);
  return {};
}

Status Planner::resource_offline() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_CHECK(need_resource(object_));
  std::string key = resource_key(object_), group = tree_.text(key, "Group");
  rely_on(key, "Group");
  put(key, "PersistentState", number_value(0));
  auto dependents = dependents_of(tree_, object_);
  if (!dependents.empty())
    plan_.remark = quoted_list(dependents) + " go offline with it, and come back with it";
  wait_for(Wait::Kind::resource_offline, object_);
  return {};
}

Status Planner::resource_move() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_CHECK(need_resource(object_));
  HOLDFAST_CHECK(need_group(command_.target()));
  std::string to = command_.target(), from = tree_.text(resource_key(object_), "Group");
  if (from == to) {
    plan_.remark = "it is there already";
    return {};
  }
  auto moved = connected_with(tree_, object_);  // dependencies stay within a group
  if (moved.size() > 1 && !command_.force())
    return refuse(ErrorCode::busy, "it hangs together with other resources: " + quoted_list(moved),
                  "use force to move all of them, or remove the dependencies first");
  NodeSet owners = possible_owners(tree_, to);
  change_structure();
  edit_.require_key(group_key(to));
  for (const auto& name : moved) {
    std::string key = resource_key(name);
    // Disk keys count generations of the group, so nothing may be online while it changes groups, and the
    // count goes on where it was: a disk stays reserved with its last key.
    auto state = effective_resource_state(tree_, context_.members, name);
    if (state != ResourceState::offline && state != ResourceState::failed)
      return refuse(ErrorCode::busy, "'" + name + "' is " + std::string(to_string(state)),
                    "take it offline first: 'holdfast resource offline " + name + "'");
    if (wanted_online(tree_, name))
      return refuse(ErrorCode::busy, "'" + name + "' is wanted online and may start at any moment",
                    "take it offline first: 'holdfast resource offline " + name + "'");
    if (auto names = tree_.list(key, "PossibleOwners"); !names.empty())
      owners = owners & nodes_of_list(tree_, names);
    for (const char* value : {"State", "StateGeneration", "PersistentState"}) rely_on(key, value);
    edit_.set(key, "Group", to);
    keys_go_on_above(name, to, key_counter(name));
    // In the new group it stays offline until it is asked for; an old report must not count for the new
    // generation.
    put(key, "PersistentState", number_value(0));
    forget_report(name);
  }
  for (const char* value : {"PersistentState", "Generation"}) rely_on(group_key(from), value);
  if (owners.empty())
    return refuse(ErrorCode::invalid_argument, "no node could own group '" + to + "' any more",
                  "change PossibleOwners first");
  plan_.remark = "it stays offline until 'holdfast resource online " + object_ + "'";
  return {};
}

Status Planner::resource_fail() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_CHECK(need_resource(object_));
  std::string key = resource_key(object_);
  auto state = effective_resource_state(tree_, context_.members, object_);
  if (state != ResourceState::online)
    return refuse(ErrorCode::busy, "it is " + std::string(to_string(state)),
                  "only a resource that is Online can fail");
  for (const char* name : {"State", "StateGeneration", "FailRequest"}) rely_on(key, name);
  edit_.set(key, "FailRequest", tree_.number(key, "FailRequest") + 1);
  return {};
}

}  // namespace holdfast::core
