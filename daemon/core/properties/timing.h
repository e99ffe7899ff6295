// Timing: the few numbers from which every deadline of the cluster follows, and which combinations of them
// are legal.
//
// Each rule is a constexpr formula, so that the compiler holds the argument for the defaults (static_asserts
// at the end) and `cluster set` holds it for everything else. The numbers are cluster properties, so every
// node has the same.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "core/database/tree.h"

namespace holdfast::core {

struct Timing {
  Duration heartbeat_interval = Duration::milliseconds(100);
  Duration heartbeat_timeout = Duration::milliseconds(1000);
  Duration lease_margin = Duration::milliseconds(300);
  Duration quorum_stall_max = Duration::milliseconds(20000);
  Duration update_timeout = Duration::milliseconds(5000);
  Duration monitor_silence = Duration::milliseconds(2000);
  constexpr bool operator==(const Timing&) const = default;
};

// Oscillators of servers stay within 100 ppm of each other; ten times that covers virtual machines.
constexpr int64_t clock_drift_ppm = 1000;
// The quorum owner's beacon (DESIGN 5), and the shortest quorum stall that is more than a few missed beacons.
constexpr Duration beacon_interval = Duration::milliseconds(200);

// How long a node may act without hearing anything new, counted from the send time of an echoed heartbeat.
constexpr Duration lease(const Timing& t) {
  return t.heartbeat_timeout + t.lease_margin;
}
// How long the others wait, by their own clocks, until a removed node's lease has certainly run out.
constexpr Duration takeover_wait(const Timing& t) {
  return lease(t) + Duration{lease(t).ns / 1'000'000 * clock_drift_ppm};
}
// A regroup that did not end by now failed: two timeouts for the slowest opinion, and a second of
// arbitration.
constexpr Duration regroup_max(const Timing& t) {
  return t.heartbeat_timeout * 2 + Duration::seconds(1);
}
// A held write gate closes for good only after everything that could still open it again.
constexpr Duration gate_held_max(const Timing& t) {
  return regroup_max(t) + t.quorum_stall_max + lease(t);
}
// Forming challenges a quorum whose beacon stood still this long (DESIGN 5, "Forming").
constexpr Duration forming_wait(const Timing& t) {
  return t.quorum_stall_max + takeover_wait(t);
}
// Kernel lifetime of addresses: whole seconds, and longer than a monitor is silent before it withdraws them
// itself.
constexpr Duration address_lifetime(const Timing& t) {
  return Duration::seconds((t.monitor_silence.ns + 999'999'999) / 1'000'000'000 + 1);
}
// A node whose core was late by more than this must listen before it accuses others.
constexpr Duration starved_after(const Timing& t) {
  return t.heartbeat_timeout / 2;
}

enum class TimingFault : uint8_t {
  none,
  timeout_below_three_intervals,  // two lost datagrams are no failure
  margin_below_interval,          // a survivor needs one tick to say that it entered a regroup
  stall_below_two_leases,         // else an ordinary regroup looks like a lost quorum
  stall_below_ten_beacons,        // else a busy controller looks like a lost quorum
  update_below_timeout,           // a dead member is found by its heartbeats, not by its missing answer
  silence_below_six_intervals,    // grants come every second interval; a few lost ones end nothing
};

constexpr TimingFault timing_fault(const Timing& t) {
  if (t.heartbeat_timeout < t.heartbeat_interval * 3) return TimingFault::timeout_below_three_intervals;
  if (t.lease_margin < t.heartbeat_interval) return TimingFault::margin_below_interval;
  if (t.quorum_stall_max < lease(t) * 2) return TimingFault::stall_below_two_leases;
  if (t.quorum_stall_max < beacon_interval * 10) return TimingFault::stall_below_ten_beacons;
  if (t.update_timeout < t.heartbeat_timeout) return TimingFault::update_below_timeout;
  if (t.monitor_silence < t.heartbeat_interval * 6) return TimingFault::silence_below_six_intervals;
  return TimingFault::none;
}

// Their names in the table, for whoever must rely on all of them at once.
constexpr std::string_view timing_properties[] = {"HeartbeatIntervalMs", "HeartbeatTimeoutMs",
                                                  "LeaseMarginMs",       "QuorumStallMaxMs",
                                                  "UpdateTimeoutMs",     "MonitorSilenceMs"};
// The values in the tree, defaults where there is none.
Timing timing_from(const Tree& tree);
// invalid_argument with the rule that is broken and the least value that would keep it.
Status check_timing(const Timing& timing);

static_assert(timing_fault(Timing{}) == TimingFault::none);
static_assert(takeover_wait(Timing{}) > lease(Timing{}),
              "nobody takes over while the old owner still may act");
static_assert(gate_held_max(Timing{}) > regroup_max(Timing{}) + Timing{}.quorum_stall_max);
static_assert(forming_wait(Timing{}) > Timing{}.quorum_stall_max + lease(Timing{}));
static_assert(address_lifetime(Timing{}) > Timing{}.monitor_silence);

}  // namespace holdfast::core
