#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "cli/context.h"
#include "cli/files.h"
#include "cli/quorum_device.h"

extern char** environ;

namespace holdfast::cli {
namespace {

constexpr size_t output_bytes_max = 64 << 20;  // a journal of 20000 lines has about 4 MiB

std::vector<std::string> local_addresses() {
  std::vector<std::string> out;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return out;
  for (ifaddrs* i = all; i; i = i->ifa_next) {
    char text[INET6_ADDRSTRLEN] = "";
    if (!i->ifa_addr) continue;
    if (i->ifa_addr->sa_family == AF_INET)
      inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr, text, sizeof text);
    else if (i->ifa_addr->sa_family == AF_INET6)
      inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(i->ifa_addr)->sin6_addr, text, sizeof text);
    if (*text) out.push_back(text);
  }
  freeifaddrs(all);
  return out;
}

int64_t monotonic_ms() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

// Programs of the report may hang on a sick host (lsblk with a dead disk): each has a deadline, and one that
// cannot even be killed is left behind.
ProgramResult run(const std::vector<std::string>& argv, Duration limit) {
  ProgramResult result;
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return {126, "cannot make a pipe"};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
  posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 2);
  std::vector<char*> words;
  for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t pid = 0;
  int failed = posix_spawnp(&pid, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_fds[1]);
  if (failed) {
    close(pipe_fds[0]);
    return {127, ""};
  }
  int64_t until = monotonic_ms() + limit.ms();
  for (;;) {
    int64_t left = until - monotonic_ms();
    pollfd p{pipe_fds[0], POLLIN, 0};
    if (left <= 0 || poll(&p, 1, static_cast<int>(left)) == 0) {
      kill(pid, SIGKILL);
      result.output += "\n(" + argv[0] + " did not end in time)\n";
      break;
    }
    char buffer[65536];
    ssize_t n = read(pipe_fds[0], buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    if (result.output.size() < output_bytes_max) result.output.append(buffer, static_cast<size_t>(n));
  }
  close(pipe_fds[0]);
  int status = 0;
  until = std::max(until, monotonic_ms()) + 1000;
  pid_t waited = 0;
  while ((waited = waitpid(pid, &status, WNOHANG)) == 0 && monotonic_ms() < until) poll(nullptr, 0, 5);
  result.exit_code = waited != pid ? 137 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace

Environment real_environment() {
  Environment e;
  e.is_root = [] { return geteuid() == 0; };
  e.local_addresses = local_addresses;
  e.has_systemd = [] { return exists("/run/systemd/system"); };
  e.run = run;
  e.inspect_quorum = inspect_quorum;
  e.format_quorum = format_quorum;
  e.wipe_quorum = wipe_quorum;
  e.enroll = pki::enroll;
  e.unix_time = [] { return static_cast<int64_t>(time(nullptr)); };
  return e;
}

}  // namespace holdfast::cli
