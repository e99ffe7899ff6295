#include "simulation/diagram.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace holdfast::sim {
namespace {

// Short words for what is said at length.
std::string in_brief(const std::string& text) {
  static const std::vector<std::pair<const char*, const char*>> known = {
      {"REGROUP", "regroup: "},         {"VIEW epoch", "VIEW "},      {"QUORUM_STATE", "quorum "},
      {"NODE_REMOVED", "removes "},     {"GROUP_OWNER", "group "},    {"RESOURCE_STATE", "res "},
      {"RESOURCE_HELD", "held "},       {"forms epoch", "forms "},    {"contests the quorum", "contests"},
      {"nominates node", "nominates "}, {"life ended", "LIFE ENDED"}, {"pruned", "pruned"},
      {"CLUSTER_STATE", "ready "},      {"core ran", "core late "}};
  for (const auto& [prefix, brief] : known) {
    const std::string p = prefix;
    if (text.rfind(p, 0) != 0) continue;
    std::string rest = text.substr(std::min(text.size(), p.size()));
    if (auto paren = rest.find(" ("); paren != std::string::npos && p != "REGROUP") rest.resize(paren);
    rest.erase(0, rest.find_first_not_of(' '));
    return brief + rest;
  }
  return {};
}

}  // namespace

std::string sequence_diagram(const std::vector<std::string>& log, int nodes) {
  const size_t width = nodes <= 3 ? 34 : nodes <= 5 ? 24 : 16;
  auto lanes = [&](int64_t us, int node, const std::string& text) {
    char time[32];
    snprintf(time, sizeof time, "%11.6f ", static_cast<double>(us) / 1e6);
    std::string out = time;
    for (int id = 1; id <= nodes; ++id) {
      std::string cell = id == node ? text.substr(0, width - 1) : "";
      cell.resize(width, ' ');
      out += "|" + cell;
    }
    return out + "|\n";
  };
  std::string out(12, ' ');
  for (int id = 1; id <= nodes; ++id) {
    std::string name = " n" + std::to_string(id);
    name.resize(width, ' ');
    out += "|" + name;
  }
  out += "|\n";
  for (const auto& line : log) {
    char* end = nullptr;
    const int64_t us = strtoll(line.c_str(), &end, 10);
    const std::string text = *end == ' ' ? end + 1 : "";
    if (text.rfind("> ", 0) == 0) {
      char time[32];
      snprintf(time, sizeof time, "%11.6f ", static_cast<double>(us) / 1e6);
      std::string bar = "== " + text.substr(2) + " ";
      bar.resize(std::max(bar.size(), (width + 1) * static_cast<size_t>(nodes)), '=');
      out += time + ("|" + bar) + "|\n";
    } else if (text.size() > 2 && text[0] == 'n' && text.find(' ') != std::string::npos) {
      const std::string brief = in_brief(text.substr(text.find(' ') + 1));
      if (!brief.empty()) out += lanes(us, atoi(text.c_str() + 1), brief);
    }
  }
  return out;
}

}  // namespace holdfast::sim
