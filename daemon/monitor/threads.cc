#include "monitor/threads.h"

#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "base/assert.h"

namespace holdfast::monitor {

struct Inbox::State {
  std::mutex mutex;
  std::deque<std::function<void()>> queue;
};

Inbox::Inbox() : state_(std::make_unique<State>()), fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  HOLDFAST_ASSERT(fd_ >= 0);
}
Inbox::~Inbox() {
  close(fd_);
}

void Inbox::post(std::function<void()> work) {
  {
    std::lock_guard lock(state_->mutex);
    state_->queue.push_back(std::move(work));
  }
  eventfd_write(fd_, 1);
}

void Inbox::run_all() {
  eventfd_t count;
  eventfd_read(fd_, &count);
  while (true) {
    std::function<void()> work;
    {
      std::lock_guard lock(state_->mutex);
      if (state_->queue.empty()) return;
      work = std::move(state_->queue.front());
      state_->queue.pop_front();
    }
    work();
  }
}

struct Lane::State {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::function<void()>> queue;
  bool urgent = false;
  bool closing = false;
};

Lane::Lane(const std::string& name, bool urgent) : state_(std::make_shared<State>()) {
  state_->urgent = urgent;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes,
                            1 << 20);  // memory is locked: do not lock the default 8 MiB a thread
  auto* handed = new std::shared_ptr<State>(state_);
  pthread_t thread;
  int error = pthread_create(
      &thread, &attributes,
      [](void* p) -> void* {
        std::shared_ptr<State> state = *static_cast<std::shared_ptr<State>*>(p);
        delete static_cast<std::shared_ptr<State>*>(p);
        if (state->urgent) make_real_time();
        while (true) {
          std::unique_lock lock(state->mutex);
          state->wake.wait(lock, [&] { return state->closing || !state->queue.empty(); });
          if (state->queue.empty()) return nullptr;
          auto work = std::move(state->queue.front());
          state->queue.pop_front();
          lock.unlock();
          work();
        }
      },
      handed);
  HOLDFAST_ASSERT(error == 0);
  pthread_setname_np(thread, name.substr(0, 15).c_str());
  pthread_attr_destroy(&attributes);
}

Lane::~Lane() {
  std::lock_guard lock(state_->mutex);
  state_->closing = true;
  state_->wake.notify_all();
}

void Lane::post(std::function<void()> work) {
  std::lock_guard lock(state_->mutex);
  state_->queue.push_back(std::move(work));
  state_->wake.notify_all();
}

bool Lease::renew(Instant until) {
  int64_t old = until_ns_.load();
  while (until.ns > old)
    if (until_ns_.compare_exchange_weak(old, until.ns)) return true;
  return false;
}

bool make_real_time() {
  sched_param parameter{};
  parameter.sched_priority = sched_get_priority_min(SCHED_RR);
  return sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameter) == 0;
}

}  // namespace holdfast::monitor
