#include "core/failover/placement.h"

#include <algorithm>
#include <tuple>

#include "core/failover/facts.h"

namespace holdfast::core {
namespace {

using failover::group_path;
using failover::name_of_node;
using failover::resource_path;

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

struct Usage {
  uint64_t groups = 0;               // owned or coming, and wanted online
  std::vector<std::string> classes;  // anti-affinity classes of all groups there
};

std::map<NodeId, Usage> usage_of_nodes(const PlacementInput& in) {
  const Tree& tree = *in.database;
  std::map<NodeId, Usage> usage;
  for (const auto& name : tree.children("groups")) {
    if (name == in.group) continue;
    const auto group = failover::read_group(tree, name);
    NodeId at = group.move_to.is_none() ? group.owner : group.move_to;
    if (auto it = in.planned.find(name); it != in.planned.end()) at = it->second;
    if (at.is_none() || !in.members.contains(at)) continue;
    if (group.persistent && !group.failed) ++usage[at].groups;
    for (auto& label : tree.list(group_path(name), "AntiAffinityClassNames"))
      usage[at].classes.push_back(std::move(label));
  }
  return usage;
}

// The order in which nodes are asked: the preferred list or all ids, started after the owner where the rules
// say so.
std::vector<NodeId> walk(const PlacementInput& in, NodeId owner, const std::vector<NodeId>& preferred) {
  std::vector<NodeId> order = preferred;
  for (NodeId id : node_ids(*in.database))
    if (std::find(order.begin(), order.end(), id) == order.end()) order.push_back(id);
  bool from_owner = in.cause == PlacementCause::node_failure || in.cause == PlacementCause::resource_failure;
  if (!from_owner || order.empty()) return order;
  // The list of the classic service is the preferred owners followed by the other ids: walking down it from
  // the owner and wrapping is a rotation. Only an owner that was evicted meanwhile is not in it.
  auto at = std::find(order.begin(), order.end(), owner);
  if (at != order.end()) std::rotate(order.begin(), at + 1, order.end());
  return order;
}

}  // namespace

std::string why_unfit(const Tree& tree, NodeSet members, const std::vector<std::string>& resources,
                      NodeId node) {
  if (!tree.exists(node_path(node))) return "is not configured";
  if (!members.contains(node)) return "is down";
  if (failover::node_flag(tree, node, "Stopping")) return "is leaving the cluster";
  if (failover::node_flag(tree, node, "Draining")) return "is being drained";
  if (failover::node_flag(tree, node, "Paused")) return "is paused";
  const std::string name = name_of_node(tree, node);
  for (const auto& resource : resources) {
    auto possible = tree.list(resource_path(resource), "PossibleOwners");
    if (!possible.empty() && !contains(possible, name))
      return "is no possible owner of resource '" + resource + "'";
  }
  return {};
}

Placement place(const PlacementInput& in) {
  const Tree& tree = *in.database;
  const std::string path = group_path(in.group);
  const NodeId owner{tree.number(path, "Owner")};
  const auto index = failover::index_groups(tree);
  const auto& resources = failover::resources_in(index, in.group);

  std::vector<NodeId> preferred;
  for (const auto& name : tree.list(path, "PreferredOwners"))
    if (NodeId id = failover::node_named(tree, name); !id.is_none()) preferred.push_back(id);
  const auto is_preferred = [&](NodeId id) {
    return std::find(preferred.begin(), preferred.end(), id) != preferred.end();
  };

  auto usage = usage_of_nodes(in);
  const auto classes = tree.list(path, "AntiAffinityClassNames");
  const bool enforced = tree.number("cluster", "ClusterEnforcedAntiAffinity") != 0;

  Placement out;
  std::vector<NodeId> fit, apart;  // `apart`: without a neighbour of its anti-affinity class
  for (NodeId id : walk(in, owner, preferred)) {
    NodeVerdict verdict{id, false, why_unfit(tree, in.members, resources, id)};
    if (verdict.why.empty() && in.excluded.contains(id))
      verdict.why = id == owner ? "has it now" : "is excluded";
    if (verdict.why.empty()) {
      bool shares = std::any_of(classes.begin(), classes.end(),
                                [&](const auto& label) { return contains(usage[id].classes, label); });
      if (shares) verdict.why = "runs a group of the same anti-affinity class";
      verdict.candidate = !shares || !enforced;
      if (verdict.candidate) fit.push_back(id);
      if (!shares) apart.push_back(id);
    }
    out.verdicts.push_back(std::move(verdict));
  }
  const auto& candidates = apart.empty() ? fit : apart;  // soft: ignored when nothing is left
  if (candidates.empty()) return out;

  const auto load = [&](NodeId id) {
    auto it = in.loads.find(id);
    Load known = it == in.loads.end() ? Load{} : it->second;
    return std::tuple(usage[id].groups, known.cpu_percent, known.memory_percent, id);
  };
  const auto least_loaded = [&] {
    return *std::min_element(candidates.begin(), candidates.end(),
                             [&](NodeId a, NodeId b) { return load(a) < load(b); });
  };
  const bool failure =
      in.cause == PlacementCause::node_failure || in.cause == PlacementCause::resource_failure;
  std::string why;
  if (failure && !preferred.empty()) {
    out.chosen = candidates.front();
    why = is_preferred(out.chosen) ? "next in the preferred list"
                                   : "no preferred owner is available, next node";
  } else if (in.cause == PlacementCause::resource_failure) {
    out.chosen = candidates.front();
    why = "next node";
  } else if (auto it = std::find_if(candidates.begin(), candidates.end(), is_preferred);
             it != candidates.end()) {
    out.chosen = *it;
    why = "best available preferred owner";
  } else {
    out.chosen = least_loaded();
    why = "least loaded";
  }
  for (auto& verdict : out.verdicts) {
    auto [groups, cpu, memory, id] = load(verdict.node);
    if (verdict.node == out.chosen) {
      verdict.why = why;
      if (why == "least loaded")
        verdict.why += " (" + std::to_string(groups) + " groups, cpu " + std::to_string(cpu) + " %)";
    } else if (verdict.candidate && verdict.why.empty()) {
      verdict.why = why == "least loaded"
                        ? "has " + std::to_string(groups) + " groups, cpu " + std::to_string(cpu) + " %"
                        : "comes later";
    }
  }
  return out;
}

std::string Placement::text(const Tree& tree) const {
  std::string first, rest;
  for (const auto& verdict : verdicts) {
    std::string item = name_of_node(tree, verdict.node) + ": " + verdict.why;
    if (verdict.node == chosen) {
      first = std::move(item);
    } else {
      rest += (rest.empty() ? "" : "; ") + item;
    }
  }
  if (first.empty()) return rest.empty() ? "no node is configured" : "no node can take it: " + rest;
  return rest.empty() ? first : first + "; " + rest;
}

}  // namespace holdfast::core
