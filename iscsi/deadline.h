// Deadline: an absolute end on CLOCK_BOOTTIME, so that a call of several steps keeps one limit, and a machine
// that was suspended in the middle sees the limit as passed.
#pragma once

#include <time.h>

#include "base/time.h"

namespace holdfast::scsi {

inline Instant now() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return Instant{t.tv_sec * 1'000'000'000LL + t.tv_nsec};
}

class Deadline {
 public:
  explicit Deadline(Duration span) : end_(now() + span) {}
  Duration left() const {
    Duration rest = end_ - now();
    return rest.ns > 0 ? rest : Duration{0};
  }
  bool passed() const { return left().ns == 0; }
  // For ppoll and io_uring.
  timespec left_timespec() const {
    Duration rest = left();
    return {static_cast<time_t>(rest.ns / 1'000'000'000), static_cast<long>(rest.ns % 1'000'000'000)};
  }

 private:
  Instant end_;
};

}  // namespace holdfast::scsi
