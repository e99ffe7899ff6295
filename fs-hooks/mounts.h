// What is mounted, in this mount namespace and in others. Mounts are told apart by device, never by path.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace holdfast::fs {

struct Mount {
  dev_t device = 0;
  std::string mount_point;
  std::string root;  // which part of the file system; "/" unless it is a bind mount
  std::string type;
  std::string source;
  bool read_only = false;  // the file system itself, as after errors=remount-ro, not only this mount
};

std::vector<Mount> parse_mountinfo(const std::string& text);
// The mounts that a process sees; 0 = this one. Empty when the process is gone.
std::vector<Mount> read_mounts(pid_t pid = 0);

// A mount in another mount namespace, with a process that lives there.
struct ForeignMount {
  pid_t pid = 0;
  Mount mount;
};
std::vector<ForeignMount> find_foreign_mounts(dev_t device);

// "8:16".
std::string device_number_text(dev_t device);
Result<dev_t> parse_device_number(const std::string& text);
// The device node's number, or an error that names the path.
Result<dev_t> block_device_number(const std::string& path);

}  // namespace holdfast::fs
