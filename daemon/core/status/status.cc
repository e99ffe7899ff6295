#include "core/status/status.h"

#include "core/commands/objects.h"
#include "core/properties/property.h"
#include "core/properties/timing.h"

namespace holdfast::core {
namespace {

using namespace objects;

using Properties = google::protobuf::RepeatedPtrField<api::Property>;
using Texts = google::protobuf::RepeatedPtrField<std::string>;

void add_value(const std::string& name, const Value& value, Properties* out) {
  auto* p = out->Add();
  p->set_name(name);
  p->set_is_list(value.has_list());
  if (value.has_list())
    *p->mutable_list() = value.list().items();
  else
    p->set_value(display(value));
}

// All properties that may be set, with their defaults; reserved ones only if they are in the tree all the
// same.
void add_properties(const Tree& tree, const std::string& key, Scope scope, std::string_view type,
                    Properties* out) {
  for (const auto& p : all_properties()) {
    if (p.scope != scope || p.type != (scope == Scope::parameter ? type : std::string_view())) continue;
    const Value* value = tree.find_value(key, p.name);
    if (!value && p.access != PropertyAccess::open) continue;
    add_value(std::string(p.name), value ? *value : default_value(p), out);
  }
}

// Parameters that the table does not know: those of plug-ins from elsewhere.
void add_unknown_parameters(const Tree& tree, const std::string& key, std::string_view type,
                            Properties* out) {
  const auto* parameters = tree.find(key);
  if (!parameters) return;
  for (const auto& [name, value] : parameters->values) {
    const Property* p = find_property(Scope::parameter, type, name);
    if (!p) add_value(name, value, out);
  }
}

void copy_list(const std::vector<std::string>& from, Texts* to) {
  for (const auto& item : from) *to->Add() = item;
}

bool in_maintenance(const Tree& tree, const std::string& key) {
  return tree.number(key, "Maintenance") != 0;
}

struct NodeText {
  int32_t state;
  const char* text;
};
NodeText node_state(const Tree& tree, NodeSet members, const NodeRecord& node) {
  if (!members.contains(node.id)) return {1, "Down"};
  return tree.number(node.key, "Paused") ? NodeText{2, "Paused"} : NodeText{0, "Up"};
}

void fill_nodes(const Tree& tree, NodeSet members, NodeId quorum_owner, api::Status* status) {
  for (const auto& node : all_nodes(tree)) {
    auto* out = status->add_nodes();
    auto [state, text] = node_state(tree, members, node);
    out->set_id(static_cast<uint32_t>(node.id.value));
    out->set_name(node.name);
    out->set_state(state);
    out->set_state_text(text);
    copy_list(tree.list(node.key, "Addresses"), out->mutable_addresses());
    out->set_quorum_owner(node.id == quorum_owner);
    bool enrolled = !tree.text(node.key, "Fingerprint").empty();
    if (state == 1 && enrolled) status->add_warnings("node '" + node.name + "' is down");
    if (!enrolled) status->add_warnings("node '" + node.name + "' has not joined yet: it has no certificate");
    if (tree.number(node.key, "Stopping"))
      status->add_warnings("node '" + node.name + "' is leaving the cluster");
    if (tree.number(node.key, "Draining")) status->add_warnings("node '" + node.name + "' is being drained");
  }
}

std::string with_reason(std::string text, const std::string& reason) {
  return reason.empty() ? text : text + ": " + reason;
}

void warn_group(const Tree& tree, NodeSet members, const std::string& name, GroupState state,
                api::Status* status) {
  std::string key = group_key(name), reason = tree.text(key, "Reason");
  bool wanted = tree.number(key, "PersistentState") != 0;
  if (state == GroupState::failed) {
    status->add_warnings(with_reason("group '" + name + "' failed", reason));
  } else if (wanted && state == GroupState::offline && !resources_of(tree, name).empty()) {
    status->add_warnings(with_reason("group '" + name + "' is wanted online and is offline", reason));
  } else if (wanted && state == GroupState::partial_online) {
    status->add_warnings(with_reason("group '" + name + "' is online only in part", reason));
  }
  NodeId owner{tree.number(key, "Owner")};
  if (wanted && members.contains(owner) && !possible_owners(tree, name).contains(owner))
    status->add_warnings("group '" + name + "' is on '" + node_name(tree, owner) +
                         "', which is no possible owner");
}

void fill_groups(const Tree& tree, NodeSet members, api::Status* status) {
  for (const auto& name : tree.children("groups")) {
    std::string key = group_key(name);
    auto* out = status->add_groups();
    auto state = effective_group_state(tree, members, name);
    NodeId owner{tree.number(key, "Owner")}, to{tree.number(key, "MoveTo")};
    out->set_name(name);
    out->set_state(static_cast<int32_t>(state));
    out->set_state_text(std::string(to_string(state)));
    if (!owner.is_none()) out->set_owner(node_name(tree, owner));
    out->set_generation(tree.number(key, "Generation"));
    if (!to.is_none()) out->set_moving_to(node_name(tree, to));
    copy_list(tree.list(key, "PreferredOwners"), out->mutable_preferred_owners());
    add_properties(tree, key, Scope::group, {}, out->mutable_properties());
    copy_list(resources_of(tree, name), out->mutable_resources());
    out->set_reason(tree.text(key, "Reason"));
    out->set_maintenance(in_maintenance(tree, key));
    warn_group(tree, members, name, state, status);
  }
}

void fill_resources(const Tree& tree, NodeSet members, api::Status* status) {
  for (const auto& name : tree.children("resources")) {
    std::string key = resource_key(name), type = tree.text(key, "Type"), group = tree.text(key, "Group");
    auto* out = status->add_resources();
    auto state = effective_resource_state(tree, members, name);
    out->set_name(name);
    out->set_type(type);
    out->set_group(group);
    out->set_state(static_cast<int32_t>(state));
    out->set_state_text(std::string(to_string(state)));
    // A report of an earlier ownership explains nothing about the present one.
    if (tree.number(key, "StateGeneration") == tree.number(group_key(group), "Generation"))
      out->set_message(tree.text(key, "Message"));
    copy_list(tree.list(key, "Dependencies"), out->mutable_dependencies());
    copy_list(tree.list(key, "PossibleOwners"), out->mutable_possible_owners());
    add_properties(tree, key, Scope::resource, {}, out->mutable_properties());
    add_properties(tree, key + "/Parameters", Scope::parameter, type, out->mutable_properties());
    add_unknown_parameters(tree, key + "/Parameters", type, out->mutable_properties());
    if (state == ResourceState::online) copy_list(tree.list(key, "Published"), out->mutable_published());
    out->set_maintenance(in_maintenance(tree, key));
    if (state == ResourceState::failed)
      status->add_warnings(with_reason("resource '" + name + "' failed", tree.text(key, "Message")));
  }
}

}  // namespace

void fill_status(const Tree& tree, NodeSet members, NodeId self, NodeId quorum_owner, api::Status* status) {
  status->set_cluster_name(tree.text("cluster", "Name"));
  status->set_cluster_id(tree.text("cluster", "Id"));
  status->set_node_id(static_cast<uint32_t>(self.value));
  if (!self.is_none()) status->set_node_name(node_name(tree, self));
  status->set_maintenance(in_maintenance(tree, "cluster"));
  status->set_functional_level(static_cast<uint32_t>(tree.number("cluster", "FunctionalLevel")));
  add_properties(tree, "cluster", Scope::cluster, {}, status->mutable_cluster_properties());
  if (in_maintenance(tree, "cluster"))
    status->add_warnings("the cluster is in maintenance: failures are seen, nothing is done about them");
  if (tree.number("cluster", "Shutdown")) status->add_warnings("the cluster is being shut down");
  if (auto timing = check_timing(timing_from(tree)); !timing) status->add_warnings(timing.error().message);
  fill_nodes(tree, members, quorum_owner, status);
  fill_groups(tree, members, status);
  fill_resources(tree, members, status);
  if (members.size() == 1 && all_nodes(tree).size() > 1)
    status->add_warnings("only one node is up: the next failure stops everything");
}

}  // namespace holdfast::core
