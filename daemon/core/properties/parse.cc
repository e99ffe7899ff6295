#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "core/properties/property.h"

namespace holdfast::core {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

// Levenshtein over lower case; names are short.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t k = 0; k <= b.size(); ++k) row[k] = k;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t k = 1; k <= b.size(); ++k) {
      size_t change = diagonal + (lower(a[i - 1]) != lower(b[k - 1]));
      diagonal = row[k];
      row[k] = std::min({row[k] + 1, row[k - 1] + 1, change});
    }
  }
  return row[b.size()];
}

bool applies(const Property& p, Scope scope, std::string_view type) {
  if (p.scope == Scope::parameter)
    return (scope == Scope::resource || scope == Scope::parameter) && p.type == type;
  return p.scope == scope;
}

bool printable(std::string_view s) {
  return std::none_of(s.begin(), s.end(), [](char c) {
    auto u = static_cast<unsigned char>(c);
    return (u < 0x20 && c != '\t') || u == 0x7f;
  });
}

std::string range_text(const Property& p) {
  if (p.kind == PropertyType::boolean) return "0 or 1";
  std::string out = std::to_string(p.min) + " to " + std::to_string(p.max);
  if (!p.unit.empty()) out += " " + std::string(p.unit);
  if (!p.labels.empty()) out += " (" + std::string(p.labels) + ")";
  return out;
}

// "0=Prevent,1=Allow": the number of a label, or the label of a number.
template <typename Visit>
void each_label(std::string_view labels, Visit visit) {
  while (!labels.empty()) {
    auto one = labels.substr(0, labels.find(','));
    labels.remove_prefix(std::min(labels.size(), one.size() + 1));
    auto equals = one.find('=');
    uint64_t number = 0;
    std::from_chars(one.data(), one.data() + equals, number);
    visit(number, one.substr(equals + 1));
  }
}

bool read_number(const Property& p, std::string_view s, uint64_t* out) {
  bool found = false;
  each_label(p.labels, [&](uint64_t number, std::string_view label) {
    if (same_word(s, label)) found = true, *out = number;
  });
  if (found) return true;
  if (p.kind == PropertyType::boolean) {
    for (std::string_view yes : {"true", "yes", "on"})
      if (same_word(s, yes)) return *out = 1, true;
    for (std::string_view no : {"false", "no", "off"})
      if (same_word(s, no)) return *out = 0, true;
  }
  int base = 10;
  if (s.size() > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) s.remove_prefix(2), base = 16;
  auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), *out, base);
  return error == std::errc() && end == s.data() + s.size() && !s.empty();
}

tl::unexpected<Error> unsuitable(const Property& p, const std::string& given, std::string_view wanted) {
  return fail(ErrorCode::invalid_argument,
              "'" + given + "' does not suit " + std::string(p.name) + ": it takes " + std::string(wanted));
}

Result<Value> parse_number(const Property& p, const PropertyInput& input) {
  std::string given = input.is_list ? display(list_value(input.list)) : input.text;
  if (!p.has_default && !input.is_list && (given.empty() || given == "-1" || same_word(given, "none")))
    return Value();
  uint64_t number = 0;
  if (input.is_list || !read_number(p, given, &number) || number < p.min || number > p.max)
    return unsuitable(p, given, range_text(p));
  return p.scope == Scope::parameter ? text_value(std::to_string(number)) : number_value(number);
}

Result<Value> parse_list(const Property& p, const PropertyInput& input) {
  std::vector<std::string> items = input.list;
  if (!input.is_list) {
    std::string_view rest = input.text;
    while (!rest.empty()) {
      auto one = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
      items.emplace_back(one);
    }
  }
  for (const auto& item : items)
    if (item.empty() || !printable(item))
      return unsuitable(p, item, "a list of non-empty items without control characters");
  return list_value(std::move(items));
}

}  // namespace

std::string_view to_string(Scope scope) {
  static constexpr std::string_view names[] = {"cluster", "node", "group", "resource", "parameter"};
  return names[static_cast<size_t>(scope)];
}

const Property* find_property(Scope scope, std::string_view type, std::string_view name) {
  for (const auto& p : all_properties())
    if (applies(p, scope, type) && p.name == name) return &p;
  return nullptr;
}

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> known) {
  std::string_view best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;  // further away is no misspelling any more
  for (auto candidate : known) {
    // Lengths that differ by so much need at least as many changes: the name may be megabytes long.
    if (name.size() > candidate.size() + best_distance) continue;
    if (size_t d = distance(name, candidate); d < best_distance && d < name.size())
      best = candidate, best_distance = d;
  }
  return best;
}

std::string_view nearest_property(Scope scope, std::string_view type, std::string_view name) {
  std::vector<std::string_view> known;
  for (const auto& p : all_properties())
    if (applies(p, scope, type)) known.push_back(p.name);
  return nearest_name(name, known);
}

Result<Value> parse_value(const Property& p, const PropertyInput& input) {
  switch (p.kind) {
    case PropertyType::number:
    case PropertyType::boolean:
      return parse_number(p, input);
    case PropertyType::list:
      return parse_list(p, input);
    case PropertyType::text:
      break;
  }
  if (input.is_list) return unsuitable(p, display(list_value(input.list)), "one text, no list");
  if (!printable(input.text)) return unsuitable(p, input.text, "text without control characters");
  return text_value(input.text);
}

Result<Value> parse_property(Scope scope, std::string_view type, std::string_view name,
                             const PropertyInput& input) {
  if (const Property* p = find_property(scope, type, name)) {
    if (p->access == PropertyAccess::reserved)
      return fail(ErrorCode::unsupported,
                  std::string(name) + " is not available in this release: nothing would act on it");
    if (p->access == PropertyAccess::by_command)
      return fail(ErrorCode::permission, std::string(name) + " cannot be set as a property", 0,
                  "use: " + std::string(p->command));
    return parse_value(*p, input);
  }
  std::string_view near = nearest_property(scope, type, name);
  std::string hint =
      near.empty() ? "docs/properties.md lists all" : "did you mean " + std::string(near) + "?";
  bool of_resource = scope == Scope::resource || scope == Scope::parameter;
  if (of_resource && !is_builtin_type(type)) {
    // What is almost a common property is a misspelling of it, not a parameter of the plug-in.
    bool misspelt = !near.empty() && distance(near, name) <= 2;
    if (!misspelt && valid_component(name)) {
      Property unknown;
      unknown.name = name;
      unknown.kind = input.is_list ? PropertyType::list : PropertyType::text;
      return parse_value(unknown, input);
    }
  }
  for (Scope other : {Scope::cluster, Scope::node, Scope::group, Scope::resource})
    if (near != name && other != scope && find_property(other, {}, name)) {
      hint = std::string(name) + " is a property of a " + std::string(to_string(other));
      break;
    }
  std::string what =
      of_resource ? "resource of type '" + std::string(type) + "'" : std::string(to_string(scope));
  return fail(ErrorCode::not_found, "a " + what + " has no property '" + std::string(name) + "'", 0, hint);
}

std::string display_property(const Property& p, const Value& value) {
  if (value.kind_case() == Value::KIND_NOT_SET) return "none";
  std::string out = display(value);
  uint64_t number = 0;
  std::from_chars(out.data(), out.data() + out.size(), number);
  if (p.kind == PropertyType::boolean) return number ? "1 (true)" : "0 (false)";
  if (p.kind != PropertyType::number) return out;
  std::string label;
  each_label(p.labels, [&](uint64_t n, std::string_view text) {
    if (n == number) label = text;
  });
  if (!label.empty()) return out + " " + label;
  return p.unit.empty() ? out : out + " " + std::string(p.unit);
}

Value default_value(const Property& p) {
  if (!p.has_default) return {};
  switch (p.kind) {
    case PropertyType::text:
      return text_value(std::string(p.default_text));
    case PropertyType::list:
      return list_value({});
    case PropertyType::number:
    case PropertyType::boolean:
      break;
  }
  return p.scope == Scope::parameter ? text_value(std::to_string(p.default_number))
                                     : number_value(p.default_number);
}

uint64_t property_number(const Tree& tree, std::string_view key, Scope scope, std::string_view name) {
  const Property* p = find_property(scope, {}, name);
  HOLDFAST_ASSERT(p && (p->kind == PropertyType::number || p->kind == PropertyType::boolean));
  const Value* value = tree.find_value(key, name);
  // A raw transaction of the API may have set any number.
  return value && value->has_number() ? std::clamp(value->number(), p->min, p->max) : p->default_number;
}

}  // namespace holdfast::core
