// What the executor says: orders with everything that the plug-in needs, and states for the database.
#include <algorithm>

#include "base/mutant.h"
#include "core/failover/executor.h"
#include "core/failover/group_state.h"
#include "core/properties/bounds.h"

namespace holdfast::core {

using failover::group_path;
using failover::GroupFacts;
using failover::resource_path;
using failover::ResourceFacts;

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
  const uint64_t counter = group.generation + facts.key_offset;
  order.set_reservation_key(ReservationKey::make(host_.cluster_tag(), counter, host_.self()).value);
  // The victim is fixed by the committed change of owner; nobody reads the LUN to choose one.
  if (!group.previous_owner.is_none() && group.generation > 1)
    order.set_victim_key(ReservationKey::make(host_.cluster_tag(), counter - 1, group.previous_owner).value);
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

uint64_t Executor::published_state(const Local& local) {
  const auto number = [](ResourceState state) { return static_cast<uint64_t>(state); };
  switch (local.phase) {
    case Phase::online:
      return number(ResourceState::online);
    case Phase::failed:
    case Phase::stuck:
      return number(ResourceState::failed);
    case Phase::online_pending:
      return number(ResourceState::online_pending);
    case Phase::offline_pending:
    case Phase::terminating:
      return number(ResourceState::offline_pending);
    case Phase::closed:
    case Phase::offline:
      return number(local.restarting ? ResourceState::online_pending : ResourceState::offline);
  }
  return number(ResourceState::offline);
}

// What the database does not say yet, or says differently.
void Executor::add_states(Edit& edit, std::string& what, const GroupFacts& group,
                          const std::vector<std::string>& resources) const {
  const Tree& tree = host_.database();
  for (const auto& name : resources) {
    const Local& local = locals_.at(name);
    const std::string path = resource_path(name);
    const Tree::Key& key = tree.key(path);
    const uint64_t state = published_state(local);
    const bool current = key.number("StateGeneration") == group.generation && key.find("State");
    const uint64_t known = current ? key.number("State") : static_cast<uint64_t>(ResourceState::offline);
    const bool online = local.phase == Phase::online;
    const bool same_message = local.message.empty() || key.text("Message") == local.message;
    const bool same_published = !online || key.list("Published") == local.published;
    if (known == state && same_message && (same_published || !current)) continue;
    edit.require_key(path)
        .set(path, "State", state)
        .set(path, "StateGeneration", group.generation)
        .set(path, "Message", local.message);
    if (online && !local.published.empty())
      edit.set(path, "Published", local.published);
    else if (key.find("Published"))
      edit.unset(path, "Published");
    what += (what.empty() ? "" : ", ") + name;
  }
}

// One update for everything of the group that changed: states, the release of a planned move, a request to
// fail over.
void Executor::publish(const GroupFacts& group, const std::vector<std::string>& resources, Instant now) {
  if (busy_.count(group.name)) return;
  const Tree& tree = host_.database();
  const std::string path = group_path(group.name);
  bool settled = true, ended = true;
  std::string stuck;
  for (const auto& [name, local] : locals_) {  // what was deleted may still run
    if (local.group != group.name) continue;
    settled = settled && !pending(local);
    ended = ended && !active(local);
    if (local.phase == Phase::stuck) stuck = "resource '" + name + "': " + local.message;
  }
  Edit edit;
  edit.require_equal(path, "Owner", number_value(group.owner.value))
      .require_equal(path, "Generation", number_value(group.generation));
  std::string what;
  add_states(edit, what, group, resources);
  bool urgent = settled;
  // R5: what is said about the whole group holds for the group as it is now, not for a later move.
  const auto about_group = [&](const std::string& text) {
    edit.require_unchanged(path, Sequence{tree.find(path)->changed_at});
    what += what.empty() ? text : " (" + text + ")";
    urgent = true;
  };
  auto asked = failover_asked_.find(group.name);
  if (group.moving() && !group.released() && (ended || mutant(Mutant::releases_too_early))) {
    edit.set(path, "ReleasedGeneration", group.generation);
    about_group("released");
  } else if (!stuck.empty() && !group.failed) {
    edit.set(path, "Failed", uint64_t{1})
        .set(path, "FailedSince", host_.wall_time_ms())
        .set(path, "Reason", "failed: " + stuck);
    about_group("failed");
  } else if (asked != failover_asked_.end() && !group.failover_wanted()) {
    edit.set(path, "FailoverRequested", group.generation).set(path, "Reason", asked->second);
    about_group("asks for a failover");
  }
  if (edit.empty()) {
    unpublished_since_.erase(group.name);
    return;
  }
  if (!urgent) {
    Instant since = unpublished_since_.emplace(group.name, now).first->second;
    if (now < since + publish_after) {
      wake(since + publish_after);
      return;
    }
  }
  unpublished_since_.erase(group.name);
  busy_.insert(group.name);
  host_.propose(edit.done(),
                "state of " + what + " on node '" + failover::name_of_node(tree, host_.self()) + "'",
                [this, name = group.name](const Status&) {
                  busy_.erase(name);
                  wake_at_ = Instant{1};  // look again with the next event
                });
}

}  // namespace holdfast::core
