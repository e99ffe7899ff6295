#include "core/cluster/event_processor.h"

namespace holdfast::core {

uint32_t classic_event_id(const std::string& kind, const std::string& value) {
  if (kind == "NODE_REMOVED") return 1135;
  if (kind == "QUORUM_STATE" && value == "lost") return 1177;
  if (kind == "MONITOR_STATE" && value == "died") return 1146;
  if (kind == "RESOURCE_STATE" && value == "Failed") return 1069;
  if (kind == "GROUP_STATE" && value == "Failed") return 1205;
  if (kind == "CLUSTER_STATE" && value == "left") return 1006;
  return 0;
}

const api::Event& EventProcessor::emit(std::string kind, std::string object, std::string old_value,
                                       std::string new_value, std::string cause, Instant now,
                                       uint64_t wall_ms) {
  api::Event e;
  e.set_number(next_++);
  e.set_wall_time_ms(wall_ms);
  e.set_boottime_ns(static_cast<uint64_t>(now.ns));
  e.set_classic_id(classic_event_id(kind, new_value));
  e.set_kind(std::move(kind));
  e.set_object(std::move(object));
  e.set_old_value(std::move(old_value));
  e.set_new_value(std::move(new_value));
  e.set_cause(std::move(cause));
  e.set_node(node_);
  history_.push_back(std::move(e));
  if (history_.size() > 1000) history_.pop_front();
  return history_.back();
}

}  // namespace holdfast::core
