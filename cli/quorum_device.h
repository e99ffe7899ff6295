// Looking at a quorum device from outside of the service, and wiping it. Looking changes nothing on it.
#pragma once

#include "cli/context.h"

namespace holdfast::cli {

Result<QuorumContent> inspect_quorum(const NodeConfig& config);
// Only a device of this cluster whose beacon stands still: takes the reservation, zeroes the superblocks and
// the beacon, gives all reservations back.
Status wipe_quorum(const NodeConfig& config);

}  // namespace holdfast::cli
