#include "core/failover/failover_manager.h"

#include <algorithm>

namespace holdfast::core {

void FailoverManager::on_view(NodeSet previous, NodeSet members, Instant now) {
  // To a node that joins all others were there before: only it has returned.
  director_.on_view(previous.contains(host_.self()) ? members - previous : NodeSet::of(host_.self()), now);
  executor_.reset_proposals();
}

void FailoverManager::on_ready(Instant) {
  changed_ = true;
}

void FailoverManager::on_committed(const std::vector<ChangeNotice>& notices, Instant) {
  executor_.on_committed(notices);
  changed_ = true;
}

void FailoverManager::on_report(const monitor::Report& report, Instant now) {
  executor_.on_report(report, now);
  changed_ = true;
}

void FailoverManager::on_monitor_ready(Instant now) {
  executor_.monitor_ready(true, now);
  changed_ = true;
}

void FailoverManager::on_monitor_died(Instant now) {
  executor_.monitor_ready(false, now);
  changed_ = true;
}

void FailoverManager::on_lost_membership(Instant now) {
  executor_.terminate_all(now);
}

// Decisions are made once a step, after everything that happened in it is known.
void FailoverManager::on_time(Instant now) {
  if (!changed_ && now < std::min(director_.next_deadline(), executor_.next_deadline())) return;
  changed_ = false;
  director_.evaluate(now);
  executor_.evaluate(now);
}

Instant FailoverManager::next_deadline() const {
  if (changed_) return Instant{1};
  return std::min(director_.next_deadline(), executor_.next_deadline());
}

}  // namespace holdfast::core
