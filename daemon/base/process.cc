#include "base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "base/clock.h"

namespace holdfast {
namespace {

std::optional<std::string> read_small(const std::string& path, size_t limit) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string out;
  char chunk[4096];
  while (out.size() < limit) {
    ssize_t n = read(fd, chunk, sizeof chunk);
    if (n <= 0) break;
    out.append(chunk, static_cast<size_t>(n));
  }
  close(fd);
  return out;
}

void reset_signals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
}

enum class Waited { ended, late, cancelled };

// Waits until the child ended (`status` is set) or the deadline passed; reads `pipe_fd` meanwhile.
Waited wait_until(pid_t pid, int pipe_fd, Instant deadline, const GoOn& go_on, std::string* output,
                  int* status) {
  bool open_pipe = pipe_fd >= 0;
  int nap_ms = 1;  // without a pipe (its end may be kept by grandchildren) the child is polled
  while (true) {
    if (waitpid(pid, status, WNOHANG) == pid) return Waited::ended;
    int64_t left_ms = (deadline - boottime_now()).ms();
    if (left_ms <= 0) return Waited::late;
    if (go_on && !go_on()) return Waited::cancelled;
    pollfd p{open_pipe ? pipe_fd : -1, POLLIN, 0};
    poll(&p, 1, static_cast<int>(std::min<int64_t>(left_ms, open_pipe ? 20 : nap_ms)));
    nap_ms = std::min(nap_ms * 2, 20);
    if (p.revents == 0) continue;
    char chunk[4096];
    ssize_t n = read(pipe_fd, chunk, sizeof chunk);
    if (n <= 0) {
      open_pipe = false;
    } else if (output != nullptr && output->size() < 16384) {
      output->append(chunk, static_cast<size_t>(n));
    }
  }
}

// Kills and gives it a moment to die. False = it cannot be killed now (it waits for a device).
bool kill_helper(pid_t pid) {
  kill(pid, SIGKILL);
  int status = 0;
  return wait_until(pid, -1, boottime_now() + Duration::milliseconds(200), {}, nullptr, &status) ==
         Waited::ended;
}

tl::unexpected<Error> not_ended(Waited how, pid_t pid, Duration limit, const std::string& what) {
  bool cancelled = how == Waited::cancelled;
  std::string text =
      what + (cancelled ? " was cancelled" : " did not end within " + std::to_string(limit.ms()) + " ms");
  if (!kill_helper(pid))
    text += "; its helper, pid " + std::to_string(pid) + ", hangs in the kernel and is left behind";
  return fail(cancelled ? ErrorCode::cancelled : ErrorCode::timeout, text);
}

}  // namespace

std::optional<ProcessInfo> read_process(pid_t pid) {
  auto text = read_small("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!text) return std::nullopt;
  // The command is in parentheses and may itself contain spaces and parentheses: the last one counts.
  size_t open_at = text->find('('), close_at = text->rfind(')');
  if (open_at == std::string::npos || close_at == std::string::npos || close_at < open_at)
    return std::nullopt;
  ProcessInfo info;
  info.pid = pid;
  info.command = text->substr(open_at + 1, close_at - open_at - 1);
  unsigned long long start = 0;
  int parent = 0, group = 0, session = 0;
  if (sscanf(text->c_str() + close_at + 1,
             " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &info.state,
             &parent, &group, &session, &start) != 5)
    return std::nullopt;
  info.parent = parent;
  info.group = group;
  info.session = session;
  info.start_ticks = start;
  return info;
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> out;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir("/proc"), closedir);
  if (!dir) return out;
  while (dirent* entry = readdir(dir.get())) {
    char* end = nullptr;
    long pid = strtol(entry->d_name, &end, 10);
    if (pid > 0 && *end == 0) out.push_back(static_cast<pid_t>(pid));
  }
  return out;
}

bool runs(pid_t pid, uint64_t start_ticks) {
  auto info = read_process(pid);
  return info && info->start_ticks == start_ticks && info->state != 'Z' && info->state != 'X';
}

bool has_environment(pid_t pid, const std::string& entry) {
  auto text = read_small("/proc/" + std::to_string(pid) + "/environ", 1 << 20);
  if (!text) return false;
  std::string wanted = std::string(1, '\0') + entry + std::string(1, '\0');
  return (std::string(1, '\0') + *text + std::string(1, '\0')).find(wanted) != std::string::npos;
}

std::string describe(const ProcessInfo& process) {
  return "pid " + std::to_string(process.pid) + " (" + process.command + ")";
}

Result<int> run_in_helper(const std::function<int()>& work, Duration limit, const std::string& what,
                          const GoOn& go_on) {
  pid_t pid = fork();
  if (pid < 0) return fail(ErrorCode::internal, "cannot start a helper process for " + what, errno);
  if (pid == 0) {
    // A helper that gets stuck must not keep the service's socket or a lock file open.
    syscall(SYS_close_range, 3, ~0U, 0);
    reset_signals();
    _exit(work() & 0xff);
  }
  int status = 0;
  if (auto how = wait_until(pid, -1, boottime_now() + limit, go_on, nullptr, &status); how != Waited::ended)
    return not_ended(how, pid, limit, what);
  if (!WIFEXITED(status))
    return fail(ErrorCode::internal,
                "the helper for " + what + " was killed by signal " + std::to_string(WTERMSIG(status)));
  return WEXITSTATUS(status);
}

Result<ProgramOutcome> run_program(const std::vector<std::string>& argv, Duration limit, const GoOn& go_on) {
  int ends[2];
  if (argv.empty() || pipe2(ends, O_CLOEXEC) != 0)
    return fail(ErrorCode::internal, "cannot make a pipe for a program", errno);
  std::vector<char*> args;
  for (const auto& a : argv) args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);
  pid_t pid = fork();
  if (pid == 0) {
    reset_signals();
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    syscall(SYS_close_range, 3, ~0U, 0);
    execvp(args[0], args.data());
    _exit(errno == ENOENT ? 127 : 126);
  }
  int fork_errno = errno;
  close(ends[1]);
  std::unique_ptr<int, void (*)(int*)> closer(&ends[0], [](int* fd) { close(*fd); });
  if (pid < 0) return fail(ErrorCode::internal, "cannot start " + argv[0], fork_errno);
  ProgramOutcome outcome;
  int status = 0;
  if (auto how = wait_until(pid, ends[0], boottime_now() + limit, go_on, &outcome.output, &status);
      how != Waited::ended)
    return not_ended(how, pid, limit, argv[0]);
  // What it wrote just before it ended.
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  char chunk[4096];
  for (ssize_t n; outcome.output.size() < 16384 && (n = read(ends[0], chunk, sizeof chunk)) > 0;)
    outcome.output.append(chunk, static_cast<size_t>(n));
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (outcome.exit_code == 127)
    return fail(ErrorCode::not_found, "the program " + argv[0] + " is not installed");
  return outcome;
}

}  // namespace holdfast
