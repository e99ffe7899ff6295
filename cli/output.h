// What the holdfast command prints: tables for people, JSON with stable field names for programs
// (docs/cli.md).
#pragma once

#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "proto/api.pb.h"

namespace holdfast::cli {

using Json = nlohmann::ordered_json;

// Field names are those of proto/api.proto. Every field is always there, also when empty; properties are
// objects (name: text or list), keys that exceed 53 bits are "0x…" texts.
Json to_json(const api::Status& status);
Json to_json(const api::NodeStatus& node);
Json to_json(const api::GroupStatus& group);
Json to_json(const api::ResourceStatus& resource);
Json to_json(const api::QuorumStatus& quorum, const api::Status& status);
Json to_json(const api::Event& event);
Json to_json(const tree::Tree& tree);  // {"path": {"name": value}}
Json to_json(const google::protobuf::RepeatedPtrField<api::Property>& properties);
void print_json(std::ostream& out, const Json& json);  // indented, one final newline

constexpr size_t columns_max = 100;

// Columns as wide as needed; the last one is cut so that a line fits columns_max.
class Table {
 public:
  explicit Table(std::vector<std::string> head) : head_(std::move(head)) {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  void print(std::ostream& out, const std::string& indent = "") const;

 private:
  std::vector<std::string> head_;
  std::vector<std::vector<std::string>> rows_;
};

void print_status(std::ostream& out, const api::Status& status);
void print_nodes(std::ostream& out, const api::Status& status, const std::string& indent = "");
void print_groups(std::ostream& out, const api::Status& status, const std::string& indent = "");
void print_resources(std::ostream& out, const api::Status& status, const std::string& group = {},
                     const std::string& indent = "");
void print_quorum(std::ostream& out, const api::Status& status);
void print_node(std::ostream& out, const api::NodeStatus& node, const api::Status& status);
void print_group(std::ostream& out, const api::GroupStatus& group, const api::Status& status);
void print_resource(std::ostream& out, const api::ResourceStatus& resource);
void print_event(std::ostream& out, const api::Event& event);
void print_properties(std::ostream& out, const google::protobuf::RepeatedPtrField<api::Property>& properties);

// "n1", or "node 3" when it is not known, "none" for 0.
std::string node_name(const api::Status& status, uint32_t id);
// At most `width` characters (UTF-8), "…" at the end when cut.
std::string cut(const std::string& text, size_t width);

}  // namespace holdfast::cli
