// CPU and memory load of this node, for placement.
#pragma once

#include <cstdint>

namespace holdfast {

class LoadSampler {
 public:
  struct Sample {
    uint32_t cpu_percent = 0;     // since the last sample
    uint32_t memory_percent = 0;  // used, without what can be reclaimed
  };
  Sample sample();

 private:
  uint64_t last_busy_ = 0, last_total_ = 0;
};

}  // namespace holdfast
