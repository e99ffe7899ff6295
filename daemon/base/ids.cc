#include "base/ids.h"

#include <cstdio>

#include "base/crc32c.h"

namespace holdfast {

std::string to_string(NodeSet set) {
  std::string out = "{";
  for (NodeId id : set) {
    if (out.size() > 1) out += ',';
    out += std::to_string(id.value);
  }
  return out + "}";
}

std::string to_string(ReservationKey key) {
  char text[24];
  snprintf(text, sizeof text, "0x%016llx", static_cast<unsigned long long>(key.value));
  return text;
}

uint16_t cluster_tag(const std::string& cluster_id) {
  uint32_t crc = crc32c(cluster_id.data(), cluster_id.size());
  uint16_t tag = static_cast<uint16_t>(crc ^ (crc >> 16));
  return tag == 0 ? 1 : tag;
}

}  // namespace holdfast
