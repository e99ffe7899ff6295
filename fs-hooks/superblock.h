// Which file system a device holds, by its super block.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace holdfast::fs {

struct Superblock {
  std::string type;  // "ext4" (ext2 and ext3 too), "xfs", or "" when neither
  std::string uuid;
  bool needs_recovery = false;  // ext: the journal must be replayed; normal after a crash
  bool has_errors = false;      // ext: the kernel noted an error in the file system
};

// Reads the first 4 KiB of the device; `bytes` is for tests.
Superblock parse_superblock(const uint8_t* bytes, size_t size);
Result<Superblock> read_superblock(const std::string& device);

}  // namespace holdfast::fs
