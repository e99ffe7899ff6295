#include "netaddr/arp.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "base/clock.h"
#include "netaddr/arp_socket.h"

namespace holdfast::netaddr {
namespace {

std::string mac_text(const uint8_t* mac) {
  char out[18];
  snprintf(out, sizeof out, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
  return out;
}

// The MAC of another machine that has the address, or wants it at the same time.
std::optional<std::string> conflict_in(const ether_arp& packet, const Interface& self,
                                       const Address& address) {
  if (ntohs(packet.arp_pro) != ETHERTYPE_IP || packet.arp_pln != 4 || packet.arp_hln != 6)
    return std::nullopt;
  if (memcmp(packet.arp_sha, self.mac.data(), 6) == 0) return std::nullopt;
  static constexpr uint8_t nobody[4] = {};
  bool has_it = memcmp(packet.arp_spa, address.bytes.data(), 4) == 0;
  bool probes_it = ntohs(packet.arp_op) == ARPOP_REQUEST && memcmp(packet.arp_spa, nobody, 4) == 0 &&
                   memcmp(packet.arp_tpa, address.bytes.data(), 4) == 0;
  if (!has_it && !probes_it) return std::nullopt;
  return mac_text(packet.arp_sha);
}

}  // namespace

Result<ArpSocket> ArpSocket::open(const Interface& interface) {
  ArpSocket out;
  out.fd_ = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ARP));
  if (out.fd_ < 0) return fail(ErrorCode::permission, "cannot open a packet socket for ARP", errno);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(ETH_P_ARP);
  to.sll_ifindex = interface.index;
  if (bind(out.fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    return fail(ErrorCode::io, "cannot listen for ARP on " + interface.name, errno);
  return out;
}

ArpSocket::~ArpSocket() {
  if (fd_ >= 0) close(fd_);
}

Status ArpSocket::request(const Interface& interface, const Address* sender, const Address& target) {
  ether_arp packet{};
  packet.arp_hrd = htons(ARPHRD_ETHER);
  packet.arp_pro = htons(ETHERTYPE_IP);
  packet.arp_hln = 6;
  packet.arp_pln = 4;
  packet.arp_op = htons(ARPOP_REQUEST);
  memcpy(packet.arp_sha, interface.mac.data(), 6);
  if (sender != nullptr) memcpy(packet.arp_spa, sender->bytes.data(), 4);
  memcpy(packet.arp_tpa, target.bytes.data(), 4);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(ETH_P_ARP);
  to.sll_ifindex = interface.index;
  to.sll_halen = 6;
  memset(to.sll_addr, 0xff, 6);
  if (sendto(fd_, &packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
    return fail(ErrorCode::io, "cannot send ARP on " + interface.name, errno);
  return {};
}

Result<std::optional<std::string>> arp_probe(const Interface& interface, const Address& address,
                                             const ProbeSettings& settings) {
  if (address.family != AF_INET || !interface.resolves) return std::nullopt;
  HOLDFAST_TRY(ArpSocket arp, ArpSocket::open(interface));
  for (int i = 0; i < settings.count; ++i) {
    HOLDFAST_CHECK(arp.request(interface, nullptr, address));
    Instant until = boottime_now() + settings.interval;
    for (Duration left = settings.interval; left.ns > 0; left = until - boottime_now()) {
      pollfd p{arp.fd(), POLLIN, 0};
      poll(&p, 1, static_cast<int>(left.ms()) + 1);
      ether_arp packet{};
      while (recv(arp.fd(), &packet, sizeof packet, 0) == static_cast<ssize_t>(sizeof packet) ||
             (errno != EAGAIN && errno != ENETDOWN)) {
        if (auto who = conflict_in(packet, interface, address)) return who;
        packet = {};
      }
    }
  }
  return std::nullopt;
}

}  // namespace holdfast::netaddr
