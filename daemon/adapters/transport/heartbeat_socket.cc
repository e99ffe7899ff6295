#include "adapters/transport/heartbeat_socket.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>

#include <cerrno>

#include "adapters/transport/datagram.h"
#include "adapters/transport/listener.h"

namespace holdfast::transport {
namespace {

// One round of 63 peers; then everything else on this thread gets its turn, however many more are waiting.
constexpr int batch_max = 64;
// A second of heartbeats of 63 peers, each in an 8 KiB regroup message at worst; the kernel caps it at
// rmem_max.
constexpr int receive_buffer_bytes = 4 << 20;
constexpr int priority = 6;  // "interactive control", the highest a process may take without privileges

void set_options(int fd, bool v6) {
  // All of these only make things better: where the kernel refuses one, heartbeats still work.
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority);
  int traffic_class = IPTOS_CLASS_CS6;  // network control, RFC 4594
  // Fragments are better than a datagram lost to a path MTU that an ICMP message claims.
  int discover = IP_PMTUDISC_DONT;
  if (v6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &traffic_class, sizeof traffic_class);
    setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover, sizeof discover);
  } else {
    setsockopt(fd, IPPROTO_IP, IP_TOS, &traffic_class, sizeof traffic_class);
    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof discover);
  }
}

}  // namespace

HeartbeatSocket::HeartbeatSocket(Context& context, Receive receive)
    : context_(context), receive_(std::move(receive)), socket_(context.io), buffer_(64 << 10) {}

Status HeartbeatSocket::open(const asio::ip::address& local, uint16_t port) {
  asio::ip::udp::endpoint endpoint(local, port);
  asio::error_code error;
  socket_.open(endpoint.protocol(), error);
  if (!error) {
    set_options(socket_.native_handle(), local.is_v6());
    allow_missing_address(socket_.native_handle());
    if (local.is_v6()) socket_.set_option(asio::ip::v6_only(true), error);
  }
  if (!error) socket_.bind(endpoint, error);
  if (!error) socket_.non_blocking(true, error);
  if (error)
    return fail(ErrorCode::io, "cannot open UDP " + local.to_string() + " port " + std::to_string(port),
                error.value(), "another program may use the port");
  wait();
  return {};
}

void HeartbeatSocket::wait() {
  socket_.async_wait(asio::ip::udp::socket::wait_read,
                     [self = shared_from_this()](const asio::error_code& error) {
                       if (self->closed_) return;
                       if (!error) self->receive_batch();
                       if (!self->closed_) self->wait();
                     });
}

void HeartbeatSocket::receive_batch() {
  for (int i = 0; i < batch_max && !closed_; ++i) {
    ssize_t size = recv(socket_.native_handle(), buffer_.data(), buffer_.size(), 0);
    if (size < 0) {
      // ICMP errors of earlier sends (a peer that is down) are reported here too: take them off and go on.
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      continue;
    }
    receive_(buffer_.data(), static_cast<size_t>(size));
  }
}

void HeartbeatSocket::send(const asio::ip::address& to, uint16_t port, std::string_view datagram) {
  asio::ip::udp::endpoint endpoint(to, port);
  ssize_t sent = sendto(socket_.native_handle(), datagram.data(), datagram.size(), MSG_NOSIGNAL,
                        endpoint.data(), static_cast<socklen_t>(endpoint.size()));
  context_.count(sent < 0 ? "datagram-send-failed" : "datagram-sent");
}

void HeartbeatSocket::close() {
  closed_ = true;
  asio::error_code ignored;
  socket_.close(ignored);
}

}  // namespace holdfast::transport
