// The nodes of a tree: where they are kept and how to read them. docs/formats/database.md, "nodes".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "core/database/tree.h"

namespace holdfast::core {

struct NodeRecord {
  NodeId id;
  std::string name;
  std::string key;  // "nodes/3"
};

std::string node_path(NodeId id);
// The id that is written in decimal as the database does ("7", not "07"); none for anything else.
NodeId node_id_from(std::string_view text);
// In order of id. Keys that are no id are left out; check_schema() reports them.
std::vector<NodeRecord> all_nodes(const Tree& tree);
NodeSet node_ids(const Tree& tree);

}  // namespace holdfast::core
