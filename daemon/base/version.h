// Versions that this build speaks. Every protocol and format carries [min, max] or its own version; a
// cluster's *functional level* (in the database) decides which updates may be issued. N joins N-1, N and N+1;
// N+2 is refused.
//
// Values are in version.cc alone, so that the programs of the upgrade tests, which play the next releases,
// are these objects with that one exchanged.
#pragma once

#include <cstdint>
#include <string>

namespace holdfast {

extern const uint32_t protocol_version_max;
extern const uint32_t protocol_version_min;  // the previous release is still understood
extern const uint32_t functional_level_max;
extern const uint32_t functional_level_min;

// The highest version both sides speak, or 0 if there is none.
uint32_t common_version(uint32_t their_min, uint32_t their_max);

// "0.1.0 (protocol 1-2)".
std::string version_text();

}  // namespace holdfast
