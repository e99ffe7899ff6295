// Bounds: every span of time on which the safety of the cluster, or a promise of its documents, rests. What
// follows from the timing properties is a formula over them; what nobody may set is a constant. The code uses
// these and has no copies; docs/TIMING.md is printed from them, and timing_catalog.cc says how they relate.
#pragma once

#include <algorithm>

#include "core/properties/timing_settings.h"

namespace holdfast::core {

// --- Clocks ---

// Oscillators of servers stay within 100 ppm of each other; ten times that covers virtual machines.
inline constexpr int64_t clock_drift_ppm = 1000;
// What another node's clock may make of `d`.
constexpr Duration with_drift(Duration d) {
  return d + d / (1'000'000 / clock_drift_ppm);
}

// --- Heartbeats and leases (docs/protocols/membership.md) ---

// A heartbeat may go so much before its time, along with a step that takes place anyway.
constexpr Duration heartbeat_early(const Timing& t) {
  return t.heartbeat_interval / 5;
}
// How long a node may act without hearing anything new, counted from the send time of an echoed heartbeat.
constexpr Duration lease(const Timing& t) {
  return t.heartbeat_timeout + t.lease_margin;
}
// How long the others wait, by their own clocks, until a removed node's lease has certainly run out.
constexpr Duration takeover_wait(const Timing& t) {
  return with_drift(lease(t));
}
// A shorter timing is not in force everywhere at once: so long the old lease counts on.
constexpr Duration old_lease_kept(Duration old_lease) {
  return old_lease * 2;
}
// The age of the newest heartbeat that everybody has echoed, in a cluster that loses nothing: it waits for
// the peer's next heartbeat, and stays the newest until the one after it.
constexpr Duration echo_age_max(const Timing& t) {
  return t.heartbeat_interval * 2;
}
// Time between two grants of the lease to the resource monitor ...
constexpr Duration grant_pace(const Timing& t, bool in_regroup) {
  return t.heartbeat_interval * (in_regroup ? 1 : 2);
}
// ... which may go so much before their time, since most of an idle node's cost are wakeups.
constexpr Duration grant_early(const Timing& t) {
  return t.heartbeat_interval / 2;
}
// From a node's last sign of life to the regroup that removes it, on a network that takes no longer than an
// interval.
constexpr Duration detection_max(const Timing& t) {
  return t.heartbeat_timeout + t.heartbeat_interval;
}

// --- Starvation ---

// A core that ran later than this is worth a look at all.
inline constexpr Duration lateness_noticed = Duration::milliseconds(50);
// A node whose core was late by so much must listen before it accuses others ...
constexpr Duration starved_after(const Timing& t) {
  return t.heartbeat_timeout / 2;
}
// ... for so long: what arrived while it slept is still in the socket.
constexpr Duration listening_time(const Timing& t) {
  return t.heartbeat_interval * 2;
}

// --- Regroup ---

// Pace of datagrams in a regroup.
inline constexpr Duration regroup_tick = Duration::milliseconds(10);
// How long a joining node is waited for in a regroup: it must not hold up the members.
inline constexpr Duration joiner_patience = Duration::milliseconds(200);
// After a view that left somebody out who wanted to join, the next attempt waits so long.
inline constexpr Duration join_pause = Duration::seconds(1);
// A nominee that does not reach the quorum LUN, while another member does, is replaced after so long ...
inline constexpr Duration nominee_patience = Duration::seconds(3);
// ... and so is an owner outside a regroup.
inline constexpr Duration owner_degraded_max = Duration::seconds(3);
// What a contest for a LUN that answers is given, manners included.
inline constexpr Duration arbitration_allowance = Duration::seconds(1);
// An ordinary regroup: two timeouts for the slowest opinion (its own death, and that of one more node on the
// way), and the contest.
constexpr Duration regroup_max(const Timing& t) {
  return t.heartbeat_timeout * 2 + arbitration_allowance;
}
// A regroup that has no end by now, whatever the reason, ends this life.
constexpr Duration regroup_give_up(const Timing& t) {
  return t.quorum_stall_max;
}
// The pruned hold until they hear of a winner, or so long: then they leave.
constexpr Duration pruned_max(const Timing& t) {
  return t.heartbeat_timeout + arbitration_allowance;
}
// The write gate: a held one closes for good only after everything that could still open it again.
constexpr Duration gate_held_max(const Timing& t) {
  return regroup_max(t) + t.quorum_stall_max + lease(t);
}

// --- Quorum (docs/protocols/quorum.md) ---

// One command to the quorum LUN; opening a session to it.
inline constexpr Duration lun_command_max = Duration::milliseconds(2000);
inline constexpr Duration lun_open_max = Duration::milliseconds(1000);
// The owner's beacon, and how often the others look at it.
inline constexpr Duration beacon_interval = Duration::milliseconds(200);
inline constexpr Duration watch_interval = Duration::milliseconds(500);
// A beacon that stood still for so long when it was read is no reason for manners.
inline constexpr Duration beacon_stale_after = beacon_interval * 2;
// A worse set lets the better one win: one step for lacking the holder, two for being a minority.
inline constexpr Duration manners_step = Duration::milliseconds(150);
inline constexpr Duration manners_max = manners_step * 3;
// A LUN that does not answer a contest for so long is unreachable: in a regroup, and when forming.
inline constexpr Duration arbitration_patience = Duration::seconds(2);
inline constexpr Duration forming_patience = Duration::seconds(5);
// Pause between two rounds of a contest: at once a few times, since something changed meanwhile; then slowly.
inline constexpr int arbitration_quick_rounds = 10;
inline constexpr Duration arbitration_pause_quick = Duration::milliseconds(1);
inline constexpr Duration arbitration_pause = Duration::milliseconds(100);

// --- Forming ---

// A node that starts listens so long for a cluster to join.
constexpr Duration forming_grace(const Timing& t) {
  return Duration::milliseconds(1000) + t.heartbeat_timeout;
}
// It challenges a quorum whose key and beacon stood still this long.
constexpr Duration forming_wait(const Timing& t) {
  return t.quorum_stall_max + lease(t);
}
// What was read of the LUN before that is no news.
inline constexpr Duration head_fresh_max = Duration::seconds(2);
// After a failed attempt.
inline constexpr Duration forming_pause = Duration::seconds(1);

// --- Updates (docs/protocols/updates.md) ---

// A request waits so long for a quorum that does not answer, then it is refused; and in all so long.
inline constexpr Duration request_hold_max = Duration::seconds(15);
inline constexpr Duration request_max = Duration::seconds(30);
// Recovery of a view: one timeout for the reports of the members, one for what they lacked.
constexpr Duration recovery_max(const Timing& t) {
  return t.update_timeout * 2;
}

// --- Resources (docs/protocols/monitor.md, docs/protocols/failover.md) ---

// The monitor keeps the limits of its resources and says so; after so long more it is taken for one that does
// not.
inline constexpr Duration report_slack = Duration::seconds(5);
inline constexpr Duration terminate_report_max = terminate_max + report_slack;
// A resource whose terminate failed is terminated again.
inline constexpr Duration terminate_again_after = Duration::seconds(5);
// While a group is on its way, states are published only when the way takes this long: a quick move needs one
// update for all its resources instead of one for each step.
inline constexpr Duration publish_after = Duration::milliseconds(100);
// An order to go online that was delayed longer than this belongs to a past that nobody remembers.
inline constexpr Duration order_valid = Duration::seconds(30);
// An orderly stop becomes a forced one after this. Then, and when a node must leave, what still has not ended
// is left to the monitor, which goes on by itself.
inline constexpr Duration orderly_stop_max = Duration::seconds(600);
inline constexpr Duration leave_max = terminate_max;

// --- An unplanned takeover, from the last sign of life of the old owner ---

// The new owner is committed. Supposes a LUN that answers, and no more than one more death, in the regroup.
constexpr Duration takeover_decided_max(const Timing& t) {
  return detection_max(t) + regroup_max(t) + recovery_max(t) + t.update_timeout;
}
// What no reservation guards may start: its last heartbeat may be an interval under way.
constexpr Duration takeover_unguarded_from(const Timing& t) {
  return t.heartbeat_interval + takeover_wait(t);
}
// An address has been probed and answers, if nobody answered for it.
constexpr Duration address_probe_time = address_probe_interval * address_probe_count;
constexpr Duration takeover_address_max(const Timing& t) {
  return std::max(takeover_decided_max(t), takeover_unguarded_from(t)) + address_probe_time;
}

}  // namespace holdfast::core
