// Lifetimes that parts on both sides of a process boundary take for granted when nobody set another: the
// service, the resource monitor, its plug-ins. docs/TIMING.md sets them beside the bounds of the core, and
// core/properties/timing_catalog.cc says how they relate.
#pragma once

#include "base/time.h"

namespace holdfast {

// A monitor that hears nothing of the service for so long ends everything (MonitorSilenceMs).
inline constexpr Duration monitor_silence_default = Duration::milliseconds(2000);

// ip-address: the kernel removes an address that was not refreshed for so long (ValidLifetime) ...
inline constexpr Duration address_lifetime_default = Duration::seconds(2);
// ... and is that late at most (measured: 1 s lasts 1.0 to 1.2 s; it looks at whole seconds, and not at
// once).
inline constexpr Duration address_lifetime_slack = Duration::milliseconds(200);
// Time between two refreshes (RefreshInterval): a quarter of the lifetime, so that one late refresh does not
// cost the address, and never slower than this, so that a long lifetime still notices an address that went.
inline constexpr Duration address_refresh_max = Duration::milliseconds(500);
constexpr Duration address_refresh(Duration lifetime) {
  return lifetime / 4 < address_refresh_max ? lifetime / 4 : address_refresh_max;
}
// Duplicate detection (ProbeCount, ProbeInterval). RFC 5227 waits 1 to 2 s between probes, for slow switches.
// On a cluster's network, whose ports forward already, an owner answers within a millisecond.
inline constexpr int address_probe_count = 3;
inline constexpr Duration address_probe_interval = Duration::milliseconds(20);
// An address that is still answered for is awaited so long, then taken (AwaitConflict).
inline constexpr Duration address_conflict_wait = Duration::milliseconds(3000);

// Terminate of a resource should take a second; after this the monitor says that it does not end.
inline constexpr Duration terminate_max = Duration::seconds(10);
// A monitor without a service that says Hello ends: a service that starts one says so at once.
inline constexpr Duration hello_max = Duration::seconds(10);
// The monitor ends its resources in the reverse order of coming up. A resource is given a stage before the
// next one is begun beside it; after the ladder all are begun, so that without a service everything has
// ended, or at least begun to, within two seconds; and in the end the monitor exits with a status that says
// what is left.
struct EndingLimits {
  Duration stage, ladder, end;
};
inline constexpr EndingLimits ending_lost{Duration::milliseconds(400), Duration::milliseconds(1200),
                                          Duration::seconds(4)};
inline constexpr EndingLimits ending_orderly{Duration::seconds(5), Duration::seconds(20),
                                             Duration::seconds(30)};
// The sweep before the next life waits so long for a monitor that is still ending.
inline constexpr Duration sweep_wait_max = Duration::seconds(5);

}  // namespace holdfast
