#include "mount_options.h"

#include <sys/mount.h>

#include <sstream>

namespace holdfast::files {
namespace {

struct Known {
  const char* name;
  unsigned long set, clear;
};
constexpr Known known[] = {
    {"defaults", 0, 0},
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"noatime", MS_NOATIME, 0},
    {"atime", 0, MS_NOATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"relatime", MS_RELATIME, 0},
    {"strictatime", MS_STRICTATIME, 0},
    {"nodev", MS_NODEV, 0},
    {"dev", 0, MS_NODEV},
    {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"dirsync", MS_DIRSYNC, 0},
    {"lazytime", MS_LAZYTIME, 0},
    {"mand", 0, 0},
    {"noauto", 0, 0},
    {"nofail", 0, 0},
    {"_netdev", 0, 0},
};

}  // namespace

bool MountOptions::read_only() const {
  return (flags & MS_RDONLY) != 0;
}

MountOptions parse_mount_options(const std::string& text) {
  MountOptions out;
  std::stringstream items(text);
  for (std::string item; std::getline(items, item, ',');) {
    if (item.empty()) continue;
    bool found = false;
    for (const auto& k : known) {
      if (item != k.name) continue;
      out.flags = (out.flags | k.set) & ~k.clear;
      found = true;
    }
    if (!found) out.data += (out.data.empty() ? "" : ",") + item;
  }
  return out;
}

}  // namespace holdfast::files
