// What a node without a certificate asks for and gets. On the wire: TLS 1.3 with ALPN "holdfast-enroll/1",
// then one EnrollRequest and one EnrollReply (proto/transport.proto), each after its length as 4 bytes
// little-endian.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"

namespace holdfast::pki {

struct EnrollAsk {
  std::string node_name;
  NodeId node;
  std::string secret, csr_pem;
  std::vector<std::string> peer_addresses;  // filled in by the server: where the asker's connection came from
};

struct EnrollAnswer {
  std::string certificate_pem, authority_pem, config_text;
};

constexpr char peer_alpn[] = "holdfast/1";
constexpr char enroll_alpn[] = "holdfast-enroll/1";
constexpr size_t enroll_bytes_max = 1 << 20;  // a configuration text is a few KiB

}  // namespace holdfast::pki
