// The threads of the monitor: one main loop, and lanes (threads with a queue) on which plug-ins are called.
// Lanes never touch the monitor's state; they post their results into the inbox of the main loop.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/time.h"

namespace holdfast::monitor {

// Work for the main loop, from any thread. The descriptor is readable while there is some.
class Inbox {
 public:
  Inbox();
  ~Inbox();
  void post(std::function<void()> work);
  void run_all();
  int fd() const { return fd_; }

 private:
  struct State;
  std::unique_ptr<State> state_;
  int fd_;
};

// A thread that runs what is posted, in order. When the lane is destroyed while a plug-in hangs in it, the
// thread is left to itself: it owns what it still uses.
class Lane {
 public:
  // `urgent` lanes get the monitor's real-time priority, since they hold and terminate.
  Lane(const std::string& name, bool urgent);
  ~Lane();
  void post(std::function<void()> work);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// The node's working lease, renewed by grants; read from every thread.
class Lease {
 public:
  // True when this grant is newer than all before.
  bool renew(Instant until);
  Instant until() const { return {until_ns_.load()}; }
  bool valid(Instant now) const { return until() > now; }

 private:
  std::atomic<int64_t> until_ns_{0};
};

// The lowest real-time priority for the calling thread, not inherited by children. False when not permitted.
bool make_real_time();

}  // namespace holdfast::monitor
