// What must be true before a file system is mounted.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "base/process.h"
#include "fs-hooks/mounts.h"

namespace holdfast::files {

// Nobody has the device mounted, in any mount namespace, and nothing is mounted on the mount point.
Status refuse_when_mounted(dev_t device, const std::string& node, const std::string& mount_point);

// The type to mount with: what the super block says, which must be what was asked for ("auto" = either).
Result<std::string> decide_type(const std::string& node, const std::string& wanted);

// Checks and repairs what is safe to repair (e2fsck -p); xfs replays its log when it is mounted. corrupt = a
// person has to repair it; the message says with what.
Status check_file_system(const std::string& node, const std::string& type, Duration limit, const GoOn& go_on);

}  // namespace holdfast::files
