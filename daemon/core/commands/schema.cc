#include "core/commands/schema.h"

#include <algorithm>

#include "core/commands/objects.h"
#include "core/properties/property.h"
#include "core/properties/timing.h"

namespace holdfast::core {
namespace {

using namespace objects;

tl::unexpected<Error> broken(const char* invariant, std::string what) {
  return fail(ErrorCode::corrupt, std::string(invariant) + ": " + std::move(what));
}

bool has_twice(const std::vector<std::string>& list) {
  for (size_t i = 0; i < list.size(); ++i)
    for (size_t k = 0; k < i; ++k)
      if (list[i] == list[k]) return true;
  return false;
}

Status check_names(std::vector<std::string> names, const char* what) {
  for (auto& name : names)
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  std::sort(names.begin(), names.end());
  auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) return broken("S3", std::string("two ") + what + " are named '" + *twice + "'");
  return {};
}

Status check_node_list(const Tree& tree, const std::string& key, const char* name) {
  auto list = tree.list(key, name);
  if (has_twice(list)) return broken("S4", std::string(name) + " of '" + key + "' names a node twice");
  for (const auto& item : list)
    if (nodes_of_list(tree, {item}).empty())
      return broken("S4", std::string(name) + " of '" + key + "' names the unknown node '" + item + "'");
  return {};
}

// S7, for every value of `key` that is in the table.
Status check_values(const Tree& tree, const std::string& key, Scope scope, std::string_view type) {
  const auto* node = tree.find(key);
  if (!node) return {};
  for (const auto& [name, value] : node->values) {
    const Property* p = find_property(scope, type, name);
    if (!p || (p->scope == Scope::parameter) != (scope == Scope::parameter)) continue;
    PropertyInput input{value.has_list() ? "" : display(value),
                        {value.list().items().begin(), value.list().items().end()},
                        value.has_list()};
    auto parsed = parse_value(*p, input);
    if (!parsed) return broken("S7", "'" + key + "': " + parsed.error().message);
    if (!same_value(*parsed, value)) return broken("S7", name + " of '" + key + "' has the wrong type");
  }
  return {};
}

Status check_nodes(const Tree& tree) {
  uint64_t next = tree.number("cluster", "NextNode");
  auto nodes = all_nodes(tree);
  if (nodes.size() != tree.children("nodes").size()) return broken("S2", "a key below 'nodes' is no node id");
  std::vector<std::string> names, fingerprints;
  for (const auto& node : nodes) {
    if (node.id.value >= next)
      return broken("S1", "NextNode is " + std::to_string(next) + " but '" + node.key + "' exists");
    if (node.name.empty()) return broken("S2", "'" + node.key + "' has no Name");
    names.push_back(node.name);
    if (auto fingerprint = tree.text(node.key, "Fingerprint"); !fingerprint.empty()) {
      if (tree.exists("revoked/" + fingerprint))
        return broken("S2", "the certificate of '" + node.name + "' is revoked");
      fingerprints.push_back(fingerprint);
    }
    HOLDFAST_CHECK(check_values(tree, node.key, Scope::node, {}));
  }
  if (has_twice(fingerprints)) return broken("S2", "two nodes have one certificate");
  return check_names(std::move(names), "nodes");
}

Status check_groups(const Tree& tree) {
  for (const auto& name : tree.children("groups")) {
    std::string key = group_key(name);
    for (const char* reference : {"Owner", "MoveTo"}) {
      NodeId id{tree.number(key, reference)};
      if (!id.is_none() && !tree.exists(node_path(id)))
        return broken("S4", std::string(reference) + " of '" + key + "' is the unknown node " +
                                std::to_string(id.value));
    }
    HOLDFAST_CHECK(check_node_list(tree, key, "PreferredOwners"));
    HOLDFAST_CHECK(check_values(tree, key, Scope::group, {}));
  }
  return check_names(tree.children("groups"), "groups");
}

Status check_resources(const Tree& tree) {
  std::vector<std::string> disks;
  for (const auto& name : tree.children("resources")) {
    std::string key = resource_key(name), group = tree.text(key, "Group"), type = tree.text(key, "Type");
    if (group.empty() || !tree.exists(group_key(group)))
      return broken("S5", "the group '" + group + "' of '" + key + "' does not exist");
    if (type.empty()) return broken("S5", "'" + key + "' has no Type");
    auto dependencies = tree.list(key, "Dependencies");
    if (has_twice(dependencies)) return broken("S6", "'" + key + "' depends on something twice");
    for (const auto& provider : dependencies) {
      if (!tree.exists(resource_key(provider)))
        return broken("S6", "'" + key + "' depends on '" + provider + "', which does not exist");
      if (tree.text(resource_key(provider), "Group") != group)
        return broken("S6", "'" + key + "' depends on '" + provider + "' of another group");
    }
    if (auto cycle = dependency_cycle(tree, name, dependencies); !cycle.empty())
      return broken("S6", "dependencies go round: " + cycle);
    HOLDFAST_CHECK(check_node_list(tree, key, "PossibleOwners"));
    HOLDFAST_CHECK(check_values(tree, key, Scope::resource, type));
    HOLDFAST_CHECK(check_values(tree, key + "/Parameters", Scope::parameter, type));
    if (type == "physical-disk") disks.push_back(tree.text(key + "/Parameters", "Device"));
  }
  if (has_twice(disks)) return broken("S9", "two resources have one disk");
  return check_names(tree.children("resources"), "resources");
}

}  // namespace

Status check_schema(const Tree& tree) {
  if (tree.text("cluster", "Id").empty() || tree.text("cluster", "Name").empty())
    return broken("S1", "the cluster has no Id or Name");
  HOLDFAST_CHECK(check_values(tree, "cluster", Scope::cluster, {}));
  if (auto timing = check_timing(timing_from(tree)); !timing) {
    auto refusal = broken("S8", timing.error().message);
    refusal.value().hint = timing.error().hint;
    return refusal;
  }
  HOLDFAST_CHECK(check_nodes(tree));
  HOLDFAST_CHECK(check_groups(tree));
  return check_resources(tree);
}

Status hold_to_schema(const Tree& tree, Transaction* transaction) {
  static constexpr std::string_view roots[] = {"cluster", "nodes", "groups", "resources", "revoked"};
  const auto concerns = [](const auto& change) {
    const std::string_view key = change.key();
    return std::find(std::begin(roots), std::end(roots), key.substr(0, key.find('/'))) != std::end(roots);
  };
  if (std::none_of(transaction->changes().begin(), transaction->changes().end(), concerns)) return {};
  if (!tree.check(*transaction)) return {};  // whoever orders it says why it cannot be
  Tree changed = tree;
  changed.apply(*transaction, Sequence{1});
  if (auto sound = check_schema(changed); !sound && check_schema(tree))
    return fail(ErrorCode::invalid_argument, "the database would break: " + sound.error().message, 0,
                sound.error().hint.empty() ? "use the command for it, which keeps the rest in step"
                                           : sound.error().hint);
  // As any command that changes how objects refer to each other: it was judged against this tree.
  const Value* structure = tree.find_value("cluster", "Structure");
  const uint64_t counter = tree.number("cluster", "Structure");
  Edit rely;
  if (structure)
    rely.require_equal("cluster", "Structure", *structure);
  else
    rely.require_unset("cluster", "Structure");
  rely.set("cluster", "Structure", counter + 1);
  transaction->mutable_preconditions()->MergeFrom(rely.done().preconditions());
  transaction->mutable_changes()->MergeFrom(rely.done().changes());
  return {};
}

}  // namespace holdfast::core
