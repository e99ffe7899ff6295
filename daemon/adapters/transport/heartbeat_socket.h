// The UDP socket of one network. Sends and receives datagrams; what they mean is Transport's business.
#pragma once

#include <asio/ip/udp.hpp>
#include <asio/ip/v6_only.hpp>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "adapters/transport/context.h"

namespace holdfast::transport {

class HeartbeatSocket : public std::enable_shared_from_this<HeartbeatSocket> {
 public:
  using Receive = std::function<void(const uint8_t* bytes, size_t size)>;
  HeartbeatSocket(Context& context, Receive receive);
  Status open(const asio::ip::address& local, uint16_t port);
  void close();
  void send(const asio::ip::address& to, uint16_t port, std::string_view datagram);

 private:
  void wait();
  void receive_batch();

  Context& context_;
  Receive receive_;
  asio::ip::udp::socket socket_;
  std::vector<uint8_t> buffer_;
  bool closed_ = false;
};

}  // namespace holdfast::transport
