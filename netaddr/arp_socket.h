// A packet socket that speaks ARP on one interface.
#pragma once

#include <utility>

#include "netaddr/netlink.h"

namespace holdfast::netaddr {

class ArpSocket {
 public:
  static Result<ArpSocket> open(const Interface& interface);
  ArpSocket() = default;
  ArpSocket(ArpSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ArpSocket& operator=(ArpSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~ArpSocket();
  int fd() const { return fd_; }
  // Broadcasts a request; without a sender it is a probe, with sender = target an announcement.
  Status request(const Interface& interface, const Address* sender, const Address& target);

 private:
  int fd_ = -1;
};

}  // namespace holdfast::netaddr
