#include <algorithm>

#include "core/commands/planner.h"

namespace holdfast::core {
namespace {

struct NodeAddress {
  std::string network;
  IpBytes ip;
};

std::optional<NodeAddress> parse_address(std::string_view text) {
  auto equals = text.find('=');
  if (equals == std::string_view::npos || !valid_component(text.substr(0, equals))) return std::nullopt;
  auto ip = parse_ip(text.substr(equals + 1));
  if (!ip) return std::nullopt;
  return NodeAddress{std::string(text.substr(0, equals)), *ip};
}

bool plain_host_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

Result<std::vector<std::string>> Planner::new_addresses() {
  const api::Property* p = given("Addresses");
  auto addresses = p ? items_of(*p) : std::vector<std::string>();
  if (addresses.empty())
    return refuse(ErrorCode::invalid_argument, "it has no Addresses",
                  "give network=address, one each network");
  if (addresses.size() > networks_max)
    return refuse(ErrorCode::full,
                  "it has " + std::to_string(addresses.size()) + " addresses; 8 networks are the limit");
  std::vector<NodeAddress> mine;
  for (const auto& text : addresses) {
    auto address = parse_address(text);
    if (!address)
      return refuse(ErrorCode::invalid_argument, "'" + text + "' is no network=address",
                    "for example lan=192.0.2.7 or lan=2001:db8::7");
    for (const auto& other : mine)
      if (other.network == address->network)
        return refuse(ErrorCode::invalid_argument, "network '" + other.network + "' is given twice");
    mine.push_back(*address);
  }
  return addresses;
}

Status Planner::check_same_networks(const std::vector<std::string>& addresses) {
  std::vector<NodeAddress> mine;
  for (const auto& text : addresses) mine.push_back(*parse_address(text));
  for (const auto& node : all_nodes(tree_)) {
    std::vector<std::string> theirs;
    for (const auto& text : tree_.list(node.key, "Addresses")) {
      auto address = parse_address(text);
      if (!address) continue;
      theirs.push_back(address->network);
      auto same = std::find_if(mine.begin(), mine.end(),
                               [&](const auto& m) { return m.network == address->network; });
      if (same == mine.end())
        return refuse(
            ErrorCode::invalid_argument,
            "it has no address on network '" + address->network + "', where node '" + node.name + "' is",
            "every node needs one address on each network");
      if (is_ipv4(same->ip) != is_ipv4(address->ip))
        return refuse(ErrorCode::invalid_argument, "on network '" + address->network + "' node '" +
                                                       node.name +
                                                       "' has the other kind of address (IPv4, IPv6)");
      for (const auto& m : mine)
        if (m.ip == address->ip)
          return refuse(ErrorCode::already_exists,
                        "node '" + node.name + "' has its address on network '" + m.network + "'");
    }
    for (const auto& m : mine)
      if (std::find(theirs.begin(), theirs.end(), m.network) == theirs.end())
        return refuse(ErrorCode::invalid_argument,
                      "node '" + node.name + "' has no address on network '" + m.network + "'",
                      "every node needs one address on each network");
  }
  return {};
}

Status Planner::node_add() {
  HOLDFAST_CHECK(only_properties(
      {"Addresses", "Port", "Fingerprint", "EnrollmentHash", "EnrollmentExpires", "Description"}));
  std::vector<std::string> taken;
  for (const auto& node : all_nodes(tree_)) taken.push_back(node.name);
  HOLDFAST_CHECK(check_new_name(object_, taken));
  if (!plain_host_name(object_))
    return refuse(ErrorCode::invalid_argument, "the name is not allowed", "letters, digits, '-', '.', '_'");
  HOLDFAST_TRY(auto addresses, new_addresses());
  HOLDFAST_CHECK(check_same_networks(addresses));

  uint64_t id = tree_.number("cluster", "NextNode", 1);
  for (const auto& node : all_nodes(tree_)) id = std::max(id, node.id.value + 1);
  if (id > nodes_max)
    return refuse(ErrorCode::full,
                  "all 64 node ids were given out, " + std::to_string(nodes_max - taken.size()) +
                      " of them to nodes that are gone",
                  "ids are never used again, since keys on disks carry them; a new cluster starts anew");

  std::string key = node_path(NodeId{id});
  change_structure();
  edit_.require_absent(key);
  edit_.set("cluster", "NextNode", id + 1);
  edit_.set(key, "Name", object_).set(key, "Addresses", addresses);
  for (const char* name : {"Fingerprint", "EnrollmentHash"}) {
    const api::Property* p = given(name);
    if (!p || p->value().empty()) continue;
    if (!is_sha256(p->value()))
      return refuse(ErrorCode::invalid_argument, std::string(name) + " is no SHA-256", "64 digits 0-9 a-f");
    if (p->name() == "Fingerprint") {
      if (tree_.exists("revoked/" + p->value()))
        return refuse(ErrorCode::permission, "its certificate was revoked", "let it make a new one");
      edit_.require_absent("revoked/" + p->value());
      for (const auto& node : all_nodes(tree_))
        if (tree_.text(node.key, "Fingerprint") == p->value())
          return refuse(ErrorCode::already_exists, "node '" + node.name + "' has this certificate");
    }
    edit_.set(key, name, p->value());
  }
  if (const api::Property* p = given("EnrollmentExpires")) {
    Property expires;
    expires.name = p->name(), expires.kind = PropertyType::number, expires.max = UINT64_MAX;
    auto value = parse_value(expires, input_of(*p));
    if (!value) return refuse(value.error());
    if (value->number() <= context_.wall_time_ms)
      return refuse(ErrorCode::invalid_argument, "EnrollmentExpires is in the past",
                    "wall clock, milliseconds since 1970");
    edit_.set(key, p->name(), *value);
  }
  if (const api::Property* p = given("Port")) {
    auto value = parse_value(*find_property(Scope::node, {}, "Port"), input_of(*p));
    if (!value) return refuse(value.error());
    edit_.set(key, "Port", *value);
  }
  if (const api::Property* p = given("Description")) HOLDFAST_CHECK(set_property(Scope::node, {}, key, *p));
  plan_.text = std::to_string(id);
  return {};
}

// Every group of the node must have somewhere to go.
Status Planner::check_drain(const NodeRecord& node) {
  if (command_.force()) return {};
  NodeSet others = context_.members;
  others.remove(node.id);
  for (const auto& group : tree_.children("groups")) {
    if (tree_.number(group_key(group), "Owner") != node.id.value) continue;
    if (fit_nodes_text(tree_, others, group).empty())
      return refuse(ErrorCode::busy, "group '" + group + "' has no other node to go to",
                    "make another node fit, take the group offline, or use force to leave it");
  }
  return {};
}

Status Planner::node_pause() {
  HOLDFAST_CHECK(only_properties({"Drain"}));
  HOLDFAST_TRY(NodeRecord node, need_node(object_));
  HOLDFAST_TRY(bool drain, flag("Drain", false));
  edit_.require_key(node.key);
  put(node.key, "Paused", number_value(1));
  if (!drain) return {};
  if (!context_.members.contains(node.id))
    return refuse(ErrorCode::busy, "the node is down, there is nothing to drain", "pause it without drain");
  HOLDFAST_CHECK(check_drain(node));
  put(node.key, "Draining", number_value(1));
  wait_for(Wait::Kind::node_empty, {}, node.id);
  return {};
}

Status Planner::node_resume() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_TRY(NodeRecord node, need_node(object_));
  edit_.require_key(node.key);
  drop(node.key, "Paused");
  drop(node.key, "Draining");
  return {};
}

Status Planner::node_stop() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_TRY(NodeRecord node, need_node(object_));
  if (!context_.members.contains(node.id)) return refuse(ErrorCode::busy, "the node is down already");
  if (context_.members.size() == 1)
    return refuse(ErrorCode::busy, "it is the last node that is up", "use 'holdfast cluster shutdown'");
  HOLDFAST_CHECK(check_drain(node));
  edit_.require_key(node.key);
  put(node.key, "Stopping", number_value(1));
  wait_for(Wait::Kind::node_gone, {}, node.id);
  return {};
}

// Takes the node out of every list of owners. A PossibleOwners list must not become empty: empty means all.
Status Planner::forget_in_lists(const NodeRecord& node) {
  auto without = [&](const std::string& key, const char* name) {
    auto list = tree_.list(key, name);
    list.erase(std::remove(list.begin(), list.end(), node.name), list.end());
    return list;
  };
  for (const auto& group : tree_.children("groups")) {
    std::string key = group_key(group);
    if (tree_.find_value(key, "PreferredOwners"))
      put(key, "PreferredOwners", list_value(without(key, "PreferredOwners")));
    if (tree_.number(key, "MoveTo") == node.id.value) {
      rely_on(key, "MoveTo");
      drop(key, "MoveTo");
    }
  }
  for (const auto& resource : tree_.children("resources")) {
    std::string key = resource_key(resource);
    auto before = tree_.list(key, "PossibleOwners"), after = without(key, "PossibleOwners");
    if (before.size() == after.size()) continue;
    if (after.empty())
      return refuse(ErrorCode::busy, "resource '" + resource + "' may run nowhere else",
                    "change its PossibleOwners first, or delete it");
    edit_.set(key, "PossibleOwners", after);
  }
  return {};
}

Status Planner::node_evict() {
  HOLDFAST_CHECK(only_properties({}));
  HOLDFAST_TRY(NodeRecord node, need_node(object_));
  if (all_nodes(tree_).size() == 1)
    return refuse(ErrorCode::busy, "it is the only node", "use 'holdfast cluster destroy'");
  if (context_.members.contains(node.id) && context_.members.size() == 1)
    return refuse(ErrorCode::busy, "it is the only node that is up", "start another node and run this there");
  if (context_.members.contains(node.id) && !command_.force())
    return refuse(ErrorCode::busy, "the node is up",
                  "stop it first: 'holdfast node stop " + node.name + "', or use force");
  std::vector<std::string> owned;
  for (const auto& group : tree_.children("groups")) {
    if (tree_.number(group_key(group), "Owner") == node.id.value) owned.push_back(group);
    rely_on(group_key(group), "Owner");
  }
  if (!owned.empty())
    return refuse(ErrorCode::busy, "it still owns " + quoted_list(owned),
                  "move them: 'holdfast group move " + owned.front() + "'");
  if (tree_.number("cluster", "QuorumMoveTo") == node.id.value)
    return refuse(ErrorCode::busy, "the quorum is being moved to it",
                  "wait for it, or move the quorum elsewhere");
  change_structure();
  rely_on("cluster", "QuorumMoveTo");
  rely_on(node.key, "Fingerprint");
  HOLDFAST_CHECK(forget_in_lists(node));
  edit_.remove(node.key);
  std::string fingerprint = tree_.text(node.key, "Fingerprint");
  if (valid_component(fingerprint)) edit_.set("revoked/" + fingerprint, "Node", node.name);
  wait_for(Wait::Kind::node_gone, {}, node.id);
  return {};
}

}  // namespace holdfast::core
