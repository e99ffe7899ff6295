// Reading cluster objects out of the tree: the questions that commands, waits, status and the schema check
// share. Pure; everything is looked up in the tree that is handed in.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "core/database/nodes.h"
#include "core/database/tree.h"

namespace holdfast::core::objects {

// The classic numbers; see docs/formats/database.md.
enum class ResourceState : int32_t {
  online = 2,
  offline = 3,
  failed = 4,
  online_pending = 129,
  offline_pending = 130
};
enum class GroupState : int32_t { online = 0, offline = 1, failed = 2, partial_online = 3, pending = 4 };
std::string_view to_string(ResourceState state);
std::string_view to_string(GroupState state);

constexpr size_t object_name_bytes_max = 64;  // fits a certificate's common name and a journal line

std::string group_key(std::string_view name);
std::string resource_key(std::string_view name);

// By name, else by id in decimal.
std::optional<NodeRecord> find_node(const Tree& tree, std::string_view name_or_id);
// "n1", or "node 7" when the id is unknown, or "no node".
std::string node_name(const Tree& tree, NodeId id);
std::vector<std::string> resources_of(const Tree& tree, std::string_view group);

// Last report if it is of the present ownership by a member; Offline otherwise.
ResourceState effective_resource_state(const Tree& tree, NodeSet members, std::string_view resource);
// The classic derivation (REFERENCE 1.2); Failed too when the group gave up.
GroupState effective_group_state(const Tree& tree, NodeSet members, std::string_view group);
// Is it wanted online: its own PersistentState, or its group's.
bool wanted_online(const Tree& tree, std::string_view resource);

// Nodes that may own the group: the intersection of its resources' PossibleOwners.
NodeSet possible_owners(const Tree& tree, std::string_view group);
NodeSet nodes_of_list(const Tree& tree, const std::vector<std::string>& names);  // unknown names are left out
// Why `node` cannot take `group` now ("is down", "is paused", ...), or empty when it can.
std::string why_unfit(const Tree& tree, NodeSet members, const NodeRecord& node, std::string_view group);
// Where a move to the "best possible" node goes: preferred owners from the top, without the present owner;
// then the fit node that owns fewest groups, lowest id first. none when no node is fit.
NodeId best_target(const Tree& tree, NodeSet members, std::string_view group);
// "n1, n2" of the nodes that could take it.
std::string fit_nodes_text(const Tree& tree, NodeSet members, std::string_view group);

// "a -> b -> a" when `resource` with these dependencies closes a circle, else empty.
std::string dependency_cycle(const Tree& tree, const std::string& resource,
                             const std::vector<std::string>& dependencies);
// Everything `resource` needs, itself not included, providers first.
std::vector<std::string> providers_of(const Tree& tree, const std::string& resource);
// Resources that name it in their Dependencies.
std::vector<std::string> dependents_of(const Tree& tree, const std::string& resource);
// All resources that hang together with it through dependencies, itself included.
std::vector<std::string> connected_with(const Tree& tree, const std::string& resource);

// 16 bytes, IPv4 as ::ffff:a.b.c.d. nullopt when it is no address. No zone ids: an address must mean the same
// anywhere.
using IpBytes = std::array<uint8_t, 16>;
std::optional<IpBytes> parse_ip(std::string_view text);
bool is_ipv4(const IpBytes& ip);

// Equal but for the case of ASCII letters: too alike for people to tell two objects apart.
bool same_name(std::string_view a, std::string_view b);
// "'a', 'b'".
std::string quoted_list(const std::vector<std::string>& names);

}  // namespace holdfast::core::objects
