// Placement: which node takes a group, and why every other one does not (M8, REFERENCE 1.3). One pure
// function of its input: the same input gives the same answer on every node. See docs/protocols/failover.md,
// "Placement".
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "core/database/tree.h"
#include "core/failover/failover_host.h"

namespace holdfast::core {

enum class PlacementCause : uint8_t {
  created,           // never had an owner, or none that could run it
  node_failure,      // its owner is gone
  resource_failure,  // its owner cannot run it
  manual,            // an administrator asked for the best possible node
  drain,             // its owner is being emptied
};

struct PlacementInput {
  const Tree* database = nullptr;
  NodeSet members;
  std::string group;
  PlacementCause cause = PlacementCause::created;
  std::map<NodeId, Load> loads;           // absent: no load known
  NodeSet excluded;                       // never chosen, whatever else
  std::map<std::string, NodeId> planned;  // owners that are decided but not committed yet
};

struct NodeVerdict {
  NodeId node;
  bool candidate = false;
  std::string why;  // "is paused", "next in the preferred list", "owns 2 groups, cpu 10 %"
};

struct Placement {
  NodeId chosen;                      // none: no candidate
  std::vector<NodeVerdict> verdicts;  // all configured nodes, in order of preference
  // "n2: next in the preferred list; n1: is down; n3: is paused".
  std::string text(const Tree& database) const;
};

Placement place(const PlacementInput& input);

// Why `node` cannot own a group with these resources now, or empty when it can. `excluded` and anti-affinity
// are not looked at.
std::string why_unfit(const Tree& database, NodeSet members, const std::vector<std::string>& resources,
                      NodeId node);

}  // namespace holdfast::core
