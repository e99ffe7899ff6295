// "ro,noatime,data=ordered" split into the flags of mount(2) and what the file system reads itself.
#pragma once

#include <string>

namespace holdfast::files {

struct MountOptions {
  unsigned long flags = 0;
  std::string data;
  bool read_only() const;
};

MountOptions parse_mount_options(const std::string& text);

}  // namespace holdfast::files
