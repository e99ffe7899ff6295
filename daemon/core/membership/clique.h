// largest_connected_set: who stays when not everybody hears everybody (the Pruning stage of a regroup).
#pragma once

#include <array>

#include "base/ids.h"

namespace holdfast::core {

// links[i] (i = node id - 1): the nodes that node i+1 hears. Only links heard in both directions count.
using Links = std::array<NodeSet, nodes_max>;

// The largest subset of `candidates` in which everybody hears everybody. Ties: a set that reaches the LUN
// (meets `reaching`), then one with `owner`, then the one whose lowest ids come first. Exact up to a bounded
// number of steps (always for 16 nodes); beyond it the best set found so far, which is still fully connected.
NodeSet largest_connected_set(NodeSet candidates, const Links& links, NodeSet reaching, NodeId owner);

}  // namespace holdfast::core
