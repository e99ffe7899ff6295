// IPv4 and IPv6 addresses as values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace holdfast::netaddr {

struct Address {
  int family = 0;                   // AF_INET or AF_INET6
  std::array<uint8_t, 16> bytes{};  // network order; IPv4 uses the first four

  static Result<Address> parse(const std::string& text);
  std::string to_string() const;
  size_t size() const;  // 4 or 16
  unsigned prefix_max() const { return static_cast<unsigned>(size() * 8); }
  // True when the first `prefix` bits are the same.
  bool same_subnet(const Address& other, unsigned prefix) const;
  auto operator<=>(const Address&) const = default;
};

// "255.255.255.0" -> 24; refuses masks with holes.
Result<unsigned> prefix_of_mask(const std::string& mask);

}  // namespace holdfast::netaddr
