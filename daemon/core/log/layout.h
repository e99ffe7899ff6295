// Layout: where things are on the quorum LUN, and the codecs of superblock, beacon and checkpoint header.
//
// Everything is little-endian and 4 KiB aligned; each block carries a magic, its format version and a
// CRC-32C. Bytes that fail their checks are `corrupt`, never trusted. docs/formats/quorum-lun.md has the
// grammar and example bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "proto/disk.pb.h"

namespace holdfast::core {

constexpr size_t block_bytes = 4096;
constexpr uint32_t lun_format_version = 1;
constexpr uint64_t superblock_offset_bytes = 0;  // two copies: blocks 0 and 1
constexpr uint64_t beacon_offset_bytes = 2 * block_bytes;
constexpr uint64_t head_bytes = 3 * block_bytes;  // superblocks and beacon, read in one go
constexpr uint64_t checkpoint_offset_bytes = 64 * 1024;
constexpr uint64_t checkpoint_slot_bytes =
    10 * 1024 * 1024;  // > TreeLimits::tree_bytes_max with Protobuf overhead
constexpr uint64_t log_offset_bytes = checkpoint_offset_bytes + 2 * checkpoint_slot_bytes;
constexpr uint64_t log_bytes_min = 8 * 1024 * 1024;
constexpr uint64_t log_bytes_max = 64 * 1024 * 1024;
constexpr uint64_t quorum_lun_bytes_min = 32 * 1024 * 1024;
static_assert(log_offset_bytes + log_bytes_min <= quorum_lun_bytes_min);

// Size of the log ring on a LUN of `lun_bytes`: half of what the fixed parts leave, within the limits.
uint64_t log_ring_bytes(uint64_t lun_bytes);

// One 4 KiB block. `copy` is 0 or 1.
std::string encode_superblock(const disk::Superblock& superblock, int copy);
Result<disk::Superblock> decode_superblock(const void* block);

struct HeadView {               // what the first three blocks say
  bool valid = false;           // at least one good superblock copy
  int bad_copies = 0;           // copies that fail their checks (torn or rotten)
  bool blank = false;           // both copies are all zero
  disk::Superblock superblock;  // the newer good copy
};
HeadView decode_superblocks(const std::string& head);

struct Beacon {
  Epoch epoch;
  NodeId node;
  Incarnation incarnation;
  uint64_t counter = 0;
  bool operator==(const Beacon&) const = default;
};
std::string encode_beacon(const Beacon& beacon);
Result<Beacon> decode_beacon(const void* block);

// Checkpoint slot: one header block, then the payload padded to 4 KiB.
std::string encode_checkpoint(const disk::Checkpoint& checkpoint);
struct CheckpointHeader {
  uint64_t generation = 0;
  uint64_t payload_bytes = 0;
  uint32_t payload_crc = 0;
};
Result<CheckpointHeader> decode_checkpoint_header(const void* block);
Result<disk::Checkpoint> decode_checkpoint(const CheckpointHeader& header, const std::string& payload);

inline uint64_t round_up_block(uint64_t bytes) {
  return (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

}  // namespace holdfast::core
