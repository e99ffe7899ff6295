// The timing properties of the cluster: the few numbers that an administrator may set and from which every
// bound (bounds.h) follows. They are in the database, so every node has the same.
#pragma once

#include <string_view>

#include "base/lifetimes.h"
#include "base/time.h"

namespace holdfast::core {

// The members are the defaults of the table (docs/properties.md).
struct Timing {
  Duration heartbeat_interval = Duration::milliseconds(100);  // HeartbeatIntervalMs
  Duration heartbeat_timeout = Duration::milliseconds(1000);  // HeartbeatTimeoutMs
  Duration lease_margin = Duration::milliseconds(300);        // LeaseMarginMs
  Duration quorum_stall_max = Duration::milliseconds(20000);  // QuorumStallMaxMs
  Duration update_timeout = Duration::milliseconds(5000);     // UpdateTimeoutMs
  Duration monitor_silence = monitor_silence_default;         // MonitorSilenceMs
  constexpr bool operator==(const Timing&) const = default;
};

// The range of each property by itself; the rules of timing.h say which combinations are legal.
inline constexpr Timing timing_least{Duration::milliseconds(20),  Duration::milliseconds(150),
                                     Duration::milliseconds(50),  Duration::milliseconds(2000),
                                     Duration::milliseconds(500), Duration::milliseconds(500)};
inline constexpr Timing timing_most{Duration::milliseconds(2000),  Duration::milliseconds(30000),
                                    Duration::milliseconds(5000),  Duration::milliseconds(60000),
                                    Duration::milliseconds(60000), Duration::milliseconds(30000)};

// All of them: the letter in formulas (docs/TIMING.md), and the name in the table.
struct TimingProperty {
  std::string_view letter;
  std::string_view name;
  Duration Timing::*member;
};
inline constexpr TimingProperty timing_properties[] = {
    {"I", "HeartbeatIntervalMs", &Timing::heartbeat_interval},
    {"T", "HeartbeatTimeoutMs", &Timing::heartbeat_timeout},
    {"M", "LeaseMarginMs", &Timing::lease_margin},
    {"Q", "QuorumStallMaxMs", &Timing::quorum_stall_max},
    {"U", "UpdateTimeoutMs", &Timing::update_timeout},
    {"S", "MonitorSilenceMs", &Timing::monitor_silence},
};

}  // namespace holdfast::core
