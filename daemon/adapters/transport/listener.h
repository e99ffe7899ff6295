// Accepts TCP connections on one network.
#pragma once

#include <asio/ip/tcp.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/steady_timer.hpp>
#include <memory>

#include "adapters/transport/context.h"

namespace holdfast::transport {

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(Context& context, int network)
      : context_(context), network_(network), acceptor_(context.io), pause_(context.io) {}
  Status open(const asio::ip::address& local, uint16_t port);
  void close();

 private:
  void accept();
  void accepted(asio::ip::tcp::socket socket);

  Context& context_;
  const int network_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  bool closed_ = false;
};

// A socket may be bound to an address that this node gets only later (an interface that is down, DHCP, IPv6
// DAD).
void allow_missing_address(int fd);

}  // namespace holdfast::transport
