#include "fs-hooks/superblock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>

#include "base/bytes.h"
#include "base/process.h"

namespace holdfast::fs {
namespace {

constexpr size_t superblock_bytes = 4096;
constexpr Duration read_limit = Duration::seconds(10);

std::string uuid_text(const uint8_t* b) {
  char out[37];
  snprintf(out, sizeof out, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
           b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
  return out;
}

}  // namespace

Superblock parse_superblock(const uint8_t* bytes, size_t size) {
  Superblock out;
  if (size < superblock_bytes) return out;
  if (memcmp(bytes, "XFSB", 4) == 0) {
    out.type = "xfs";
    out.uuid = uuid_text(bytes + 32);
    return out;
  }
  const uint8_t* ext = bytes + 1024;
  if (get_le(ext + 0x38, 2) == 0xef53) {
    out.type = "ext4";
    out.uuid = uuid_text(ext + 0x68);
    out.has_errors = (get_le(ext + 0x3a, 2) & 2) != 0;
    out.needs_recovery = (get_le(ext + 0x60, 4) & 4) != 0;
  }
  return out;
}

Result<Superblock> read_superblock(const std::string& device) {
  void* shared = mmap(nullptr, superblock_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return fail(ErrorCode::internal, "no memory to read a super block", errno);
  auto outcome = run_in_helper(
      [&] {
        int fd = open(device.c_str(), O_RDONLY);
        if (fd < 0) return errno;
        // What another node wrote must not come from an old cache of this one.
        posix_fadvise(fd, 0, superblock_bytes, POSIX_FADV_DONTNEED);
        return pread(fd, shared, superblock_bytes, 0) == static_cast<ssize_t>(superblock_bytes) ? 0
               : errno != 0                                                                     ? errno
                                                                                                : EIO;
      },
      read_limit, "reading " + device);
  Superblock out = parse_superblock(static_cast<uint8_t*>(shared), superblock_bytes);
  munmap(shared, superblock_bytes);
  if (!outcome) return fail(outcome.error());
  if (*outcome != 0) return fail(ErrorCode::io, "cannot read " + device, *outcome);
  return out;
}

}  // namespace holdfast::fs
