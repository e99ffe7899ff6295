#include "adapters/transport/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "adapters/transport/session.h"

namespace holdfast::transport {
namespace {

// All other nodes at once, twice, and some strangers: more connections that have not shown who they are is a
// flood.
constexpr size_t unidentified_max = 2 * nodes_max + 16;

}  // namespace

void allow_missing_address(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);  // IPv6 sockets know it under this name too
}

Status Listener::open(const asio::ip::address& local, uint16_t port) {
  asio::ip::tcp::endpoint endpoint(local, port);
  asio::error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error && local.is_v6()) acceptor_.set_option(asio::ip::v6_only(true), error);
  if (!error) {
    allow_missing_address(acceptor_.native_handle());
    acceptor_.bind(endpoint, error);
  }
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error)
    return fail(ErrorCode::io, "cannot listen on TCP " + local.to_string() + " port " + std::to_string(port),
                error.value(), "another program may use the port");
  accept();
  return {};
}

void Listener::accept() {
  acceptor_.async_accept(
      [self = shared_from_this()](const asio::error_code& error, asio::ip::tcp::socket socket) {
        if (self->closed_) return;
        if (!error) {
          self->accepted(std::move(socket));
          if (!self->closed_) self->accept();
          return;
        }
        // Out of file descriptors, most likely: trying again at once would only burn the processor.
        self->context_.count("accept-failed");
        self->pause_.expires_after(std::chrono::milliseconds(100));
        self->pause_.async_wait([self](const asio::error_code&) {
          if (!self->closed_) self->accept();
        });
      });
}

void Listener::accepted(asio::ip::tcp::socket socket) {
  if (context_.sessions.size() >= nodes_max + unidentified_max) {
    context_.count("accept-too-many");
    return;
  }
  std::make_shared<Session>(context_, make_stream(context_, std::move(socket)), network_)->accept();
}

void Listener::close() {
  closed_ = true;
  asio::error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

}  // namespace holdfast::transport
