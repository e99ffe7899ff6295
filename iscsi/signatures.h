// What a LUN holds: recognises partition tables, file systems, volume managers and Holdfast's own formats by
// their magic bytes, so that nobody's data is overwritten by a new quorum or disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "iscsi/deadline.h"
#include "iscsi/lun.h"

namespace holdfast::scsi {

struct Content {
  std::string kind;   // "ext4 file system", "GPT partition table", "Holdfast quorum log", "unrecognised data"
  std::string label;  // where the format has one
  std::string uuid;
  uint64_t offset_bytes = 0;  // of the magic
  bool is_holdfast() const { return kind.starts_with("Holdfast"); }
  // "ext4 file system \"data\" (UUID …) at byte 1080".
  std::string text() const;
};

// How much of the two ends of a LUN is looked at: the furthest magic at the start is that of a ZFS uberblock
// (128 KiB), at the end that of an md 0.90 superblock (128 KiB).
constexpr uint64_t examined_head_bytes = 256 * 1024;
constexpr uint64_t examined_tail_bytes = 128 * 1024;

// Pure: `head` and `tail` are the ends of a device of `size_bytes`.
std::vector<Content> recognise(const std::vector<uint8_t>& head, const std::vector<uint8_t>& tail,
                               uint64_t size_bytes);

// Reads both ends and recognises. Empty: all that was looked at is zero.
Result<std::vector<Content>> read_contents(Lun& lun, Duration deadline);

}  // namespace holdfast::scsi
