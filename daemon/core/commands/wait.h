// Wait: what a command's answer may wait for, and whether the tree shows that it happened. Judged again after
// every update and every change of the view, until it is reached, has failed, or the client's time is up.
#pragma once

#include <string>

#include "base/ids.h"
#include "core/database/tree.h"

namespace holdfast::core {

struct Wait {
  enum class Kind : uint8_t {
    nothing,
    group_online,
    group_offline,
    group_owner,  // `object` is owned by `node`, and online there if it is wanted online
    resource_online,
    resource_offline,
    node_empty,    // `node` owns no group any more
    node_gone,     // `node` is no member any more
    quorum_moved,  // `node` became quorum owner
  };
  Kind kind = Kind::nothing;
  std::string object;
  NodeId node;
};

struct WaitVerdict {
  enum class Kind : uint8_t { pending, reached, failed };
  Kind kind = Kind::pending;
  std::string why;  // pending: what it still waits for; failed: why it will not happen
};

WaitVerdict judge(const Tree& tree, NodeSet members, const Wait& wait);

}  // namespace holdfast::core
