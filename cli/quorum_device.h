// Looking at a quorum device from outside of the service, and wiping it. Looking changes nothing on it.
#pragma once

#include "cli/context.h"

namespace holdfast::cli {

Result<QuorumContent> inspect_quorum(const NodeConfig& config);
// Only a device of this cluster whose beacon stands still: takes the reservation, zeroes the superblocks and the beacon,
// gives all reservations back.
Status wipe_quorum(const NodeConfig& config);

// "an ext4 file system", "data of an unknown kind"; empty when everything is zero. `head`: the first 128 KiB or more.
std::string describe_content(const std::string& head);

}  // namespace holdfast::cli
