#include "adapters/quorum_disk/quorum_disk.h"

#include <pthread.h>
#include <sched.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "adapters/quorum_disk/local_lun.h"

namespace holdfast {
namespace {

using core::LunOp;
using core::LunResult;
using scsi::ReservationType;

LunResult execute_op(scsi::Lun& lun, const LunOp& op) {
  LunResult r;
  r.token = op.token;
  auto take = [&](const Status& status) {
    if (!status) {
      r.code = status.error().code;
      r.message = status.error().text();
    }
  };
  if (op.kind != LunOp::Kind::open && op.kind != LunOp::Kind::close && !lun.is_open()) {
    r.code = ErrorCode::connection_lost;
    r.message = "the session to the quorum LUN is closed";
    return r;
  }
  auto read_reservation = [&] {
    auto held = lun.read_reservation(op.deadline);
    if (!held) return take(fail(held.error()));
    r.holder = held->held() ? held->key : ReservationKey{};
    r.write_exclusive = held->type == ReservationType::write_exclusive;
    r.holder_known = true;
  };
  switch (op.kind) {
    case LunOp::Kind::open: {
      lun.close();
      auto opened = lun.open(op.deadline);
      take(opened);
      if (!opened) break;
      r.lun_bytes = lun.size_bytes();
      auto capabilities = lun.capabilities(op.deadline);
      if (capabilities)
        r.preempt_and_abort = capabilities->preempt_and_abort;
      else
        take(fail(capabilities.error()));
      if (!lun.is_open() && r.ok()) r.code = ErrorCode::connection_lost;
      break;
    }
    case LunOp::Kind::close:
      lun.close();
      break;
    case LunOp::Kind::register_key:
      take(lun.register_key(op.own, op.other, op.deadline));
      break;
    case LunOp::Kind::register_ignore:
      take(lun.register_ignore(op.own, op.deadline));
      break;
    case LunOp::Kind::reserve:
      take(lun.reserve(op.own, ReservationType::write_exclusive, op.deadline));
      break;
    case LunOp::Kind::release:
      take(lun.release(op.own, ReservationType::write_exclusive, op.deadline));
      break;
    case LunOp::Kind::preempt: {
      auto capabilities = lun.capabilities(op.deadline);
      if (!capabilities) {
        take(fail(capabilities.error()));
        break;
      }
      take(lun.preempt(op.own, op.other, ReservationType::write_exclusive, capabilities->preempt_and_abort,
                       op.deadline));
      break;
    }
    case LunOp::Kind::read_keys: {
      auto keys = lun.read_keys(op.deadline);
      if (keys)
        r.keys = std::move(keys->keys);
      else
        take(fail(keys.error()));
      break;
    }
    case LunOp::Kind::read_reservation:
      read_reservation();
      break;
    case LunOp::Kind::lun_reset:
      take(lun.lun_reset(op.deadline));
      break;
    case LunOp::Kind::read:
      r.data.resize(op.size_bytes);
      take(lun.read(op.offset_bytes, r.data.data(), r.data.size(), op.deadline));
      break;
    case LunOp::Kind::write:
      take(lun.write(op.offset_bytes, op.data.data(), op.data.size(), op.deadline));
      if (op.then_read_reservation && !r.session_lost() && lun.is_open()) read_reservation();
      break;
  }
  // Whatever closed the session, the core must learn that it is closed.
  if (!r.ok() && op.kind != LunOp::Kind::open && op.kind != LunOp::Kind::close && !lun.is_open() &&
      !r.session_lost())
    r.code = ErrorCode::connection_lost;
  return r;
}

}  // namespace

struct QuorumDisk::State {
  std::unique_ptr<scsi::Lun> lun;
  std::function<void(LunResult)> completed;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<LunOp> queue;
  bool stopping = false, stopped = false;
};

QuorumDisk::QuorumDisk(std::unique_ptr<scsi::Lun> lun, std::function<void(LunResult)> completed)
    : state_(std::make_shared<State>()) {
  state_->lun = std::move(lun);
  state_->completed = std::move(completed);
  std::thread([state = state_] {
    pthread_setname_np(pthread_self(), "quorum-disk");
    while (true) {
      LunOp op;
      {
        std::unique_lock lock(state->mutex);
        state->changed.wait(lock, [&] { return state->stopping || !state->queue.empty(); });
        if (state->stopping) break;
        op = std::move(state->queue.front());
        state->queue.pop_front();
      }
      auto result = execute_op(*state->lun, op);
      std::lock_guard lock(state->mutex);
      if (!state->stopping) state->completed(std::move(result));
    }
    state->lun->close();
    std::lock_guard lock(state->mutex);
    state->stopped = true;
    state->changed.notify_all();
  }).detach();
}

QuorumDisk::~QuorumDisk() {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, std::chrono::seconds(4), [&] { return state_->stopped; });
}

void QuorumDisk::execute(LunOp op) {
  std::lock_guard lock(state_->mutex);
  state_->queue.push_back(std::move(op));
  state_->changed.notify_all();
}

Result<std::unique_ptr<scsi::Lun>> make_quorum_lun(const NodeConfig& config) {
  if (config.quorum.kind == "local") return make_local_lun(config.quorum.device);
  HOLDFAST_TRY(auto attachment, scsi::Attachment::parse(config.quorum.device));
  attachment.initiator_name = config.quorum.initiator_name;
  attachment.isid_qualifier = 1;
  return scsi::make_lun(attachment);
}

}  // namespace holdfast
