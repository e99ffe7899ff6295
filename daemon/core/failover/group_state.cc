#include "core/failover/group_state.h"

#include "core/failover/facts.h"

namespace holdfast::core {

ResourceState resource_state(const Tree& tree, std::string_view resource, NodeSet members) {
  const std::string path = failover::resource_path(resource);
  const std::string group = failover::group_path(tree.text(path, "Group"));
  uint64_t generation = tree.number(group, "Generation");
  NodeId owner{tree.number(group, "Owner")};
  if (generation == 0 || tree.number(path, "StateGeneration") != generation || !members.contains(owner))
    return ResourceState::offline;
  switch (uint64_t state = tree.number(path, "State", 3)) {
    case 2:
    case 4:
    case 129:
    case 130:
      return static_cast<ResourceState>(state);
    default:
      return ResourceState::offline;
  }
}

ResourceState resource_state(const Tree& tree, std::string_view resource) {
  return resource_state(tree, resource, NodeSet(~uint64_t{0}));
}

GroupState derive_group_state(const Tree& tree, std::string_view group, NodeSet members) {
  bool any_failed = tree.number(failover::group_path(group), "Failed") != 0, any_pending = false;
  size_t online = 0, count = 0;
  for (const auto& resource : tree.children("resources")) {
    if (tree.text(failover::resource_path(resource), "Group") != group) continue;
    ++count;
    ResourceState state = resource_state(tree, resource, members);
    any_failed |= state == ResourceState::failed;
    any_pending |= state == ResourceState::online_pending || state == ResourceState::offline_pending;
    online += state == ResourceState::online;
  }
  if (any_failed) return GroupState::failed;
  if (any_pending) return GroupState::pending;
  if (online == 0) return GroupState::offline;
  return online == count ? GroupState::online : GroupState::partial_online;
}

GroupState derive_group_state(const Tree& tree, std::string_view group) {
  return derive_group_state(tree, group, NodeSet(~uint64_t{0}));
}

}  // namespace holdfast::core
