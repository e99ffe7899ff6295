// Timing: which combinations of the timing properties are legal, and why not. The properties themselves are
// in timing_settings.h, what follows from them in bounds.h.
//
// The rules are constexpr, so that the compiler holds the argument for the defaults and at the extremes
// (timing_catalog.cc) and `cluster set` holds it for everything else.
#pragma once

#include "base/error.h"
#include "core/database/tree.h"
#include "core/properties/bounds.h"
#include "core/properties/timing_settings.h"

namespace holdfast::core {

// `low` must be at least `least`; that is the same as `high` being at most `most`.
struct TimingRule {
  std::string_view text;  // in the letters of docs/TIMING.md
  Duration Timing::*low;
  Duration (*least)(const Timing&);
  std::string_view need;  // `least` in the names of the properties
  std::string_view why;
  Duration Timing::*high;
  Duration (*most)(const Timing&);
};

inline constexpr TimingRule timing_rules[] = {
    {"T ≥ 3 × I", &Timing::heartbeat_timeout, [](const Timing& t) { return t.heartbeat_interval * 3; },
     "three times HeartbeatIntervalMs", "so that two lost datagrams are no failure",
     &Timing::heartbeat_interval, [](const Timing& t) { return t.heartbeat_timeout / 3; }},
    {"M ≥ I", &Timing::lease_margin, [](const Timing& t) { return t.heartbeat_interval; },
     "as long as HeartbeatIntervalMs", "so that a regroup can start before leases lapse",
     &Timing::heartbeat_interval, [](const Timing& t) { return t.lease_margin; }},
    {"Q ≥ 2 × L", &Timing::quorum_stall_max, [](const Timing& t) { return lease(t) * 2; },
     "twice HeartbeatTimeoutMs + LeaseMarginMs", "so that a regroup is not taken for a lost quorum",
     &Timing::heartbeat_timeout, [](const Timing& t) { return t.quorum_stall_max / 2 - t.lease_margin; }},
    {"Q ≥ 2 × T + 1000", &Timing::quorum_stall_max, [](const Timing& t) { return regroup_max(t); },
     "twice HeartbeatTimeoutMs and a second for the contest",
     "so that a regroup in which one more node dies is not given up", &Timing::heartbeat_timeout,
     [](const Timing& t) { return (t.quorum_stall_max - arbitration_allowance) / 2; }},
    {"U ≥ T", &Timing::update_timeout, [](const Timing& t) { return t.heartbeat_timeout; },
     "as long as HeartbeatTimeoutMs",
     "so that a dead node is found by its heartbeats, not by its missing answer", &Timing::heartbeat_timeout,
     [](const Timing& t) { return t.update_timeout; }},
    {"S ≥ 6 × I", &Timing::monitor_silence, [](const Timing& t) { return t.heartbeat_interval * 6; },
     "six times HeartbeatIntervalMs", "so that a few late grants end nothing", &Timing::heartbeat_interval,
     [](const Timing& t) { return t.monitor_silence / 6; }},
};
static_assert(arbitration_allowance == Duration::seconds(1),
              "the texts above and those of the catalog say 1000");

// The first rule that is broken, or nullptr.
constexpr const TimingRule* broken_rule(const Timing& t) {
  for (const auto& rule : timing_rules)
    if (t.*rule.low < rule.least(t)) return &rule;
  return nullptr;
}

// Each within its range, and no rule broken.
constexpr bool is_legal(const Timing& t) {
  for (const auto& p : timing_properties)
    if (t.*p.member < timing_least.*p.member || t.*p.member > timing_most.*p.member) return false;
  return broken_rule(t) == nullptr;
}

// The values in the tree, defaults where there is none.
Timing timing_from(const Tree& tree);
// invalid_argument with the range or rule that is broken, the properties and values that break it, and as
// hint what to set.
Status check_timing(const Timing& timing);
// For transactions that no plan made: refuses one that changes the timing to an illegal one. One that changes
// it is made to rely on all timing properties, since two changes may be legal each and illegal together.
Status keep_timing_legal(const Tree& tree, Transaction* transaction);

}  // namespace holdfast::core
