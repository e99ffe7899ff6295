// Resource type generic-program: runs a program and watches it. docs/resource-types.md has its properties.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/process.h"
#include "command_line.h"
#include "process_tree.h"
#include "sdk/plugin.h"
#include "spawn.h"

namespace holdfast::program {
namespace {

constexpr Duration kill_limit = Duration::milliseconds(1000);
constexpr Duration progress_every = Duration::milliseconds(500);

std::string fresh_mark() {
  uint64_t number = 0;
  (void)!getrandom(&number, sizeof number, 0);
  char text[40];
  snprintf(text, sizeof text, "HOLDFAST_MARK=%016llx", static_cast<unsigned long long>(number));
  return text;
}

std::string how_it_ended(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return "exited with status " + std::to_string(info.si_status);
  return std::string("was killed by signal ") + std::to_string(info.si_status) + " (" +
         (sigabbrev_np(info.si_status) != nullptr ? sigabbrev_np(info.si_status) : "?") + ")";
}

// Turns what the program writes into lines of the journal.
class OutputReader {
 public:
  OutputReader(sdk::Host host, int fd)
      : fd_(fd), stop_(eventfd(0, EFD_CLOEXEC)), thread_([this, host] { read_lines(host); }) {}
  ~OutputReader() {
    eventfd_write(stop_, 1);
    thread_.join();
    close(fd_);
    close(stop_);
  }

 private:
  void read_lines(sdk::Host host) {
    std::string line;
    fcntl(fd_, F_SETFL, O_NONBLOCK);
    for (bool open = true; open;) {
      pollfd p[2] = {{fd_, POLLIN, 0}, {stop_, POLLIN, 0}};
      if (poll(p, 2, -1) < 0) continue;
      open = p[1].revents == 0;
      char chunk[4096];
      ssize_t n;
      while ((n = read(fd_, chunk, sizeof chunk)) > 0) {
        for (char c : std::string_view(chunk, static_cast<size_t>(n))) {
          if (c != '\n') line += c;
          if (c == '\n' || line.size() >= 2000) host.info(std::exchange(line, {}));
        }
        if (!open) break;
      }
      if (n == 0) open = false;
    }
    if (!line.empty()) host.info(line);
  }

  int fd_, stop_;
  std::thread thread_;
};

class GenericProgram : public sdk::Instance {
 public:
  static Result<std::unique_ptr<GenericProgram>> open(sdk::Host host, const sdk::Context& context) {
    std::unique_ptr<GenericProgram> made(new GenericProgram(host));
    HOLDFAST_CHECK(made->configure(context));
    return made;
  }
  ~GenericProgram() override { (void)terminate(); }

  Result<std::string> online(const sdk::Context& context, int* event_fd) override {
    HOLDFAST_CHECK(configure(context));
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::internal, "cannot make a pipe", errno);
    settings_.mark = fresh_mark();
    auto control_group = ControlGroup::make(control_group_, context.resource());
    auto pid = spawn(settings_, ends[1], [&](pid_t child) { return prepare(child, control_group); });
    close(ends[1]);
    std::lock_guard lock(mutex_);
    if (!pid) {
      close(ends[0]);
      forget();
      return fail(pid.error());
    }
    if (tree_.leader != *pid) {
      close(ends[0]);
      return fail(ErrorCode::cancelled, "terminate overtook online");
    }
    output_ = std::make_unique<OutputReader>(host_, ends[0]);
    pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, *pid, 0));
    *event_fd = pidfd_;
    host_.publish("ProcessId", std::to_string(*pid));
    return "Process " + std::to_string(*pid) + " was started.";
  }

  Result<sdk::Ended> offline() override {
    pid_t leader;
    {
      std::lock_guard lock(mutex_);
      leader = tree_.leader;
    }
    if (leader == 0) return sdk::Ended{};
    kill(-leader, stop_signal_);
    Instant until = boottime_now() + stop_timeout_, next_progress = boottime_now() + progress_every;
    bool in_time = false;
    while (!host_.cancelled() && !(in_time = leader_ended()) && boottime_now() < until) {
      pollfd p{pidfd_, POLLIN, 0};
      poll(&p, 1, 20);
      if (boottime_now() >= next_progress) {
        host_.progress("It was asked to end and has not yet.");
        next_progress = boottime_now() + progress_every;
      }
    }
    if (host_.cancelled()) return fail(ErrorCode::cancelled, "terminate overtook offline");
    HOLDFAST_TRY(auto ended, terminate());
    if (!in_time)
      return sdk::Ended{"It did not end within " + std::to_string(stop_timeout_.ms()) + " ms and was killed.",
                        true};
    return ended;
  }

  Result<sdk::Ended> terminate() override {
    std::unique_ptr<OutputReader> output;
    std::lock_guard lock(mutex_);
    held_ = false;
    if (tree_.leader == 0) return sdk::Ended{};
    if (!tree_.kill_and_wait(kill_limit))
      return fail(ErrorCode::busy, "processes of group " + std::to_string(tree_.leader) +
                                       " were killed but do not end (they wait for a device)");
    output = std::move(output_);
    if (pidfd_ >= 0) close(std::exchange(pidfd_, -1));
    forget();
    return sdk::Ended{};
  }

  Status is_alive() override {
    std::lock_guard lock(mutex_);
    siginfo_t info{};
    if (tree_.leader == 0) return fail(ErrorCode::not_found, "The program does not run.");
    // WNOWAIT: the number must stay taken until the group has been killed.
    if (waitid(P_PID, static_cast<id_t>(tree_.leader), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid != 0)
      return fail(ErrorCode::io, settings_.argv[0] + " (process " + std::to_string(tree_.leader) + ") " +
                                     how_it_ended(info) + ".");
    return {};
  }

  Status hold() override {
    std::lock_guard lock(mutex_);
    held_ = true;
    return tree_.freeze(true);
  }
  Status release() override {
    std::lock_guard lock(mutex_);
    held_ = false;
    return tree_.freeze(false);
  }

 private:
  explicit GenericProgram(sdk::Host host) : host_(host) {}

  Status configure(const sdk::Context& context) {
    HOLDFAST_TRY(std::string line, context.required("CommandLine"));
    HOLDFAST_TRY(settings_.argv, split_command_line(line));
    settings_.directory = context.text("CurrentDirectory");
    settings_.environment = context.list("Environment");
    settings_.user = context.text("User");
    HOLDFAST_TRY(stop_signal_, parse_signal(context.text("StopSignal", "TERM")));
    HOLDFAST_TRY(stop_timeout_, context.milliseconds("StopTimeout", 30000, 0, 3600000));
    control_group_ = context.text("ControlGroup", "auto");
    return {};
  }

  // The child waits; after this it is on record, and frozen with the others should the lease lapse.
  Status prepare(pid_t child, const ControlGroup& control_group) {
    auto info = read_process(child);
    if (!info) return fail(ErrorCode::internal, "the new process " + std::to_string(child) + " disappeared");
    record_key_ = std::to_string(child) + " " + std::to_string(info->start_ticks);
    std::lock_guard lock(mutex_);
    HOLDFAST_CHECK(host_.record("process", record_key_, settings_.mark));
    tree_ = {child, settings_.mark, {}};
    if (!control_group.path().empty() && control_group.add(child)) {
      tree_.control_group = control_group;
      HOLDFAST_CHECK(host_.record("cgroup", control_group.path()));
    }
    if (host_.cancelled()) return fail(ErrorCode::cancelled, "terminate overtook online");
    if (held_) return tree_.freeze(true);
    return {};
  }

  void forget() {
    if (!record_key_.empty()) host_.forget("process", record_key_);
    record_key_.clear();
    if (!tree_.control_group.path().empty()) host_.forget("cgroup", tree_.control_group.path());
    tree_.control_group.remove();
    tree_ = {};
  }

  bool leader_ended() { return !is_alive(); }

  sdk::Host host_;
  ProgramSettings settings_;
  int stop_signal_ = SIGTERM;
  Duration stop_timeout_;
  std::string control_group_;

  std::mutex mutex_;  // guards what follows
  ProcessTree tree_;
  std::string record_key_;
  bool held_ = false;
  int pidfd_ = -1;
  std::unique_ptr<OutputReader> output_;
};

}  // namespace
}  // namespace holdfast::program

HOLDFAST_PLUGIN(holdfast::program::GenericProgram, "generic-program", "runs and watches a program",
                HOLDFAST_UNGUARDED)
