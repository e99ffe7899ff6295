// fill_status: what the database and the view say about the cluster, as clients see it: states as classic
// numbers and text, properties with their defaults, and warnings for what an administrator should look at.
//
// Facts that only a running service knows (phase, networks, counters, the quorum device, lease) are the
// caller's.
#pragma once

#include "base/ids.h"
#include "core/database/tree.h"
#include "proto/api.pb.h"

namespace holdfast::core {

// Fills names, maintenance, functional level, nodes, groups, resources, cluster properties; appends warnings.
void fill_status(const Tree& tree, NodeSet members, NodeId self, NodeId quorum_owner, api::Status* status);

}  // namespace holdfast::core
