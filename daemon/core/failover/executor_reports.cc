// What the resource monitor reports, and the ladder of failures (REFERENCE 1.3).
#include <algorithm>

#include "core/failover/executor.h"

namespace holdfast::core {

using failover::ResourceFacts;

namespace {
const char* state_name(monitor::State state) {
  switch (state) {
    case monitor::ONLINE:
      return "Online";
    case monitor::OFFLINE:
      return "Offline";
    case monitor::FAILED:
      return "Failed";
    case monitor::ONLINE_PENDING:
      return "OnlinePending";
    case monitor::OFFLINE_PENDING:
      return "OfflinePending";
    default:
      return "Initializing";
  }
}
}  // namespace

void Executor::on_report(const monitor::Report& report, Instant now) {
  auto it = locals_.find(report.resource());
  if (it == locals_.end()) return;
  Local& local = it->second;
  // Reports about an order that was followed by a newer one say nothing any more.
  if (report.order() != 0 && report.order() != local.order) return;
  if (report.held() != local.held) {
    local.held = report.held();
    host_.event("RESOURCE_HELD", report.resource(), "", local.held ? "held" : "released",
                local.held ? "the working lease of this node lapsed" : "the lease was renewed");
    if (report.order() == 0 && report.state() == monitor::ONLINE) return;
  }
  std::vector<std::string> published;
  for (const auto& p : report.published()) published.push_back(p.name() + "=" + p.value());
  const Phase before = local.phase;
  switch (report.state()) {
    case monitor::ONLINE:
      if (local.phase != Phase::online_pending && local.phase != Phase::online) return;
      local.phase = Phase::online;
      local.restarting = false;
      local.published = std::move(published);
      local.message = report.message();
      break;
    case monitor::ONLINE_PENDING:
    case monitor::OFFLINE_PENDING:
      return;  // progress: the monitor watches PendingTimeout
    case monitor::OFFLINE:
      if (local.phase == Phase::online || local.phase == Phase::online_pending) {
        if (report.order() == 0) return;
        fail_resource(report.resource(), local,
                      report.message().empty() ? "it went offline by itself" : report.message(), now);
        break;
      }
      if (local.phase != Phase::offline_pending && local.phase != Phase::terminating) return;
      local.phase = Phase::offline;
      local.stuck = false;
      local.published.clear();
      local.message = report.dirty() ? "ended by force: " + report.message() : "";
      if (report.dirty()) host_.event("RESOURCE_DIRTY", report.resource(), "", "Offline", local.message);
      if (local.play_failure) {
        local.play_failure = false;
        fail_resource(report.resource(), local, "an administrator asked for a failure", now);
      }
      break;
    case monitor::FAILED:
      if (local.phase == Phase::terminating ||
          (local.phase == Phase::offline_pending && report.order() != 0)) {
        if (local.phase == Phase::offline_pending && !report.error()) {
          local.phase = Phase::offline;
          break;
        }
        // Terminate must succeed. When it does not, nothing may take this over but a disk's preempt.
        local.phase = Phase::failed;
        local.stuck = true;
        local.exhausted = true;
        local.message = "it could not be ended: " + report.message();
        host_.event("RESOURCE_STATE", report.resource(), "", "Failed", local.message);
        break;
      }
      fail_resource(report.resource(), local, report.message(), now);
      break;
    default:
      return;
  }
  if (before != local.phase)
    host_.event("RESOURCE_STATE", report.resource(), "", state_name(report.state()), report.message());
}

void Executor::fail_resource(const std::string& name, Local& local, const std::string& why, Instant now) {
  const ResourceFacts facts = failover::read_resource(host_.database(), name);
  local.published.clear();
  local.phase = Phase::failed;
  local.since = now;
  local.message = why;
  while (!local.failures.empty() && now - local.failures.front() > facts.restart_period)
    local.failures.pop_front();
  local.failures.push_back(now);
  host_.event("RESOURCE_STATE", name, "", "Failed", why);
  if (facts.restart_action != 0 && local.failures.size() <= facts.restart_threshold) {
    local.phase = Phase::offline;
    local.restarting = true;
    local.not_before = now + facts.restart_delay;
    return;
  }
  local.exhausted = true;
  local.restarting = false;
  if (facts.restart_action == 2) failover_asked_.insert(local.group);
}

void Executor::on_committed(const std::vector<ChangeNotice>& notices, Instant now) {
  using Kind = ChangeNotice::Kind;
  for (const auto& n : notices) {
    if (n.key.rfind("groups/", 0) == 0 && n.name == "Generation" && n.kind == Kind::value_set) {
      // A new generation starts with a clean record.
      for (auto& [name, local] : locals_) {
        if (local.group != n.key.substr(7)) continue;
        local.failures.clear();
        local.exhausted = local.stuck;
        local.restarting = false;
        local.not_before = {};
        if (local.phase == Phase::failed && !local.stuck) local.phase = Phase::offline;
        local.message.clear();
      }
      failover_asked_.erase(n.key.substr(7));
    }
    if (n.key.rfind("groups/", 0) == 0 && n.name == "Failed" && n.kind == Kind::value_deleted) {
      for (auto& [name, local] : locals_)
        if (local.group == n.key.substr(7) && !local.stuck) {
          local.failures.clear();
          local.exhausted = false;
          if (local.phase == Phase::failed) local.phase = Phase::offline;
        }
    }
    if (n.key.rfind("resources/", 0) != 0) continue;
    auto it = locals_.find(n.key.substr(10));
    if (it == locals_.end()) continue;
    Local& local = it->second;
    if (n.name == "State" && n.kind == Kind::value_deleted) {  // an administrator asks to start anew
      local.failures.clear();
      local.exhausted = false;
      local.stuck = false;
      local.not_before = {};
      if (local.phase == Phase::failed) local.phase = Phase::offline;
    }
    if (n.name == "FailRequest" && n.kind == Kind::value_set && local.phase == Phase::online)
      local.play_failure = true;
  }
  (void)now;
}

}  // namespace holdfast::core
