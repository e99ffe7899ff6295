#include "iscsi/helper_process.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "iscsi/deadline.h"
#include "iscsi/helper_messages.h"

namespace holdfast::scsi {
namespace {

// The helper keeps the deadline itself; waiting a little longer gets its report instead of ours.
constexpr Duration grace = Duration::milliseconds(20);

// Helpers that were killed but had not ended yet: one in D state ends when the kernel lets it.
class Graveyard {
 public:
  void bury(pid_t pid) {
    std::lock_guard lock(mutex_);
    pids_.push_back(pid);
    std::erase_if(pids_, [](pid_t p) { return waitpid(p, nullptr, WNOHANG) != 0; });
  }

 private:
  std::mutex mutex_;
  std::vector<pid_t> pids_;
};
Graveyard& graveyard() {
  static Graveyard the_one;
  return the_one;
}

struct Arguments {
  uint64_t n[4] = {};
  std::string_view data;  // of a write
};

class HelperLun : public Lun {
 public:
  explicit HelperLun(Attachment attachment) : attachment_(std::move(attachment)), name_(attachment_.text()) {}
  ~HelperLun() override { close(); }

  Status open(Duration limit) override;
  void close() override;
  bool is_open() const override { return open_; }
  uint64_t size_bytes() const override { return size_bytes_; }
  uint64_t unit_attention_count() const override { return unit_attentions_; }

  Result<Capabilities> capabilities(Duration limit) override {
    HOLDFAST_TRY(std::string got, call(HelperCall::capabilities, {}, limit));
    FrameReader in(got);
    return get_capabilities(in);
  }
  Status test_unit_ready(Duration limit) override { return order(HelperCall::test_unit_ready, {}, limit); }
  Status register_key(ReservationKey existing, ReservationKey wanted, Duration limit) override {
    return order(HelperCall::register_key, {{existing.value, wanted.value}, {}}, limit);
  }
  Status register_ignore(ReservationKey wanted, Duration limit) override {
    return order(HelperCall::register_ignore, {{0, wanted.value}, {}}, limit);
  }
  Status reserve(ReservationKey own, ReservationType type, Duration limit) override {
    return order(HelperCall::reserve, {{own.value, 0, static_cast<uint64_t>(type)}, {}}, limit);
  }
  Status release(ReservationKey own, ReservationType type, Duration limit) override {
    return order(HelperCall::release, {{own.value, 0, static_cast<uint64_t>(type)}, {}}, limit);
  }
  Status clear(ReservationKey own, Duration limit) override {
    return order(HelperCall::clear, {{own.value}, {}}, limit);
  }
  Status preempt(ReservationKey own, ReservationKey victim, ReservationType type, bool abort,
                 Duration limit) override {
    return order(HelperCall::preempt, {{own.value, victim.value, static_cast<uint64_t>(type), abort}, {}},
                 limit);
  }
  Result<RegisteredKeys> read_keys(Duration limit) override;
  Result<Reservation> read_reservation(Duration limit) override;
  Result<std::vector<FullStatusEntry>> read_full_status(Duration limit) override;
  Status lun_reset(Duration limit) override { return order(HelperCall::lun_reset, {}, limit); }
  Status read(uint64_t offset_bytes, void* buffer, size_t size, Duration limit) override;
  Status write(uint64_t offset_bytes, const void* buffer, size_t size, Duration limit) override {
    return order(HelperCall::write, {{offset_bytes, size}, {static_cast<const char*>(buffer), size}}, limit);
  }

 private:
  Status start();
  Result<std::string> call(HelperCall what, const Arguments& arguments, Duration limit);
  Status order(HelperCall what, const Arguments& arguments, Duration limit) {
    HOLDFAST_TRY([[maybe_unused]] std::string nothing, call(what, arguments, limit));
    return {};
  }
  enum class Moved : uint8_t { all, timeout, broken };
  Moved move(bool out, char* data, size_t size, const Deadline& deadline);
  Moved exchange(const std::string& frame, std::string& reply, const Deadline& deadline);

  const Attachment attachment_;
  const std::string name_;
  int fd_ = -1;
  pid_t helper_ = -1;
  bool open_ = false;
  uint64_t size_bytes_ = 0;
  uint64_t unit_attentions_ = 0;
};

[[noreturn]] void run_helper(int fd, const Attachment& attachment, pid_t parent) {
  // The parent may have died before this took effect, hence the second look.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  prctl(PR_SET_NAME, "holdfast-scsi");
  int kept = dup2(fd, 3);
  close_range(4, ~0U, 0);
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  for (int s : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD}) signal(s, SIG_DFL);
  std::unique_ptr<Lun> lun = make_lun(attachment);
  serve_helper(kept, *lun);
  _exit(0);
}

Status HelperLun::start() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(ErrorCode::internal, "The helper process for LUN " + name_ + " gets no socket", errno);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) run_helper(ends[1], attachment_, parent);
  int why = errno;
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    return fail(ErrorCode::unreachable, "The helper process for LUN " + name_ + " does not start", why);
  }
  fd_ = ends[0];
  helper_ = pid;
  return {};
}

void HelperLun::close() {
  open_ = false;
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  if (helper_ <= 0) return;
  kill(helper_, SIGKILL);
  graveyard().bury(helper_);
  helper_ = -1;
}

HelperLun::Moved HelperLun::move(bool out, char* data, size_t size, const Deadline& deadline) {
  while (size > 0) {
    pollfd p{fd_, static_cast<short>(out ? POLLOUT : POLLIN), 0};
    timespec limit = deadline.left_timespec();
    int ready = ppoll(&p, 1, &limit, nullptr);
    if (ready < 0 && errno != EINTR) return Moved::broken;
    if (ready == 0) return Moved::timeout;
    if (ready < 0) continue;
    ssize_t moved =
        out ? send(fd_, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) : recv(fd_, data, size, MSG_DONTWAIT);
    if (moved < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (moved <= 0) return Moved::broken;
    data += moved;
    size -= static_cast<size_t>(moved);
  }
  return Moved::all;
}

HelperLun::Moved HelperLun::exchange(const std::string& frame, std::string& reply, const Deadline& deadline) {
  uint8_t size[8];
  put_le(size, frame.size(), 8);
  Moved done = move(true, reinterpret_cast<char*>(size), sizeof size, deadline);
  if (done == Moved::all) done = move(true, const_cast<char*>(frame.data()), frame.size(), deadline);
  if (done == Moved::all) done = move(false, reinterpret_cast<char*>(size), sizeof size, deadline);
  if (done != Moved::all) return done;
  reply.resize(get_le(size, 8));
  return move(false, reply.data(), reply.size(), deadline);
}

Result<std::string> HelperLun::call(HelperCall what, const Arguments& arguments, Duration limit) {
  if (fd_ < 0 || (!open_ && what != HelperCall::open))
    return fail(ErrorCode::unreachable, "No session to LUN " + name_ + " is open");
  FrameWriter request;
  request.number(static_cast<uint64_t>(what)).number(static_cast<uint64_t>(limit.ns));
  for (uint64_t value : arguments.n) request.number(value);
  request.text(arguments.data);
  std::string reply;
  if (Moved done = exchange(request.take(), reply, Deadline(limit + grace)); done != Moved::all) {
    close();
    if (done == Moved::timeout)
      return fail(ErrorCode::timeout, "LUN " + name_ + " keeps its helper process hanging; it was abandoned");
    return fail(ErrorCode::connection_lost, "The helper process of LUN " + name_ + " ended");
  }
  FrameReader in(reply);
  bool ok = in.number() != 0;
  open_ = in.number() != 0;
  size_bytes_ = in.number();
  unit_attentions_ = in.number();
  if (!ok) return fail(get_error(in));
  return std::string(in.text());
}

Status HelperLun::open(Duration limit) {
  close();
  HOLDFAST_CHECK(start());
  Status done = order(HelperCall::open, {}, limit);
  if (done) return {};
  Error error = done.error();
  close();
  if (error.uncertain()) error.code = ErrorCode::unreachable;  // opening changes nothing
  return fail(std::move(error));
}

Result<RegisteredKeys> HelperLun::read_keys(Duration limit) {
  HOLDFAST_TRY(std::string got, call(HelperCall::read_keys, {}, limit));
  FrameReader in(got);
  RegisteredKeys out;
  out.generation = static_cast<uint32_t>(in.number());
  for (uint64_t left = in.number(); left > 0 && in.good(); --left) out.keys.push_back({in.number()});
  return out;
}

Result<Reservation> HelperLun::read_reservation(Duration limit) {
  HOLDFAST_TRY(std::string got, call(HelperCall::read_reservation, {}, limit));
  FrameReader in(got);
  Reservation out;
  out.key = {in.number()};
  out.type = static_cast<ReservationType>(in.number());
  out.generation = static_cast<uint32_t>(in.number());
  return out;
}

Result<std::vector<FullStatusEntry>> HelperLun::read_full_status(Duration limit) {
  HOLDFAST_TRY(std::string got, call(HelperCall::read_full_status, {}, limit));
  FrameReader in(got);
  std::vector<FullStatusEntry> out;
  for (uint64_t left = in.number(); left > 0 && in.good(); --left) {
    FullStatusEntry& e = out.emplace_back();
    e.key = {in.number()};
    e.holder = in.number() != 0;
    e.type = static_cast<ReservationType>(in.number());
    e.relative_port = static_cast<uint16_t>(in.number());
    e.transport_id = in.text();
  }
  return out;
}

Status HelperLun::read(uint64_t offset_bytes, void* buffer, size_t size, Duration limit) {
  HOLDFAST_TRY(std::string got, call(HelperCall::read, {{offset_bytes, size}, {}}, limit));
  FrameReader in(got);
  std::string_view data = in.text();
  if (data.size() != size)
    return fail(ErrorCode::internal, "The helper process of LUN " + name_ + " lost data");
  memcpy(buffer, data.data(), size);
  return {};
}

}  // namespace

std::unique_ptr<Lun> make_helper_lun(const Attachment& attachment) {
  return std::make_unique<HelperLun>(attachment);
}

}  // namespace holdfast::scsi
