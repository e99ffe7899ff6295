#include "main/load.h"

#include <cinttypes>
#include <cstdio>

namespace holdfast {

LoadSampler::Sample LoadSampler::sample() {
  Sample out;
  if (FILE* f = fopen("/proc/stat", "re")) {
    uint64_t v[8] = {};
    if (fscanf(f,
               "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
               " %" SCNu64,
               &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) == 8) {
      uint64_t total = 0;
      for (uint64_t x : v) total += x;
      uint64_t busy = total - v[3] - v[4];
      if (total > last_total_ && last_total_ != 0)
        out.cpu_percent = static_cast<uint32_t>((busy - last_busy_) * 100 / (total - last_total_));
      last_busy_ = busy;
      last_total_ = total;
    }
    fclose(f);
  }
  if (FILE* f = fopen("/proc/meminfo", "re")) {
    uint64_t total = 0, available = 0;
    char line[256];
    while (fgets(line, sizeof line, f)) {
      sscanf(line, "MemTotal: %" SCNu64, &total);
      sscanf(line, "MemAvailable: %" SCNu64, &available);
    }
    fclose(f);
    if (total > 0) out.memory_percent = static_cast<uint32_t>((total - available) * 100 / total);
  }
  return out;
}

}  // namespace holdfast
