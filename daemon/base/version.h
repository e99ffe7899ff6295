// Versions that this build speaks. Every protocol and format carries [min, max] or its own version; a
// cluster's *functional level* (in the database) decides which updates may be issued. N joins N-1, N and N+1;
// N+2 is refused.
#pragma once

#include <cstdint>
#include <string>

namespace holdfast {

// HOLDFAST_VERSION_OFFSET is set only by the test builds that play "the next release" in upgrade tests.
#ifndef HOLDFAST_VERSION_OFFSET
#define HOLDFAST_VERSION_OFFSET 0
#endif

constexpr uint32_t protocol_version_base = 2;
constexpr uint32_t protocol_version_max = protocol_version_base + HOLDFAST_VERSION_OFFSET;
constexpr uint32_t protocol_version_min =
    protocol_version_max - 1;  // the previous release is still understood
constexpr uint32_t functional_level_max = protocol_version_max;
constexpr uint32_t functional_level_min = protocol_version_min;

// The highest version both sides speak, or 0 if there is none.
constexpr uint32_t common_version(uint32_t their_min, uint32_t their_max) {
  uint32_t top = their_max < protocol_version_max ? their_max : protocol_version_max;
  return top >= their_min && top >= protocol_version_min ? top : 0;
}

// "0.1.0 (protocol 1-2)".
std::string version_text();

}  // namespace holdfast
