#include "core/failover/executor.h"

#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"
#include "core/failover/placement.h"
#include "core/properties/bounds.h"

namespace holdfast::core {

using failover::GroupFacts;
using failover::resource_path;
using failover::ResourceFacts;

void Executor::wake(Instant at) {
  wake_at_ = std::min(wake_at_, at);
}

void Executor::monitor_ready(bool ready, Instant now) {
  monitor_ready_ = ready;
  if (ready) return;
  // A monitor that ended has terminated everything, or it was swept.
  for (auto& [name, local] : locals_) {
    const bool counts = local.phase == Phase::online || local.phase == Phase::online_pending;
    if (local.phase != Phase::failed) local.phase = Phase::closed;
    local.play_failure = local.count_failure = false;
    local.published.clear();
    if (!counts) continue;
    fail_resource(name, local, "the resource monitor died", now);
    // One death must not exhaust a whole group at once: it is tried here again, and its own next failure
    // counts.
    local.phase = Phase::closed;
    local.exhausted = false;
    local.retry_at = {};
    local.restarting = true;
    local.not_before = now + failover::read_resource(host_.database(), name).restart_delay;
  }
  // Failed resources are unknown to the next monitor too; they are opened when they are started again.
  for (auto& [name, local] : locals_) local.order = 0;
}

// R4. A proposal that was sent in an earlier view may be ordered in a later one, so "its owner is gone"
// cannot be judged by the view alone: takeovers require the `Joins` of the owner that they saw.
bool Executor::announced() {
  if (announced_) return true;
  if (announcing_) return false;
  const std::string node = node_path(host_.self());
  if (!host_.database().exists(node)) return false;
  Edit edit;
  edit.require_key(node);
  const Value* before = host_.database().find_value(node, "Joins");
  if (before)
    edit.require_equal(node, "Joins", *before);
  else
    edit.require_unset(node, "Joins");
  edit.set(node, "Joins", host_.database().number(node, "Joins") + 1);
  announcing_ = true;
  host_.propose(edit.done(),
                "node '" + failover::name_of_node(host_.database(), host_.self()) + "' begins to run groups",
                [this](const Status& status) {
                  announcing_ = false;
                  announced_ = announced_ || static_cast<bool>(status);
                  wake_at_ = Instant{1};
                });
  return announced_;
}

void Executor::evaluate(Instant now) {
  wake_at_ = Instant::infinite();
  if (lost_) {
    for (auto& [name, local] : locals_) watch_deadlines(name, local, now);
    return;
  }
  if (!host_.ready()) return;
  announced();
  drop_deleted(now);
  // A copy: proposals may be committed at once and change the tree.
  const auto index = failover::index_groups(host_.database());
  for (const auto& [name, resources] : index) {
    if (name.empty()) continue;
    GroupFacts group = failover::read_group(host_.database(), name);
    if (group.exists) evaluate_group(group, resources, now);
  }
}

// Resources that were deleted from the database, or moved to another group while offline.
void Executor::drop_deleted(Instant now) {
  for (auto it = locals_.begin(); it != locals_.end();) {
    Local& local = it->second;
    if (host_.database().exists(resource_path(it->first))) {
      local.group = host_.database().text(resource_path(it->first), "Group");
      ++it;
      continue;
    }
    if (active(local)) {
      watch_deadlines(it->first, local, now);
      if (local.phase != Phase::terminating && local.phase != Phase::stuck && monitor_ready_)
        send(it->first, local, monitor::Order::TERMINATE, now);
      ++it;
      continue;
    }
    if (local.phase != Phase::closed && monitor_ready_) {
      monitor::Order order;
      order.set_order(next_order_++);
      order.set_action(monitor::Order::CLOSE);
      order.set_resource(it->first);
      host_.order(std::move(order));
    }
    it = locals_.erase(it);
  }
}

std::vector<std::string> Executor::dependents_of(const std::string& name, const std::string& group) const {
  std::vector<std::string> out;
  for (const auto& [other, local] : locals_) {
    if (local.group != group) continue;
    auto list = host_.database().list(resource_path(other), "Dependencies");
    if (std::find(list.begin(), list.end(), name) != list.end()) out.push_back(other);
  }
  return out;
}

bool Executor::group_may_run(const GroupFacts& group) const {
  if (group.owner != host_.self() || group.released() || group.moving() || group.failed ||
      group.failover_wanted() || failover_asked_.count(group.name))
    return false;
  // A node that stops keeps nothing online: what can move is moved, the rest is ended here in an orderly way.
  return !failover::node_flag(host_.database(), host_.self(), "Stopping");
}

void Executor::evaluate_group(const GroupFacts& group, const std::vector<std::string>& resources,
                              Instant now) {
  if (group.owner != host_.self()) {
    if (mutant(Mutant::keeps_what_moved)) return;
    for (const auto& name : resources) {
      auto it = locals_.find(name);
      if (it == locals_.end()) continue;
      watch_deadlines(name, it->second, now);
      // Ownership went elsewhere while something still runs here: that must not be. End it at once.
      if (active(it->second) && it->second.phase != Phase::terminating && it->second.phase != Phase::stuck)
        send(name, it->second, monitor::Order::TERMINATE, now);
    }
    unpublished_since_.erase(group.name);
    return;
  }
  for (const auto& name : resources) locals_[name].group = group.name;
  ask_for_failover(group, resources);
  const bool may_run = group_may_run(group);
  for (const auto& name : resources) {
    ResourceFacts resource = failover::read_resource(host_.database(), name);
    watch_deadlines(name, locals_[name], now);
    if (group.maintenance || resource.maintenance || !monitor_ready_) continue;
    drive(group, resource, may_run, now);
  }
  publish(group, resources, now);
}

// Derived anew each time: a failover that came to nothing (its target died) is asked for again.
void Executor::ask_for_failover(const GroupFacts& group, const std::vector<std::string>& resources) {
  failover_asked_.erase(group.name);
  if (group.failed || group.moving() || group.maintenance) return;
  for (const auto& name : resources) {
    const Local& local = locals_[name];
    if (local.phase != Phase::failed || !local.exhausted) continue;
    const ResourceFacts facts = failover::read_resource(host_.database(), name);
    if (facts.restart_action != 2 || !facts.persistent.value_or(group.persistent)) continue;
    failover_asked_[group.name] = "resource '" + name + "' failed " + std::to_string(local.failures.size()) +
                                  " times: " + local.message;
    return;
  }
}

void Executor::watch_deadlines(const std::string& name, Local& local, Instant now) {
  if (!pending(local) && local.phase != Phase::stuck) return;
  if (now < local.deadline) {
    wake(local.deadline);
    return;
  }
  if (!monitor_ready_) return;
  switch (local.phase) {
    case Phase::online_pending:
      local.count_failure = true;
      local.message = "it did not come online within PendingTimeout";
      break;
    case Phase::terminating: {
      monitor::Report late;
      late.set_message("terminate was not answered");
      on_failed(name, local, late, now);
      wake(local.deadline);
      return;
    }
    default:
      break;
  }
  send(name, local, monitor::Order::TERMINATE, now);
}

// Disks, and file systems on them: they are taken from a removed node at the target, its lease need not end
// first.
bool Executor::guarded(const ResourceFacts& resource) const {
  if (resource.type == "physical-disk") return true;
  if (resource.type != "filesystem") return false;
  return std::any_of(resource.dependencies.begin(), resource.dependencies.end(), [&](const auto& provider) {
    return host_.database().text(resource_path(provider), "Type") == "physical-disk";
  });
}

bool Executor::may_start(const GroupFacts&, const ResourceFacts& resource, Local& local, Instant now) {
  if (local.exhausted) {
    if (local.retry_at.is_never()) return false;
    if (now < local.retry_at) {
      wake(local.retry_at);
      return false;
    }
  }
  if (!announced_) return false;  // R4
  if (now < local.not_before) {
    wake(local.not_before);
    return false;
  }
  if (!guarded(resource) && now < host_.guard_until() && !mutant(Mutant::guard_forgotten)) {  // R3
    wake(host_.guard_until());
    return false;
  }
  return true;
}

// Online, to stay so, and so is everything that it needs: what depends on it may run. Dependencies have no
// circles.
bool Executor::sound(const std::string& name, const GroupFacts& group, bool may_run) const {
  auto it = locals_.find(name);
  if (it == locals_.end()) return false;
  const Local& local = it->second;
  if (local.phase != Phase::online || local.generation != group.generation || local.play_failure)
    return false;
  const ResourceFacts facts = failover::read_resource(host_.database(), name);
  if (!facts.maintenance && !(may_run && facts.persistent.value_or(group.persistent))) return false;
  return std::all_of(facts.dependencies.begin(), facts.dependencies.end(),
                     [&](const auto& provider) { return sound(provider, group, may_run); });
}

void Executor::drive(const GroupFacts& group, const ResourceFacts& resource, bool may_run, Instant now) {
  Local& local = locals_[resource.name];
  const bool goal = may_run && resource.persistent.value_or(group.persistent);
  const bool providers_online =
      std::all_of(resource.dependencies.begin(), resource.dependencies.end(),
                  [&](const auto& provider) { return sound(provider, group, may_run); });
  bool dependents_ended = true;
  for (const auto& dependent : dependents_of(resource.name, group.name))
    dependents_ended = dependents_ended && !active(locals_[dependent]);
  const bool keep = goal && providers_online && local.generation == group.generation;

  switch (local.phase) {
    case Phase::closed:
    case Phase::offline:
    case Phase::failed:
      if (!goal) {
        // What nobody wants online any more is Offline, whatever happened to it before.
        if (!resource.persistent.value_or(group.persistent) || !local.exhausted) start_anew(local);
        local.restarting = false;
        return;
      }
      // A dependent that still runs belongs to the earlier start of this one.
      if (!providers_online || !dependents_ended || !may_start(group, resource, local, now)) return;
      local.retry_at = {};
      local.generation = group.generation;
      send(resource.name, local, monitor::Order::ONLINE, now);
      return;
    case Phase::online_pending:
      if (!keep) send(resource.name, local, monitor::Order::TERMINATE, now);
      return;
    case Phase::online:
      if (!dependents_ended) return;  // R2
      if (local.play_failure) {
        local.play_failure = false;
        local.count_failure = true;
        local.message = "an administrator asked for a failure";
        send(resource.name, local, monitor::Order::TERMINATE, now);
      } else if (!keep) {
        send(resource.name, local, monitor::Order::OFFLINE, now);
      }
      return;
    case Phase::offline_pending:
    case Phase::terminating:
    case Phase::stuck:
      return;
  }
}

void Executor::send(const std::string& name, Local& local, monitor::Order::Action action, Instant now) {
  if (action == monitor::Order::ONLINE && local.order == 0) {
    monitor::Order open;
    open.set_order(next_order_++);
    open.set_action(monitor::Order::OPEN);
    open.set_resource(name);
    fill_online(open, name);
    host_.order(std::move(open));
  }
  monitor::Order order;
  order.set_order(next_order_++);
  order.set_action(action);
  order.set_resource(name);
  fill_online(order, name);
  order.set_generation(local.generation);
  local.order = order.order();
  const Duration limit = failover::read_resource(host_.database(), name).pending_timeout + report_slack;
  switch (action) {
    case monitor::Order::ONLINE:
      order.set_expires_boottime_ns(static_cast<uint64_t>((now + order_valid).ns));
      local.phase = Phase::online_pending;
      local.deadline = now + limit;
      local.published.clear();
      break;
    case monitor::Order::OFFLINE:
      local.phase = Phase::offline_pending;
      local.deadline = now + limit;
      break;
    default:
      local.phase = Phase::terminating;
      local.deadline = now + terminate_report_max;
      break;
  }
  wake(local.deadline);
  host_.order(std::move(order));
}

void Executor::terminate_all(Instant now) {
  lost_ = true;
  for (auto& [name, local] : locals_)
    if (active(local) && local.phase != Phase::terminating) send(name, local, monitor::Order::TERMINATE, now);
}

bool Executor::all_offline() const {
  return std::none_of(locals_.begin(), locals_.end(), [](const auto& l) { return active(l.second); });
}

bool Executor::owns_nothing() const {
  if (!all_offline()) return false;
  const auto index = failover::index_groups(host_.database());
  for (const auto& [name, resources] : index) {
    GroupFacts group = failover::read_group(host_.database(), name);
    if (!group.exists || group.owner != host_.self() || group.maintenance) continue;
    if (!group.move_to.is_none()) return false;
    // What no other node can own stays in this node's name, offline, until somebody can.
    for (NodeId other : host_.members())
      if (other != host_.self() && why_unfit(host_.database(), host_.members(), resources, other).empty())
        return false;
  }
  return true;
}

void Executor::check_invariants() const {
  for (const auto& [name, local] : locals_)
    if (local.phase == Phase::online || local.phase == Phase::online_pending) {
      HOLDFAST_ASSERT(local.generation != 0 && local.order != 0);  // R1
      HOLDFAST_ASSERT(announced_);                                 // R4
    }
}

}  // namespace holdfast::core
