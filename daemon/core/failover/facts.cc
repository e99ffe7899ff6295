#include "core/failover/facts.h"

#include <algorithm>

namespace holdfast::core::failover {
namespace {

Duration milliseconds(const Tree::Key& key, std::string_view name, uint64_t fallback) {
  // A raw transaction may have set any number; the largest of the property means "never" already.
  return Duration::milliseconds(static_cast<int64_t>(std::min(key.number(name, fallback), infinite)));
}

}  // namespace

std::string group_path(std::string_view group) {
  return "groups/" + std::string(group);
}
std::string resource_path(std::string_view resource) {
  return "resources/" + std::string(resource);
}

ResourceFacts read_resource(const Tree& tree, const std::string& resource) {
  const std::string path = resource_path(resource);
  const Tree::Key& key = tree.key(path);
  ResourceFacts facts;
  facts.name = resource;
  facts.group = key.text("Group");
  facts.type = key.text("Type");
  facts.dependencies = key.list("Dependencies");
  if (key.find("PersistentState")) facts.persistent = key.number("PersistentState") != 0;
  facts.maintenance = key.number("Maintenance") != 0;
  facts.restart_action = key.number("RestartAction", 2);
  facts.restart_threshold = key.number("RestartThreshold", 3);
  facts.key_offset = key.number("KeyOffset");
  facts.restart_period = milliseconds(key, "RestartPeriod", 900'000);
  facts.restart_delay = milliseconds(key, "RestartDelay", 500);
  facts.pending_timeout = milliseconds(key, "PendingTimeout", 180'000);
  facts.looks_alive_ms = std::min(key.number("LooksAlivePollInterval", 5000), infinite);
  // The check of a reservation is the disk's own interval, unless the common one is set.
  const uint64_t thorough =
      facts.type == "physical-disk" ? tree.number(path + "/Parameters", "DiskArbInterval", 3) * 1000 : 10'000;
  facts.is_alive_ms = std::min(key.number("IsAlivePollInterval", thorough), infinite);
  facts.retry_period_ms = std::min(key.number("RetryPeriodOnFailure", 3'600'000), infinite);
  return facts;
}

GroupFacts read_group(const Tree& tree, const std::string& group) {
  const Tree::Key* found = tree.find(group_path(group));
  GroupFacts facts;
  facts.exists = found != nullptr;
  facts.name = group;
  facts.maintenance = tree.number("cluster", "Maintenance") != 0;
  if (found == nullptr) return facts;
  const Tree::Key& key = *found;
  facts.owner = NodeId{key.number("Owner")};
  facts.generation = key.number("Generation");
  facts.previous_owner = NodeId{key.number("PreviousOwner")};
  facts.move_to = NodeId{key.number("MoveTo")};
  facts.released_generation = key.number("ReleasedGeneration");
  facts.failover_requested = key.number("FailoverRequested");
  facts.persistent = key.number("PersistentState") != 0;
  facts.failed = key.number("Failed") != 0;
  facts.maintenance = facts.maintenance || key.number("Maintenance") != 0;
  return facts;
}

bool wanted_online(const Tree& tree, const GroupFacts& group, const std::vector<std::string>& resources) {
  if (group.persistent) return true;
  for (const auto& resource : resources)
    if (tree.number(resource_path(resource), "PersistentState") != 0) return true;
  return false;
}

std::string name_of_node(const Tree& tree, NodeId node) {
  if (node.is_none()) return "no node";
  return tree.text(node_path(node), "Name", "node " + std::to_string(node.value));
}

NodeId node_named(const Tree& tree, std::string_view name) {
  for (NodeId id : node_ids(tree))
    if (tree.text(node_path(id), "Name") == name) return id;
  return {};
}

bool node_flag(const Tree& tree, NodeId node, std::string_view flag) {
  return tree.number(node_path(node), flag) != 0;
}

GroupIndex index_groups(const Tree& tree) {
  GroupIndex index;
  for (auto& group : tree.children("groups")) index[std::move(group)];
  for (auto& resource : tree.children("resources")) {
    std::string group = tree.text(resource_path(resource), "Group");
    index[std::move(group)].push_back(std::move(resource));
  }
  return index;
}

const std::vector<std::string>& resources_in(const GroupIndex& index, std::string_view group) {
  static const std::vector<std::string> none;
  auto it = index.find(group);
  return it == index.end() ? none : it->second;
}

}  // namespace holdfast::core::failover
