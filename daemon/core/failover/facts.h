// Facts: groups, resources and nodes as the failover manager reads them out of the database, defaults
// applied. Plain values, read anew for each decision; nothing here decides. Keys: docs/formats/database.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/database/nodes.h"
#include "core/database/tree.h"

namespace holdfast::core::failover {

constexpr uint64_t infinite = 0xffffffff;  // the classic "never" of periods and "automatic" of thresholds

std::string group_path(std::string_view group);
std::string resource_path(std::string_view resource);

struct ResourceFacts {
  std::string name;
  std::string group;
  std::string type;
  std::vector<std::string> dependencies;
  std::optional<bool> persistent;  // absent: as its group
  bool maintenance = false;
  uint64_t key_offset = 0;      // added to the group's generation in the keys of its disk
  uint64_t restart_action = 2;  // 0 DontRestart, 1 RestartNoNotify, 2 RestartNotify
  uint64_t restart_threshold = 3;
  Duration restart_period;
  Duration restart_delay;
  Duration pending_timeout;
  uint64_t looks_alive_ms = 0;
  uint64_t is_alive_ms = 0;
  uint64_t retry_period_ms = 0;  // `infinite`: never
};

struct GroupFacts {
  bool exists = false;
  std::string name;
  NodeId owner;
  uint64_t generation = 0;
  NodeId previous_owner;
  NodeId move_to;                    // none: no planned move
  uint64_t released_generation = 0;  // == generation: the owner has ended everything and starts nothing
  uint64_t failover_requested = 0;   // == generation: the owner cannot run it any more
  bool persistent = false;
  bool failed = false;
  bool maintenance = false;  // of the group or of the whole cluster

  bool moving() const { return !move_to.is_none() && move_to != owner; }
  bool released() const { return generation != 0 && released_generation == generation; }
  bool failover_wanted() const { return generation != 0 && failover_requested == generation; }
};

ResourceFacts read_resource(const Tree& tree, const std::string& resource);
GroupFacts read_group(const Tree& tree, const std::string& group);
// Is any of its resources wanted online, or the group itself?
bool wanted_online(const Tree& tree, const GroupFacts& group, const std::vector<std::string>& resources);

// "n1", or "node 7" when it has no name, or "no node".
std::string name_of_node(const Tree& tree, NodeId node);
// None when no node has this name.
NodeId node_named(const Tree& tree, std::string_view name);
bool node_flag(const Tree& tree, NodeId node, std::string_view flag);  // Paused, Draining, Stopping

// group -> its resources, in byte order.
using GroupIndex = std::map<std::string, std::vector<std::string>, std::less<>>;
GroupIndex index_groups(const Tree& tree);
const std::vector<std::string>& resources_in(const GroupIndex& index, std::string_view group);

}  // namespace holdfast::core::failover
