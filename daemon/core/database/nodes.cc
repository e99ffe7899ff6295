#include "core/database/nodes.h"

#include <algorithm>
#include <charconv>

namespace holdfast::core {

std::string node_path(NodeId id) {
  return "nodes/" + std::to_string(id.value);
}

NodeId node_id_from(std::string_view text) {
  uint64_t id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 1 || id > nodes_max) return {};
  return std::to_string(id) == text ? NodeId{id} : NodeId{};
}

std::vector<NodeRecord> all_nodes(const Tree& tree) {
  std::vector<NodeRecord> out;
  for (const auto& child : tree.children("nodes")) {
    std::string key = "nodes/" + child;
    if (NodeId id = node_id_from(child); !id.is_none()) out.push_back({id, tree.text(key, "Name"), key});
  }
  // Byte order of the keys is not the order of ids.
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return out;
}

NodeSet node_ids(const Tree& tree) {
  NodeSet out;
  for (const auto& child : tree.children("nodes"))
    if (NodeId id = node_id_from(child); !id.is_none()) out.add(id);
  return out;
}

}  // namespace holdfast::core
