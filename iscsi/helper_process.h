// make_helper_lun: a Lun whose backend runs in a forked helper process, so that a command that hangs in the
// kernel (SG_IO in D state, where not even SIGKILL helps) costs a helper and not the service.
//
// When a deadline passes without the helper's answer, the helper is killed and abandoned, the call reports
// `timeout`, and the next open() starts a new one. The helper holds none of the parent's descriptors: above
// all not the grant of the write gates, which must end with the service. It dies with the thread that opened
// it.
#pragma once

#include <memory>

#include "iscsi/lun.h"

namespace holdfast::scsi {

std::unique_ptr<Lun> make_helper_lun(const Attachment& attachment);

}  // namespace holdfast::scsi
