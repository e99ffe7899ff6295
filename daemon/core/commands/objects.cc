#include "core/commands/objects.h"

#include <algorithm>

namespace holdfast::core::objects {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::vector<std::string> dependencies_of(const Tree& tree, const std::string& resource) {
  return tree.list(resource_key(resource), "Dependencies");
}

}  // namespace

std::string_view to_string(ResourceState state) {
  switch (state) {
    case ResourceState::online:
      return "Online";
    case ResourceState::offline:
      return "Offline";
    case ResourceState::failed:
      return "Failed";
    case ResourceState::online_pending:
      return "OnlinePending";
    case ResourceState::offline_pending:
      return "OfflinePending";
  }
  return "Unknown";
}

std::string_view to_string(GroupState state) {
  switch (state) {
    case GroupState::online:
      return "Online";
    case GroupState::offline:
      return "Offline";
    case GroupState::failed:
      return "Failed";
    case GroupState::partial_online:
      return "PartialOnline";
    case GroupState::pending:
      return "Pending";
  }
  return "Unknown";
}

std::string group_key(std::string_view name) {
  return "groups/" + std::string(name);
}
std::string resource_key(std::string_view name) {
  return "resources/" + std::string(name);
}

std::optional<NodeRecord> find_node(const Tree& tree, std::string_view name_or_id) {
  auto nodes = all_nodes(tree);
  for (const auto& node : nodes)
    if (node.name == name_or_id) return node;
  if (NodeId id = node_id_from(name_or_id); !id.is_none())
    for (const auto& node : nodes)
      if (node.id == id) return node;
  return std::nullopt;
}

std::string node_name(const Tree& tree, NodeId id) {
  if (id.is_none()) return "no node";
  std::string name = tree.text(node_path(id), "Name");
  return name.empty() ? "node " + std::to_string(id.value) : name;
}

std::vector<std::string> resources_of(const Tree& tree, std::string_view group) {
  std::vector<std::string> out;
  for (auto& name : tree.children("resources"))
    if (tree.text(resource_key(name), "Group") == group) out.push_back(std::move(name));
  return out;
}

ResourceState effective_resource_state(const Tree& tree, NodeSet members, std::string_view resource) {
  std::string key = resource_key(resource);
  std::string group = group_key(tree.text(key, "Group"));
  uint64_t generation = tree.number(group, "Generation");
  if (generation == 0 || tree.number(key, "StateGeneration") != generation) return ResourceState::offline;
  if (!members.contains(NodeId{tree.number(group, "Owner")})) return ResourceState::offline;
  switch (uint64_t state = tree.number(key, "State", 3)) {
    case 2:
    case 4:
    case 129:
    case 130:
      return static_cast<ResourceState>(state);
    default:
      return ResourceState::offline;
  }
}

GroupState effective_group_state(const Tree& tree, NodeSet members, std::string_view group) {
  if (tree.number(group_key(group), "Failed")) return GroupState::failed;  // it gave up
  size_t online = 0, pending = 0;
  auto resources = resources_of(tree, group);
  for (const auto& resource : resources) {
    switch (effective_resource_state(tree, members, resource)) {
      case ResourceState::failed:
        return GroupState::failed;
      case ResourceState::online:
        ++online;
        break;
      case ResourceState::online_pending:
      case ResourceState::offline_pending:
        ++pending;
        break;
      case ResourceState::offline:
        break;
    }
  }
  if (pending > 0) return GroupState::pending;
  if (online == 0) return GroupState::offline;
  return online == resources.size() ? GroupState::online : GroupState::partial_online;
}

bool wanted_online(const Tree& tree, std::string_view resource) {
  std::string key = resource_key(resource);
  return tree.number(key, "PersistentState",
                     tree.number(group_key(tree.text(key, "Group")), "PersistentState")) != 0;
}

NodeSet nodes_of_list(const Tree& tree, const std::vector<std::string>& names) {
  NodeSet out;
  for (const auto& node : all_nodes(tree))
    if (contains(names, node.name)) out.add(node.id);
  return out;
}

NodeSet possible_owners(const Tree& tree, std::string_view group) {
  NodeSet out;
  for (const auto& node : all_nodes(tree)) out.add(node.id);
  for (const auto& resource : resources_of(tree, group)) {
    auto names = tree.list(resource_key(resource), "PossibleOwners");
    if (!names.empty()) out = out & nodes_of_list(tree, names);
  }
  return out;
}

std::string why_unfit(const Tree& tree, NodeSet members, const NodeRecord& node, std::string_view group) {
  if (!members.contains(node.id)) return "is down";
  if (tree.number(node.key, "Stopping")) return "is leaving the cluster";
  if (tree.number(node.key, "Draining")) return "is being drained";
  if (tree.number(node.key, "Paused")) return "is paused";
  if (!possible_owners(tree, group).contains(node.id)) {
    for (const auto& resource : resources_of(tree, group)) {
      auto names = tree.list(resource_key(resource), "PossibleOwners");
      if (!names.empty() && !contains(names, node.name))
        return "is no possible owner of resource '" + resource + "'";
    }
  }
  return {};
}

NodeId best_target(const Tree& tree, NodeSet members, std::string_view group) {
  NodeId owner{tree.number(group_key(group), "Owner")};
  auto nodes = all_nodes(tree);
  auto fit = [&](const NodeRecord& n) { return n.id != owner && why_unfit(tree, members, n, group).empty(); };
  for (const auto& name : tree.list(group_key(group), "PreferredOwners"))
    for (const auto& node : nodes)
      if (node.name == name && fit(node)) return node.id;
  std::array<size_t, nodes_max + 1> owned{};
  for (const auto& name : tree.children("groups"))
    if (uint64_t id = tree.number(group_key(name), "Owner"); id <= nodes_max) ++owned[id];
  NodeId best;
  for (const auto& node : nodes)
    if (fit(node) && (best.is_none() || owned[node.id.value] < owned[best.value])) best = node.id;
  return best;
}

std::string fit_nodes_text(const Tree& tree, NodeSet members, std::string_view group) {
  std::string out;
  for (const auto& node : all_nodes(tree))
    if (why_unfit(tree, members, node, group).empty()) out += (out.empty() ? "" : ", ") + node.name;
  return out;
}

std::string dependency_cycle(const Tree& tree, const std::string& resource,
                             const std::vector<std::string>& dependencies) {
  // Depth first along Dependencies; a way back to `resource` is the only new circle there can be.
  std::vector<std::string> path, seen;
  auto reaches = [&](auto&& self, const std::string& from) -> bool {
    path.push_back(from);
    if (from == resource) return true;
    if (!contains(seen, from)) {
      seen.push_back(from);
      for (const auto& next : dependencies_of(tree, from))
        if (self(self, next)) return true;
    }
    path.pop_back();
    return false;
  };
  for (const auto& first : dependencies)
    if (reaches(reaches, first)) {
      std::string out = resource;
      for (const auto& step : path) out += " -> " + step;
      return out;
    }
  return {};
}

std::vector<std::string> providers_of(const Tree& tree, const std::string& resource) {
  std::vector<std::string> out, seen{resource};
  auto visit = [&](auto&& self, const std::string& name) -> void {
    for (const auto& provider : dependencies_of(tree, name)) {
      if (contains(seen, provider)) continue;
      seen.push_back(provider);
      self(self, provider);
      out.push_back(provider);
    }
  };
  visit(visit, resource);
  return out;
}

std::vector<std::string> dependents_of(const Tree& tree, const std::string& resource) {
  std::vector<std::string> out;
  for (auto& name : tree.children("resources"))
    if (contains(dependencies_of(tree, name), resource)) out.push_back(std::move(name));
  return out;
}

std::vector<std::string> connected_with(const Tree& tree, const std::string& resource) {
  std::vector<std::string> out{resource};
  for (size_t i = 0; i < out.size(); ++i) {  // grows while it is read
    std::string name = out[i];
    for (const auto& other : dependencies_of(tree, name))
      if (!contains(out, other)) out.push_back(other);
    for (const auto& other : dependents_of(tree, name))
      if (!contains(out, other)) out.push_back(other);
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool same_name(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

std::string quoted_list(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "'" : ", '") + name + "'";
  return out;
}

}  // namespace holdfast::core::objects
