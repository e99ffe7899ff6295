#include "adapters/transport/link_watch.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <asio/post.hpp>
#include <cstring>

namespace holdfast::transport {
namespace {

bool same_address(const sockaddr* have, const asio::ip::address& want) {
  if (have->sa_family == AF_INET && want.is_v4()) {
    auto in = reinterpret_cast<const sockaddr_in*>(have);
    // All of 127/8 is on the loopback interface, which lists only 127.0.0.1.
    if (want.is_loopback()) return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    return ntohl(in->sin_addr.s_addr) == want.to_v4().to_uint();
  }
  if (have->sa_family == AF_INET6 && want.is_v6()) {
    auto bytes = want.to_v6().to_bytes();
    return memcmp(&reinterpret_cast<const sockaddr_in6*>(have)->sin6_addr, bytes.data(), bytes.size()) == 0;
  }
  return false;
}

// Up: some interface holds the address, is up and has carrier.
bool is_up(const ifaddrs* list, const asio::ip::address& address) {
  for (auto entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr || !same_address(entry->ifa_addr, address)) continue;
    if ((entry->ifa_flags & IFF_UP) && (entry->ifa_flags & IFF_RUNNING)) return true;
  }
  return false;
}

}  // namespace

LinkWatch::LinkWatch(asio::io_context& io, std::vector<asio::ip::address> addresses, Changed changed)
    : io_(io),
      netlink_(io),
      addresses_(std::move(addresses)),
      known_(addresses_.size(), -1),
      changed_(std::move(changed)) {}

void LinkWatch::start() {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  local.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof local) == 0) {
    asio::error_code error;
    netlink_.assign(fd, error);
    if (!error) wait();
  } else if (fd >= 0) {
    ::close(fd);
  }
  asio::post(io_, [self = shared_from_this()] { self->look(); });
}

void LinkWatch::wait() {
  netlink_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const asio::error_code& error) {
                        if (self->closed_ || error) return;
                        self->drain();
                        self->look();
                        if (!self->closed_) self->wait();
                      });
}

// What the messages say does not matter, nor whether some were lost (ENOBUFS): look() reads the state itself.
void LinkWatch::drain() {
  char bytes[16 << 10];
  for (int i = 0; i < 64; ++i)
    if (recv(netlink_.native_handle(), bytes, sizeof bytes, MSG_DONTWAIT) < 0 && errno != ENOBUFS) return;
}

void LinkWatch::look() {
  if (closed_) return;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return;
  std::vector<int> state;
  for (auto& address : addresses_) state.push_back(is_up(list, address) ? 1 : 0);
  freeifaddrs(list);
  for (size_t i = 0; i < state.size() && !closed_; ++i) {
    if (known_[i] == state[i]) continue;
    known_[i] = state[i];
    changed_(static_cast<int>(i), state[i] == 1);
  }
}

void LinkWatch::close() {
  closed_ = true;
  asio::error_code ignored;
  netlink_.close(ignored);
}

}  // namespace holdfast::transport
