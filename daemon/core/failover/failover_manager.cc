#include "core/failover/failover_manager.h"

#include <algorithm>

namespace holdfast::core {

void FailoverManager::on_view(NodeSet, NodeSet, Instant) {
  director_.reset();
  executor_.reset_proposals();
}

void FailoverManager::on_ready(Instant) {
  changed_ = true;
}

void FailoverManager::on_committed(const std::vector<ChangeNotice>& notices, Instant now) {
  executor_.on_committed(notices, now);
  changed_ = true;
}

void FailoverManager::on_report(const monitor::Report& report, Instant now) {
  executor_.on_report(report, now);
  changed_ = true;
}

void FailoverManager::on_monitor_ready(Instant) {
  executor_.monitor_ready(true);
  changed_ = true;
}

void FailoverManager::on_monitor_died(Instant) {
  executor_.monitor_ready(false);
}

void FailoverManager::on_lost_membership(Instant) {
  executor_.terminate_all();
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
