#include "core/log/layout.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"

namespace holdfast::core {
namespace {

// Common header of all single blocks: magic 8, version 2, kind-specific 6, payload length 4, crc 4 (of the
// whole block with this field zero). Payload follows at 24.
constexpr size_t header_bytes = 24;
constexpr char superblock_magic[9] = "HOLDFAST";
constexpr char beacon_magic[9] = "HFBEACON";
constexpr char checkpoint_magic[9] = "HFCHECKP";

std::string seal(const char* magic, uint8_t kind, const std::string& payload) {
  HOLDFAST_ASSERT(payload.size() <= block_bytes - header_bytes);
  std::string block(block_bytes, '\0');
  memcpy(block.data(), magic, 8);
  uint8_t* p = as_u8(block);
  put_le(p + 8, lun_format_version, 2);
  p[10] = kind;
  put_le(p + 16, payload.size(), 4);
  memcpy(p + header_bytes, payload.data(), payload.size());
  put_le(p + 20, crc32c(p, block_bytes), 4);
  return block;
}

Result<std::string> unseal(const char* magic, const void* data, const char* what) {
  std::string block(static_cast<const char*>(data), block_bytes);
  uint8_t* p = as_u8(block);
  if (memcmp(p, magic, 8) != 0)
    return fail(ErrorCode::corrupt, std::string("no ") + what + " is stored here");
  uint32_t crc = static_cast<uint32_t>(get_le(p + 20, 4));
  put_le(p + 20, 0, 4);
  if (crc32c(p, block_bytes) != crc)
    return fail(ErrorCode::corrupt, std::string("the ") + what + " fails its checksum");
  if (get_le(p + 8, 2) != lun_format_version)
    return fail(ErrorCode::version, std::string("the ") + what + " has format version " +
                                        std::to_string(get_le(p + 8, 2)) + "; this release reads " +
                                        std::to_string(lun_format_version));
  uint64_t size = get_le(p + 16, 4);
  if (size > block_bytes - header_bytes)
    return fail(ErrorCode::corrupt, std::string("the ") + what + " has an impossible length");
  return block.substr(header_bytes, size);
}

}  // namespace

uint64_t log_ring_bytes(uint64_t lun_bytes) {
  uint64_t rest = lun_bytes > log_offset_bytes ? (lun_bytes - log_offset_bytes) / 2 : 0;
  rest = rest / block_bytes * block_bytes;
  return std::clamp(rest, log_bytes_min, log_bytes_max);
}

std::string encode_superblock(const disk::Superblock& superblock, int copy) {
  return seal(superblock_magic, static_cast<uint8_t>(copy), superblock.SerializeAsString());
}

Result<disk::Superblock> decode_superblock(const void* block) {
  auto payload = unseal(superblock_magic, block, "superblock");
  if (!payload) return fail(payload.error());
  disk::Superblock superblock;
  if (!superblock.ParseFromString(*payload))
    return fail(ErrorCode::corrupt, "the superblock cannot be decoded");
  // The upper limits bound what recovery reads into memory.
  if (superblock.log_start_bytes() % block_bytes || superblock.log_size_bytes() < log_bytes_min ||
      superblock.log_size_bytes() > log_bytes_max || superblock.log_size_bytes() % block_bytes ||
      superblock.checkpoint_offset_bytes() % block_bytes ||
      superblock.checkpoint_size_bytes() < block_bytes ||
      superblock.checkpoint_size_bytes() > checkpoint_slot_bytes ||
      superblock.checkpoint_size_bytes() % block_bytes)
    return fail(ErrorCode::corrupt, "the superblock describes an impossible layout");
  return superblock;
}

HeadView decode_superblocks(const std::string& head) {
  HeadView view;
  if (head.size() < 2 * block_bytes) return view;
  view.blank = std::all_of(head.begin(), head.begin() + 2 * block_bytes, [](char c) { return c == 0; });
  for (int copy = 0; copy < 2; ++copy) {
    auto superblock = decode_superblock(head.data() + copy * block_bytes);
    if (!superblock) {
      ++view.bad_copies;
    } else if (!view.valid || superblock->epoch() > view.superblock.epoch()) {
      view.superblock = std::move(*superblock);
      view.valid = true;
    }
  }
  return view;
}

std::string encode_beacon(const Beacon& beacon) {
  std::string payload(32, '\0');
  uint8_t* p = as_u8(payload);
  put_le(p, beacon.epoch.value, 8);
  put_le(p + 8, beacon.node.value, 8);
  put_le(p + 16, beacon.incarnation.value, 8);
  put_le(p + 24, beacon.counter, 8);
  return seal(beacon_magic, 0, payload);
}

Result<Beacon> decode_beacon(const void* block) {
  auto payload = unseal(beacon_magic, block, "beacon");
  if (!payload) return fail(payload.error());
  if (payload->size() != 32) return fail(ErrorCode::corrupt, "the beacon has a wrong length");
  const uint8_t* p = as_u8(*payload);
  return Beacon{Epoch{get_le(p, 8)}, NodeId{get_le(p + 8, 8)}, Incarnation{get_le(p + 16, 8)},
                get_le(p + 24, 8)};
}

std::string encode_checkpoint(const disk::Checkpoint& checkpoint) {
  std::string payload = checkpoint.SerializeAsString();
  std::string header(24, '\0');
  uint8_t* p = as_u8(header);
  put_le(p, checkpoint.generation(), 8);
  put_le(p + 8, payload.size(), 8);
  put_le(p + 16, crc32c(payload.data(), payload.size()), 4);
  std::string out = seal(checkpoint_magic, 0, header) + payload;
  out.resize(round_up_block(out.size()), '\0');
  return out;
}

Result<CheckpointHeader> decode_checkpoint_header(const void* block) {
  auto payload = unseal(checkpoint_magic, block, "checkpoint");
  if (!payload) return fail(payload.error());
  if (payload->size() != 24) return fail(ErrorCode::corrupt, "the checkpoint header has a wrong length");
  const uint8_t* p = as_u8(*payload);
  CheckpointHeader header{get_le(p, 8), get_le(p + 8, 8), static_cast<uint32_t>(get_le(p + 16, 4))};
  if (header.payload_bytes > checkpoint_slot_bytes - block_bytes)
    return fail(ErrorCode::corrupt, "the checkpoint has an impossible length");
  return header;
}

Result<disk::Checkpoint> decode_checkpoint(const CheckpointHeader& header, const std::string& payload) {
  if (payload.size() < header.payload_bytes ||
      crc32c(payload.data(), header.payload_bytes) != header.payload_crc)
    return fail(ErrorCode::corrupt, "the checkpoint fails its checksum");
  disk::Checkpoint checkpoint;
  if (!checkpoint.ParseFromArray(payload.data(), static_cast<int>(header.payload_bytes)))
    return fail(ErrorCode::corrupt, "the checkpoint cannot be decoded");
  return checkpoint;
}

}  // namespace holdfast::core
