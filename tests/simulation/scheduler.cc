#include "simulation/scheduler.h"

#include <algorithm>

namespace holdfast::sim {

void Scheduler::at(Instant when, std::function<void()> what) {
  heap_.push_back({std::max(when, now_), order_++, std::move(what)});
  std::push_heap(heap_.begin(), heap_.end());
}

void Scheduler::run_until(Instant end, const bool& stop) {
  while (!heap_.empty() && heap_.front().at <= end && !stop) {
    std::pop_heap(heap_.begin(), heap_.end());
    Item item = std::move(heap_.back());
    heap_.pop_back();
    now_ = item.at;
    ++steps_;
    item.what();
  }
  if (!stop) now_ = std::max(now_, end);
}

}  // namespace holdfast::sim
