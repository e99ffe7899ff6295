#include <charconv>

#include "core/commands/objects.h"

namespace holdfast::core::objects {
namespace {

bool parse_ipv4(std::string_view text, uint8_t* out) {
  for (int i = 0; i < 4; ++i) {
    unsigned part = 256;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part);
    auto digits = static_cast<size_t>(end - text.data());
    if (error != std::errc() || part > 255 || digits > 3 || (digits > 1 && text[0] == '0')) return false;
    out[i] = static_cast<uint8_t>(part);
    text.remove_prefix(digits);
    if (i == 3) return text.empty();
    if (text.empty() || text[0] != '.') return false;
    text.remove_prefix(1);
  }
  return false;
}

// Groups of one side of "::" (or of the whole); IPv4 at the end of the address counts as two. -1 when
// malformed.
int parse_groups(std::string_view text, uint8_t* out, int groups_max, bool ends_address = true) {
  int count = 0;
  while (!text.empty()) {
    auto one = text.substr(0, text.find(':'));
    if (one.find('.') != std::string_view::npos) {
      if (!ends_address || one.size() != text.size() || count + 2 > groups_max ||
          !parse_ipv4(one, out + count * 2))
        return -1;
      return count + 2;
    }
    unsigned part = 0;
    auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), part, 16);
    if (error != std::errc() || end != one.data() + one.size() || one.size() > 4 || count >= groups_max)
      return -1;
    out[count * 2] = static_cast<uint8_t>(part >> 8);
    out[count * 2 + 1] = static_cast<uint8_t>(part);
    ++count;
    if (one.size() == text.size()) return count;
    text.remove_prefix(one.size() + 1);
    if (text.empty()) return -1;  // a colon at the end
  }
  return count;
}

}  // namespace

std::optional<IpBytes> parse_ip(std::string_view text) {
  IpBytes ip{};
  if (text.find(':') == std::string_view::npos) {
    ip[10] = ip[11] = 0xff;
    if (!parse_ipv4(text, ip.data() + 12)) return std::nullopt;
    return ip;
  }
  auto gap = text.find("::");
  if (gap == std::string_view::npos) {
    if (parse_groups(text, ip.data(), 8) != 8) return std::nullopt;
    return ip;
  }
  uint8_t tail[16] = {};
  int head = parse_groups(text.substr(0, gap), ip.data(), 7, /*ends_address=*/false);
  if (head < 0) return std::nullopt;
  int rest = parse_groups(text.substr(gap + 2), tail, 7 - head);
  if (rest < 0) return std::nullopt;
  const auto tail_bytes = static_cast<size_t>(rest) * 2;
  for (size_t i = 0; i < tail_bytes; ++i) ip[ip.size() - tail_bytes + i] = tail[i];
  return ip;
}

bool is_ipv4(const IpBytes& ip) {
  for (size_t i = 0; i < 10; ++i)
    if (ip[i] != 0) return false;
  return ip[10] == 0xff && ip[11] == 0xff;
}

}  // namespace holdfast::core::objects
