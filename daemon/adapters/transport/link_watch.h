// Watches the interfaces that hold the networks' addresses, through rtnetlink: a cable that is pulled is
// known at once, long before a heartbeat is missed.
#pragma once

#include <asio/ip/address.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "adapters/transport/context.h"

namespace holdfast::transport {

class LinkWatch : public std::enable_shared_from_this<LinkWatch> {
 public:
  // `changed` is called with the network's number for each change, and once for each network in the
  // beginning.
  using Changed = std::function<void(int network, bool up)>;
  LinkWatch(asio::io_context& io, std::vector<asio::ip::address> addresses, Changed changed);
  // Without netlink (a sandbox) the state is reported once and then stays.
  void start();
  void close();

 private:
  void wait();
  void drain();
  void look();

  asio::io_context& io_;
  asio::posix::stream_descriptor netlink_;
  const std::vector<asio::ip::address> addresses_;
  std::vector<int> known_;  // -1 = not reported yet, 0 down, 1 up
  Changed changed_;
  bool closed_ = false;
};

}  // namespace holdfast::transport
