#include "core/commands/planner.h"
#include "core/properties/timing.h"

namespace holdfast::core {

Status Planner::cluster_set() {
  if (command_.properties().empty()) return refuse(ErrorCode::invalid_argument, "no property is given");
  for (const auto& p : command_.properties()) HOLDFAST_CHECK(set_property(Scope::cluster, {}, "cluster", p));
  // Timing is judged as a whole, with the values that stay; those must then really stay.
  Tree changed;
  HOLDFAST_CHECK(changed.load(tree_.to_proto("cluster")));
  Timing before = timing_from(changed);
  changed.apply(edit_.done(), Sequence{1});
  Timing after = timing_from(changed);
  if (before == after) return {};
  if (auto legal = check_timing(after); !legal) return refuse(legal.error());
  for (const auto& p : timing_properties) rely_on("cluster", std::string(p.name));
  return {};
}

Status Planner::cluster_maintenance() {
  HOLDFAST_CHECK(only_properties({"Maintenance"}));
  HOLDFAST_TRY(bool on, flag("Maintenance", true));
  std::string key = "cluster";
  if (object_.rfind("group:", 0) == 0) {
    HOLDFAST_CHECK(need_group(object_.substr(6)));
    key = group_key(object_.substr(6));
  } else if (object_.rfind("resource:", 0) == 0) {
    HOLDFAST_CHECK(need_resource(object_.substr(9)));
    key = resource_key(object_.substr(9));
  } else if (!object_.empty()) {
    return refuse(ErrorCode::invalid_argument, "it is no object that can be in maintenance",
                  "give nothing for the cluster, group:NAME or resource:NAME");
  }
  edit_.require_key(key);
  if (on)
    put(key, "Maintenance", number_value(1));
  else
    drop(key, "Maintenance");
  return {};
}

Status Planner::cluster_shutdown() {
  HOLDFAST_CHECK(only_properties({}));
  put("cluster", "Shutdown", number_value(1));
  return {};
}

Status Planner::cluster_upgrade() {
  HOLDFAST_CHECK(only_properties({}));
  uint32_t common = 0;
  for (const auto& node : all_nodes(tree_)) {
    auto speaks = context_.version_max.find(node.id);
    // What a node that is away speaks is not known, and after the change it might not be let in again.
    if (!context_.members.contains(node.id) || speaks == context_.version_max.end())
      return refuse(ErrorCode::busy, "node '" + node.name + "' is down, and its version is not known",
                    "start it, or evict it: 'holdfast node evict " + node.name + "'");
    common = common == 0 ? speaks->second : std::min(common, speaks->second);
    rely_on(node.key, "Fingerprint");
  }
  const uint64_t now = tree_.number("cluster", "FunctionalLevel");
  change_structure();
  rely_on("cluster", "FunctionalLevel");
  plan_.text = std::to_string(std::max<uint64_t>(now, common));
  if (common <= now) {
    plan_.remark = "the functional level is " + std::to_string(now) + " already; not every node speaks more";
    edit_ = Edit();
    return {};
  }
  put("cluster", "FunctionalLevel", number_value(common));
  plan_.remark = "the functional level is " + std::to_string(common) + " now, it was " + std::to_string(now);
  return {};
}

Status Planner::quorum_move() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_TRY(NodeRecord node, need_node(command_.target()));
  if (!context_.members.contains(node.id))
    return refuse(ErrorCode::busy, "the node is down", "choose a node that is up");
  if (tree_.number(node.key, "Stopping"))
    return refuse(ErrorCode::busy, "the node is leaving the cluster", "choose another node");
  uint64_t under_way = tree_.number("cluster", "QuorumMoveTo");
  if (under_way && under_way != node.id.value && !command_.force())
    return refuse(ErrorCode::busy,
                  "the quorum is being moved to '" + node_name(tree_, NodeId{under_way}) + "'",
                  "wait for it, or use force");
  edit_.require_key(node.key);
  rely_on("cluster", "QuorumMoveTo");
  put("cluster", "QuorumMoveTo", number_value(node.id.value));
  drop("cluster", "QuorumMoveResult");
  wait_for(Wait::Kind::quorum_moved, {}, node.id);
  return {};
}

}  // namespace holdfast::core
