#include "monitor/reaper.h"

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/process.h"

namespace holdfast::monitor {

void reap_strays(Instant now) {
  static std::map<pid_t, Instant> zombies;  // main loop only
  std::map<pid_t, Instant> seen;
  std::error_code ignored;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
    std::ifstream children(thread.path() / "children");
    for (pid_t pid; children >> pid;) {
      auto info = read_process(pid);
      if (!info || info->state != 'Z') continue;
      auto first = zombies.contains(pid) ? zombies[pid] : now;
      if (now - first >= Duration::seconds(10)) {
        waitpid(pid, nullptr, WNOHANG);
      } else {
        seen[pid] = first;
      }
    }
  }
  zombies = std::move(seen);
}

}  // namespace holdfast::monitor
