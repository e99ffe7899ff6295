// Processes: who is who (a pid alone is not an identity), and helpers with a deadline for calls that may
// hang.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace holdfast {

// What /proc/PID/stat says. `start_ticks` with the pid names a process for as long as the machine runs.
struct ProcessInfo {
  pid_t pid = 0;
  char state = 0;  // 'Z' = ended, not yet waited for
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  uint64_t start_ticks = 0;
  std::string command;
};

std::optional<ProcessInfo> read_process(pid_t pid);
std::vector<pid_t> all_processes();
// True when the process runs (a zombie does not) and is the one that started then.
bool runs(pid_t pid, uint64_t start_ticks);
// True when the process was started with this environment entry ("NAME=VALUE").
bool has_environment(pid_t pid, const std::string& entry);
// "pid 812 (postgres)".
std::string describe(const ProcessInfo& process);

// Calls `work` in a forked child, so that a call that hangs in the kernel harms nobody. `work` may make
// system calls only: no allocation, no locks. Its result (0..255) is returned; after `limit` the child is
// killed and the error is `timeout`; a child that cannot die is left behind and its pid named. `what`
// completes "... did not end". `go_on` is asked about every 20 ms; when it says no the child is killed and
// the error is `cancelled`.
using GoOn = std::function<bool()>;
Result<int> run_in_helper(const std::function<int()>& work, Duration limit, const std::string& what,
                          const GoOn& go_on = {});

struct ProgramOutcome {
  int exit_code = 0;   // 128 + signal when killed
  std::string output;  // stdout and stderr together, cut at 16 KiB
};
// Runs a program (argv[0] is looked up in PATH) with a deadline; the error is `not_found` when it cannot be
// executed.
Result<ProgramOutcome> run_program(const std::vector<std::string>& argv, Duration limit,
                                   const GoOn& go_on = {});

}  // namespace holdfast
