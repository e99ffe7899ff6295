// What the resource monitor reports, and the ladder of failures (REFERENCE 1.3).
#include <algorithm>

#include "core/failover/executor.h"
#include "core/properties/bounds.h"

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

std::vector<std::string> published_by(const monitor::Report& report) {
  std::vector<std::string> out;
  for (const auto& p : report.published()) out.push_back(p.name() + "=" + p.value());
  return out;
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
  }
  const Phase before = local.phase;
  switch (report.state()) {
    case monitor::ONLINE:
      if (local.phase != Phase::online_pending && local.phase != Phase::online) return;
      if (local.phase == Phase::online && report.order() == 0 && report.published().empty()) return;
      local.phase = Phase::online;
      local.restarting = false;
      local.published = published_by(report);
      local.message = report.message();
      break;
    case monitor::ONLINE_PENDING:
    case monitor::OFFLINE_PENDING: {  // progress; unsolicited: a failure that is being ended, Failed follows
      const auto facts = failover::read_resource(host_.database(), report.resource());
      if (local.phase == Phase::online_pending || local.phase == Phase::offline_pending)
        local.deadline = std::max(local.deadline, now + facts.pending_timeout);
      return;
    }
    case monitor::OFFLINE:
      on_offline(report.resource(), local, report, now);
      break;
    case monitor::FAILED:
      on_failed(report.resource(), local, report, now);
      break;
    default:
      return;
  }
  if (before != local.phase)
    host_.event("RESOURCE_STATE", report.resource(), "", state_name(report.state()), report.message());
}

void Executor::on_offline(const std::string& name, Local& local, const monitor::Report& report, Instant now) {
  switch (local.phase) {
    case Phase::online:
    case Phase::online_pending:
      fail_resource(name, local, report.message().empty() ? "it went offline by itself" : report.message(),
                    now);
      return;
    case Phase::offline_pending:
    case Phase::terminating:
      // Only the answer to the order counts: an unsolicited report may have been sent before it.
      if (report.order() == 0) return;
      break;
    case Phase::stuck:
      break;
    default:
      return;
  }
  local.phase = Phase::offline;
  local.published.clear();
  if (report.dirty()) {
    local.message = "ended by force: " + report.message();
    host_.event("RESOURCE_DIRTY", name, "", "Offline", local.message);
  }
  if (local.count_failure) {
    local.count_failure = false;
    fail_resource(name, local, local.message, now);
  } else if (!report.dirty()) {
    local.message.clear();
  }
}

void Executor::on_failed(const std::string& name, Local& local, const monitor::Report& report, Instant now) {
  switch (local.phase) {
    case Phase::offline_pending:
      if (report.order() == 0) {  // it failed by itself just before, and its monitor has ended it
        if (!report.dirty()) fail_resource(name, local, report.message(), now);
        return;
      }
      // An orderly end did not work: by force.
      local.message = "offline failed: " + report.message();
      if (monitor_ready_) send(name, local, monitor::Order::TERMINATE, now);
      return;
    case Phase::terminating:
      if (report.order() == 0 && report.state() == monitor::FAILED)
        return;  // the answer to terminate follows
      // Terminate must succeed. When it does not, nothing may take this over but a disk's preempt.
      local.phase = Phase::stuck;
      local.deadline = now + terminate_again_after;
      local.message = "it could not be ended: " + report.message();
      host_.event("RESOURCE_STATE", name, "", "Failed", local.message);
      return;
    case Phase::online:
    case Phase::online_pending:
      if (report.dirty() && monitor_ready_) {  // its monitor is not sure that it has ended
        local.message = report.message();
        local.count_failure = true;
        send(name, local, monitor::Order::TERMINATE, now);
        return;
      }
      fail_resource(name, local, report.message(), now);
      return;
    default:
      return;
  }
}

// It has ended. One more failure: it is started again here, or this node gives up.
void Executor::fail_resource(const std::string& name, Local& local, const std::string& why, Instant now) {
  const ResourceFacts facts = failover::read_resource(host_.database(), name);
  local.published.clear();
  local.phase = Phase::failed;
  local.play_failure = local.count_failure = false;
  local.message = why.empty() ? "it failed" : why;
  while (!local.failures.empty() && now - local.failures.front() > facts.restart_period)
    local.failures.pop_front();
  local.failures.push_back(now);
  host_.event("RESOURCE_STATE", name, "", "Failed", local.message);
  if (facts.maintenance || failover::read_group(host_.database(), local.group).maintenance) {
    local.failures.pop_back();  // told, but nothing is done and nothing counted
    return;
  }
  if (facts.restart_action != 0 && local.failures.size() <= facts.restart_threshold) {
    local.phase = Phase::offline;
    local.restarting = true;
    local.not_before = now + facts.restart_delay;
    return;
  }
  local.exhausted = true;
  local.restarting = false;
  if (facts.restart_action == 1 && facts.retry_period_ms != failover::infinite) {
    local.retry_at = now + Duration::milliseconds(static_cast<int64_t>(facts.retry_period_ms));
  }
}

void Executor::start_anew(Local& local) {
  local.failures.clear();
  local.exhausted = false;
  local.restarting = false;
  local.not_before = local.retry_at = {};
  if (local.phase == Phase::failed) local.phase = local.order == 0 ? Phase::closed : Phase::offline;
}

void Executor::on_committed(const std::vector<ChangeNotice>& notices) {
  using Kind = ChangeNotice::Kind;
  for (const auto& n : notices) {
    if (n.key.rfind("groups/", 0) == 0) {
      // A new generation, or the end of Failed, starts with a clean record.
      const bool generation = n.name == "Generation" && n.kind == Kind::value_set;
      const bool forgiven = n.name == "Failed" && n.kind == Kind::value_deleted;
      if (!generation && !forgiven) continue;
      const std::string group = n.key.substr(7);
      for (auto& [name, local] : locals_) {
        if (local.group != group) continue;
        start_anew(local);
        if (generation && !active(local)) local.message.clear();
      }
    }
    if (n.key.rfind("resources/", 0) != 0) continue;
    auto it = locals_.find(n.key.substr(10));
    if (it == locals_.end()) continue;
    Local& local = it->second;
    if (n.name == "State" && n.kind == Kind::value_deleted) {  // an administrator asks to start anew
      start_anew(local);
      local.message.clear();
    }
    if (n.name == "FailRequest" && n.kind == Kind::value_set && local.phase == Phase::online)
      local.play_failure = true;
  }
}

}  // namespace holdfast::core
