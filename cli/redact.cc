#include "cli/redact.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>

namespace holdfast::cli {
namespace {

bool names_a_secret(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(tolower(c)); });
  for (const char* word : {"password", "passwd", "secret", "token", "enrollmenthash"})
    if (name.find(word) != std::string::npos) return true;
  return false;
}

std::string redact_line(const std::string& line) {
  static const std::regex url("(iscsi://)[^@/\\s\"]*@", std::regex::icase);
  static const std::regex assigned(
      "((?:password|passwd|secret|token)[\"']?\\s*[=:]\\s*)(\"[^\"]*\"|'[^']*'|[^\\s\"',]+)",
      std::regex::icase);
  static const std::regex join_token("hf[0-9]+\\.[A-Za-z0-9_-]{16,}");
  std::string out = std::regex_replace(line, url, "$1***@");
  out = std::regex_replace(out, assigned, "$1***");
  return std::regex_replace(out, join_token, "hf***");
}

}  // namespace

std::string redact(const std::string& text) {
  // By lines, and only lines that can hold a secret: std::regex is slow and recurses on long input.
  std::string out;
  out.reserve(text.size());
  for (size_t start = 0; start < text.size();) {
    size_t end = text.find('\n', start);
    size_t next = end == std::string::npos ? text.size() : end + 1;
    std::string line = text.substr(start, next - start), lower = line;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(tolower(c)); });
    bool suspicious = false;
    for (const char* word : {"iscsi://", "password", "passwd", "secret", "token", "hf1."})
      suspicious = suspicious || lower.find(word) != std::string::npos;
    if (suspicious && line.size() > 8192)
      out += "(a long line that may hold a secret was left out)\n";
    else
      out += suspicious ? redact_line(line) : line;
    start = next;
  }
  return out;
}

void redact(nlohmann::ordered_json& json) {
  if (json.is_string()) {
    json = redact(json.get<std::string>());
  } else if (json.is_array()) {
    for (auto& item : json) redact(item);
  } else if (json.is_object()) {
    for (auto& [name, value] : json.items()) {
      if (names_a_secret(name) && !value.is_object())
        value = "***";
      else
        redact(value);
    }
  }
}

}  // namespace holdfast::cli
