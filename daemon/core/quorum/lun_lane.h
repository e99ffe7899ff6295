// LunLane: the one queue of work for the quorum LUN. Jobs (coroutines) run strictly one after the other;
// within a job each command waits for its completion. So no two sequences ever interleave on the nexus.
#pragma once

#include <coroutine>
#include <deque>
#include <functional>

#include "core/quorum/lun_op.h"
#include "core/quorum/task.h"

namespace holdfast::core {

class LunLane {
 public:
  // `issue` hands an order to the output of the current step.
  explicit LunLane(std::function<void(LunOp)> issue) : issue_(std::move(issue)) {}

  // `urgent` jobs go before the waiting ones (never before the running one).
  void push(std::function<Task<void>()> job, bool urgent = false);
  bool idle() const { return !running_ && jobs_.empty(); }
  size_t waiting() const { return jobs_.size(); }

  void on_result(const LunResult& result, Instant now);
  void on_time(Instant now);
  Instant next_deadline() const { return wake_at_; }
  void set_now(Instant now) { now_ = now; }
  Instant now() const { return now_; }

  // co_await lane.run(op): its result. A result that belongs to nobody any more is dropped.
  struct OpAwait {
    LunLane& lane;
    LunOp op;
    LunResult result;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) { lane.wait_for(this, handle); }
    LunResult await_resume() { return std::move(result); }
  };
  OpAwait run(LunOp op) { return OpAwait{*this, std::move(op), {}}; }

  // co_await lane.sleep(d).
  struct SleepAwait {
    LunLane& lane;
    Duration duration;
    bool await_ready() const noexcept { return duration.ns <= 0; }
    void await_suspend(std::coroutine_handle<> handle) { lane.wait_until(lane.now_ + duration, handle); }
    void await_resume() const noexcept {}
  };
  SleepAwait sleep(Duration duration) { return {*this, duration}; }

  // Session state that jobs share. `session` counts successful opens.
  bool open = false;
  uint64_t session = 0;
  uint64_t lun_bytes = 0;
  bool preempt_and_abort = false;
  std::string last_error;

  // Opens the session when it is not open. False: unreachable (last_error says why).
  Task<bool> ensure_open(Duration deadline);

 private:
  void wait_for(OpAwait* await, std::coroutine_handle<> handle);
  void wait_until(Instant when, std::coroutine_handle<> handle);
  void pump();

  std::function<void(LunOp)> issue_;
  std::deque<std::function<Task<void>()>> jobs_;
  std::optional<Task<void>> running_;
  OpAwait* awaited_ = nullptr;
  std::coroutine_handle<> waiting_;
  Instant wake_at_ = Instant::infinite();
  Instant now_;
  uint64_t next_token_ = 1;
  bool pumping_ = false;
};

}  // namespace holdfast::core
