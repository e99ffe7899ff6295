#include "simulation/scheduler.h"

#include <algorithm>

namespace holdfast::sim {

void Scheduler::at(Instant when, std::function<void()> what) {
  uint32_t slot = static_cast<uint32_t>(slots_.size());
  if (free_.empty()) {
    slots_.push_back(std::move(what));
  } else {
    slot = free_.back();
    free_.pop_back();
    slots_[slot] = std::move(what);
  }
  heap_.push_back({std::max(when, now_), order_++, slot});
  std::push_heap(heap_.begin(), heap_.end());
}

void Scheduler::run_until(Instant end, const bool& stop) {
  while (!heap_.empty() && heap_.front().at <= end && !stop) {
    std::pop_heap(heap_.begin(), heap_.end());
    const Item item = heap_.back();
    heap_.pop_back();
    // Out of the slot before it runs: it may ask for more, which moves the slots.
    const std::function<void()> what = std::move(slots_[item.slot]);
    slots_[item.slot] = nullptr;
    free_.push_back(item.slot);
    now_ = item.at;
    ++steps_;
    what();
  }
  if (!stop) now_ = std::max(now_, end);
}

}  // namespace holdfast::sim
