#include "adapters/monitor_link/monitor_link.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <asio.hpp>
#include <cerrno>
#include <deque>
#include <thread>

#include "base/bytes.h"
#include "base/version.h"

extern char** environ;

namespace holdfast {
namespace {

constexpr size_t frame_bytes_max = 16 << 20;
constexpr auto shutdown_patience = std::chrono::seconds(6);
constexpr int lock_wait_ms = 12'000;
constexpr int sweep_wait_ms = 15'000;

void sleep_ms(int ms) {
  timespec t{ms / 1000, (ms % 1000) * 1'000'000L};
  nanosleep(&t, nullptr);
}

Result<pid_t> spawn(std::vector<std::string> args, int keep_fd) {
  std::vector<char*> argv;
  for (auto& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (keep_fd >= 0) posix_spawn_file_actions_adddup2(&actions, keep_fd, 3);
  // The monitor must not inherit the service's blocked signals.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  int error = posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    return fail(ErrorCode::io, "the resource monitor " + args[0] + " cannot be started", error,
                "is the package complete?");
  return pid;
}

}  // namespace

Status MonitorLink::sweep(const std::string& program, const std::string& state_dir) {
  std::string path = state_dir + "/monitor.lock";
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail(ErrorCode::io, path + " cannot be opened", errno, "does the state folder exist?");
  int waited = 0;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (waited >= lock_wait_ms) {
      close(fd);
      return fail(ErrorCode::busy, "a resource monitor of an earlier life still ends its resources", 0,
                  "look for a holdfast-monitor process that hangs");
    }
    sleep_ms(20);
    waited += 20;
  }
  close(fd);  // the sweep takes the lock itself
  auto pid = spawn({program, "--sweep", state_dir}, -1);
  if (!pid) return fail(pid.error());
  for (waited = 0; waited < sweep_wait_ms; waited += 5) {
    int status = 0;
    pid_t done = waitpid(*pid, &status, WNOHANG);
    if (done == *pid) {
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
      return fail(ErrorCode::busy, "not everything of an earlier life could be removed", 0,
                  "see the journal of holdfastd");
    }
    sleep_ms(5);
  }
  kill(*pid, SIGKILL);
  waitpid(*pid, nullptr, 0);
  return fail(ErrorCode::timeout, "removing what an earlier life left did not end in time");
}

class MonitorLink::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, MonitorLinkConfig config, Handlers handlers)
      : io_(io),
        config_(std::move(config)),
        handlers_(std::move(handlers)),
        socket_(io),
        timer_(io),
        restart_(io) {}

  void start() {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
      handlers_.trace("the resource monitor cannot be started: no socketpair");
      start_later();
      return;
    }
    auto pid = spawn({config_.program, "--fd", "3"}, pair[1]);
    close(pair[1]);
    if (!pid) {
      close(pair[0]);
      handlers_.trace(pid.error().text());
      start_later();
      return;
    }
    pid_ = *pid;
    ended_ = false;
    greeted_ = false;
    asio::error_code error;
    socket_ = asio::local::stream_protocol::socket(io_);
    socket_.assign(asio::local::stream_protocol(), pair[0], error);
    monitor::ToMonitor m;
    *m.mutable_hello() = config_.hello;
    send(m);
    read(++life_);
  }

  void send(const monitor::ToMonitor& message) {
    if (ended_) return;
    std::string frame(4, '\0');
    message.AppendToString(&frame);
    put_le(as_u8(frame), frame.size() - 4, 4);
    queue_.push_back(std::move(frame));
    if (!writing_) write(life_);
  }

  void shutdown(std::function<void()> done) {
    shutdown_done_ = std::move(done);
    if (ended_) {
      finish_shutdown();
      return;
    }
    stopping_ = true;
    monitor::ToMonitor m;
    m.set_shutdown(true);
    send(m);
    timer_.expires_after(shutdown_patience);
    timer_.async_wait([self = shared_from_this()](asio::error_code error) {
      if (error || self->closed_) return;
      self->handlers_.trace(
          "the resource monitor did not end in time: it is killed and what it left is swept");
      if (self->pid_ > 0) kill(self->pid_, SIGKILL);
    });
  }

  void close_all() {
    closed_ = true;
    asio::error_code ignored;
    socket_.close(ignored);
    timer_.cancel();
    restart_.cancel();
  }

 private:
  void read(uint64_t life) {
    asio::async_read(socket_, asio::buffer(head_),
                     [self = shared_from_this(), life](asio::error_code error, size_t) {
                       if (self->closed_ || life != self->life_) return;
                       size_t size = get_le(self->head_, 4);
                       if (error || size > frame_bytes_max) {
                         self->died();
                         return;
                       }
                       self->body_.resize(size);
                       asio::async_read(self->socket_, asio::buffer(self->body_),
                                        [self, life](asio::error_code error, size_t) {
                                          if (self->closed_ || life != self->life_) return;
                                          monitor::FromMonitor m;
                                          if (error || !m.ParseFromString(self->body_)) {
                                            self->died();
                                            return;
                                          }
                                          self->take(m);
                                          if (!self->closed_ && life == self->life_ && !self->ended_)
                                            self->read(life);
                                        });
                     });
  }

  void take(const monitor::FromMonitor& m) {
    if (m.has_hello()) {
      if (m.hello().version() == 0) {
        handlers_.trace("the resource monitor speaks another version: " + m.hello().text());
        kill(pid_, SIGKILL);
        return;
      }
      greeted_ = true;
      backoff_ms_ = 100;
      handlers_.on_started();
      return;
    }
    if (m.all_terminated()) return;  // its exit is what counts
    handlers_.on_message(m);
  }

  void write(uint64_t life) {
    writing_ = true;
    asio::async_write(socket_, asio::buffer(queue_.front()),
                      [self = shared_from_this(), life](asio::error_code error, size_t) {
                        if (self->closed_ || life != self->life_) return;
                        self->writing_ = false;
                        if (error) return;  // the reader notices the end
                        self->queue_.pop_front();
                        if (!self->queue_.empty()) self->write(life);
                      });
  }

  // The socket is gone. The rest (waiting for the process, sweeping) may take a while: not on the core's
  // thread.
  void died() {
    if (ended_) return;
    ended_ = true;
    ++life_;
    writing_ = false;
    queue_.clear();
    asio::error_code ignored;
    socket_.close(ignored);
    std::thread([self = shared_from_this(), work = asio::make_work_guard(io_)] {
      int status = 0;
      // A monitor that lost us terminates its resources and exits; one that cannot is killed, then swept.
      for (int waited = 0; waitpid(self->pid_, &status, WNOHANG) == 0; waited += 5) {
        if (waited >= 5000) kill(self->pid_, SIGKILL);
        sleep_ms(5);
      }
      std::string why = WIFSIGNALED(status) ? "it was ended by signal " + std::to_string(WTERMSIG(status))
                                            : "it exited with status " + std::to_string(WEXITSTATUS(status));
      auto swept = MonitorLink::sweep(self->config_.program, self->config_.state_dir);
      if (!swept) why += "; " + swept.error().text();
      asio::post(self->io_, [self, why] { self->buried(why); });
    }).detach();
  }

  void buried(const std::string& why) {
    if (closed_) return;
    pid_ = -1;
    timer_.cancel();
    if (stopping_) {
      finish_shutdown();
      return;
    }
    handlers_.on_died(why);
    start_later();
  }

  void start_later() {
    restart_.expires_after(std::chrono::milliseconds(backoff_ms_));
    backoff_ms_ = std::min(backoff_ms_ * 2, 5000);
    restart_.async_wait([self = shared_from_this()](asio::error_code error) {
      if (!error && !self->closed_ && !self->stopping_) self->start();
    });
  }

  void finish_shutdown() {
    stopping_ = true;
    if (auto done = std::exchange(shutdown_done_, nullptr)) done();
  }

  asio::io_context& io_;
  MonitorLinkConfig config_;
  Handlers handlers_;
  asio::local::stream_protocol::socket socket_;
  asio::steady_timer timer_, restart_;
  pid_t pid_ = -1;
  uint64_t life_ = 0;
  bool ended_ = true, greeted_ = false, writing_ = false, stopping_ = false, closed_ = false;
  int backoff_ms_ = 100;
  uint8_t head_[4];
  std::string body_;
  std::deque<std::string> queue_;
  std::function<void()> shutdown_done_;
};

MonitorLink::MonitorLink(asio::io_context& io, MonitorLinkConfig config, Handlers handlers)
    : impl_(std::make_shared<Impl>(io, std::move(config), std::move(handlers))) {}
MonitorLink::~MonitorLink() {
  impl_->close_all();
}
void MonitorLink::start() {
  impl_->start();
}
void MonitorLink::send(const monitor::ToMonitor& message) {
  impl_->send(message);
}
void MonitorLink::shutdown(std::function<void()> done) {
  impl_->shutdown(std::move(done));
}

}  // namespace holdfast
