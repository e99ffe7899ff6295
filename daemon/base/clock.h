// The clock of this machine as an Instant. Not for the core, which is handed its time.
#pragma once

#include <time.h>

#include "base/time.h"

namespace holdfast {

// CLOCK_BOOTTIME: counts through suspend, never jumps; the clock of leases and deadlines.
inline Instant boottime_now() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return {t.tv_sec * 1'000'000'000LL + t.tv_nsec};
}

}  // namespace holdfast
