#include "simulation/quorum_path.h"

#include <utility>

namespace holdfast::sim {

using core::LunOp;
using core::LunResult;
using core::Task;

// Awaited calls have names here and elsewhere: GCC 12 destroys captures of temporaries in a co_await twice.
namespace {
constexpr int attempts_max = 5;
}

void QuorumPath::execute(LunOp op) {
  queue_.push_back(std::move(op));
  if (working_) return;
  working_ = true;
  // Never within the step that ordered it.
  session_.target().time().after(Duration{0}, [this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired()) return;
    running_.emplace(work());
    running_->start();
  });
}

Task<void> QuorumPath::work() {
  while (!queue_.empty()) {
    LunOp op = std::move(queue_.front());
    queue_.pop_front();
    auto running = run(std::move(op));
    LunResult result = co_await running;
    completed_(std::move(result));
  }
  working_ = false;
}

Task<LunResult> QuorumPath::run(LunOp op) {
  LunResult result;
  result.token = op.token;
  co_await run_once(op, result);
  if (op.then_read_reservation && !result.session_lost()) co_await read_reservation(op, result);
  co_return result;
}

void QuorumPath::judge(Reply reply, LunResult& result) {
  auto end = [&](ErrorCode code, const char* message) {
    result.code = code;
    result.message = message;
  };
  if (!reply.answered) return end(ErrorCode::timeout, "the LUN does not answer");
  switch (reply.status) {
    case Scsi::good:
      return;
    case Scsi::conflict:
      return end(ErrorCode::conflict, "reservation conflict");
    case Scsi::attention:
      return end(ErrorCode::unit_attention, "the LUN was reset or its reservations were taken");
    case Scsi::unsupported:
      return end(ErrorCode::unsupported, "the target does not know the command");
    case Scsi::out_of_range:
      return end(ErrorCode::invalid_argument, "beyond the end of the LUN");
  }
}

Task<void> QuorumPath::read_reservation(const LunOp& op, LunResult& result) {
  for (int attempt = 1; attempt <= attempts_max; ++attempt) {
    // The answer is as of the time of the target, and belongs to this call alone.
    auto holder = std::make_shared<ReservationKey>();
    auto hold = std::make_shared<Hold>();
    auto call = session_.call(
        [holder, hold](ScsiLun& lun, Nexus nexus) {
          const Scsi status = lun.look(nexus);
          *holder = lun.holder_key();
          *hold = lun.hold();
          return status;
        },
        op.deadline);
    Reply reply = co_await call;
    if (reply.answered && reply.status == Scsi::attention) continue;
    LunResult read;
    judge(reply, read);
    if (!read.ok()) {
      result.code = read.code;
      result.message = read.message;
      co_return;
    }
    shaken_ = false;
    result.holder = *holder;
    result.write_exclusive = *hold == Hold::write_exclusive;
    result.holder_known = true;
    co_return;
  }
  result.code = ErrorCode::unit_attention;
}

Task<void> QuorumPath::put(const LunOp& op, LunResult& result) {
  for (int attempt = 1; attempt <= attempts_max; ++attempt) {
    if (shaken_) break;
    auto call = session_.put(op.offset_bytes, op.data, signature_, op.deadline);
    Reply reply = co_await call;
    if (reply.answered && reply.status == Scsi::attention) {
      shaken_ = true;
      break;
    }
    judge(reply, result);
    co_return;
  }
  judge({true, Scsi::attention}, result);
}

Task<void> QuorumPath::run_once(const LunOp& op, LunResult& result) {
  if (op.kind == LunOp::Kind::open) {
    auto call = session_.log_in(op.deadline);
    Reply reply = co_await call;
    shaken_ = false;
    if (!reply.answered) {
      result.code = ErrorCode::unreachable;
      result.message = "the target does not answer";
      co_return;
    }
    result.lun_bytes = session_.target().lun.bytes();
    result.preempt_and_abort = session_.target().lun.kind().preempt_and_abort;
    co_return;
  }
  if (op.kind == LunOp::Kind::close) {
    session_.close();
    co_return;
  }
  if (!session_.is_open()) {
    result.code = ErrorCode::connection_lost;
    result.message = "the session to the quorum LUN is closed";
    co_return;
  }
  if (op.kind == LunOp::Kind::read_reservation) {
    co_await read_reservation(op, result);
    co_return;
  }
  if (op.kind == LunOp::Kind::write) {
    co_await put(op, result);
    co_return;
  }
  const bool abort = session_.target().lun.kind().preempt_and_abort;
  for (int attempt = 1; attempt <= attempts_max; ++attempt) {
    auto data = std::make_shared<std::string>();
    auto keys = std::make_shared<std::vector<ReservationKey>>();
    auto call = session_.call(
        [data, keys, abort, kind = op.kind, own = op.own, other = op.other, offset = op.offset_bytes,
         size = op.size_bytes](ScsiLun& lun, Nexus nexus) {
          switch (kind) {
            case LunOp::Kind::register_key:
              return lun.register_key(nexus, own, other);
            case LunOp::Kind::register_ignore:
              return lun.register_ignore(nexus, own);
            case LunOp::Kind::reserve:
              return lun.reserve(nexus, own, Hold::write_exclusive);
            case LunOp::Kind::release:
              return lun.release(nexus, own, Hold::write_exclusive);
            case LunOp::Kind::preempt:
              return lun.preempt(nexus, own, other, Hold::write_exclusive, abort);
            case LunOp::Kind::lun_reset:
              return lun.reset(nexus);
            case LunOp::Kind::read:
              return lun.read(nexus, offset, size, data.get());
            default: {
              const Scsi status = lun.look(nexus);
              *keys = lun.keys();
              return status;
            }
          }
        },
        op.deadline);
    Reply reply = co_await call;
    if (reply.answered && reply.status == Scsi::attention) {
      shaken_ = true;
      if (attempt < attempts_max) continue;
    }
    judge(reply, result);
    result.data = std::move(*data);
    result.keys = std::move(*keys);
    co_return;
  }
}

}  // namespace holdfast::sim
