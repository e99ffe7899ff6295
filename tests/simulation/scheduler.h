// Scheduler: virtual time. What is due at the same instant runs in the order in which it was asked for, so a
// history depends on nothing but its seed.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/time.h"

namespace holdfast::sim {

class Scheduler {
 public:
  // The world's own time; no clock of a node shows it.
  Instant now() const { return now_; }
  void at(Instant when, std::function<void()> what);
  void after(Duration delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  // Runs everything that is due up to `end`, unless `stop` becomes true; then it is `end`.
  void run_until(Instant end, const bool& stop);
  uint64_t steps() const { return steps_; }

 private:
  // Small, since a heap moves them often; the functions stay in their slots.
  struct Item {
    Instant at;
    uint64_t order;
    uint32_t slot;
    bool operator<(const Item& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  Instant now_{1'000'000'000'000};
  uint64_t order_ = 0, steps_ = 0;
  std::vector<Item> heap_;
  std::vector<std::function<void()>> slots_;
  std::vector<uint32_t> free_;
};

}  // namespace holdfast::sim
