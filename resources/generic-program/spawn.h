// Starts a program in a session of its own, in two steps, so that it is noted before it runs.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace holdfast::program {

struct ProgramSettings {
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // added to the monitor's own; "NAME=VALUE"
  std::string directory;                 // "" = /
  std::string user;                      // "" = as the monitor
  std::string mark;                      // one more environment entry
};

// Forks, calls `prepare(pid)` while the child waits, then lets it execute the program; its stdout and stderr
// go to `output_fd`. Errors of prepare, of changing directory or user, and of exec are returned, and the
// child is gone then.
Result<pid_t> spawn(const ProgramSettings& settings, int output_fd,
                    const std::function<Status(pid_t)>& prepare);

}  // namespace holdfast::program
