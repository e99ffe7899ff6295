// The invariants of the database that go beyond a well-formed tree. Every plan keeps them (S1-S9); raw
// transactions of the API are held to them by applying them to a copy first.
//   S1  `cluster` has Id and Name; NextNode is above every node id ever given.
//   S2  nodes/<id>: id 1..64, Name set and unique, fingerprint not revoked and not shared.
//   S3  names of groups, of resources, of nodes differ by more than the case of letters.
//   S4  owners, MoveTo, PreferredOwners, PossibleOwners name existing nodes, each once. (PreviousOwner may be
//   gone.) S5  a resource's group exists, its type is set. S6  Dependencies name other resources of the same
//   group, each once, without a circle. S7  values of known properties have their type and range. S8  the
//   timing properties suit each other. S9  a disk is one resource: its keys count up with one group only.
#pragma once

#include "base/error.h"
#include "core/database/tree.h"

namespace holdfast::core {

// corrupt with the first invariant that does not hold, its number included.
Status check_schema(const Tree& tree);

// For a raw transaction of the API: invalid_argument when `tree` is sound and would not be so afterwards.
// What concerns only keys of applications passes as it is; the rest gets the precondition that nobody changes
// the structure meanwhile.
Status hold_to_schema(const Tree& tree, Transaction* transaction);

}  // namespace holdfast::core
