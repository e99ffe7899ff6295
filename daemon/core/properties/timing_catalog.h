// The bounds of bounds.h and lifetimes.h as a list, and what must hold between them: for static_asserts, for
// the property tests, and for docs/TIMING.md, which is printed from it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/properties/timing.h"

namespace holdfast::core {

// `formula` is `value` in letters: those of timing_properties, and L = T + M, the lease; numbers are
// milliseconds. A test evaluates it. `where`: the files, separated by blanks, that use the bound or promise
// it; a test looks for its name in each. None: it only takes part in relations.
struct Bound {
  std::string_view name;
  std::string_view formula;
  Duration (*value)(const Timing&);
  std::string_view protects;
  std::string_view where;
};
std::span<const Bound> timing_bounds();

// What nobody may set.
struct FixedTime {
  std::string_view name;
  Duration value;
  std::string_view protects;
  std::string_view where;
};
std::span<const FixedTime> fixed_times();

struct Relation {
  std::string_view text;
  std::string_view why;
  bool (*holds)(const Timing&);
};
// They hold for every legal setting.
std::span<const Relation> timing_relations();
// The same between what nobody may set.
std::span<const Relation> fixed_relations();
// They hold at the stock settings and most others, but not for every legal one. Nothing becomes unsafe, but
// what the documents promise of availability does not hold there.
std::span<const Relation> timing_cautions();

// docs/TIMING.md.
std::string timing_markdown();

// Calls `f` with legal settings at the ends of the ranges and rules: each bound is smallest at one of them,
// and largest at another one, since it is a sum of the settings with positive factors (or the largest of
// such).
template <typename F>
constexpr void each_legal_corner(F&& f) {
  const auto ms = [](int64_t n) { return Duration::milliseconds(n); };
  const Timing low = timing_least, high = timing_most;
  for (Duration interval : {low.heartbeat_interval, low.lease_margin, ms(500), high.heartbeat_interval})
    for (Duration margin : {low.lease_margin, interval, arbitration_allowance / 2, high.lease_margin})
      for (Duration timeout :
           {low.heartbeat_timeout, interval * 3, low.quorum_stall_max / 2 - margin,
            (low.quorum_stall_max - arbitration_allowance) / 2, high.quorum_stall_max / 2 - margin,
            (high.quorum_stall_max - arbitration_allowance) / 2})
        for (Duration stall : {low.quorum_stall_max, (timeout + margin) * 2,
                               timeout * 2 + arbitration_allowance, high.quorum_stall_max})
          for (Duration update : {low.update_timeout, timeout, high.update_timeout})
            for (Duration silence : {low.monitor_silence, interval * 6, high.monitor_silence}) {
              const Timing t{interval, timeout, margin, stall, update, silence};
              if (is_legal(t)) f(t);
            }
}

}  // namespace holdfast::core
