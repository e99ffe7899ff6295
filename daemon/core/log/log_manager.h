// LogManager (M5): the recovery log and the checkpoints on the quorum LUN, for the node that owns the quorum.
// Pure: it orders I/O on the LunLane. Group commit: batches that wait while a write is under way share the
// next one. Invariants:
//   R1  a record is written only at the cursor that recover() or the previous durable record left.
//   R2  after a failed write nothing is appended until recover() has read the log again.
//   R3  a checkpoint goes to the older slot, and the log space before it is reused only when it is durable.
//   R4  nothing is written while may_write() is false.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "core/log/layout.h"
#include "core/log/record.h"
#include "core/quorum/lun_lane.h"

namespace holdfast::core {

struct RecoveredLog {
  Status status;                      // corrupt: no usable checkpoint; else the I/O error
  disk::Checkpoint checkpoint;        // with its tree
  std::vector<wire::Update> updates;  // after the checkpoint, in order
  std::string remark;                 // what was found and cut off
};

class LogManager {
 public:
  // `may_write` is asked before every write: a job that waited in the lane may come up when the node has
  // learnt that the quorum is not its own any more.
  explicit LogManager(
      LunLane& lane, std::function<bool()> may_write = [] { return true; })
      : lane_(lane), may_write_(std::move(may_write)) {}

  // Reads the newest good checkpoint and every record after it; afterwards appends go behind the last one.
  // `superblock` gives the layout. `done` is called once, also on failure.
  void recover(const disk::Superblock& superblock, std::function<void(RecoveredLog)> done);
  // Appends updates as view `epoch`; durable when `done` gets ok. Failure: R2; the outcome is unknown.
  void append(uint64_t epoch, disk::LogBatch batch, std::function<void(const Status&)> done);
  // Stores a checkpoint of the tree after everything that was appended and completed so far. Call only when
  // idle().
  void checkpoint(disk::Checkpoint checkpoint, std::function<void(const Status&)> done);
  // What follows the cursor, or what is before it, is not the history that this node knows to be true, or
  // there is no room left behind it: the log begins anew behind update `sequence` of epoch `epoch` (a new
  // one). Call only when ready() and idle(), and take a checkpoint of exactly that update before anything is
  // appended.
  void begin_anew(uint64_t epoch, uint64_t sequence);
  // Forgets what waits (the view changed); completions of running I/O are dropped.
  void reset();

  bool ready() const { return ready_; }
  bool idle() const { return !writing_ && waiting_.empty(); }
  uint64_t used_bytes() const { return cursor_.position_bytes - tail_bytes_; }
  uint64_t ring_bytes() const { return ring_bytes_; }
  // Do so many bytes of updates, in at most so many records, surely fit behind what is there? Records are
  // padded to blocks, and one of them may leave the end of the ring unused.
  bool fits(uint64_t bytes, uint64_t records) const {
    return used_bytes() + 2 * (bytes + records * block_bytes) <= ring_bytes_;
  }
  // True when a checkpoint is due (half of the ring) or nothing more fits (so appends are refused as full).
  bool wants_checkpoint() const { return ready_ && !checkpointing_ && used_bytes() > ring_bytes_ / 2; }
  const LogCursor& cursor() const { return cursor_; }

 private:
  struct Waiting {
    disk::LogBatch batch;
    std::function<void(const Status&)> done;
  };
  Task<void> recover_job(disk::Superblock superblock, uint64_t life, std::function<void(RecoveredLog)> done);
  Task<Status> read_checkpoint(const disk::Superblock& superblock, RecoveredLog* out);
  Task<Status> replay(RecoveredLog* out);
  Task<LunResult> read_range(uint64_t offset, uint64_t size);
  Task<void> write_job(uint64_t life);
  Task<void> checkpoint_job(disk::Checkpoint checkpoint, uint64_t life,
                            std::function<void(const Status&)> done);

  LunLane& lane_;
  std::function<bool()> may_write_;
  bool ready_ = false;
  bool writing_ = false;
  bool checkpointing_ = false;
  uint64_t life_ = 1;  // grows with reset(): completions of older lives are dropped
  uint64_t log_start_ = 0, ring_bytes_ = 0, checkpoint_start_ = 0, checkpoint_slot_ = 0;
  LogCursor cursor_;
  uint64_t tail_bytes_ = 0;  // position where the newest durable checkpoint's log begins
  uint64_t generation_ = 0;  // of the newest checkpoint
  int newest_slot_ = 0;
  uint64_t epoch_ = 0;
  std::deque<Waiting> waiting_;
};

}  // namespace holdfast::core
