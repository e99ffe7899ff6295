#include "core/log/record.h"

#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mutant.h"
#include "core/log/layout.h"

namespace holdfast::core {
namespace {
// Header: 0 magic 4 | 4 version 2 | 6 flags 2 | 8 position 8 | 16 epoch 8 | 24 first sequence 8 | 32 last
// sequence 8
//       | 40 previous epoch 8 | 48 previous sequence 8 | 56 previous crc 4 | 60 length 4 | 64 crc 4 | 68 zero
//       12
constexpr uint32_t magic = 0x524c4648;  // "HFLR"
constexpr uint16_t record_version = 1;
constexpr uint16_t flag_epoch_start = 1;
}  // namespace

EncodedRecord encode_record(const LogCursor& at, uint64_t ring_bytes, uint64_t epoch,
                            const disk::LogBatch& batch) {
  std::string payload = batch.SerializeAsString();
  uint64_t size = round_up_block(record_header_bytes + payload.size());
  HOLDFAST_ASSERT(size <= record_bytes_max && size <= ring_bytes);
  EncodedRecord out;
  out.position_bytes = at.position_bytes;
  uint64_t place = at.position_bytes % ring_bytes;
  if (place + size > ring_bytes) out.position_bytes += ring_bytes - place;

  out.bytes.assign(size, '\0');
  uint8_t* p = as_u8(out.bytes);
  uint64_t first = batch.updates_size() ? batch.updates(0).sequence() : at.previous.sequence;
  uint64_t last =
      batch.updates_size() ? batch.updates(batch.updates_size() - 1).sequence() : at.previous.sequence;
  put_le(p, magic, 4);
  put_le(p + 4, record_version, 2);
  put_le(p + 6, batch.epoch_start() ? flag_epoch_start : 0, 2);
  put_le(p + 8, out.position_bytes, 8);
  put_le(p + 16, epoch, 8);
  put_le(p + 24, first, 8);
  put_le(p + 32, last, 8);
  put_le(p + 40, at.previous.epoch, 8);
  put_le(p + 48, at.previous.sequence, 8);
  put_le(p + 56, at.previous.crc, 4);
  put_le(p + 60, payload.size(), 4);
  memcpy(p + record_header_bytes, payload.data(), payload.size());
  uint32_t crc = crc32c(p, record_header_bytes + payload.size());
  put_le(p + 64, crc, 4);
  out.next.position_bytes = out.position_bytes + size;
  out.next.previous = RecordId{epoch, last, crc};
  return out;
}

Result<DecodedRecord> decode_record(const char* bytes, size_t available, uint64_t position_bytes,
                                    const RecordId& previous, size_t* needed) {
  if (needed) *needed = 0;
  if (available < record_header_bytes) {
    if (needed) *needed = block_bytes;
    return fail(ErrorCode::busy, "more bytes are needed");
  }
  auto p = reinterpret_cast<const uint8_t*>(bytes);
  if (get_le(p, 4) != magic) return fail(ErrorCode::corrupt, "no log record stands here");
  if (get_le(p + 8, 8) != position_bytes)
    return fail(ErrorCode::corrupt, "the log record belongs to another position");
  uint64_t length = get_le(p + 60, 4);
  uint64_t size = round_up_block(record_header_bytes + length);
  if (size > record_bytes_max) return fail(ErrorCode::corrupt, "the log record has an impossible length");
  if (size > available) {
    if (needed) *needed = size;
    return fail(ErrorCode::busy, "more bytes are needed");
  }
  std::string copy(bytes, record_header_bytes + length);
  uint32_t crc = static_cast<uint32_t>(get_le(p + 64, 4));
  put_le(as_u8(copy) + 64, 0, 4);
  if (crc32c(copy.data(), copy.size()) != crc)
    return fail(ErrorCode::corrupt, "the log record fails its checksum");
  if (get_le(p + 4, 2) != record_version)
    return fail(ErrorCode::version, "the log record has an unknown version");
  RecordId named{get_le(p + 40, 8), get_le(p + 48, 8), static_cast<uint32_t>(get_le(p + 56, 4))};
  if (!(named == previous) && !mutant(Mutant::replay_across_a_seam))
    return fail(ErrorCode::corrupt, "the log record does not follow its predecessor");

  DecodedRecord out;
  out.epoch = get_le(p + 16, 8);
  if (out.epoch < previous.epoch && !mutant(Mutant::replay_across_a_seam))
    return fail(ErrorCode::corrupt, "the epoch of the log falls");
  out.id = RecordId{out.epoch, get_le(p + 32, 8), crc};
  out.size_bytes = size;
  if (!out.batch.ParseFromArray(bytes + record_header_bytes, static_cast<int>(length)))
    return fail(ErrorCode::corrupt, "the log record cannot be decoded");
  uint64_t expected = previous.sequence;
  for (const auto& update : out.batch.updates())
    if (update.sequence() != ++expected && !mutant(Mutant::replay_across_a_seam))
      return fail(ErrorCode::corrupt, "the log has a hole in its sequence");
  if (expected != out.id.sequence) return fail(ErrorCode::corrupt, "the log record contradicts itself");
  return out;
}

}  // namespace holdfast::core
