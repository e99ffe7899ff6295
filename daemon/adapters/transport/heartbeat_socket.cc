#include "adapters/transport/heartbeat_socket.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>

#include <cerrno>

#include "adapters/transport/datagram.h"
#include "adapters/transport/listener.h"

namespace holdfast::transport {
namespace {

// Taken at once; then everything else on this thread gets its turn, however many more are waiting.
constexpr size_t batch_max = 16;
// Longer than any that is genuine; what is cut off here is refused for its length.
constexpr size_t datagram_buffer_bytes = 16 << 10;
static_assert(datagram_buffer_bytes > datagram_header_size + datagram_payload_max + datagram_tag_size);
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
    : context_(context),
      receive_(std::move(receive)),
      socket_(context.io),
      buffer_(batch_max * datagram_buffer_bytes) {}

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

// One call for all that waits: the usual heartbeat comes in company, and a wait that finds more is free.
void HeartbeatSocket::receive_batch() {
  mmsghdr messages[batch_max] = {};
  iovec parts[batch_max];
  for (size_t i = 0; i < batch_max; ++i) {
    parts[i] = {buffer_.data() + i * datagram_buffer_bytes, datagram_buffer_bytes};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  // An error is that of an earlier send (ICMP of a peer that is down), reported once.
  int count = recvmmsg(socket_.native_handle(), messages, batch_max, MSG_DONTWAIT, nullptr);
  for (int i = 0; i < count && !closed_; ++i)
    receive_(static_cast<uint8_t*>(parts[i].iov_base), messages[i].msg_len);
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
