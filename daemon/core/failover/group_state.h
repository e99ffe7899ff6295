// States of resources and groups as everybody sees them, derived from the database (REFERENCE 1.2, classic
// numbers).
#pragma once

#include <cstdint>
#include <string_view>

#include "core/database/tree.h"

namespace holdfast::core {

enum class ResourceState : int32_t {
  online = 2,
  offline = 3,
  failed = 4,
  online_pending = 129,
  offline_pending = 130
};
enum class GroupState : int32_t { online = 0, offline = 1, failed = 2, partial_online = 3, pending = 4 };

// The last report when it was made in the present generation of the group's ownership; Offline otherwise:
// whatever an earlier owner reported has ended with its ownership.
ResourceState resource_state(const Tree& tree, std::string_view resource);
// The same, and Offline too when the owner is not in `members`.
ResourceState resource_state(const Tree& tree, std::string_view resource, NodeSet members);

// Any resource Failed (or the group gave up): Failed; else any pending: Pending; else all online: Online;
// else some online: PartialOnline; none online, or no resources: Offline.
GroupState derive_group_state(const Tree& tree, std::string_view group);
GroupState derive_group_state(const Tree& tree, std::string_view group, NodeSet members);

}  // namespace holdfast::core
