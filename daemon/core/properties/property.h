// The one table of all properties: what may be set on the cluster, a node, a group, a resource, and the
// private parameters of the resource types of this release. It drives validation, defaults, status and
// docs/properties.md.
//
// A property that nothing acts on yet is in the table as `reserved`: setting it is refused instead of
// accepted in silence. Values live in the tree under the classic names (docs/formats/database.md); absent
// means default.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "core/database/tree.h"

namespace holdfast::core {

enum class Scope : uint8_t { cluster, node, group, resource, parameter };
enum class PropertyType : uint8_t { text, number, boolean, list };
// open: may be set. by_command: shown, but only a command of its own changes it. reserved: not available yet.
enum class PropertyAccess : uint8_t { open, by_command, reserved };

struct Property {
  Scope scope = Scope::cluster;
  std::string_view type;  // resource type, of parameters only
  std::string_view name;
  PropertyType kind = PropertyType::text;
  PropertyAccess access = PropertyAccess::open;
  bool live = true;         // takes effect at once; otherwise when the object next comes online
  bool required = false;    // parameters: must be given when the resource is created
  bool has_default = true;  // false: absent means "none"
  uint64_t default_number = 0;
  std::string_view default_text;
  uint64_t min = 0;
  uint64_t max = UINT32_MAX;
  std::string_view unit;
  std::string_view labels;   // "0=Prevent,1=Allow": names of numbers, accepted and shown
  std::string_view command;  // by_command: what to use instead
  std::string_view help;     // one line

  // Builders, so that a row of the table reads as a sentence.
  constexpr Property range(uint64_t low, uint64_t high) const {
    auto p = *this;
    p.min = low;
    p.max = high;
    return p;
  }
  constexpr Property in(std::string_view u) const {
    auto p = *this;
    p.unit = u;
    return p;
  }
  constexpr Property named(std::string_view l) const {
    auto p = *this;
    p.labels = l;
    return p;
  }
  constexpr Property none() const {
    auto p = *this;
    p.has_default = false;
    return p;
  }
  constexpr Property next_online() const {
    auto p = *this;
    p.live = false;
    return p;
  }
  constexpr Property must() const {
    auto p = *this;
    p.required = true;
    return p;
  }
  constexpr Property reserved() const {
    auto p = *this;
    p.access = PropertyAccess::reserved;
    return p;
  }
  constexpr Property by(std::string_view c) const {
    auto p = *this;
    p.access = PropertyAccess::by_command;
    p.command = c;
    return p;
  }
};

// The whole table, ordered by scope and type.
std::span<const Property> all_properties();
// The resource types whose parameters are in the table.
std::vector<std::string_view> builtin_types();
bool is_builtin_type(std::string_view type);
// "group", and for parameters "parameter".
std::string_view to_string(Scope scope);

// nullptr when unknown. For Scope::resource also the parameters of `type` are searched: the scope of what is
// returned says where the value is stored.
const Property* find_property(Scope scope, std::string_view type, std::string_view name);
// The known name most like `name`, or empty when none is similar.
std::string_view nearest_property(Scope scope, std::string_view type, std::string_view name);
// The same for any list of names: what an error message proposes.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> known);

// What a client sent: text, or a list.
struct PropertyInput {
  std::string text;
  std::vector<std::string> list;
  bool is_list = false;
};

// The typed value for the tree. A Value without a kind means: remove it ("none" of a property without
// default). not_found: unknown name, names the nearest. unsupported: reserved. permission: has its own
// command. invalid_argument: wrong type or out of range; names range and unit. Of a type that is not in the
// table every parameter passes as it is. Parameters are always stored as text or list, since plug-ins get
// them so.
Result<Value> parse_property(Scope scope, std::string_view type, std::string_view name,
                             const PropertyInput& input);
// Only the last step of it: does `input` suit the property? Used where a command may set what `by_command`
// guards.
Result<Value> parse_value(const Property& property, const PropertyInput& input);

// As people read it: "2 RestartNotify", "1000 ms", "none".
std::string display_property(const Property& property, const Value& value);
// As it can be given back to parse_property.
Value default_value(const Property& property);

// The value in the tree, within the range of the property, or the default. Aborts when the table has no such
// number: a programmer's error.
uint64_t property_number(const Tree& tree, std::string_view key, Scope scope, std::string_view name);

// docs/properties.md.
std::string properties_markdown();

}  // namespace holdfast::core
