#include "core/properties/timing_catalog.h"

namespace holdfast::core {
namespace {

// clang-format off
constexpr Bound bounds[] = {
  {"detection_max", "T + I", detection_max,
   "a dead node is noticed: its last heartbeat may be an interval under way",
   "docs/protocols/membership.md"},
  {"lease", "L", lease,
   "what no reservation guards ends by itself when its node hears nothing new; from the send time of an echoed heartbeat on",
   "daemon/core/membership/membership.cc"},
  {"takeover_wait", "L × 1.001", takeover_wait,
   "I3: nothing that no reservation guards starts while its old owner may still act, however the clocks run",
   "daemon/core/membership/membership.cc"},
  {"old_lease_kept", "2 × L", [](const Timing& t) { return old_lease_kept(lease(t)); },
   "I3 while the timing becomes shorter: the old lease counts until every lease under it has run out",
   "daemon/core/membership/membership.cc"},
  {"heartbeat_early", "I / 5", heartbeat_early,
   "few wakeups: a heartbeat may go along with another step",
   "daemon/core/membership/membership.cc"},
  {"echo_age_max", "2 × I", echo_age_max,
   "age of the heartbeat from which the lease counts, when nothing is lost",
   "docs/protocols/membership.md"},
  {"grant_pace", "2 × I", [](const Timing& t) { return grant_pace(t, false); },
   "the resource monitor learns that the lease was renewed; in a regroup twice as often",
   "daemon/core/cluster/core.cc"},
  {"grant_early", "I / 2", grant_early,
   "few wakeups: a grant may go along with another step",
   "daemon/core/cluster/core.cc"},
  {"starved_after", "T / 2", starved_after,
   "a node that slept accuses nobody of its own silence ...",
   "daemon/core/membership/membership.cc"},
  {"listening_time", "2 × I", listening_time,
   "... before it has read what arrived meanwhile",
   "daemon/core/membership/membership.cc"},
  {"regroup_max", "2 × T + 1000", regroup_max,
   "a regroup in which one more node dies has ended, if the quorum LUN answers",
   "daemon/core/properties/timing.h docs/protocols/membership.md"},
  {"regroup_give_up", "Q", regroup_give_up,
   "a regroup without an end, whatever the reason, ends this life of the node",
   "daemon/core/membership/regroup.cc"},
  {"pruned_max", "T + 1000", pruned_max,
   "a node that was left out leaves, also when no winner tells it",
   "daemon/core/membership/regroup.cc"},
  {"gate_held_max", "2 × T + 1000 + Q + L", gate_held_max,
   "a held write gate closes for good only after everything that could open it again",
   "docs/ARCHITECTURE.md"},
  {"quorum_stall_max", "Q", [](const Timing& t) { return t.quorum_stall_max; },
   "a quorum owner that cannot write its beacon leaves",
   "daemon/core/membership/membership.cc"},
  {"forming_grace", "T + 1000", forming_grace,
   "a node that starts joins what is there instead of forming beside it",
   "daemon/core/membership/forming.cc"},
  {"forming_wait", "Q + L", forming_wait,
   "a view that lost both its LUN and its network has left before another one forms",
   "daemon/core/membership/forming.cc"},
  {"update_timeout", "U", [](const Timing& t) { return t.update_timeout; },
   "a member that does not acknowledge holds nobody up for longer",
   "daemon/core/cluster/core.cc daemon/core/update/update_manager.h"},
  {"recovery_max", "2 × U", recovery_max,
   "updates flow again after a change of view, or the member that prevents it is removed",
   "docs/protocols/updates.md"},
  {"monitor_silence", "S", [](const Timing& t) { return t.monitor_silence; },
   "resources end when the service hangs",
   "daemon/main/life.cc"},
  {"takeover_decided_max", "3 × T + I + 1000 + 3 × U", takeover_decided_max,
   "I4: the groups of a dead node have new owners, if the LUN answers and no more than one more node dies, in the regroup",
   "docs/protocols/failover.md"},
  {"takeover_unguarded_from", "I + L × 1.001", takeover_unguarded_from,
   "from here on the lease of a dead node does not keep its addresses and programs from starting elsewhere",
   "docs/protocols/failover.md"},
  {"takeover_address_max", "max(3 × T + I + 1000 + 3 × U, I + L × 1.001) + 60", takeover_address_max,
   "I4: an address of a dead node answers again, under the same suppositions",
   "docs/protocols/failover.md"},
};

constexpr FixedTime fixed[] = {
  {"lateness_noticed", lateness_noticed, "a core that ran later than this looks whether it was starved", "daemon/core/cluster/core.cc"},
  {"regroup_tick", regroup_tick, "pace of datagrams in a regroup", "daemon/core/membership/membership.cc daemon/core/membership/regroup.cc"},
  {"joiner_patience", joiner_patience, "a joining node does not hold up the members in a regroup", "daemon/core/membership/regroup.cc"},
  {"join_pause", join_pause, "after a view that left out who wanted to join", "daemon/core/membership/membership.cc"},
  {"arbitration_allowance", arbitration_allowance, "what a contest takes when the LUN answers, manners included", ""},
  {"nominee_patience", nominee_patience, "a nominee that does not reach the LUN is replaced by one that does", "daemon/core/membership/regroup.cc"},
  {"owner_degraded_max", owner_degraded_max, "the quorum moves to a member that reaches the LUN", "daemon/core/membership/membership.cc"},
  {"lun_command_max", lun_command_max, "one command to the quorum LUN", "daemon/core/quorum/quorum_manager.h daemon/core/quorum/lun_op.h daemon/core/log/log_manager.cc"},
  {"lun_open_max", lun_open_max, "opening a session to it", "daemon/core/quorum/quorum_manager.h"},
  {"beacon_interval", beacon_interval, "the owner proves that it holds the reservation", "daemon/core/quorum/quorum_manager.h"},
  {"watch_interval", watch_interval, "the others look at superblock and beacon", "daemon/core/quorum/quorum_manager.h"},
  {"beacon_stale_after", beacon_stale_after, "no manners towards a holder whose beacon stands still", "daemon/core/membership/regroup.cc"},
  {"manners_step", manners_step, "the better set wins; courtesy, not safety", "daemon/core/membership/regroup.cc"},
  {"manners_max", manners_max, "the most of it: a minority without the holder", ""},
  {"arbitration_patience", arbitration_patience, "a LUN that does not answer a contest is said to be unreachable, and the regroup tries anew", "daemon/core/membership/regroup.cc"},
  {"arbitration_pause_quick", arbitration_pause_quick, "between the first rounds of a contest: something changed meanwhile", "daemon/core/quorum/arbitration.cc"},
  {"arbitration_pause", arbitration_pause, "between later ones", "daemon/core/quorum/arbitration.cc"},
  {"forming_patience", forming_patience, "as arbitration_patience, when forming", "daemon/core/membership/forming.cc"},
  {"forming_pause", forming_pause, "between two attempts to form", "daemon/core/membership/regroup.cc"},
  {"head_fresh_max", head_fresh_max, "a node forms by news of the LUN, not by memories", "daemon/core/membership/forming.cc"},
  {"request_hold_max", request_hold_max, "a change is refused when the quorum does not answer", "daemon/core/update/update_manager.h"},
  {"request_max", request_max, "a caller is told that its change is uncertain", "daemon/core/update/update_manager.h"},
  {"order_valid", order_valid, "an order to go online that was delayed for longer is refused", "daemon/core/failover/executor.cc"},
  {"publish_after", publish_after, "states of a group on its way are published only then: a quick move is one update", "daemon/core/failover/executor_publish.cc"},
  {"report_slack", report_slack, "a monitor that does not report by the limit of a resource and this is not waited for", "daemon/core/failover/executor.cc"},
  {"terminate_max", terminate_max, "the monitor says that a terminate does not end", "daemon/monitor/resource_end.cc"},
  {"terminate_report_max", terminate_report_max, "... and if it does not even say so, the service does", "daemon/core/failover/executor.cc"},
  {"terminate_again_after", terminate_again_after, "what could not be ended is terminated again", "daemon/core/failover/executor_reports.cc"},
  {"leave_max", leave_max, "a node that leaves waits for its resources, then the monitor goes on by itself", "daemon/core/cluster/core.cc"},
  {"orderly_stop_max", orderly_stop_max, "an orderly stop becomes a forced one", "daemon/core/cluster/core.h"},
  {"hello_max", hello_max, "a monitor that no service greets ends", "daemon/monitor/monitor.cc"},
  {"ending_lost.stage", ending_lost.stage, "without a service: a resource is given so long before the next one is begun beside it", "daemon/monitor/monitor.cc"},
  {"ending_lost.ladder", ending_lost.ladder, "... until all are begun", "daemon/monitor/monitor.cc"},
  {"ending_lost.end", ending_lost.end, "... and the monitor exits, saying what is left", "daemon/monitor/monitor.cc"},
  {"ending_orderly.stage", ending_orderly.stage, "the same in an orderly shutdown", "daemon/monitor/monitor.cc"},
  {"ending_orderly.ladder", ending_orderly.ladder, "... until all are begun", "daemon/monitor/monitor.cc"},
  {"ending_orderly.end", ending_orderly.end, "... and the monitor exits", "daemon/monitor/monitor.cc"},
  {"sweep_wait_max", sweep_wait_max, "the next life waits for a monitor that is still ending", "daemon/monitor/sweep.cc"},
  {"address_lifetime_default", address_lifetime_default, "the kernel removes an address when service and monitor both hang (property ValidLifetime, whole seconds)", "daemon/core/properties/table.cc resources/ip-address/settings.cc"},
  {"address_lifetime_slack", address_lifetime_slack, "how late the kernel does so, as measured", ""},
  {"address_refresh_max", address_refresh_max, "time between two refreshes, a quarter of a shorter lifetime (RefreshInterval)", ""},
  {"address_probe_time", address_probe_time, "duplicate detection (ProbeCount × ProbeInterval)", "docs/resource-types.md"},
  {"address_conflict_wait", address_conflict_wait, "an address that is still answered for is awaited, then taken (AwaitConflict)", "daemon/core/properties/table.cc resources/ip-address/settings.cc"},
};

// In the order of a failure: detection, lease, regroup, quorum, forming, monitor, takeover.
constexpr Relation relations[] = {
  {"detection_max ≥ 4 × I", "two datagrams in a row may be lost without an accusation",
   [](const Timing& t) { return detection_max(t) >= t.heartbeat_interval * 4; }},
  {"starved_after + I < T", "a core that is late by less, and heard everybody an interval before, finds nobody silent",
   [](const Timing& t) { return starved_after(t) + t.heartbeat_interval < t.heartbeat_timeout; }},
  {"lateness_noticed ≤ starved_after", "a starved core is noticed",
   [](const Timing& t) { return lateness_noticed <= starved_after(t); }},
  {"I + heartbeat_early < listening_time < T", "who listens hears everybody alive, and still notices who is not",
   [](const Timing& t) {
     return t.heartbeat_interval + heartbeat_early(t) < listening_time(t) && listening_time(t) < t.heartbeat_timeout;
   }},
  {"L ≥ T + I", "a survivor can still act when it notices a death: the newest echo of the dead was at most an interval old",
   [](const Timing& t) { return lease(t) >= t.heartbeat_timeout + t.heartbeat_interval; }},
  {"L ≥ echo_age_max + grant_pace", "when nothing is lost the monitor gets each lease before the one before it lapses",
   [](const Timing& t) { return lease(t) >= echo_age_max(t) + grant_pace(t, false); }},
  {"takeover_wait ≥ L × 1.001", "I3: the wait covers the lease by the slowest clock; nothing is lost by rounding",
   [](const Timing& t) {
     return takeover_wait(t).ns * 1'000'000 >= lease(t).ns * (1'000'000 + clock_drift_ppm);
   }},
  {"old_lease_kept ≥ takeover_wait", "I3: a lease of the old timing that was given at the last moment is waited for",
   [](const Timing& t) { return old_lease_kept(lease(t)) >= takeover_wait(t); }},
  {"grant_early < grant_pace, in a regroup too", "grants have a pace at all",
   [](const Timing& t) { return grant_early(t) < grant_pace(t, true) && grant_pace(t, true) <= grant_pace(t, false); }},
  {"S ≥ 3 × grant_pace", "two late grants end no resource",
   [](const Timing& t) { return t.monitor_silence >= grant_pace(t, false) * 3; }},
  {"regroup_max ≤ regroup_give_up", "a regroup in which one more node dies ends before it is given up",
   [](const Timing& t) { return regroup_max(t) <= regroup_give_up(t); }},
  {"pruned_max ≤ regroup_max", "the pruned leave before those who stay give up",
   [](const Timing& t) { return pruned_max(t) <= regroup_max(t); }},
  {"Q ≥ 10 × beacon_interval", "a busy controller is not taken for a lost quorum",
   [](const Timing& t) { return t.quorum_stall_max >= beacon_interval * 10; }},
  {"gate_held_max > regroup_max + Q", "a held gate outlasts whatever could open it again",
   [](const Timing& t) { return gate_held_max(t) > regroup_max(t) + t.quorum_stall_max; }},
  {"forming_grace ≥ 3 × I", "a node that starts has heard every living member before it considers to form",
   [](const Timing& t) { return forming_grace(t) >= t.heartbeat_interval * 3; }},
  {"forming_wait ≥ Q + L", "a view that is cut off stops by itself after Q, and what it had begun by then ends within a lease",
   [](const Timing& t) { return forming_wait(t) >= t.quorum_stall_max + lease(t); }},
  {"forming_wait ≥ 4 × watch_interval", "who waits has looked often enough to see a living beacon move",
   [](const Timing& t) { return forming_wait(t) >= watch_interval * 4; }},
  {"takeover_decided_max > detection_max + regroup_max", "the recovery of updates lies inside the takeover",
   [](const Timing& t) { return takeover_decided_max(t) > detection_max(t) + regroup_max(t); }},
  {"takeover_unguarded_from > detection_max", "what no reservation guards never starts before the death of its owner was noticed",
   [](const Timing& t) { return takeover_unguarded_from(t) > detection_max(t); }},
  {"takeover_address_max > takeover_wait", "the promise of a takeover includes the wait for the lease",
   [](const Timing& t) { return takeover_address_max(t) > takeover_wait(t); }},
};

constexpr Relation between_fixed[] = {
  {"manners_max + 10 × regroup_tick < arbitration_allowance", "courtesy and the exchange of opinions leave time for the contest",
   [](const Timing&) { return manners_max + regroup_tick * 10 < arbitration_allowance; }},
  {"beacon_stale_after > beacon_interval", "a beacon that moves is not taken for a stale one",
   [](const Timing&) { return beacon_stale_after > beacon_interval; }},
  {"watch_interval > beacon_interval", "who looks twice sees a living beacon move",
   [](const Timing&) { return watch_interval > beacon_interval; }},
  {"head_fresh_max ≥ 2 × watch_interval", "one lost look at the LUN does not make the news old",
   [](const Timing&) { return head_fresh_max >= watch_interval * 2; }},
  {"arbitration_patience ≥ lun_command_max", "a contest is not given up before a command had its time ...",
   [](const Timing&) { return arbitration_patience >= lun_command_max; }},
  {"forming_patience ≥ lun_open_max + lun_command_max", "... and when forming, not before a session was opened",
   [](const Timing&) { return forming_patience >= lun_open_max + lun_command_max; }},
  {"request_hold_max < request_max", "the caller hears the reason before it stops waiting",
   [](const Timing&) { return request_hold_max < request_max; }},
  {"terminate_max < terminate_report_max", "the monitor's word comes first: it knows why",
   [](const Timing&) { return terminate_max < terminate_report_max; }},
  {"leave_max < orderly_stop_max", "an orderly stop is given more than a forced one",
   [](const Timing&) { return leave_max < orderly_stop_max; }},
  {"stage < ladder < end of each ending", "all resources are begun before the monitor exits",
   [](const Timing&) {
     return ending_lost.stage < ending_lost.ladder && ending_lost.ladder < ending_lost.end &&
            ending_orderly.stage < ending_orderly.ladder && ending_orderly.ladder < ending_orderly.end;
   }},
  {"ending_lost.end < sweep_wait_max", "a monitor whose service died is gone before the next life sweeps",
   [](const Timing&) { return ending_lost.end < sweep_wait_max; }},
  {"2 × address_refresh_max ≤ address_lifetime_default", "one late refresh does not cost the address",
   [](const Timing&) {
     return address_refresh_max * 2 <= address_lifetime_default &&
            address_refresh(address_lifetime_default) <= address_refresh_max;
   }},
  {"address_conflict_wait ≥ address_lifetime_default + address_lifetime_slack",
   "a node whose service and monitor both hang loses the address before another one takes it",
   [](const Timing&) { return address_conflict_wait >= address_lifetime_default + address_lifetime_slack; }},
};

constexpr Relation cautions[] = {
  {"starved_after + 2 × I ≤ T",
   "a core that is late by a little less than half the timeout may find a living node silent; the regroup finds it again",
   [](const Timing& t) { return starved_after(t) + t.heartbeat_interval * 2 <= t.heartbeat_timeout; }},
  {"L ≥ echo_age_max + I + grant_pace", "one lost datagram may hold addresses and programs for a moment",
   [](const Timing& t) { return lease(t) >= echo_age_max(t) + t.heartbeat_interval + grant_pace(t, false); }},
  {"Q ≥ beacon_interval + lun_command_max + owner_degraded_max + regroup_max",
   "an owner that loses the LUN leaves before the quorum has moved to a member that reaches it",
   [](const Timing& t) {
     return t.quorum_stall_max >= beacon_interval + lun_command_max + owner_degraded_max + regroup_max(t);
   }},
  {"request_max ≥ U + regroup_max", "a caller hears \"uncertain\" before the member that holds up its change is removed",
   [](const Timing& t) { return request_max >= t.update_timeout + regroup_max(t); }},
};
// clang-format on

constexpr bool all_hold(std::span<const Relation> list, const Timing& t) {
  for (const auto& relation : list)
    if (!relation.holds(t)) return false;
  return true;
}
constexpr bool all_hold_at_corners() {
  bool hold = true;
  each_legal_corner([&](const Timing& t) { hold = hold && all_hold(relations, t); });
  return hold;
}

static_assert(is_legal(Timing{}), "the defaults are legal");
static_assert(is_legal(timing_least), "and so are all the smallest values together");
static_assert(all_hold(between_fixed, Timing{}));
static_assert(all_hold(relations, Timing{}));
static_assert(all_hold(cautions, Timing{}));
static_assert(all_hold_at_corners());

}  // namespace

std::span<const Bound> timing_bounds() {
  return bounds;
}
std::span<const FixedTime> fixed_times() {
  return fixed;
}
std::span<const Relation> timing_relations() {
  return relations;
}
std::span<const Relation> fixed_relations() {
  return between_fixed;
}
std::span<const Relation> timing_cautions() {
  return cautions;
}

}  // namespace holdfast::core
