#include "core/properties/timing.h"

#include <string>

#include "core/properties/property.h"

namespace holdfast::core {
namespace {

Duration read(const Tree& tree, std::string_view name) {
  return Duration::milliseconds(static_cast<int64_t>(property_number(tree, "cluster", Scope::cluster, name)));
}

std::string ms(Duration d) {
  return std::to_string(d.ms()) + " ms";
}

Status broken(std::string_view name, Duration is, Duration least, std::string why) {
  return fail(
      ErrorCode::invalid_argument,
      std::string(name) + " of " + ms(is) + " is too short: at least " + ms(least) + " is needed, " + why, 0,
      "change both in one command");
}

}  // namespace

Timing timing_from(const Tree& tree) {
  Timing t;
  t.heartbeat_interval = read(tree, "HeartbeatIntervalMs");
  t.heartbeat_timeout = read(tree, "HeartbeatTimeoutMs");
  t.lease_margin = read(tree, "LeaseMarginMs");
  t.quorum_stall_max = read(tree, "QuorumStallMaxMs");
  t.update_timeout = read(tree, "UpdateTimeoutMs");
  t.monitor_silence = read(tree, "MonitorSilenceMs");
  return t;
}

Status check_timing(const Timing& t) {
  switch (timing_fault(t)) {
    case TimingFault::none:
      return {};
    case TimingFault::timeout_below_three_intervals:
      return broken("HeartbeatTimeoutMs", t.heartbeat_timeout, t.heartbeat_interval * 3,
                    "three times HeartbeatIntervalMs, so that two lost datagrams are no failure");
    case TimingFault::margin_below_interval:
      return broken("LeaseMarginMs", t.lease_margin, t.heartbeat_interval,
                    "as long as HeartbeatIntervalMs, so that a regroup can start before leases lapse");
    case TimingFault::stall_below_two_leases:
      return broken(
          "QuorumStallMaxMs", t.quorum_stall_max, lease(t) * 2,
          "twice HeartbeatTimeoutMs + LeaseMarginMs, so that a regroup is not taken for a lost quorum");
    case TimingFault::stall_below_ten_beacons:
      return broken("QuorumStallMaxMs", t.quorum_stall_max, beacon_interval * 10,
                    "ten beacons, so that a busy controller is not taken for a lost quorum");
    case TimingFault::update_below_timeout:
      return broken("UpdateTimeoutMs", t.update_timeout, t.heartbeat_timeout,
                    "as long as HeartbeatTimeoutMs, so that a dead node is found by its heartbeats");
    case TimingFault::silence_below_six_intervals:
      return broken("MonitorSilenceMs", t.monitor_silence, t.heartbeat_interval * 6,
                    "six times HeartbeatIntervalMs, so that a few late grants end nothing");
  }
  return fail(ErrorCode::internal, "unknown timing rule");
}

}  // namespace holdfast::core
