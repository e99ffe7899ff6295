// Who keeps a file system busy, found by device: descriptors, mappings, current and root directories,
// executables.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/process.h"

namespace holdfast::fs {

struct Holder {
  ProcessInfo process;
  std::string how;           // "open file", "current directory", "root directory", "executable", "mapping"
  bool untouchable = false;  // PID 1, this process or its parent (monitor and service), a kernel thread
};

// Reads /proc only; never opens a file of the file system itself.
std::vector<Holder> find_holders(dev_t device);

// "pid 812 (postgres: open file), pid 90 (bash: current directory)", at most `most` of them.
std::string describe(const std::vector<Holder>& holders, size_t most = 5);

// Sends the signal to every holder that may be touched and still is the same process.
void signal_holders(const std::vector<Holder>& holders, int signal);

}  // namespace holdfast::fs
