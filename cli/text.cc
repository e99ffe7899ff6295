#include <algorithm>
#include <ctime>
#include <iomanip>
#include <ostream>

#include "cli/output.h"

namespace holdfast::cli {
namespace {

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}  // inside a UTF-8 character

size_t width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

// Messages come from programs and devices: a table must stay a table, and nothing may drive the terminal.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return text;
}

template <typename Repeated>
std::string join(const Repeated& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

std::string bytes(uint64_t n) {
  const char* units[] = {"B", "KiB", "MiB", "GiB"};
  int unit = 0;
  double value = static_cast<double>(n);
  while (value >= 1024 && unit < 3) value /= 1024, ++unit;
  char text[32];
  snprintf(text, sizeof text, unit && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
  return text;
}

void field(std::ostream& out, const char* name, const std::string& value) {
  if (value.empty()) return;
  out << std::left << std::setw(14) << (std::string(name) + ":") << one_line(value) << "\n";
}

std::string group_remark(const api::GroupStatus& g) {
  std::string text = g.maintenance() ? "[maintenance] " : "";
  if (!g.moving_to().empty()) text += "moving to " + g.moving_to() + "; ";
  return text + g.reason();
}

std::string resource_remark(const api::ResourceStatus& r) {
  std::string text = r.maintenance() ? "[maintenance] " : "";
  if (r.held()) text += "[held] ";
  return text + r.message();
}

}  // namespace

std::string cut(const std::string& text, size_t limit) {
  if (width(text) <= limit) return text;
  if (limit == 0) return "";
  size_t end = 0;
  for (size_t seen = 0; end < text.size(); ++end)
    if (!continues(text[end]) && ++seen == limit) break;
  return text.substr(0, end) + "…";
}

std::string node_name(const api::Status& status, uint32_t id) {
  if (id == 0) return "none";
  for (const auto& node : status.nodes())
    if (node.id() == id) return node.name();
  return "node " + std::to_string(id);
}

void Table::print(std::ostream& out, const std::string& indent) const {
  std::vector<size_t> widths;
  for (const auto& name : head_) widths.push_back(width(name));
  for (const auto& cells : rows_)
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width(cells[i]));
  // One long name must not push the last column, which tells why, off the screen.
  for (size_t i = 0; i + 1 < widths.size(); ++i) widths[i] = std::min<size_t>(widths[i], 28);
  auto print_row = [&](const std::vector<std::string>& cells) {
    std::string text = indent;
    size_t used = indent.size();
    for (size_t i = 0; i < cells.size(); ++i) {
      bool last = i + 1 == cells.size();
      size_t room = used >= columns_max ? 0 : columns_max - used;
      std::string cell = cut(one_line(cells[i]), last ? room : std::min(widths[i], room));
      text += cell;
      if (!last) text += std::string(widths[i] - width(cell) + 2, ' ');
      used += widths[i] + 2;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out << text << "\n";
  };
  print_row(head_);
  for (const auto& cells : rows_) print_row(cells);
}

void print_nodes(std::ostream& out, const api::Status& s, const std::string& indent) {
  Table table({"NODE", "ID", "STATE", "QUORUM", "HEARTBEAT", "ADDRESSES"});
  for (const auto& n : s.nodes()) {
    bool self = n.id() == s.node_id();
    std::string quorum = n.quorum_owner() ? "owner" : n.reaches_lun() ? "reached" : "-";
    std::string heartbeat = self             ? "this node"
                            : n.state() == 1 ? "-"
                                             : std::to_string(n.heartbeat_age_ms()) + " ms";
    table.row({n.name(), std::to_string(n.id()), n.state_text(), quorum, heartbeat, join(n.addresses())});
  }
  table.print(out, indent);
}

void print_groups(std::ostream& out, const api::Status& s, const std::string& indent) {
  Table table({"GROUP", "STATE", "OWNER", "REASON"});
  for (const auto& g : s.groups())
    table.row({g.name(), g.state_text(), g.owner().empty() ? "-" : g.owner(), group_remark(g)});
  table.print(out, indent);
}

void print_resources(std::ostream& out, const api::Status& s, const std::string& group,
                     const std::string& indent) {
  Table table({"RESOURCE", "TYPE", "GROUP", "STATE", "MESSAGE"});
  for (const auto& r : s.resources())
    if (group.empty() || r.group() == group)
      table.row({r.name(), r.type(), r.group(), r.state_text(), resource_remark(r)});
  table.print(out, indent);
}

void print_status(std::ostream& out, const api::Status& s) {
  const auto& q = s.quorum();
  std::string head = "Cluster " + s.cluster_name() + (s.maintenance() ? " [maintenance]" : "") + ", epoch " +
                     std::to_string(s.epoch()) + ", seen from " + s.node_name() + " (" + s.phase() + ")";
  out << cut(one_line(head), columns_max) << "\n";
  if (!s.phase_reason().empty()) out << cut("  " + one_line(s.phase_reason()), columns_max) << "\n";
  std::string quorum =
      "Quorum " + q.state() + ", owner " + node_name(s, q.owner()) + ", " + q.kind() + " " + q.device();
  out << cut(one_line(quorum), columns_max) << "\n";
  if (!q.reason().empty()) out << cut("  " + one_line(q.reason()), columns_max) << "\n";
  for (const auto& n : s.networks())
    if (n.state() != "up") out << cut("Network " + n.name() + " is " + n.state(), columns_max) << "\n";
  for (const auto& warning : s.warnings()) out << "WARNING: " << one_line(warning) << "\n";
  out << "\n";
  print_nodes(out, s);
  out << "\n";
  if (s.groups().empty()) {
    out << "No groups yet: 'holdfast group create NAME'\n";
    return;
  }
  print_groups(out, s);
  if (s.resources().empty()) return;
  out << "\n";
  print_resources(out, s);
}

void print_quorum(std::ostream& out, const api::Status& s) {
  const auto& q = s.quorum();
  field(out, "State", q.state());
  field(out, "Reason", q.reason());
  field(out, "Owner", node_name(s, q.owner()));
  field(out, "Device", q.kind() + " " + q.device());
  field(out, "Epoch", std::to_string(q.epoch()));
  char key[24];
  snprintf(key, sizeof key, "0x%016llx", static_cast<unsigned long long>(q.key()));
  field(out, "Key", q.key() ? key : "none");
  field(out, "Registered", join(q.registered_keys()));
  field(out, "Log",
        bytes(q.log_used_bytes()) + " of " + bytes(q.log_size_bytes()) + " used, last update " +
            std::to_string(q.last_sequence()));
  field(out, "Beacon", std::to_string(q.beacon_age_ms()) + " ms ago");
  if (q.last_arbitration_us())
    field(out, "Arbitration", std::to_string(q.last_arbitration_us()) + " us, the last one");
  std::string reached;
  for (const auto& n : s.nodes())
    if (n.reaches_lun()) reached += (reached.empty() ? "" : ", ") + n.name();
  field(out, "Reached by", reached.empty() ? "nobody" : reached);
}

void print_properties(std::ostream& out,
                      const google::protobuf::RepeatedPtrField<api::Property>& properties) {
  size_t widest = 0;
  for (const auto& p : properties) widest = std::max(widest, p.name().size());
  for (const auto& p : properties)
    out << "  " << std::left << std::setw(static_cast<int>(widest + 2)) << p.name()
        << one_line(p.unset()     ? "-"
                    : p.is_list() ? join(p.list())
                                  : p.value())
        << "\n";
}

void print_node(std::ostream& out, const api::NodeStatus& n, const api::Status& s) {
  field(out, "Node", n.name() + " (id " + std::to_string(n.id()) + ")");
  field(out, "State", n.state_text());
  field(out, "Addresses", join(n.addresses()));
  field(out, "Quorum", n.quorum_owner() ? "owner" : n.reaches_lun() ? "reaches it" : "does not reach it");
  if (n.id() != s.node_id()) field(out, "Heartbeat", std::to_string(n.heartbeat_age_ms()) + " ms ago");
  field(out, "Software", n.software());
  field(out, "Protection", n.protection());
  std::string groups;
  for (const auto& g : s.groups())
    if (g.owner() == n.name()) groups += (groups.empty() ? "" : ", ") + g.name();
  field(out, "Owns", groups.empty() ? "nothing" : groups);
}

void print_group(std::ostream& out, const api::GroupStatus& g, const api::Status& s) {
  field(out, "Group", g.name());
  field(out, "State", g.state_text() + (g.maintenance() ? " [maintenance]" : ""));
  field(out, "Owner", g.owner().empty() ? "none" : g.owner());
  field(out, "Moving to", g.moving_to());
  field(out, "Reason", g.reason());
  field(out, "Preferred", join(g.preferred_owners()));
  out << "Properties:\n";
  print_properties(out, g.properties());
  if (!g.resources().empty()) {
    out << "Resources:\n";
    print_resources(out, s, g.name(), "  ");
  }
}

void print_resource(std::ostream& out, const api::ResourceStatus& r) {
  field(out, "Resource", r.name());
  field(out, "Type", r.type());
  field(out, "Group", r.group());
  field(out, "State",
        r.state_text() + (r.maintenance() ? " [maintenance]" : "") + (r.held() ? " [held]" : ""));
  field(out, "Message", r.message());
  field(out, "Depends on", join(r.dependencies()));
  field(out, "May run on", r.possible_owners().empty() ? "every node" : join(r.possible_owners()));
  field(out, "Published", join(r.published()));
  if (r.restarts()) field(out, "Restarts", std::to_string(r.restarts()));
  out << "Properties:\n";
  print_properties(out, r.properties());
}

void print_event(std::ostream& out, const api::Event& e) {
  if (e.dropped()) out << "(" << e.dropped() << " events were lost here: this reader was too slow)\n";
  time_t seconds = static_cast<time_t>(e.wall_time_ms() / 1000);
  tm local{};
  localtime_r(&seconds, &local);
  char when[32];
  strftime(when, sizeof when, "%F %T", &local);
  char ms[8];
  snprintf(ms, sizeof ms, ".%03u", static_cast<unsigned>(e.wall_time_ms() % 1000));
  out << when << ms << " " << (e.node().empty() ? "" : e.node() + " ") << e.kind() << " "
      << one_line(e.object());
  if (!e.old_value().empty() || !e.new_value().empty())
    out << ": " << one_line(e.old_value()) << (e.old_value().empty() ? "" : " -> ")
        << one_line(e.new_value());
  if (!e.cause().empty()) out << " (" << one_line(e.cause()) << ")";
  if (e.classic_id()) out << " [" << e.classic_id() << "]";
  out << "\n";
}

}  // namespace holdfast::cli
