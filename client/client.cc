#include "holdfast/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "base/version.h"

namespace holdfast::client {
namespace {

constexpr size_t frame_bytes_max = 64 << 20;  // a status of 64 nodes and 5000 resources is about 8 MiB

Instant now() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return {int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec};
}

// 0: the time is up.
int wait_for(int fd, short events, Instant deadline) {
  for (;;) {
    int64_t left_ms = (deadline - now()).ms() + 1;
    if (left_ms <= 0) return 0;
    pollfd p{fd, events, 0};
    int n = poll(&p, 1, static_cast<int>(std::min<int64_t>(left_ms, INT32_MAX)));
    if (n < 0 && errno == EINTR) continue;
    return n;
  }
}

Error cannot_connect(const std::string& socket, int why) {
  std::string name = "the cluster service on " + socket;
  if (why == EACCES || why == EPERM)
    return {ErrorCode::permission, why, "cannot connect to " + name,
            "run it as root or as a member of holdfast-admin"};
  return {ErrorCode::unreachable, why, "cannot reach " + name,
          "is it running? 'systemctl status holdfastd', 'journalctl -u holdfastd -n 50'"};
}

}  // namespace

std::string default_socket() {
  const char* given = getenv("HOLDFAST_SOCKET");
  return given && *given ? given : "/run/holdfast/holdfast.sock";
}

struct Client::Connection {
  int fd = -1;
  std::string program, received;
  uint64_t next_id = 1;

  ~Connection() { drop(); }
  void drop() {
    if (fd >= 0) ::close(fd);
    fd = -1;
    received.clear();
  }

  Status send_frame(const std::string& payload, Instant deadline) {
    if (fd < 0) return fail(ErrorCode::connection_lost, "the connection to the cluster service is closed");
    std::string frame(4, '\0');
    put_le(as_u8(frame), payload.size(), 4);
    frame += payload;
    for (size_t done = 0; done < frame.size();) {
      ssize_t n = ::send(fd, frame.data() + done, frame.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n >= 0) {
        done += static_cast<size_t>(n);
      } else if (errno == EAGAIN) {
        if (wait_for(fd, POLLOUT, deadline) != 0) continue;
        drop();
        return fail(ErrorCode::timeout, "the cluster service does not take the request");
      } else if (errno != EINTR) {
        int why = errno;
        drop();
        return fail(ErrorCode::connection_lost, "the cluster service closed the connection", why);
      }
    }
    return {};
  }

  // On timeout what was received so far is kept.
  Result<api::Response> receive(Instant deadline) {
    for (;;) {
      if (fd < 0) return fail(ErrorCode::connection_lost, "the connection to the cluster service is closed");
      if (received.size() >= 4) {
        size_t size = get_le(as_u8(received), 4);
        if (size > frame_bytes_max) {
          drop();
          return fail(ErrorCode::corrupt, "the answer claims " + std::to_string(size) + " bytes", 0,
                      "is that socket really the cluster service's?");
        }
        if (received.size() >= 4 + size) {
          api::Response response;
          bool good = response.ParseFromArray(received.data() + 4, static_cast<int>(size));
          received.erase(0, 4 + size);
          if (good) return response;
          drop();
          return fail(ErrorCode::corrupt, "the cluster service's answer cannot be read");
        }
      }
      if (wait_for(fd, POLLIN, deadline) == 0)
        return fail(ErrorCode::timeout, "the cluster service did not answer in time");
      char buffer[65536];
      ssize_t n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0) {
        received.append(buffer, static_cast<size_t>(n));
      } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        int why = n == 0 ? 0 : errno;
        drop();
        return fail(ErrorCode::connection_lost, "the cluster service closed the connection", why);
      }
    }
  }
};

Client::Client(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::connect(const std::string& socket, Duration timeout, std::string program) {
  Instant deadline = now() + timeout;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path)
    return fail(ErrorCode::invalid_argument, "the socket path is longer than 107 characters: " + socket);
  memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  auto connection = std::make_unique<Connection>();
  connection->program = std::move(program);
  connection->fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connection->fd < 0) return fail(ErrorCode::internal, "cannot make a socket", errno);
  // EAGAIN: the queue of the listener is full. A Unix socket cannot be polled for that.
  while (::connect(connection->fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fail(cannot_connect(socket, errno));
    if (now() >= deadline) return fail(ErrorCode::timeout, "the cluster service does not take connections");
    poll(nullptr, 0, 10);
  }
  return Client(std::move(connection));
}

Result<api::Response> Client::call(api::Request request, Duration timeout) {
  Instant deadline = now() + timeout;
  Connection& c = *connection_;
  request.set_id(c.next_id++);
  request.set_version_min(protocol_version_min);
  request.set_version_max(protocol_version_max);
  request.set_client(c.program);
  HOLDFAST_CHECK(c.send_frame(request.SerializeAsString(), deadline));
  for (;;) {
    auto response = c.receive(deadline);
    if (!response) {
      c.drop();  // its late answer must not be taken for the next one
      return response;
    }
    if (response->id() != request.id() && response->id() != 0) continue;
    if (response->error() != 0)
      return fail(error_code_from(response->error()), response->message(), 0, response->hint());
    return response;
  }
}

Result<api::Status> Client::status(Duration timeout) {
  api::Request request;
  request.mutable_status();
  HOLDFAST_TRY(auto response, call(std::move(request), timeout));
  if (!response.has_status())
    return fail(ErrorCode::corrupt, "the cluster service answered without a status");
  return std::move(*response.mutable_status());
}

Result<api::Response> Client::command(const api::Command& command, Duration timeout) {
  api::Request request;
  *request.mutable_command() = command;
  return call(std::move(request), timeout + Duration::milliseconds(command.wait_ms()));
}

Result<tree::Tree> Client::read_tree(const std::string& prefix, Duration timeout) {
  api::Request request;
  request.mutable_read_tree()->set_prefix(prefix);
  HOLDFAST_TRY(auto response, call(std::move(request), timeout));
  if (!response.has_tree())
    return fail(ErrorCode::corrupt, "the cluster service answered without the database");
  return std::move(*response.mutable_tree());
}

Result<api::Response> Client::transact(const tree::Transaction& transaction, const std::string& cause,
                                       Duration timeout) {
  api::Request request;
  *request.mutable_transact()->mutable_transaction() = transaction;
  request.mutable_transact()->set_cause(cause);
  return call(std::move(request), timeout);
}

Status Client::subscribe(bool history, Duration timeout) {
  Connection& c = *connection_;
  api::Request request;
  request.set_id(c.next_id++);
  request.set_version_min(protocol_version_min);
  request.set_version_max(protocol_version_max);
  request.set_client(c.program);
  request.mutable_subscribe()->set_history(history);
  return c.send_frame(request.SerializeAsString(), now() + timeout);
}

Result<api::Event> Client::next_event(Duration timeout) {
  Instant deadline = now() + timeout;
  for (;;) {
    HOLDFAST_TRY(auto response, connection_->receive(deadline));
    if (response.error() != 0)
      return fail(error_code_from(response.error()), response.message(), 0, response.hint());
    if (response.has_event()) return std::move(*response.mutable_event());
  }
}

Status Client::for_each_event(const std::function<bool(const api::Event&)>& each) {
  for (;;) {
    auto event = next_event(Duration::seconds(3600));
    if (!event && event.error().code == ErrorCode::timeout) continue;
    if (!event) return fail(event.error());
    if (!each(*event)) return {};
  }
}

int Client::descriptor() const {
  return connection_->fd;
}

}  // namespace holdfast::client
