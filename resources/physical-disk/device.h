// Which disk is meant. A disk is known by its identity (VPD page 0x83); /dev/sdX is only where it is today.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace holdfast::disk {

struct Device {
  std::string identity;  // "naa.…", "eui.…", "t10.…"; of an iSCSI URL the URL without its login
  std::vector<std::string> paths;  // "/dev/sdX", one for each path to the disk, or the iscsi:// URL
  bool kernel() const { return !paths.empty() && paths.front().starts_with("/dev/"); }
};

// `text` is an identity, a path below /dev, or an iscsi:// URL. `expected_identity` not empty: the disk found
// must have it. `sys` is /sys, or a copy in tests. Errors: not_found, and foreign when something else on this
// node uses the disk.
Result<Device> find_device(const std::string& text, const std::string& expected_identity,
                           const std::string& sys = "/sys");

// True when the disk is open exclusively: mounted, or part of something.
bool in_use(const Device& device);

}  // namespace holdfast::disk
