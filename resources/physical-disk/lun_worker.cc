#include "lun_worker.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "iscsi/helper_process.h"

namespace holdfast::disk {

struct LunWorker::State {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::function<void()>> queue;
  Luns luns;  // the thread's
  bool closing = false;
};

LunWorker::LunWorker(std::vector<scsi::Attachment> attachments) : state_(std::make_shared<State>()) {
  // Commands to a disk of the kernel may hang where nothing can kill them: those go through a helper process.
  for (const auto& attachment : attachments)
    state_->luns.push_back(attachment.kind == scsi::Attachment::Kind::block_device
                               ? scsi::make_helper_lun(attachment)
                               : scsi::make_lun(attachment));
  // Detached, and owning what it uses: it may never come back from the kernel.
  std::thread([state = state_] {
    while (true) {
      std::unique_lock lock(state->mutex);
      state->wake.wait(lock, [&] { return state->closing || !state->queue.empty(); });
      if (state->queue.empty()) return;
      auto work = std::move(state->queue.front());
      state->queue.pop_front();
      lock.unlock();
      work();
    }
  }).detach();
}

LunWorker::~LunWorker() {
  std::lock_guard lock(state_->mutex);
  state_->closing = true;
  state_->wake.notify_all();
}

Status LunWorker::run(std::function<Status(Luns&)> work, Duration limit) {
  struct Answer {
    std::mutex mutex;
    std::condition_variable wake;
    bool done = false;
    Status status;
  };
  auto answer = std::make_shared<Answer>();
  {
    std::lock_guard lock(state_->mutex);
    state_->queue.push_back([answer, work = std::move(work), state = state_.get()] {
      Status status = work(state->luns);
      std::lock_guard done(answer->mutex);
      answer->status = std::move(status);
      answer->done = true;
      answer->wake.notify_all();
    });
    state_->wake.notify_all();
  }
  std::unique_lock lock(answer->mutex);
  if (answer->wake.wait_for(lock, std::chrono::nanoseconds(limit.ns), [&] { return answer->done; }))
    return answer->status;
  stuck_ = true;
  return fail(ErrorCode::timeout, "the disk did not answer within " + std::to_string(limit.ms()) + " ms");
}

}  // namespace holdfast::disk
