#include "core/quorum/lun_lane.h"

namespace holdfast::core {

void LunLane::push(std::function<Task<void>()> job, bool urgent) {
  if (urgent)
    jobs_.push_front(std::move(job));
  else
    jobs_.push_back(std::move(job));
  pump();
}

void LunLane::pump() {
  if (pumping_) return;  // a job that pushes another one: the outer loop goes on
  pumping_ = true;
  while (true) {
    if (running_ && running_->done()) running_.reset();
    if (running_ || jobs_.empty()) break;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    running_.emplace(job());
    running_->start();
  }
  pumping_ = false;
}

void LunLane::wait_for(OpAwait* await, std::coroutine_handle<> handle) {
  await->op.token = next_token_++;
  awaited_ = await;
  waiting_ = handle;
  issue_(await->op);
}

void LunLane::wait_until(Instant when, std::coroutine_handle<> handle) {
  wake_at_ = when;
  waiting_ = handle;
}

void LunLane::on_result(const LunResult& result, Instant now) {
  now_ = now;
  if (!awaited_ || awaited_->op.token != result.token) return;
  OpAwait* await = awaited_;
  awaited_ = nullptr;
  await->result = result;
  if (await->op.kind == LunOp::Kind::open) {
    open = result.ok();
    if (open) {
      ++session;
      lun_bytes = result.lun_bytes;
      preempt_and_abort = result.preempt_and_abort;
    }
  } else if (result.session_lost() || await->op.kind == LunOp::Kind::close) {
    open = false;
  }
  if (!result.ok()) last_error = result.message;
  std::exchange(waiting_, nullptr).resume();
  pump();
}

void LunLane::on_time(Instant now) {
  now_ = now;
  if (now < wake_at_) return;
  wake_at_ = Instant::infinite();
  std::exchange(waiting_, nullptr).resume();
  pump();
}

Task<bool> LunLane::ensure_open(Duration deadline) {
  if (open) co_return true;
  LunOp op;
  op.kind = LunOp::Kind::open;
  op.deadline = deadline;
  auto result = co_await run(op);
  co_return result.ok();
}

}  // namespace holdfast::core
