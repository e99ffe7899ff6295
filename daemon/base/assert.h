// HOLDFAST_ASSERT: programmer errors only; on in release builds. Bytes from disk, wire or kernel are never
// asserted.
#pragma once

#include <cstdio>
#include <cstdlib>

#define HOLDFAST_ASSERT(condition)                                                                 \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "holdfast: assertion failed: %s (%s:%d)\n", #condition, __FILE__, __LINE__); \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)
