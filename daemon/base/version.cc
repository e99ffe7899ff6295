#include "base/version.h"

#include <algorithm>

// Set only for the programs that play "the next release" in upgrade tests.
#ifndef HOLDFAST_VERSION_OFFSET
#define HOLDFAST_VERSION_OFFSET 0
#endif

namespace holdfast {

constexpr uint32_t version = 2 + HOLDFAST_VERSION_OFFSET;

const uint32_t protocol_version_max = version;
const uint32_t protocol_version_min = version - 1;
const uint32_t functional_level_max = version;
const uint32_t functional_level_min = version - 1;

uint32_t common_version(uint32_t their_min, uint32_t their_max) {
  uint32_t top = std::min(their_max, version);
  return top >= their_min && top >= protocol_version_min ? top : 0;
}

std::string version_text() {
  return "0.1.0 (protocol " + std::to_string(protocol_version_min) + "-" +
         std::to_string(protocol_version_max) + ")";
}

}  // namespace holdfast
