#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netaddr/arp.h"
#include "netaddr/arp_socket.h"

namespace holdfast::netaddr {
namespace {

// Unsolicited neighbour advertisement to all nodes, "override" set: neighbours replace the old owner's MAC.
Status advertise(const Interface& interface, const Address& address) {
  struct {
    nd_neighbor_advert advert;
    nd_opt_hdr option;
    uint8_t mac[6];
  } packet{};
  static_assert(sizeof packet == 32, "as it goes over the network: without padding");
  packet.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
  packet.advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
  memcpy(&packet.advert.nd_na_target, address.bytes.data(), 16);
  packet.option.nd_opt_type = ND_OPT_TARGET_LINKADDR;
  packet.option.nd_opt_len = 1;
  memcpy(packet.mac, interface.mac.data(), 6);
  int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);  // the kernel fills the checksum
  if (fd < 0) return fail(ErrorCode::permission, "cannot open a raw ICMPv6 socket", errno);
  int hops = 255;  // receivers refuse anything else
  setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
  setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &interface.index, sizeof interface.index);
  sockaddr_in6 from{}, to{};
  from.sin6_family = to.sin6_family = AF_INET6;
  memcpy(&from.sin6_addr, address.bytes.data(), 16);
  inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
  from.sin6_scope_id = to.sin6_scope_id = static_cast<uint32_t>(interface.index);
  bool sent = bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof from) == 0 &&
              sendto(fd, &packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) ==
                  static_cast<ssize_t>(sizeof packet);
  int error = errno;
  close(fd);
  if (!sent)
    return fail(ErrorCode::io, "cannot advertise " + address.to_string() + " on " + interface.name, error);
  return {};
}

}  // namespace

Status announce(const Interface& interface, const Address& address) {
  if (!interface.resolves) return {};
  if (address.family == AF_INET6) return advertise(interface, address);
  HOLDFAST_TRY(ArpSocket arp, ArpSocket::open(interface));
  return arp.request(interface, &address, address);
}

}  // namespace holdfast::netaddr
