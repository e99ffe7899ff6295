// plan_command: turns a command of the API into one transaction, with everything checked that can be checked
// now.
//
// A plan is made against one state of the tree and ordered later. What it relied on is in its preconditions,
// so that a race ends in `conflict` and not in damage; the caller then plans again, a few times. Changes to
// what objects there are and how they refer to each other also count up `cluster Structure`, which orders
// them among themselves. Pure: no clock, no randomness; wall time and the asking person come in the context.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "core/commands/wait.h"
#include "core/database/tree.h"
#include "proto/api.pb.h"

namespace holdfast::core {

struct CommandContext {
  NodeId self;                             // who plans
  NodeSet members;                         // of the present view
  std::map<NodeId, uint32_t> version_max;  // of the members: the highest version that each speaks
  uint64_t wall_time_ms = 0;
  std::string who;  // "root via holdfast", for the cause
};

struct CommandPlan {
  Transaction transaction;  // without changes: everything is already as asked; only the wait is left
  std::string cause;        // "move group 'web' to node 'n2', asked by root via holdfast"
  Wait wait;
  std::string text;    // the answer's text, such as the id of a new node
  std::string remark;  // something the asking person should know; often empty
};

// Errors say what failed, on which object, why, and in the hint what to do next:
// invalid_argument, not_found, already_exists, busy (the state does not allow it now), permission,
// unsupported, full.
Result<CommandPlan> plan_command(const Tree& tree, const api::Command& command,
                                 const CommandContext& context);

}  // namespace holdfast::core
