#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/version.h"

namespace holdfast::monitor {
namespace {

[[noreturn]] void execute(const std::string& netns, const std::vector<std::string>& argv) {
  if (!netns.empty()) {
    int fd = open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) _exit(99);
  }
  std::vector<char*> args;
  for (const auto& a : argv) args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);
  execv(args[0], args.data());
  _exit(98);
}

}  // namespace

ScratchDir::ScratchDir() {
  // Like /run, where a monitor keeps its state: a busy disk must not delay what is measured here.
  std::string name =
      std::string(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + "/holdfast-monitor-XXXXXX";
  path_ = mkdtemp(name.data());
}
ScratchDir::~ScratchDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> read_lines(const std::string& path) {
  std::stringstream text(read_text(path));
  std::vector<std::string> out;
  for (std::string line; std::getline(text, line);) out.push_back(line);
  return out;
}

bool eventually(const std::function<bool()>& condition, int limit_ms) {
  for (Instant until = boottime_now() + Duration::milliseconds(limit_ms); boottime_now() < until;
       usleep(2000))
    if (condition()) return true;
  return condition();
}

MonitorProcess::MonitorProcess(MonitorOptions options) : options_(std::move(options)) {
  if (options_.state_dir.empty()) {
    own_dir_ = std::make_unique<ScratchDir>();
    options_.state_dir = own_dir_->path();
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) abort();
  pid_ = fork();
  if (pid_ == 0) {
    int fd = fcntl(ends[1], F_DUPFD, 10);  // a copy without close-on-exec
    execute(options_.netns, {MONITOR_PROGRAM, "--fd", std::to_string(fd)});
  }
  close(ends[1]);
  socket_ = std::make_unique<FrameSocket>(ends[0]);
  if (!options_.hello) return;
  ToMonitor message;
  auto* hello = message.mutable_hello();
  hello->set_version_min(options_.version_min != 0 ? options_.version_min : protocol_version_min);
  hello->set_version_max(options_.version_max != 0 ? options_.version_max : protocol_version_max);
  hello->set_cluster_id("test-cluster");
  hello->set_cluster_name("test");
  hello->set_node_name("n1");
  hello->set_node_id(1);
  hello->set_silence_ms(options_.silence_ms);
  hello->set_state_dir(options_.state_dir);
  hello->add_plugin_dirs(TEST_PLUGINS);
  hello->add_plugin_dirs(REAL_PLUGINS);
  send(message);
  EXPECT_TRUE(pump_until([&] { return got_hello_; }, 10000)) << "no answer to Hello";
  if (options_.grant) grant_for(Duration::seconds(60));
}

MonitorProcess::~MonitorProcess() {
  if (exit_) return;
  if (kill(pid_, SIGCONT) == 0) close_socket();
  if (wait_exit(3000)) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void MonitorProcess::send(const ToMonitor& message) {
  if (socket_) (void)socket_->send(message.SerializeAsString());
}

void MonitorProcess::grant_for(Duration lease) {
  ToMonitor message;
  message.mutable_grant()->set_lease_until_boottime_ns(static_cast<uint64_t>((boottime_now() + lease).ns));
  send(message);
}

uint64_t MonitorProcess::order(Order::Action action, const std::string& resource, const std::string& type,
                               const Parameters& parameters, const std::function<void(Order&)>& edit) {
  ToMonitor message;
  Order* order = message.mutable_order();
  order->set_order(next_order_++);
  order->set_action(action);
  order->set_resource(resource);
  order->set_type(type);
  for (const auto& [name, value] : parameters) {
    auto* p = order->add_parameters();
    p->set_name(name);
    if (name == "Environment") {
      p->add_list(value);
    } else {
      p->set_value(value);
    }
  }
  order->set_pending_timeout_ms(20000);
  order->set_looks_alive_ms(60000);
  order->set_is_alive_ms(60000);
  if (edit) edit(*order);
  uint64_t number = order->order();
  send(message);
  return number;
}

void MonitorProcess::receive(int wait_ms) {
  pollfd p{socket_ ? socket_->fd() : -1, POLLIN, 0};
  poll(&p, 1, wait_ms);
  if (!socket_ || p.revents == 0) return;
  bool open = socket_->receive().has_value();
  while (true) {
    auto frame = socket_->next();
    if (!frame || !*frame) break;
    FromMonitor message;
    if (!message.ParseFromString(**frame)) {
      ADD_FAILURE() << "not a message";
      break;
    }
    if (message.has_hello()) {
      hello_ = message.hello();
      got_hello_ = true;
    }
    if (message.has_report()) reports_.push_back(message.report());
    if (message.has_log()) log_.push_back(message.log().resource() + ": " + message.log().text());
    if (message.all_terminated()) all_terminated_ = true;
  }
  if (!open) usleep(1000);
}

bool MonitorProcess::pump_until(const std::function<bool()>& condition, int limit_ms) {
  Instant until = boottime_now() + Duration::milliseconds(limit_ms);
  while (!condition()) {
    if (boottime_now() >= until) return false;
    receive(10);
  }
  return true;
}

std::optional<Report> MonitorProcess::wait_report(const std::function<bool(const Report&)>& fits,
                                                  int limit_ms) {
  std::optional<Report> found;
  pump_until(
      [&] {
        for (size_t i = 0; i < reports_.size(); ++i) {
          if (!fits(reports_[i])) continue;
          found = reports_[i];
          reports_.erase(reports_.begin(), reports_.begin() + static_cast<long>(i) + 1);
          return true;
        }
        return false;
      },
      limit_ms);
  return found;
}

std::optional<Report> MonitorProcess::result_of(uint64_t order, int limit_ms) {
  return wait_report(
      [&](const Report& r) {
        bool pending = r.state() == State::ONLINE_PENDING || r.state() == State::OFFLINE_PENDING;
        return r.order() == order && (!pending || r.error() != 0);
      },
      limit_ms);
}

std::optional<Report> MonitorProcess::wait_state(const std::string& resource, State state, int limit_ms) {
  return wait_report([&](const Report& r) { return r.resource() == resource && r.state() == state; },
                     limit_ms);
}

Report MonitorProcess::run(Order::Action action, const std::string& resource, const std::string& type,
                           const Parameters& parameters, const std::function<void(Order&)>& edit) {
  auto report = result_of(order(action, resource, type, parameters, edit));
  EXPECT_TRUE(report) << "no final report about " << resource;
  return report.value_or(Report());
}

Report MonitorProcess::bring_up(const std::string& resource, const std::string& type,
                                const Parameters& parameters) {
  Report opened = run(Order::OPEN, resource, type, parameters);
  EXPECT_EQ(opened.error(), 0u) << opened.message();
  Report online = run(Order::ONLINE, resource, type, parameters);
  EXPECT_EQ(online.state(), State::ONLINE) << online.message();
  return online;
}

void MonitorProcess::close_socket() {
  socket_.reset();
}
void MonitorProcess::signal(int number) {
  kill(pid_, number);
}

std::optional<int> MonitorProcess::wait_exit(int limit_ms) {
  Instant until = boottime_now() + Duration::milliseconds(limit_ms);
  while (!exit_) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      break;
    }
    if (boottime_now() >= until) return std::nullopt;
    receive(2);
    if (!socket_) usleep(1000);
  }
  if (socket_) receive(0);
  return exit_;
}

int run_sweep(const std::string& state_dir, const std::string& netns) {
  pid_t pid = fork();
  if (pid == 0) execute(netns, {MONITOR_PROGRAM, "--sweep", state_dir});
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace holdfast::monitor
