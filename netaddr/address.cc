#include "netaddr/address.h"

#include <arpa/inet.h>

#include <bit>

namespace holdfast::netaddr {

Result<Address> Address::parse(const std::string& text) {
  Address a;
  a.family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  // The C library would stop reading at a NUL.
  if (text.find('\0') != std::string::npos || inet_pton(a.family, text.c_str(), a.bytes.data()) != 1)
    return fail(ErrorCode::invalid_argument, "'" + text + "' is not an IPv4 or IPv6 address");
  return a;
}

std::string Address::to_string() const {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, bytes.data(), text, sizeof text);
  return text;
}

size_t Address::size() const {
  return family == AF_INET6 ? 16 : 4;
}

bool Address::same_subnet(const Address& other, unsigned prefix) const {
  if (family != other.family || prefix > prefix_max()) return false;
  for (unsigned bit = 0; bit < prefix; bit += 8) {
    unsigned take = prefix - bit < 8 ? prefix - bit : 8;
    auto mask = static_cast<uint8_t>(0xff << (8 - take));
    if ((bytes[bit / 8] & mask) != (other.bytes[bit / 8] & mask)) return false;
  }
  return true;
}

Result<unsigned> prefix_of_mask(const std::string& mask) {
  in_addr a{};
  if (mask.find('\0') != std::string::npos || inet_pton(AF_INET, mask.c_str(), &a) != 1)
    return fail(ErrorCode::invalid_argument, "'" + mask + "' is not a subnet mask");
  uint32_t bits = ntohl(a.s_addr);
  auto prefix = static_cast<unsigned>(std::countl_one(bits));
  if (prefix + static_cast<unsigned>(std::countr_zero(bits)) < 32)
    return fail(ErrorCode::invalid_argument, "the subnet mask " + mask + " has holes");
  return prefix;
}

}  // namespace holdfast::netaddr
