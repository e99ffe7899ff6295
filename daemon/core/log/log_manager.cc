#include "core/log/log_manager.h"
#include "base/mutant.h"

#include <algorithm>

#include "core/properties/bounds.h"

namespace holdfast::core {
namespace {
constexpr uint64_t chunk_bytes = 256 * 1024;
constexpr size_t batch_bytes_max = 1024 * 1024;

tl::unexpected<Error> not_ours() {
  return fail(ErrorCode::no_quorum, "this node cannot prove that the quorum LUN is still its own");
}
}  // namespace

Task<LunResult> LogManager::read_range(uint64_t offset, uint64_t size) {
  LunOp op;
  op.kind = LunOp::Kind::read;
  op.offset_bytes = offset;
  op.size_bytes = size;
  op.deadline = lun_command_max;
  auto result = co_await lane_.run(op);
  if (result.ok() && result.data.size() != size) {
    result.code = ErrorCode::io;
    result.message = "the quorum LUN returned fewer bytes than asked for";
  }
  co_return result;
}

void LogManager::reset() {
  ++life_;
  ready_ = false;
  writing_ = false;
  checkpointing_ = false;
  waiting_.clear();
}

void LogManager::recover(const disk::Superblock& superblock, std::function<void(RecoveredLog)> done) {
  reset();
  lane_.push([this, superblock, life = life_, done = std::move(done)] {
    return recover_job(superblock, life, done);
  });
}

Task<void> LogManager::recover_job(disk::Superblock superblock, uint64_t life,
                                   std::function<void(RecoveredLog)> done) {
  RecoveredLog out;
  log_start_ = superblock.log_start_bytes();
  ring_bytes_ = superblock.log_size_bytes();
  checkpoint_start_ = superblock.checkpoint_offset_bytes();
  checkpoint_slot_ = superblock.checkpoint_size_bytes();
  out.status = co_await read_checkpoint(superblock, &out);
  if (out.status) out.status = co_await replay(&out);
  if (life != life_) co_return;  // another view began meanwhile
  ready_ = out.status.has_value();
  done(std::move(out));
}

Task<Status> LogManager::read_checkpoint(const disk::Superblock&, RecoveredLog* out) {
  std::optional<CheckpointHeader> headers[2];
  for (int slot = 0; slot < 2; ++slot) {
    auto block = co_await read_range(checkpoint_start_ + slot * checkpoint_slot_, block_bytes);
    if (!block.ok()) co_return fail(block.code, "reading the checkpoint failed: " + block.message);
    auto header = decode_checkpoint_header(block.data.data());
    if (header && header->payload_bytes + block_bytes <= checkpoint_slot_) headers[slot] = *header;
  }
  int first = headers[1] && (!headers[0] || headers[1]->generation > headers[0]->generation) ? 1 : 0;
  for (int slot : {first, 1 - first}) {
    if (!headers[slot]) continue;
    std::string payload;
    uint64_t size = round_up_block(headers[slot]->payload_bytes);
    while (payload.size() < size) {
      uint64_t part = std::min<uint64_t>(chunk_bytes, size - payload.size());
      auto bytes = co_await read_range(
          checkpoint_start_ + slot * checkpoint_slot_ + block_bytes + payload.size(), part);
      if (!bytes.ok()) co_return fail(bytes.code, "reading the checkpoint failed: " + bytes.message);
      payload += bytes.data;
    }
    auto checkpoint = decode_checkpoint(*headers[slot], payload);
    if (!checkpoint) {
      out->remark += "checkpoint slot " + std::to_string(slot) + ": " + checkpoint.error().text() + "; ";
      continue;
    }
    out->checkpoint = std::move(*checkpoint);
    newest_slot_ = slot;
    generation_ = out->checkpoint.generation();
    tail_bytes_ = out->checkpoint.log_position_bytes();
    cursor_.position_bytes = tail_bytes_;
    cursor_.previous = RecordId{out->checkpoint.log_previous_epoch(), out->checkpoint.log_previous_sequence(),
                                out->checkpoint.log_previous_crc()};
    co_return Status{};
  }
  co_return fail(ErrorCode::corrupt,
                 "neither checkpoint slot of the quorum LUN can be read (" + out->remark + ")", 0,
                 "restore the quorum LUN from a backup or from a node's local replica");
}

Task<Status> LogManager::replay(RecoveredLog* out) {
  std::string buffer;  // bytes from cursor_ on
  uint64_t buffer_at = cursor_.position_bytes;
  uint64_t wanted = chunk_bytes;
  while (true) {
    uint64_t have = buffer_at + buffer.size() - cursor_.position_bytes;
    uint64_t to_end = ring_bytes_ - cursor_.position_bytes % ring_bytes_;
    wanted = std::min(wanted, to_end);
    if (have < wanted) {
      buffer = buffer.substr(buffer.size() - have);
      buffer_at = cursor_.position_bytes;
      auto more = co_await read_range(log_start_ + (buffer_at + have) % ring_bytes_,
                                      std::min(chunk_bytes, to_end - have));
      if (!more.ok()) co_return fail(more.code, "reading the log failed: " + more.message);
      buffer += more.data;
      have = buffer.size();
    }
    size_t needed = 0;
    auto record = decode_record(buffer.data() + (cursor_.position_bytes - buffer_at), have,
                                cursor_.position_bytes, cursor_.previous, &needed);
    if (record) {
      for (auto& update : *record->batch.mutable_updates()) out->updates.push_back(std::move(update));
      cursor_.position_bytes += record->size_bytes;
      cursor_.previous = record->id;
      wanted = block_bytes;
      if (cursor_.position_bytes - tail_bytes_ > ring_bytes_)
        co_return fail(ErrorCode::corrupt, "the log runs into itself");
      continue;
    }
    if (record.error().code == ErrorCode::busy && needed <= to_end) {
      wanted = needed;
      continue;
    }
    // No successor here: it may stand at the start of the ring, when it did not fit behind its predecessor.
    uint64_t jump = cursor_.position_bytes + to_end;
    if (to_end != ring_bytes_ && to_end <= record_bytes_max) {
      auto head = co_await read_range(log_start_, std::min(record_bytes_max, ring_bytes_));
      if (!head.ok()) co_return fail(head.code, "reading the log failed: " + head.message);
      auto wrapped = decode_record(head.data.data(), head.data.size(), jump, cursor_.previous, &needed);
      if (wrapped) {
        cursor_.position_bytes = jump;
        buffer = std::move(head.data);
        buffer_at = jump;
        wanted = block_bytes;
        continue;
      }
    }
    // A record written here but not whole is the torn tail of a crash: it was never acknowledged.
    co_return Status{};
  }
}

void LogManager::begin_anew(uint64_t epoch, uint64_t sequence) {
  // No record of an older epoch names this predecessor, so none can follow it.
  cursor_.previous = RecordId{epoch, sequence, 0};
}

void LogManager::append(uint64_t epoch, disk::LogBatch batch, std::function<void(const Status&)> done) {
  epoch_ = epoch;
  if (!ready_) {
    done(fail(ErrorCode::no_quorum, "the log on the quorum LUN is not available"));
    return;
  }
  waiting_.push_back({std::move(batch), std::move(done)});
  if (!writing_) {
    writing_ = true;
    lane_.push([this, life = life_] { return write_job(life); }, /*urgent=*/true);
  }
}

Task<void> LogManager::write_job(uint64_t life) {
  while (life == life_ && !waiting_.empty()) {
    disk::LogBatch batch;
    std::vector<std::function<void(const Status&)>> callbacks;
    while (!waiting_.empty() && batch.ByteSizeLong() < batch_bytes_max) {
      auto& next = waiting_.front();
      if (next.batch.epoch_start() && batch.updates_size() > 0) break;
      batch.set_epoch_start(batch.epoch_start() || next.batch.epoch_start());
      for (auto& update : *next.batch.mutable_updates()) *batch.add_updates() = std::move(update);
      callbacks.push_back(std::move(next.done));
      waiting_.pop_front();
    }
    auto record = encode_record(cursor_, ring_bytes_, epoch_, batch);
    Status status;
    if (record.next.position_bytes - tail_bytes_ > ring_bytes_) {
      status = fail(ErrorCode::full, "the log on the quorum LUN is full and no checkpoint could be taken");
    } else if (!may_write_() && !mutant(Mutant::late_log_write)) {
      status = not_ours();
    } else {
      LunOp op;
      op.kind = LunOp::Kind::write;
      op.offset_bytes = log_start_ + record.position_bytes % ring_bytes_;
      op.data = std::move(record.bytes);
      op.deadline = lun_command_max;
      auto written = co_await lane_.run(op);
      if (life != life_) co_return;
      const bool attention =
          written.code == ErrorCode::unit_attention && mutant(Mutant::attention_taken_for_done);
      if (!written.ok() && !attention && !mutant(Mutant::log_failure_ignored))
        status = fail(written.code, "writing the log failed: " + written.message);
    }
    if (status)
      cursor_ = record.next;
    else
      ready_ = false;  // R2
    for (auto& done : callbacks) done(status);
    if (!status && life == life_) {
      auto rest = std::move(waiting_);
      waiting_.clear();
      for (auto& w : rest) w.done(status);
    }
  }
  if (life == life_) writing_ = false;
}

void LogManager::checkpoint(disk::Checkpoint checkpoint, std::function<void(const Status&)> done) {
  checkpointing_ = true;
  checkpoint.set_log_position_bytes(cursor_.position_bytes);
  checkpoint.set_log_previous_epoch(cursor_.previous.epoch);
  checkpoint.set_log_previous_sequence(cursor_.previous.sequence);
  checkpoint.set_log_previous_crc(cursor_.previous.crc);
  checkpoint.set_generation(generation_ + 1);
  lane_.push([this, checkpoint = std::move(checkpoint), life = life_, done = std::move(done)] {
    return checkpoint_job(checkpoint, life, done);
  });
}

Task<void> LogManager::checkpoint_job(disk::Checkpoint checkpoint, uint64_t life,
                                      std::function<void(const Status&)> done) {
  const int slot = 1 - newest_slot_;  // R3
  std::string bytes = encode_checkpoint(checkpoint);
  Status status;
  if (bytes.size() > checkpoint_slot_)
    status = fail(ErrorCode::full, "the database does not fit into a checkpoint slot");
  // Payload first, header last: a torn checkpoint has no header, or one whose checksum does not fit.
  for (uint64_t at = block_bytes; status && at < bytes.size(); at += chunk_bytes) {
    if (life != life_) co_return;
    if (!may_write_()) status = not_ours();
    if (!status) break;
    LunOp op;
    op.kind = LunOp::Kind::write;
    op.offset_bytes = checkpoint_start_ + slot * checkpoint_slot_ + at;
    op.data = bytes.substr(at, chunk_bytes);
    op.deadline = lun_command_max;
    auto written = co_await lane_.run(op);
    if (!written.ok()) status = fail(written.code, "writing the checkpoint failed: " + written.message);
  }
  if (status && !may_write_()) status = not_ours();
  if (status && life == life_) {
    LunOp op;
    op.kind = LunOp::Kind::write;
    op.offset_bytes = checkpoint_start_ + slot * checkpoint_slot_;
    op.data = bytes.substr(0, block_bytes);
    op.deadline = lun_command_max;
    auto written = co_await lane_.run(op);
    if (!written.ok()) status = fail(written.code, "writing the checkpoint failed: " + written.message);
  }
  if (life != life_) co_return;
  checkpointing_ = false;
  if (status) {
    newest_slot_ = slot;
    generation_ = checkpoint.generation();
    tail_bytes_ = checkpoint.log_position_bytes();
  }
  done(status);
}

}  // namespace holdfast::core
