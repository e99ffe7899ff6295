// iSCSI by libiscsi, with its convenience switched off: no reconnect, no replay, no name look-up, own
// millisecond timers. Whatever breaks the session destroys the context, because a broken one still accepts
// commands. docs/protocols/reservations.md, "Session rules".
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>
#include <signal.h>

#include <cstring>

#include "iscsi/transport.h"

namespace holdfast::scsi {
namespace {

// A dead peer must not keep unacknowledged bytes in the kernel for longer than a takeover may last.
constexpr int tcp_user_timeout_ms = 500;
// libiscsi may ask for no events at all; look again soon instead of spinning.
constexpr long idle_poll_ns = 1'000'000;

// libiscsi writes to its socket without MSG_NOSIGNAL. The guard swallows the SIGPIPE of this thread, so that
// using this library does not dictate the signal handling of a program.
class SigpipeGuard {
 public:
  SigpipeGuard() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~SigpipeGuard() {
    if (sigismember(&before_, SIGPIPE)) return;
    timespec zero{};
    sigtimedwait(&pipe_, nullptr, &zero);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeGuard(const SigpipeGuard&) = delete;
  SigpipeGuard& operator=(const SigpipeGuard&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

// Where a callback of libiscsi leaves its result. Lives until the callback came or the context is destroyed.
struct Pending {
  bool done = false;
  int status = 0;
  uint32_t response = 0;  // of a task management function
};

void on_done(iscsi_context*, int status, void*, void* pending) {
  auto* p = static_cast<Pending*>(pending);
  // A connect callback comes a second time when the connection ends: the first one counts.
  if (p->done) return;
  p->status = status;
  p->done = true;
}

void on_task_management(iscsi_context*, int status, void* response, void* pending) {
  auto* p = static_cast<Pending*>(pending);
  p->status = status;
  if (status == SCSI_STATUS_GOOD && response != nullptr) p->response = *static_cast<uint32_t*>(response);
  p->done = true;
}

struct TaskDeleter {
  void operator()(scsi_task* task) const { scsi_free_scsi_task(task); }
};

class IscsiTransport : public Transport {
 public:
  explicit IscsiTransport(Attachment attachment)
      : attachment_(std::move(attachment)), name_(attachment_.text()) {}
  ~IscsiTransport() override { close(); }

  Status open(const Deadline& deadline) override;
  void close() override;
  bool is_open() const override { return context_ != nullptr && logged_in_; }
  Result<Completion> execute(const Command& command, const Deadline& deadline) override;
  Status lun_reset(const Deadline& deadline) override;

 private:
  enum class Wait : uint8_t { done, timeout, broken };
  // Serves the socket until `pending` is done, the deadline passes or the session breaks.
  Wait wait(const Pending& pending, const Deadline& deadline);
  Status configure();
  Status log_in(const Deadline& deadline);
  tl::unexpected<Error> login_refused();
  // Closes, and says how the command ended.
  tl::unexpected<Error> lost(Wait outcome, const std::string& what);

  const Attachment attachment_;
  const std::string name_;
  iscsi_context* context_ = nullptr;
  bool logged_in_ = false;
  // Outlives the context: the connect callback may come again when the connection ends.
  Pending connected_;
};

void IscsiTransport::close() {
  logged_in_ = false;
  if (context_ == nullptr) return;
  SigpipeGuard guard;
  iscsi_destroy_context(
      context_);  // calls back what is pending as cancelled, closes the socket, sends nothing
  context_ = nullptr;
}

IscsiTransport::Wait IscsiTransport::wait(const Pending& pending, const Deadline& deadline) {
  while (!pending.done) {
    if (deadline.passed()) return Wait::timeout;
    pollfd p{iscsi_get_fd(context_), static_cast<short>(iscsi_which_events(context_)), 0};
    if (p.fd < 0) return Wait::broken;
    timespec limit = deadline.left_timespec();
    bool idle = p.events == 0;
    if (idle && (limit.tv_sec > 0 || limit.tv_nsec > idle_poll_ns)) limit = {0, idle_poll_ns};
    int ready = ppoll(&p, 1, &limit, nullptr);
    if (ready < 0 && errno != EINTR) return Wait::broken;
    if (ready <= 0) continue;
    // An answer that arrived before the hang-up still counts, and libiscsi would drop it on seeing POLLHUP.
    int events = (p.revents & POLLIN) != 0 ? p.revents & (POLLIN | POLLOUT) : p.revents;
    if (iscsi_service(context_, events) < 0 && !pending.done) return Wait::broken;
    if (idle && (p.revents & (POLLHUP | POLLERR)) != 0 && !pending.done) return Wait::broken;
  }
  return Wait::done;
}

tl::unexpected<Error> IscsiTransport::lost(Wait outcome, const std::string& what) {
  close();
  if (outcome == Wait::timeout)
    return fail(ErrorCode::timeout,
                what + " on LUN " + name_ + " got no answer in time; it may have been executed");
  return fail(ErrorCode::connection_lost,
              "The connection to LUN " + name_ + " broke during " + what + "; it may have been executed");
}

Status IscsiTransport::configure() {
  context_ = iscsi_create_context(attachment_.initiator_name.c_str());
  if (context_ == nullptr)
    return fail(ErrorCode::internal, "libiscsi cannot create a context for LUN " + name_);
  iscsi_set_noautoreconnect(context_, 1);
  iscsi_set_reconnect_max_retries(context_, 0);
  iscsi_set_tcp_user_timeout(context_, tcp_user_timeout_ms);
  iscsi_set_timeout(context_, 0);  // counts whole seconds; wait() has its own clock
  iscsi_set_session_type(context_, ISCSI_SESSION_NORMAL);
  iscsi_set_header_digest(context_, ISCSI_HEADER_DIGEST_NONE_CRC32C);
  iscsi_set_targetname(context_, attachment_.target.c_str());
  // The "random" ISID format, with a value that never changes: the registration belongs to it.
  iscsi_set_isid_random(context_, 0x480000 | (attachment_.isid_qualifier >> 16),
                        attachment_.isid_qualifier & 0xffff);
  if (!attachment_.user.empty())
    iscsi_set_initiator_username_pwd(context_, attachment_.user.c_str(), attachment_.password.c_str());
  return {};
}

tl::unexpected<Error> IscsiTransport::login_refused() {
  std::string why = iscsi_get_error(context_);
  while (!why.empty() && (why.back() == '\n' || why.back() == '.')) why.pop_back();
  close();
  std::string message = "The iSCSI target of LUN " + name_ + " refused the login: " + why;
  // libiscsi prints the status class and detail of the login response in parentheses (RFC 7143, 11.13.5).
  if (why.find("(513)") != std::string::npos || why.find("(514)") != std::string::npos)
    return fail(ErrorCode::permission, message, 0,
                "check CHAP user and password and the target's access list");
  if (why.find("(515)") != std::string::npos)
    return fail(ErrorCode::not_found, message, 0, "check the target name");
  return fail(ErrorCode::unreachable, message);
}

Status IscsiTransport::log_in(const Deadline& deadline) {
  bool six = attachment_.host.find(':') != std::string::npos;
  std::string portal =
      (six ? "[" + attachment_.host + "]" : attachment_.host) + ":" + std::to_string(attachment_.port);
  connected_ = {};
  if (iscsi_connect_async(context_, portal.c_str(), on_done, &connected_) != 0 ||
      wait(connected_, deadline) != Wait::done || connected_.status != SCSI_STATUS_GOOD) {
    close();
    return fail(ErrorCode::unreachable, "The iSCSI portal of LUN " + name_ + " does not answer");
  }
  Pending login;
  Wait outcome = Wait::broken;
  if (iscsi_login_async(context_, on_done, &login) == 0) outcome = wait(login, deadline);
  if (outcome == Wait::done && login.status == SCSI_STATUS_GOOD) {
    logged_in_ = true;
    return {};
  }
  if (outcome == Wait::timeout) {
    close();
    return fail(ErrorCode::unreachable,
                "The iSCSI target of LUN " + name_ + " does not answer the login in time");
  }
  return login_refused();
}

Status IscsiTransport::open(const Deadline& deadline) {
  close();
  // A default name would make two nodes one initiator, and their registrations one registration.
  if (attachment_.initiator_name.empty())
    return fail(ErrorCode::invalid_argument, "No iSCSI initiator name is set for LUN " + name_);
  SigpipeGuard guard;
  HOLDFAST_CHECK(configure());
  return log_in(deadline);
}

Result<Completion> IscsiTransport::execute(const Command& command, const Deadline& deadline) {
  if (!is_open()) return fail(ErrorCode::unreachable, "No session to LUN " + name_ + " is open");
  int direction = command.direction == Direction::in    ? SCSI_XFER_READ
                  : command.direction == Direction::out ? SCSI_XFER_WRITE
                                                        : SCSI_XFER_NONE;
  auto cdb = command.cdb;
  SigpipeGuard guard;
  Pending pending;
  std::unique_ptr<scsi_task, TaskDeleter> task(scsi_create_task(
      static_cast<int>(command.cdb_size), cdb.data(), direction, static_cast<int>(command.size)));
  if (!task) return fail(ErrorCode::internal, "libiscsi cannot create a task for LUN " + name_);
  // The task reads and writes the caller's memory, no copy. lost() destroys the context before that memory
  // goes.
  auto* bytes = static_cast<uint8_t*>(command.data);
  int size = static_cast<int>(command.size);
  if (command.direction == Direction::in) scsi_task_add_data_in_buffer(task.get(), size, bytes);
  if (command.direction == Direction::out) scsi_task_add_data_out_buffer(task.get(), size, bytes);
  if (iscsi_scsi_command_async(context_, attachment_.lun, task.get(), on_done, nullptr, &pending) != 0)
    return lost(Wait::broken, command.name);
  if (Wait outcome = wait(pending, deadline); outcome != Wait::done) return lost(outcome, command.name);
  // Beyond the SAM byte are libiscsi's own: cancelled, error, timeout. All of them mean that there was no
  // answer.
  if (pending.status < 0 || pending.status > 0xff) return lost(Wait::broken, command.name);

  Completion out;
  out.status = static_cast<uint8_t>(pending.status);
  out.sense_key = static_cast<uint8_t>(task->sense.key);
  out.sense_code = static_cast<uint16_t>(task->sense.ascq);
  out.transferred = command.size;
  if (task->residual_status == SCSI_RESIDUAL_UNDERFLOW)
    out.transferred -= task->residual < command.size ? task->residual : command.size;
  return out;
}

Status IscsiTransport::lun_reset(const Deadline& deadline) {
  if (!is_open()) return fail(ErrorCode::unreachable, "No session to LUN " + name_ + " is open");
  constexpr const char* what = "LOGICAL UNIT RESET";
  SigpipeGuard guard;
  Pending pending;
  if (iscsi_task_mgmt_lun_reset_async(context_, attachment_.lun, on_task_management, &pending) != 0)
    return lost(Wait::broken, what);
  if (Wait outcome = wait(pending, deadline); outcome != Wait::done) return lost(outcome, what);
  if (pending.status != SCSI_STATUS_GOOD) return lost(Wait::broken, what);
  if (pending.response == ISCSI_TMR_FUNC_COMPLETE) return {};
  bool absent = pending.response == ISCSI_TMR_TMF_NOT_SUPPORTED;
  return fail(absent ? ErrorCode::unsupported : ErrorCode::permission,
              std::string(what) + " on LUN " + name_ + " was refused with response " +
                  std::to_string(pending.response));
}

}  // namespace

std::unique_ptr<Transport> make_iscsi_transport(const Attachment& attachment) {
  return std::make_unique<IscsiTransport>(attachment);
}

}  // namespace holdfast::scsi
