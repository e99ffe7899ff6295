// A local quorum: a file that plays the quorum LUN for a cluster of one node, as the classic service had it
// for development. An exclusive lock on the file stands for the reservation; it ends with the process.
#pragma once

#include <memory>
#include <string>

#include "iscsi/lun.h"

namespace holdfast {

std::unique_ptr<scsi::Lun> make_local_lun(const std::string& path);

}  // namespace holdfast
