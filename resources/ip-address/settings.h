// The properties of an ip-address resource, checked.
#pragma once

#include "netaddr/arp.h"
#include "sdk/context.h"

namespace holdfast::ip {

struct Settings {
  netaddr::Address address;
  unsigned prefix = 0;
  std::string network;   // interface; "" = the one that has the subnet
  uint32_t valid_s = 0;  // the kernel removes the address when it was not refreshed for so long
  Duration refresh_interval;
  netaddr::ProbeSettings probe;
  Duration
      await_conflict;  // how long an address that still answers is awaited before it is taken all the same
  int announce_count = 5;
  Duration announce_interval;
  bool fail_on_carrier_loss = true;

  static Result<Settings> read(const sdk::Context& context);
};

}  // namespace holdfast::ip
