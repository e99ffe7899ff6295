// Taking and checking a disk by its persistent reservation (type 5, Write Exclusive Registrants Only).
//
// Nothing here gives a reservation back: a disk that nobody has reserved can be written by a machine that was
// removed and does not know it yet. The next owner preempts the last one, however that one ended
// (docs/decisions/0004).
//
// The victim comes from the committed ownership update, in the order. An older key of this cluster may hold
// instead (an order that was overtaken); anybody else is named, and nothing is touched. See
// docs/resource-types.md.
#pragma once

#include <string>

#include "base/ids.h"
#include "iscsi/lun.h"
#include "lun_worker.h"

namespace holdfast::disk {

struct Claim {
  ReservationKey own;
  ReservationKey victim;  // none = the order names no previous owner
  std::string identity;  // "naa.…" or "eui.…": the disk itself must say so too; anything else is not compared
  Duration command_limit = Duration::milliseconds(2000);
};

// After ok the reservation was read back as ours, on a LUN that no older command can change any more.
// Errors: conflict names the holder; unsupported; those of Lun. After an error nothing of ours stays
// registered, unless the reservation is ours already.
Status acquire(Luns& luns, const Claim& claim);

// Ok while the reservation is ours. conflict = lost, says to whom; others: the disk does not answer.
Status verify(scsi::Lun& lun, ReservationKey own, Duration limit);

// "node 3, ownership generation 17 (key 0x…)", or "a key that is not of this cluster (0x…)".
std::string describe_key(ReservationKey key, uint16_t tag);

}  // namespace holdfast::disk
