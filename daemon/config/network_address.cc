#include <arpa/inet.h>

#include <algorithm>

#include "config/node_config.h"

namespace holdfast {

bool is_plain_name(std::string_view name) {
  auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 63 && letter_or_digit(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter_or_digit(c) || c == '-' || c == '.' || c == '_'; });
}

Status check_ip_address(const std::string& address) {
  in_addr v4{};
  in6_addr v6{};
  auto refuse = [&](const char* why, const char* hint) {
    return fail(ErrorCode::invalid_argument, "'" + address + "' " + why, 0, hint);
  };
  const bool text = address.find('\0') == std::string::npos;  // the C library would stop reading at a NUL
  if (text && inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    uint32_t host = ntohl(v4.s_addr);
    if (host == 0 || host == 0xffffffff || (host >> 28) == 0xe)
      return refuse("is no address of a host", "give the address that this node has on that network");
    return {};
  }
  if (text && inet_pton(AF_INET6, address.c_str(), &v6) == 1) {
    if (IN6_IS_ADDR_UNSPECIFIED(&v6) || IN6_IS_ADDR_MULTICAST(&v6))
      return refuse("is no address of a host", "give the address that this node has on that network");
    if (IN6_IS_ADDR_LINKLOCAL(&v6))
      return refuse("is a link-local address, which other nodes cannot use without knowing the interface",
                    "give a global or unique-local address (fd00::/8)");
    return {};
  }
  return refuse("is no IPv4 or IPv6 address",
                "host names are not used: a cluster must come up without DNS; example 192.0.2.11");
}

Result<NetworkAddress> parse_network_address(std::string_view text) {
  auto equals = text.find('=');
  if (equals == std::string_view::npos)
    return fail(ErrorCode::invalid_argument, "'" + std::string(text) + "' is not NETWORK=ADDRESS", 0,
                "for example lan=192.0.2.11; every node uses the same network names");
  NetworkAddress out{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
  if (!is_plain_name(out.network))
    return fail(ErrorCode::invalid_argument, "'" + out.network + "' is no name for a network", 0,
                "letters, digits, '-', '.', '_'");
  HOLDFAST_CHECK(check_ip_address(out.address));
  return out;
}

std::string host_port(const std::string& address, uint16_t port) {
  bool v6 = address.find(':') != std::string::npos;
  return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

std::string default_initiator_name(const std::string& cluster_id, const std::string& node_name) {
  std::string node = node_name;  // RFC 3722: lower case, no '_'
  for (char& c : node) c = c == '_' ? '-' : (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  return "iqn.2026-11.io.holdfast:" + cluster_id.substr(0, 8) + ":" + node;
}

}  // namespace holdfast
