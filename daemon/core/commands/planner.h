// Planner: what the plans of all verbs have in common. Internal to core/commands; see plan.h.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/commands/objects.h"
#include "core/commands/plan.h"
#include "core/properties/property.h"

namespace holdfast::core {

using namespace objects;  // internal header: only the plan_*.cc see this

class Planner {
 public:
  Planner(const Tree& tree, const api::Command& command, const CommandContext& context);
  Result<CommandPlan> plan();

 private:
  // plan_cluster.cc
  Status cluster_set();
  Status cluster_maintenance();
  Status cluster_shutdown();
  Status cluster_upgrade();
  Status quorum_move();
  // plan_node.cc
  Status node_add();
  Status node_pause();
  Status node_resume();
  Status node_stop();
  Status node_evict();
  Result<std::vector<std::string>> new_addresses();
  Status check_same_networks(const std::vector<std::string>& addresses);
  Status check_drain(const NodeRecord& node);
  Status forget_in_lists(const NodeRecord& node);
  // plan_group.cc
  Status group_create();
  Status group_delete();
  Status group_set();
  Status group_online();
  Status group_offline();
  Status group_move();
  Status start_move(const std::string& group, const NodeRecord& target);
  // plan_resource.cc
  Status resource_create();
  Status resource_delete();
  Status resource_set();
  Status resource_online();
  Status resource_offline();
  Status resource_move();
  Status resource_fail();
  Status check_disk_is_free(const std::string& resource, const std::string& device);
  Status set_resource_properties(const std::string& resource, const std::string& group,
                                 const std::string& type, bool creating);
  Status set_dependencies(const std::string& resource, const std::string& group,
                          const std::vector<std::string>& names);
  Status set_possible_owners(const std::string& resource, const std::string& group,
                             const std::vector<std::string>& names);
  void forget_report(const std::string& resource);
  uint64_t key_counter(const std::string& resource) const;
  void keys_go_on_above(const std::string& resource, const std::string& group, uint64_t counter);
  void say_that_disk_stays_reserved(const std::string& resource);
  void raise_generation_floor(uint64_t counter);
  void forget_failure(const std::string& resource);

  // planner.cc
  tl::unexpected<Error> refuse(ErrorCode code, std::string why, std::string hint = {}) const;
  tl::unexpected<Error> refuse(Error error) const;
  Result<NodeRecord> need_node(std::string_view name) const;
  Status need_group(std::string_view name) const;
  Status need_resource(std::string_view name) const;
  Status check_new_name(std::string_view name, const std::vector<std::string>& taken) const;
  Status check_node_names(std::string_view property, const std::vector<std::string>& names) const;
  // Sets or unsets one property at `key`, parameters below it.
  Status set_property(Scope scope, std::string_view type, const std::string& key,
                      const api::Property& property);
  Result<bool> flag(std::string_view name, bool fallback) const;  // a 0/1 among the command's properties
  Status only_properties(std::initializer_list<std::string_view> allowed) const;
  const api::Property* given(std::string_view name) const;
  // This plan changes what objects there are or how they refer to each other.
  void change_structure();
  // Precondition: the value is what this plan saw.
  void rely_on(const std::string& key, const std::string& name);
  // SET_VALUE, or nothing when it is so already.
  void put(const std::string& key, const std::string& name, Value value);
  void drop(const std::string& key, const std::string& name);
  void wait_for(Wait::Kind kind, std::string object, NodeId node = {}) {
    plan_.wait = {kind, std::move(object), node};
  }
  std::string describe() const;  // "move group 'web'"

  const Tree& tree_;
  const api::Command& command_;
  const CommandContext& context_;
  const std::string& object_;  // command_.object()
  Edit edit_;
  CommandPlan plan_;
  bool structure_changed_ = false;
};

PropertyInput input_of(const api::Property& property);
// The items of a list given as list or as "a,b".
std::vector<std::string> items_of(const api::Property& property);

}  // namespace holdfast::core
