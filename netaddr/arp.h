// ARP for addresses that move between machines: duplicate detection (RFC 5227) and announcements.
#pragma once

#include <optional>
#include <string>

#include "base/lifetimes.h"
#include "netaddr/netlink.h"

namespace holdfast::netaddr {

struct ProbeSettings {
  int count = address_probe_count;
  Duration interval = address_probe_interval;
};

// Asks who has the address. The MAC of the one who answers or probes for it as well, or nothing.
Result<std::optional<std::string>> arp_probe(const Interface& interface, const Address& address,
                                             const ProbeSettings& settings);

// One gratuitous ARP announcement (IPv4) or unsolicited neighbour advertisement (IPv6): neighbours change
// their tables.
Status announce(const Interface& interface, const Address& address);

}  // namespace holdfast::netaddr
