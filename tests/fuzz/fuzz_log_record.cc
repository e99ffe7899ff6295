// One record of the log: as it stands on the LUN with its checksum put right, and one that was encoded and
// torn.
#include "base/crc32c.h"
#include "core/log/layout.h"
#include "core/log/record.h"
#include "input.h"
#include "target.h"

namespace {

using namespace holdfast;
using namespace holdfast::core;

constexpr uint64_t ring_bytes = log_bytes_min;
constexpr RecordId before{7, 41, 0xdeadbeef};

// Everything a record has to say right so that a decoder looks at its payload.
void put_right(std::string& bytes, uint64_t position, size_t payload) {
  uint8_t* p = as_u8(bytes);
  memcpy(p, "HFLR\1\0", 6);
  put_le(p + 8, position, 8);
  put_le(p + 40, before.epoch, 8);
  put_le(p + 48, before.sequence, 8);
  put_le(p + 56, before.crc, 4);
  put_le(p + 60, payload, 4);
  put_le(p + 64, 0, 4);
  put_le(p + 64, crc32c(p, record_header_bytes + payload), 4);
}

void check(const std::string& bytes, uint64_t position) {
  size_t needed = 0;
  auto record = decode_record(bytes.data(), bytes.size(), position, before, &needed);
  if (!record) {
    const ErrorCode code = record.error().code;
    HOLDFAST_ASSERT(code == ErrorCode::corrupt || code == ErrorCode::version || code == ErrorCode::busy);
    // More bytes are asked for only when there is something to read, and never more than a record has.
    HOLDFAST_ASSERT((code == ErrorCode::busy) == (needed > bytes.size()) && needed <= record_bytes_max);
    return;
  }
  HOLDFAST_ASSERT(record->size_bytes <= round_up_block(bytes.size()) &&
                  record->size_bytes % block_bytes == 0);
  HOLDFAST_ASSERT(record->epoch >= before.epoch);
  HOLDFAST_ASSERT(record->id.sequence ==
                  before.sequence + static_cast<uint64_t>(record->batch.updates_size()));
  auto again = encode_record({position, before}, ring_bytes, record->epoch, record->batch);
  auto same = decode_record(again.bytes.data(), again.bytes.size(), again.position_bytes, before, nullptr);
  HOLDFAST_ASSERT(same && same->batch.SerializeAsString() == record->batch.SerializeAsString());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t kind = in.byte();
  const uint64_t position = kind & 2 ? 8192 : in.any();
  std::string bytes = in.rest();
  if (kind & 1) {
    check(bytes, position);
    return 0;
  }
  if (bytes.size() < record_header_bytes) return 0;
  const size_t payload = bytes.size() - record_header_bytes;
  bytes.resize(round_up_block(bytes.size()), '\0');
  put_right(bytes, position, payload);
  check(bytes, position);
  // A torn write: one of its blocks is still what stood there before.
  if (payload > 0 && bytes[record_header_bytes + payload / 2] != 0) {
    bytes[record_header_bytes + payload / 2] = 0;
    HOLDFAST_ASSERT(!decode_record(bytes.data(), bytes.size(), position, before, nullptr));
  }
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  disk::LogBatch batch;
  for (uint64_t sequence : {42, 43}) {
    auto* update = batch.add_updates();
    update->set_sequence(sequence);
    update->set_epoch(7);
    auto* change = update->mutable_transaction()->add_changes();
    change->set_kind(tree::Change::SET_VALUE);
    change->set_key("groups/web");
    change->set_name("Owner");
    change->mutable_value()->set_number(2);
  }
  disk::LogBatch start;
  start.set_epoch_start(true);
  std::vector<std::string> out;
  for (const auto& b : {batch, start}) {
    std::string bytes = encode_record({8192, before}, ring_bytes, 8, b).bytes;
    out.push_back(Recipe().byte(3).raw(bytes.substr(0, 512)).done());
    bytes.resize(record_header_bytes + b.ByteSizeLong());
    out.push_back(Recipe().byte(2).raw(bytes).done());
  }
  return out;
}

}  // namespace holdfast::fuzz
