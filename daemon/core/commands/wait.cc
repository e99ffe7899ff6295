#include "core/commands/wait.h"

#include "core/commands/objects.h"
#include "core/properties/property.h"

namespace holdfast::core {
namespace {

using namespace objects;

WaitVerdict reached() {
  return {WaitVerdict::Kind::reached, {}};
}
WaitVerdict pending(std::string why) {
  return {WaitVerdict::Kind::pending, std::move(why)};
}
WaitVerdict failed(std::string why) {
  return {WaitVerdict::Kind::failed, std::move(why)};
}

std::string with_reason(std::string text, const std::string& reason) {
  return reason.empty() ? text : text + ": " + reason;
}

bool at_rest(ResourceState state) {
  return state == ResourceState::offline || state == ResourceState::failed;
}

// A failed resource that its policy does not restart stays failed until somebody acts.
bool stays_failed(const Tree& tree, NodeSet members, const std::string& resource) {
  return effective_resource_state(tree, members, resource) == ResourceState::failed &&
         property_number(tree, resource_key(resource), Scope::resource, "RestartAction") == 0;
}

WaitVerdict resource_online(const Tree& tree, NodeSet members, const std::string& name) {
  std::string key = resource_key(name);
  if (!tree.exists(key)) return failed("resource '" + name + "' was deleted");
  auto state = effective_resource_state(tree, members, name);
  if (state == ResourceState::online) return reached();
  if (!wanted_online(tree, name))
    return failed("resource '" + name + "' was taken offline by another command");
  std::string group = tree.text(key, "Group");
  if (tree.number(group_key(group), "Failed"))
    return failed(with_reason("group '" + group + "' failed", tree.text(group_key(group), "Reason")));
  if (stays_failed(tree, members, name))
    return failed(with_reason("resource '" + name + "' failed", tree.text(key, "Message")));
  return pending(
      with_reason("resource '" + name + "' is " + std::string(to_string(state)), tree.text(key, "Message")));
}

WaitVerdict resource_offline(const Tree& tree, NodeSet members, const std::string& name) {
  std::string key = resource_key(name);
  if (!tree.exists(key)) return reached();
  auto state = effective_resource_state(tree, members, name);
  if (at_rest(state)) return reached();
  if (wanted_online(tree, name))
    return failed("resource '" + name + "' was brought online by another command");
  return pending(
      with_reason("resource '" + name + "' is " + std::string(to_string(state)), tree.text(key, "Message")));
}

WaitVerdict group_online(const Tree& tree, NodeSet members, const std::string& name) {
  std::string key = group_key(name);
  if (!tree.exists(key)) return failed("group '" + name + "' was deleted");
  if (!tree.number(key, "PersistentState"))
    return failed("group '" + name + "' was taken offline by another command");
  if (tree.number(key, "Failed"))
    return failed(with_reason("group '" + name + "' failed", tree.text(key, "Reason")));
  for (const auto& resource : resources_of(tree, name)) {
    if (!wanted_online(tree, resource)) continue;
    auto verdict = resource_online(tree, members, resource);
    if (verdict.kind != WaitVerdict::Kind::reached) {
      // Why the group is not being started says more than that its first resource is Offline.
      std::string reason = tree.text(key, "Reason");
      if (verdict.kind == WaitVerdict::Kind::pending && !members.contains(NodeId{tree.number(key, "Owner")}))
        return pending(with_reason("group '" + name + "' has no owner that is up", reason));
      return verdict;
    }
  }
  return reached();
}

WaitVerdict group_offline(const Tree& tree, NodeSet members, const std::string& name) {
  if (!tree.exists(group_key(name))) return reached();
  if (tree.number(group_key(name), "PersistentState"))
    return failed("group '" + name + "' was brought online by another command");
  for (const auto& resource : resources_of(tree, name)) {
    auto verdict = resource_offline(tree, members, resource);
    if (verdict.kind != WaitVerdict::Kind::reached) return verdict;
  }
  return reached();
}

WaitVerdict group_owner(const Tree& tree, NodeSet members, const std::string& name, NodeId node) {
  std::string key = group_key(name);
  if (!tree.exists(key)) return failed("group '" + name + "' was deleted");
  NodeId owner{tree.number(key, "Owner")};
  const Value* move_to = tree.find_value(key, "MoveTo");
  if (move_to && NodeId{move_to->number()} != node)
    return failed("group '" + name + "' is being moved to " + node_name(tree, NodeId{move_to->number()}) +
                  " by another command");
  if (owner != node && !move_to)
    return failed(
        with_reason("group '" + name + "' stays on " + node_name(tree, owner), tree.text(key, "Reason")));
  if (owner != node) {
    if (!members.contains(node)) return pending("node '" + node_name(tree, node) + "' went down");
    return pending("group '" + name + "' is still on " + node_name(tree, owner));
  }
  if (!tree.number(key, "PersistentState"))
    return move_to ? pending("the move is being finished") : reached();
  return group_online(tree, members, name);
}

WaitVerdict node_empty(const Tree& tree, NodeId node) {
  std::string owned;
  for (const auto& name : tree.children("groups"))
    if (NodeId{tree.number(group_key(name), "Owner")} == node)
      owned += (owned.empty() ? "'" : ", '") + name + "'";
  if (owned.empty()) return reached();
  std::string text = "node '" + node_name(tree, node) + "' still owns " + owned;
  bool drains = tree.number(node_path(node), "Draining") || tree.number(node_path(node), "Stopping");
  return drains ? pending(text) : failed(text + " and is not being drained any more");
}

}  // namespace

WaitVerdict judge(const Tree& tree, NodeSet members, const Wait& wait) {
  switch (wait.kind) {
    case Wait::Kind::nothing:
      return reached();
    case Wait::Kind::group_online:
      return group_online(tree, members, wait.object);
    case Wait::Kind::group_offline:
      return group_offline(tree, members, wait.object);
    case Wait::Kind::group_owner:
      return group_owner(tree, members, wait.object, wait.node);
    case Wait::Kind::resource_online:
      return resource_online(tree, members, wait.object);
    case Wait::Kind::resource_offline:
      return resource_offline(tree, members, wait.object);
    case Wait::Kind::node_empty:
      return node_empty(tree, wait.node);
    case Wait::Kind::node_gone:
      if (!members.contains(wait.node)) return reached();
      return pending("node '" + node_name(tree, wait.node) + "' is still a member");
    case Wait::Kind::quorum_moved: {
      if (tree.find_value("cluster", "QuorumMoveTo")) return pending("the quorum has not moved yet");
      std::string why = tree.text("cluster", "QuorumMoveResult");
      return why.empty() ? reached() : failed("the quorum stays where it is: " + why);
    }
  }
  return failed("unknown kind of wait");
}

}  // namespace holdfast::core
