#include "core/commands/planner.h"

#include <algorithm>

namespace holdfast::core {

PropertyInput input_of(const api::Property& p) {
  return {p.value(), {p.list().begin(), p.list().end()}, p.is_list()};
}

std::vector<std::string> items_of(const api::Property& p) {
  if (p.is_list()) return {p.list().begin(), p.list().end()};
  std::vector<std::string> out;
  std::string_view rest = p.value();
  while (!rest.empty()) {
    auto one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    out.emplace_back(one);
  }
  return out;
}

Planner::Planner(const Tree& tree, const api::Command& command, const CommandContext& context)
    : tree_(tree), command_(command), context_(context), object_(command.object()) {}

Result<CommandPlan> Planner::plan() {
  std::set<std::string> seen;
  for (const auto& p : command_.properties())
    if (!seen.insert(p.name()).second)
      return refuse(ErrorCode::invalid_argument, "'" + p.name() + "' is given twice");
  using C = api::Command;
  static constexpr struct {
    C::Verb verb;
    Status (Planner::*plan)();
  } verbs[] = {
      {C::CLUSTER_SET, &Planner::cluster_set},
      {C::CLUSTER_MAINTENANCE, &Planner::cluster_maintenance},
      {C::CLUSTER_SHUTDOWN, &Planner::cluster_shutdown},
      {C::CLUSTER_UPGRADE, &Planner::cluster_upgrade},
      {C::QUORUM_MOVE, &Planner::quorum_move},
      {C::NODE_ADD, &Planner::node_add},
      {C::NODE_PAUSE, &Planner::node_pause},
      {C::NODE_RESUME, &Planner::node_resume},
      {C::NODE_STOP, &Planner::node_stop},
      {C::NODE_EVICT, &Planner::node_evict},
      {C::GROUP_CREATE, &Planner::group_create},
      {C::GROUP_DELETE, &Planner::group_delete},
      {C::GROUP_SET, &Planner::group_set},
      {C::GROUP_ONLINE, &Planner::group_online},
      {C::GROUP_OFFLINE, &Planner::group_offline},
      {C::GROUP_MOVE, &Planner::group_move},
      {C::RESOURCE_CREATE, &Planner::resource_create},
      {C::RESOURCE_DELETE, &Planner::resource_delete},
      {C::RESOURCE_SET, &Planner::resource_set},
      {C::RESOURCE_ONLINE, &Planner::resource_online},
      {C::RESOURCE_OFFLINE, &Planner::resource_offline},
      {C::RESOURCE_MOVE, &Planner::resource_move},
      {C::RESOURCE_FAIL, &Planner::resource_fail},
  };
  for (const auto& entry : verbs) {
    if (entry.verb != command_.verb()) continue;
    HOLDFAST_CHECK((this->*entry.plan)());
    if (edit_.empty()) edit_ = Edit();  // nothing to do, so nothing to require
    plan_.transaction = edit_.done();
    plan_.cause = describe() + ", asked by " + (context_.who.empty() ? "an unknown client" : context_.who);
    return std::move(plan_);
  }
  return fail(ErrorCode::unsupported, "this release does not know command " + std::to_string(command_.verb()),
              0, "the client may be newer than the cluster");
}

std::string Planner::describe() const {
  std::string name = " '" + object_ + "'", target = " to '" + command_.target() + "'";
  using C = api::Command;
  switch (command_.verb()) {
    case C::CLUSTER_SET:
      return "set properties of the cluster";
    case C::CLUSTER_MAINTENANCE:
      return object_.empty() ? "set maintenance of the cluster" : "set maintenance of" + name;
    case C::CLUSTER_SHUTDOWN:
      return "shut the cluster down";
    case C::CLUSTER_UPGRADE:
      return "raise the functional level of the cluster";
    case C::QUORUM_MOVE:
      return "move the quorum" + target;
    case C::NODE_ADD:
      return "add node" + name;
    case C::NODE_PAUSE:
      return "pause node" + name;
    case C::NODE_RESUME:
      return "resume node" + name;
    case C::NODE_STOP:
      return "stop node" + name;
    case C::NODE_EVICT:
      return "evict node" + name;
    case C::GROUP_CREATE:
      return "create group" + name;
    case C::GROUP_DELETE:
      return "delete group" + name;
    case C::GROUP_SET:
      return "set properties of group" + name;
    case C::GROUP_ONLINE:
      return "bring group" + name + " online";
    case C::GROUP_OFFLINE:
      return "take group" + name + " offline";
    case C::GROUP_MOVE:
      return "move group" + name + (command_.target().empty() ? "" : target);
    case C::RESOURCE_CREATE:
      return "create resource" + name;
    case C::RESOURCE_DELETE:
      return "delete resource" + name;
    case C::RESOURCE_SET:
      return "set properties of resource" + name;
    case C::RESOURCE_ONLINE:
      return "bring resource" + name + " online";
    case C::RESOURCE_OFFLINE:
      return "take resource" + name + " offline";
    case C::RESOURCE_MOVE:
      return "move resource" + name + " to group '" + command_.target() + "'";
    case C::RESOURCE_FAIL:
      return "fail resource" + name;
    default:
      return "run command " + std::to_string(command_.verb());
  }
}

tl::unexpected<Error> Planner::refuse(ErrorCode code, std::string why, std::string hint) const {
  return fail(code, "cannot " + describe() + ": " + why, 0, std::move(hint));
}
tl::unexpected<Error> Planner::refuse(Error error) const {
  return refuse(error.code, error.message, error.hint);
}

Result<NodeRecord> Planner::need_node(std::string_view name) const {
  if (auto node = find_node(tree_, name)) return *node;
  std::string known;
  for (const auto& node : all_nodes(tree_)) known += (known.empty() ? "" : ", ") + node.name;
  return refuse(ErrorCode::not_found,
                name.empty() ? "no node is named" : "there is no node '" + std::string(name) + "'",
                "nodes: " + known);
}

Status Planner::need_group(std::string_view name) const {
  if (valid_component(name) && tree_.exists(group_key(name))) return {};
  auto names = tree_.children("groups");
  std::vector<std::string_view> views(names.begin(), names.end());
  auto near = nearest_name(name, views);
  return refuse(
      ErrorCode::not_found,
      name.empty() ? "no group is named" : "there is no group '" + std::string(name) + "'",
      near.empty() ? "'holdfast status' lists all groups" : "did you mean '" + std::string(near) + "'?");
}

Status Planner::need_resource(std::string_view name) const {
  if (valid_component(name) && tree_.exists(resource_key(name))) return {};
  auto names = tree_.children("resources");
  std::vector<std::string_view> views(names.begin(), names.end());
  auto near = nearest_name(name, views);
  return refuse(
      ErrorCode::not_found,
      name.empty() ? "no resource is named" : "there is no resource '" + std::string(name) + "'",
      near.empty() ? "'holdfast status' lists all resources" : "did you mean '" + std::string(near) + "'?");
}

Status Planner::check_new_name(std::string_view name, const std::vector<std::string>& taken) const {
  if (!valid_component(name) || name.size() > object_name_bytes_max ||
      name.find(',') != std::string_view::npos)
    return refuse(ErrorCode::invalid_argument, "the name is not allowed",
                  "1 to 64 bytes, without '/', ',', control characters, and blanks at either end");
  for (const auto& other : taken)
    if (same_name(other, name))
      return refuse(ErrorCode::already_exists, "'" + other + "' exists already",
                    "names must differ by more than the case of letters");
  return {};
}

Status Planner::check_node_names(std::string_view property, const std::vector<std::string>& names) const {
  for (size_t i = 0; i < names.size(); ++i) {
    auto node = find_node(tree_, names[i]);
    if (!node || node->name != names[i])
      return refuse(ErrorCode::not_found,
                    std::string(property) + " names the unknown node '" + names[i] + "'",
                    "give names of nodes of the cluster");
    for (size_t k = 0; k < i; ++k)
      if (names[i] == names[k])
        return refuse(ErrorCode::invalid_argument, std::string(property) + " names '" + names[i] + "' twice");
  }
  return {};
}

Status Planner::set_property(Scope scope, std::string_view type, const std::string& key,
                             const api::Property& p) {
  // An unset property is judged like a set one, so that reserved and unknown names are refused just so.
  const Property* known = find_property(scope, type, p.name());
  Result<Value> value = p.unset() && known && known->access == PropertyAccess::open
                            ? Value()
                            : parse_property(scope, type, p.name(), input_of(p));
  if (!value) return refuse(value.error());
  bool is_parameter = known ? known->scope == Scope::parameter : scope == Scope::resource;
  std::string where = is_parameter ? key + "/Parameters" : key;
  if (p.unset() || value->kind_case() == Value::KIND_NOT_SET) {
    if (known && known->required)
      return refuse(ErrorCode::invalid_argument, p.name() + " is required and cannot be removed");
    drop(where, p.name());
  } else {
    if (known && known->required && display(*value).empty())
      return refuse(ErrorCode::invalid_argument, p.name() + " is required and cannot be empty");
    put(where, p.name(), std::move(*value));
  }
  return {};
}

const api::Property* Planner::given(std::string_view name) const {
  for (const auto& p : command_.properties())
    if (p.name() == name) return &p;
  return nullptr;
}

Result<bool> Planner::flag(std::string_view name, bool fallback) const {
  const api::Property* p = given(name);
  if (!p) return fallback;
  Property boolean;
  boolean.name = name, boolean.kind = PropertyType::boolean, boolean.max = 1;
  auto value = parse_value(boolean, input_of(*p));
  if (!value) return refuse(value.error());
  return value->number() != 0;
}

Status Planner::only_properties(std::initializer_list<std::string_view> allowed) const {
  for (const auto& p : command_.properties()) {
    if (std::find(allowed.begin(), allowed.end(), p.name()) != allowed.end()) continue;
    std::string names;
    for (auto name : allowed) names += (names.empty() ? "" : ", ") + std::string(name);
    return refuse(ErrorCode::invalid_argument, "it takes no '" + p.name() + "'",
                  names.empty() ? "it takes no properties" : "it takes: " + names);
  }
  return {};
}

void Planner::change_structure() {
  if (structure_changed_) return;
  structure_changed_ = true;
  rely_on("cluster", "Structure");
  edit_.set("cluster", "Structure", tree_.number("cluster", "Structure") + 1);
}

void Planner::rely_on(const std::string& key, const std::string& name) {
  if (const Value* value = tree_.find_value(key, name))
    edit_.require_equal(key, name, *value);
  else
    edit_.require_unset(key, name);
}

void Planner::put(const std::string& key, const std::string& name, Value value) {
  const Value* present = tree_.find_value(key, name);
  if (!present || !same_value(*present, value)) edit_.set(key, name, std::move(value));
}

void Planner::drop(const std::string& key, const std::string& name) {
  if (tree_.find_value(key, name)) edit_.unset(key, name);
}

Result<CommandPlan> plan_command(const Tree& tree, const api::Command& command,
                                 const CommandContext& context) {
  return Planner(tree, command, context).plan();
}

}  // namespace holdfast::core
