// What `cluster create` leaves on the quorum LUN: the beginning of every history.
#pragma once

#include "simulation/scsi_lun.h"

namespace holdfast::sim {

// A cluster of nodes 1..count named n1, n2, …, on so many networks, that was shut down in an orderly way.
// `full_log`: its last views came to no checkpoint, and left no room behind what they logged.
void format_cluster(ScsiLun& lun, int count, int networks, bool full_log = false);

}  // namespace holdfast::sim
