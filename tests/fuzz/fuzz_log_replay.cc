// Recovery of the log: checkpoints and records that encoders wrote, at any positions, damaged at any byte.
// Replay must end, trust nothing that is damaged, give a history without holes, and leave a log that can be
// written.
#include "core/log/log_manager.h"
#include "input.h"
#include "sparse_lun.h"
#include "target.h"

namespace {

using namespace holdfast;
using namespace holdfast::core;

constexpr uint64_t lun_bytes = quorum_lun_bytes_min;
constexpr int commands_max = 2000;  // far above what a ring of 8 MiB takes

struct Harness {
  fuzz::SparseLun lun{lun_bytes};
  std::deque<LunOp> orders;
  LunLane lane{[this](LunOp op) { orders.push_back(std::move(op)); }};
  LogManager log{lane};
  int commands = 0;

  void work() {
    while (!orders.empty()) {
      HOLDFAST_ASSERT(++commands < commands_max);
      LunOp op = std::move(orders.front());
      orders.pop_front();
      LunResult result;
      result.token = op.token;
      const bool good = op.kind == LunOp::Kind::write ? lun.write(op.offset_bytes, op.data)
                                                      : lun.read(op.offset_bytes, op.size_bytes, result.data);
      if (!good) result.code = ErrorCode::invalid_argument;
      lane.on_result(result, Instant{1});
    }
  }
  RecoveredLog recover(const disk::Superblock& superblock) {
    RecoveredLog out;
    int answers = 0;
    log.recover(superblock, [&](const RecoveredLog& recovered) { out = recovered, ++answers; });
    work();
    HOLDFAST_ASSERT(answers == 1 && log.ready() == out.status.has_value());
    return out;
  }
};

disk::Superblock layout() {
  disk::Superblock s;
  s.set_log_start_bytes(log_offset_bytes);
  s.set_log_size_bytes(log_ring_bytes(lun_bytes));
  s.set_checkpoint_offset_bytes(checkpoint_offset_bytes);
  s.set_checkpoint_size_bytes(checkpoint_slot_bytes);
  return s;
}

disk::LogBatch batch_of(uint64_t first, uint64_t count, size_t text) {
  disk::LogBatch batch;
  batch.set_epoch_start(count == 0);
  for (uint64_t i = 0; i < count; ++i) {
    auto* update = batch.add_updates();
    update->set_sequence(first + i);
    update->set_cause(std::string(text, 'c'));
  }
  return batch;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  Harness h;
  const uint64_t ring = log_ring_bytes(lun_bytes);
  LogCursor at;
  uint64_t generation = 0, epoch = 1;
  int steps = 0;
  while (!in.done() && ++steps < 64) {
    switch (in.below(6)) {
      case 0: {  // a checkpoint of what was written so far
        disk::Checkpoint c;
        c.set_generation(++generation);
        c.set_sequence(at.previous.sequence);
        c.set_log_position_bytes(at.position_bytes);
        c.set_log_previous_epoch(at.previous.epoch);
        c.set_log_previous_sequence(at.previous.sequence);
        c.set_log_previous_crc(at.previous.crc);
        c.mutable_tree()->add_keys()->set_path(in.text().empty() ? "a" : "b");
        h.lun.write(checkpoint_offset_bytes + generation % 2 * checkpoint_slot_bytes, encode_checkpoint(c));
        break;
      }
      case 1: {  // the next record
        epoch += in.flag() ? 1 : 0;
        const uint64_t count = in.below(4), text = in.below(4) * 4000;
        auto record = encode_record(at, ring, epoch, batch_of(at.previous.sequence + 1, count, text));
        h.lun.write(log_offset_bytes + record.position_bytes % ring, record.bytes);
        at = record.next;
        break;
      }
      case 2:  // the log has been going on for a while: anywhere, as often as not near the end of the ring
        at.position_bytes += in.flag() ? in.number(8) / block_bytes * block_bytes
                                       : ring - at.position_bytes % ring - (in.below(8) + 1) * block_bytes;
        break;
      case 3: {  // rot
        const uint64_t near =
            in.flag() ? log_offset_bytes + at.position_bytes % ring : checkpoint_offset_bytes;
        const uint64_t place = in.flag() ? in.number(4) % lun_bytes : near + in.number(2) % 16384;
        h.lun.write(place, in.text());
        break;
      }
      case 4:  // a record that somebody else wrote
        at.previous.crc += static_cast<uint32_t>(in.byte());
        at.previous.epoch = in.any();
        at.previous.sequence = in.any();
        epoch = std::max(epoch, in.any());
        break;
      case 5:  // a checkpoint that says anything, with good checksums
        disk::Checkpoint c;
        if (c.ParseFromString(in.text()))
          h.lun.write(checkpoint_offset_bytes + in.below(2) * checkpoint_slot_bytes, encode_checkpoint(c));
        break;
    }
  }
  const auto found = h.recover(layout());
  if (!found.status) {
    const ErrorCode code = found.status.error().code;
    HOLDFAST_ASSERT(code == ErrorCode::corrupt || code == ErrorCode::invalid_argument);
    return 0;
  }
  uint64_t expected = found.checkpoint.log_previous_sequence();
  for (const auto& update : found.updates) HOLDFAST_ASSERT(update.sequence() == ++expected);
  HOLDFAST_ASSERT(h.log.used_bytes() <= ring);
  // What was found stays, and what is written now is found behind it.
  if (epoch < h.log.cursor().previous.epoch) epoch = h.log.cursor().previous.epoch;
  Status written = fail(ErrorCode::internal, "no answer");
  h.log.append(epoch, batch_of(expected + 1, 2, 10), [&](const Status& status) { written = status; });
  h.work();
  if (!written) {
    HOLDFAST_ASSERT(written.error().code == ErrorCode::full);
    return 0;
  }
  const auto again = h.recover(layout());
  HOLDFAST_ASSERT(again.status && again.updates.size() == found.updates.size() + 2);
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  Recipe plain, wraps, torn;
  plain.byte(0).text("x");
  for (int i = 0; i < 6; ++i) plain.byte(1).byte(i % 2).byte(i % 4).byte(0);
  plain.byte(0).text("y").byte(1).byte(0).byte(2).byte(1);
  wraps.byte(2).byte(0).byte(3).byte(0).text("x");
  for (int i = 0; i < 5; ++i) wraps.byte(1).byte(0).byte(3).byte(1);
  torn.byte(0).text("x").byte(1).byte(0).byte(1).byte(1).byte(3).byte(0).byte(0).number(0, 2).text("rot");
  disk::Checkpoint c;
  c.set_generation(5);
  c.set_log_position_bytes(4096);
  c.set_log_previous_sequence(9);
  return {plain.done(), wraps.done(), torn.done(),
          Recipe().byte(5).text(c.SerializeAsString()).byte(0).done()};
}

}  // namespace holdfast::fuzz
