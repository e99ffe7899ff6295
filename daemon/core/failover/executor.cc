#include "core/failover/executor.h"

#include <algorithm>

#include "base/assert.h"
#include "core/failover/group_state.h"
#include "core/failover/placement.h"

namespace holdfast::core {

using failover::group_path;
using failover::GroupFacts;
using failover::resource_path;
using failover::ResourceFacts;

namespace {
// Pending states are published only when they last: a quick move needs fewer updates.
constexpr Duration pending_shown_after = Duration::milliseconds(200);
constexpr Duration order_valid = Duration::seconds(30);
}  // namespace

bool guarded_by_reservation(const std::string& type) {
  return type == "physical-disk" || type == "filesystem";
}

void Executor::wake(Instant at) {
  wake_at_ = std::min(wake_at_, at);
}

void Executor::monitor_ready(bool ready) {
  monitor_ready_ = ready;
  if (ready) return;
  // A monitor that ended has terminated everything, or it was swept.
  for (auto& [name, local] : locals_) {
    if (active(local) && local.phase != Phase::terminating && local.phase != Phase::offline_pending) {
      local.restarting = true;
      local.message = "the resource monitor died; the resource is started again";
    }
    local.phase = Phase::closed;
    local.stuck = false;
    local.published.clear();
  }
}

void Executor::evaluate(Instant now) {
  wake_at_ = Instant::infinite();
  if (!host_.ready() || lost_ || !monitor_ready_) return;
  drop_deleted(now);
  auto index = failover::index_groups(host_.database());
  for (const auto& [name, resources] : index) {
    if (name.empty()) continue;
    GroupFacts group = failover::read_group(host_.database(), name);
    if (!group.exists) continue;
    evaluate_group(group, resources, now);
  }
}

// Resources that were deleted from the database, or moved to another group while offline.
void Executor::drop_deleted(Instant now) {
  for (auto it = locals_.begin(); it != locals_.end();) {
    const std::string group = host_.database().text(resource_path(it->first), "Group");
    if (host_.database().exists(resource_path(it->first))) {
      it->second.group = group;
      ++it;
      continue;
    }
    if (active(it->second)) {
      if (it->second.phase != Phase::terminating) send(it->first, it->second, monitor::Order::TERMINATE, now);
      ++it;
      continue;
    }
    if (it->second.phase != Phase::closed) {
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

bool Executor::group_may_run(const GroupFacts& group, const std::vector<std::string>&) const {
  if (group.owner != host_.self() || group.released() || !group.move_to.is_none() || group.failed ||
      group.failover_wanted())
    return false;
  // A node that stops keeps nothing online: what can move is moved, the rest is ended here in an orderly way.
  return !failover::node_flag(host_.database(), host_.self(), "Stopping");
}

void Executor::evaluate_group(const GroupFacts& group, const std::vector<std::string>& resources,
                              Instant now) {
  const bool owned = group.owner == host_.self();
  bool any_local = false;
  for (const auto& name : resources) any_local = any_local || locals_.count(name);
  if (!owned && !any_local) return;
  if (!owned) {
    // Ownership went elsewhere while something still runs here: that must not be. End it at once.
    for (const auto& name : resources) {
      auto it = locals_.find(name);
      if (it != locals_.end() && active(it->second) && it->second.phase != Phase::terminating)
        send(name, it->second, monitor::Order::TERMINATE, now);
    }
    return;
  }
  const bool may_run = group_may_run(group, resources);
  // Providers first for going online, dependents first for going offline: drive() waits for the others of the
  // group.
  for (const auto& name : resources) locals_[name].group = group.name;
  for (const auto& name : resources) {
    ResourceFacts resource = failover::read_resource(host_.database(), name);
    if (group.maintenance || resource.maintenance) continue;
    drive(group, resource, may_run && resource.persistent.value_or(group.persistent), now);
  }
  publish(group, resources, now);
}

void Executor::drive(const GroupFacts& group, const ResourceFacts& resource, bool goal, Instant now) {
  Local& local = locals_[resource.name];
  bool providers_online = true;
  for (const auto& provider : resource.dependencies) {
    auto it = locals_.find(provider);
    providers_online = providers_online && it != locals_.end() && it->second.phase == Phase::online &&
                       it->second.generation == group.generation && !it->second.play_failure;
  }
  bool dependents_ended = true;
  for (const auto& dependent : dependents_of(resource.name, group.name))
    dependents_ended = dependents_ended && !active(locals_[dependent]);

  switch (local.phase) {
    case Phase::closed:
    case Phase::offline:
    case Phase::failed:
      if (!goal) {
        if (local.phase == Phase::failed && !local.exhausted) local.phase = Phase::offline;
        local.restarting = false;
        return;
      }
      // A dependent that still runs belongs to the earlier start of this one.
      if (local.exhausted || local.stuck || !providers_online || !dependents_ended) return;
      if (now < local.not_before) {
        wake(local.not_before);
        return;
      }
      if (!guarded_by_reservation(resource.type) && now < host_.guard_until()) {  // R3
        wake(host_.guard_until());
        return;
      }
      local.generation = group.generation;
      send(resource.name, local, monitor::Order::ONLINE, now);
      return;
    case Phase::online_pending:
      if (!goal || !providers_online) send(resource.name, local, monitor::Order::TERMINATE, now);
      return;
    case Phase::online:
      if (local.play_failure) {
        if (dependents_ended) send(resource.name, local, monitor::Order::TERMINATE, now);
      } else if ((!goal || !providers_online || local.generation != group.generation) &&
                 dependents_ended) {  // R2
        send(resource.name, local, monitor::Order::OFFLINE, now);
      }
      return;
    case Phase::offline_pending:
    case Phase::terminating:
      return;
  }
}

void Executor::fill_online(monitor::Order& order, const std::string& name) const {
  const Tree& tree = host_.database();
  const ResourceFacts facts = failover::read_resource(tree, name);
  const GroupFacts group = failover::read_group(tree, facts.group);
  order.set_type(facts.type);
  order.set_pending_timeout_ms(
      static_cast<uint32_t>(std::min<int64_t>(facts.pending_timeout.ms(), INT32_MAX)));
  order.set_looks_alive_ms(static_cast<uint32_t>(std::min<uint64_t>(facts.looks_alive_ms, UINT32_MAX)));
  order.set_is_alive_ms(static_cast<uint32_t>(std::min<uint64_t>(facts.is_alive_ms, UINT32_MAX)));
  order.set_generation(group.generation);
  order.set_reservation_key(ReservationKey::make(host_.cluster_tag(), group.generation, host_.self()).value);
  // The victim is fixed by the committed change of owner; nobody reads the LUN to choose one.
  if (!group.previous_owner.is_none() && group.generation > 1)
    order.set_victim_key(
        ReservationKey::make(host_.cluster_tag(), group.generation - 1, group.previous_owner).value);
  if (const Tree::Key* parameters = tree.find(resource_path(name) + "/Parameters")) {
    for (const auto& [parameter, value] : parameters->values) {
      auto* p = order.add_parameters();
      p->set_name(parameter);
      if (value.has_list())
        for (const auto& item : value.list().items()) p->add_list(item);
      else
        p->set_value(display(value));
    }
  }
  for (const auto& provider : facts.dependencies) {
    auto it = locals_.find(provider);
    if (it == locals_.end()) continue;
    auto* p = order.add_providers();
    p->set_name(provider);
    p->set_value(tree.text(resource_path(provider), "Type"));
    for (const auto& item : it->second.published) p->add_list(item);
  }
}

void Executor::send(const std::string& name, Local& local, monitor::Order::Action action, Instant now) {
  if (action == monitor::Order::ONLINE && local.phase == Phase::closed) {
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
  if (action == monitor::Order::ONLINE)
    order.set_expires_boottime_ns(static_cast<uint64_t>((now + order_valid).ns));
  local.order = order.order();
  local.since = now;
  switch (action) {
    case monitor::Order::ONLINE:
      local.phase = Phase::online_pending;
      local.published.clear();
      break;
    case monitor::Order::OFFLINE:
      local.phase = Phase::offline_pending;
      break;
    default:
      local.phase = Phase::terminating;
      break;
  }
  host_.order(std::move(order));
}

uint64_t Executor::published_state(const Local& local, Instant now) {
  auto lasting = [&](ResourceState pending, ResourceState before) {
    if (now - local.since >= pending_shown_after) return static_cast<uint64_t>(pending);
    wake(local.since + pending_shown_after);
    return static_cast<uint64_t>(before);
  };
  switch (local.phase) {
    case Phase::online:
      return static_cast<uint64_t>(ResourceState::online);
    case Phase::failed:
      return static_cast<uint64_t>(ResourceState::failed);
    case Phase::online_pending:
      return lasting(ResourceState::online_pending, ResourceState::offline);
    case Phase::offline_pending:
    case Phase::terminating:
      return lasting(ResourceState::offline_pending, ResourceState::online);
    case Phase::closed:
    case Phase::offline:
      return static_cast<uint64_t>(local.restarting ? ResourceState::online_pending : ResourceState::offline);
  }
  return static_cast<uint64_t>(ResourceState::offline);
}

// One update for everything of the group that changed: states, the release of a planned move, a request to
// fail over.
void Executor::publish(const GroupFacts& group, const std::vector<std::string>& resources, Instant now) {
  if (busy_.count(group.name)) return;
  const Tree& tree = host_.database();
  Edit edit;
  edit.require_equal(group_path(group.name), "Owner", number_value(group.owner.value))
      .require_equal(group_path(group.name), "Generation", number_value(group.generation));
  bool all_ended = true;
  std::string what;
  for (const auto& name : resources) {
    const Local& local = locals_[name];
    all_ended = all_ended && !active(local) && !local.stuck;
    const std::string path = resource_path(name);
    const uint64_t state = published_state(local, now);
    const bool current =
        tree.number(path, "StateGeneration") == group.generation && tree.find_value(path, "State");
    const uint64_t known =
        current ? tree.number(path, "State") : static_cast<uint64_t>(ResourceState::offline);
    if (known == state && (tree.text(path, "Message") == local.message || local.message.empty())) continue;
    if (!current && state == known && local.message.empty()) continue;
    edit.require_key(path).set(path, "State", state).set(path, "StateGeneration", group.generation);
    edit.set(path, "Message", local.message);
    if (local.phase == Phase::online || tree.find_value(path, "Published"))
      edit.set(path, "Published", local.published);
    what += (what.empty() ? "" : ", ") + name;
  }
  if (!group.move_to.is_none() && !group.released() && all_ended) {
    edit.set(group_path(group.name), "ReleasedGeneration", group.generation);
    what += what.empty() ? "released" : " (released)";
  }
  // Before the failover is asked for, what still runs is ended (group_may_run() is false from then on).
  if (failover_asked_.count(group.name) && !group.failover_wanted() && group.move_to.is_none() &&
      !group.failed) {
    edit.set(group_path(group.name), "FailoverRequested", group.generation);
    what += what.empty() ? "asks for a failover" : " (asks for a failover)";
  }
  if (edit.empty()) return;
  busy_.insert(group.name);
  host_.propose(edit.done(),
                "state of " + what + " on node '" + failover::name_of_node(tree, host_.self()) + "'",
                [this, name = group.name](const Status& status) {
                  busy_.erase(name);
                  if (status) failover_asked_.erase(name);
                  wake_at_ = Instant{1};  // look again with the next event
                });
}

void Executor::terminate_all() {
  lost_ = true;
  for (auto& [name, local] : locals_)
    if (active(local) && local.phase != Phase::terminating)
      send(name, local, monitor::Order::TERMINATE, local.since);
}

bool Executor::all_offline() const {
  return std::none_of(locals_.begin(), locals_.end(), [&](const auto& l) { return active(l.second); });
}

bool Executor::owns_nothing() const {
  if (!all_offline()) return false;
  auto index = failover::index_groups(host_.database());
  for (const auto& [name, resources] : index) {
    GroupFacts group = failover::read_group(host_.database(), name);
    if (!group.exists || group.owner != host_.self()) continue;
    if (!group.move_to.is_none()) return false;
    for (NodeId other : host_.members())
      if (other != host_.self() && why_unfit(host_.database(), host_.members(), resources, other).empty())
        return false;
  }
  return true;
}

void Executor::check_invariants() const {
  for (const auto& [name, local] : locals_)
    if (local.phase == Phase::online || local.phase == Phase::online_pending)
      HOLDFAST_ASSERT(local.generation != 0 && local.order != 0);  // R1
}

}  // namespace holdfast::core
