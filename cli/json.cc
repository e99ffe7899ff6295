#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/output.h"

namespace holdfast::cli {
namespace {

std::string hex(uint64_t value) {
  char text[24];
  snprintf(text, sizeof text, "0x%016llx", static_cast<unsigned long long>(value));
  return text;
}

template <typename Repeated>
Json list(const Repeated& items) {
  Json out = Json::array();
  for (const auto& item : items) out.push_back(item);
  return out;
}

template <typename Repeated>
Json objects(const Repeated& items) {
  Json out = Json::array();
  for (const auto& item : items) out.push_back(to_json(item));
  return out;
}

Json value_json(const tree::Value& value) {
  switch (value.kind_case()) {
    case tree::Value::kText:
      return value.text();
    case tree::Value::kNumber:
      return value.number();
    case tree::Value::kBinary: {
      std::string digits;
      for (unsigned char c : value.binary()) {
        char two[4];
        snprintf(two, sizeof two, "%02x", c);
        digits += two;
      }
      return Json{{"binary", digits}};
    }
    case tree::Value::kList:
      return list(value.list().items());
    default:
      return nullptr;
  }
}

}  // namespace

Json to_json(const google::protobuf::RepeatedPtrField<api::Property>& properties) {
  Json out = Json::object();
  for (const auto& p : properties) {
    if (p.unset())
      out[p.name()] = nullptr;
    else if (p.is_list())
      out[p.name()] = list(p.list());
    else
      out[p.name()] = p.value();
  }
  return out;
}

Json to_json(const api::NodeStatus& n) {
  return {{"id", n.id()},
          {"name", n.name()},
          {"state", n.state()},
          {"state_text", n.state_text()},
          {"addresses", list(n.addresses())},
          {"incarnation", hex(n.incarnation())},
          {"quorum_owner", n.quorum_owner()},
          {"reaches_lun", n.reaches_lun()},
          {"heartbeat_age_ms", n.heartbeat_age_ms()},
          {"version_max", n.version_max()},
          {"software", n.software()},
          {"protection", n.protection()}};
}

Json to_json(const api::ResourceStatus& r) {
  return {{"name", r.name()},
          {"type", r.type()},
          {"group", r.group()},
          {"state", r.state()},
          {"state_text", r.state_text()},
          {"message", r.message()},
          {"dependencies", list(r.dependencies())},
          {"possible_owners", list(r.possible_owners())},
          {"properties", to_json(r.properties())},
          {"published", list(r.published())},
          {"restarts", r.restarts()},
          {"held", r.held()},
          {"maintenance", r.maintenance()}};
}

Json to_json(const api::GroupStatus& g) {
  return {{"name", g.name()},
          {"state", g.state()},
          {"state_text", g.state_text()},
          {"owner", g.owner()},
          {"generation", g.generation()},
          {"moving_to", g.moving_to()},
          {"preferred_owners", list(g.preferred_owners())},
          {"properties", to_json(g.properties())},
          {"resources", list(g.resources())},
          {"reason", g.reason()},
          {"maintenance", g.maintenance()}};
}

Json to_json(const api::QuorumStatus& q, const api::Status& status) {
  return {{"kind", q.kind()},
          {"device", q.device()},
          {"state", q.state()},
          {"reason", q.reason()},
          {"owner", q.owner()},
          {"owner_name", node_name(status, q.owner())},
          {"key", hex(q.key())},
          {"epoch", q.epoch()},
          {"log_used_bytes", q.log_used_bytes()},
          {"log_size_bytes", q.log_size_bytes()},
          {"last_sequence", q.last_sequence()},
          {"beacon_age_ms", q.beacon_age_ms()},
          {"last_arbitration_us", q.last_arbitration_us()},
          {"registered_keys", list(q.registered_keys())}};
}

Json to_json(const api::Status& s) {
  Json networks = Json::array(), counters = Json::object();
  for (const auto& n : s.networks())
    networks.push_back({{"name", n.name()},
                        {"local_address", n.local_address()},
                        {"state", n.state()},
                        {"reachable_nodes", list(n.reachable_nodes())}});
  for (const auto& c : s.counters()) counters[c.name()] = c.value();
  return {{"cluster_name", s.cluster_name()},
          {"cluster_id", s.cluster_id()},
          {"node_name", s.node_name()},
          {"node_id", s.node_id()},
          {"phase", s.phase()},
          {"phase_reason", s.phase_reason()},
          {"epoch", s.epoch()},
          {"maintenance", s.maintenance()},
          {"functional_level", s.functional_level()},
          {"software", s.software()},
          {"lease_remaining_ms", s.lease_remaining_ms()},
          {"quorum", to_json(s.quorum(), s)},
          {"nodes", objects(s.nodes())},
          {"groups", objects(s.groups())},
          {"resources", objects(s.resources())},
          {"networks", networks},
          {"counters", counters},
          {"cluster_properties", to_json(s.cluster_properties())},
          {"warnings", list(s.warnings())}};
}

Json to_json(const api::Event& e) {
  return {{"number", e.number()},
          {"wall_time_ms", e.wall_time_ms()},
          {"boottime_ns", e.boottime_ns()},
          {"kind", e.kind()},
          {"object", e.object()},
          {"old_value", e.old_value()},
          {"new_value", e.new_value()},
          {"cause", e.cause()},
          {"classic_id", e.classic_id()},
          {"dropped", e.dropped()},
          {"node", e.node()}};
}

Json to_json(const tree::Tree& tree) {
  Json out = Json::object();
  for (const auto& key : tree.keys()) {
    // Protobuf maps have no order; a dump must be comparable.
    std::vector<std::string> names;
    for (const auto& entry : key.values()) names.push_back(entry.first);
    std::sort(names.begin(), names.end());
    Json values = Json::object();
    for (const auto& name : names) values[name] = value_json(key.values().at(name));
    out[key.path()] = std::move(values);
  }
  return out;
}

void print_json(std::ostream& out, const Json& json) {
  out << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

}  // namespace holdfast::cli
