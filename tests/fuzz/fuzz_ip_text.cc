// IP addresses as text: the core's own parser and the one of the address layer against that of the C library.
#include <arpa/inet.h>

#include "core/commands/objects.h"
#include "netaddr/address.h"
#include "target.h"

using namespace holdfast;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(fuzz::as_text(data, size));
  const auto ours = core::objects::parse_ip(text);
  std::array<uint8_t, 16> theirs{};
  const bool six = text.find(':') != std::string::npos;
  bool good = false;
  if (text.find('\0') == std::string::npos) {
    if (!six) theirs[10] = theirs[11] = 0xff;
    good = inet_pton(six ? AF_INET6 : AF_INET, text.c_str(), theirs.data() + (six ? 0 : 12)) == 1;
  }
  HOLDFAST_ASSERT(ours.has_value() == good);
  if (ours) HOLDFAST_ASSERT(*ours == theirs && (six || core::objects::is_ipv4(*ours)));

  const auto address = netaddr::Address::parse(text);
  HOLDFAST_ASSERT(address.has_value() == good);
  if (address) {
    const auto again = netaddr::Address::parse(address->to_string());
    HOLDFAST_ASSERT(again && *again == *address && address->same_subnet(*again, address->prefix_max()));
  } else {
    HOLDFAST_ASSERT(address.error().code == ErrorCode::invalid_argument);
  }
  if (auto prefix = netaddr::prefix_of_mask(text)) HOLDFAST_ASSERT(*prefix <= 32);
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  return {
      "192.0.2.1",       "255.255.255.0",   "2001:db8::1",     "::",   "::ffff:192.0.2.1",    "fe80::1:2:3:4",
      "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8", "1:2:3:4:5:6:1.2.3.4", "0.0.0.0",
      "01.2.3.4"};
}

}  // namespace holdfast::fuzz
