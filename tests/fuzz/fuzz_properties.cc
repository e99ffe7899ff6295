// Values of properties as clients give them: what is accepted is shown in a form that is accepted again.
#include "core/commands/schema.h"
#include "core/properties/property.h"
#include "core/properties/timing.h"
#include "target.h"
#include "tree_words.h"

using namespace holdfast;
using namespace holdfast::core;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const auto scope = static_cast<Scope>(in.below(5));
  static const auto types = builtin_types();
  const uint64_t type_number = in.below(types.size() + 2);
  const std::string type(type_number < types.size() ? types[type_number] : "mine");
  const auto all = all_properties();
  const uint16_t which = static_cast<uint16_t>(in.number(2));
  const std::string name = which < all.size() ? std::string(all[which].name) : fuzz::word(in);
  PropertyInput given;
  given.is_list = in.flag();
  if (given.is_list)
    for (uint64_t items = in.below(4); items > 0; --items) given.list.push_back(fuzz::word(in));
  else
    given.text = fuzz::word(in);

  const auto value = parse_property(scope, type, name, given);
  if (!value) {
    const ErrorCode code = value.error().code;
    HOLDFAST_ASSERT(code == ErrorCode::not_found || code == ErrorCode::unsupported ||
                    code == ErrorCode::permission || code == ErrorCode::invalid_argument);
    return 0;
  }
  const Property* property = find_property(scope, type, name);
  if (!property) return 0;
  HOLDFAST_ASSERT(property->access == PropertyAccess::open);
  (void)display_property(*property, *value);
  if (value->kind_case() == Value::KIND_NOT_SET) {
    HOLDFAST_ASSERT(!property->has_default);
    return 0;
  }
  PropertyInput again;
  again.is_list = value->has_list();
  again.text = display(*value);
  if (value->has_list()) again.list = {value->list().items().begin(), value->list().items().end()};
  const auto same = parse_property(scope, type, name, again);
  HOLDFAST_ASSERT(same && same_value(*same, *value));
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> out;
  const auto all = all_properties();
  for (size_t i = 0; i < all.size(); i += 3)
    out.push_back(Recipe()
                      .byte(static_cast<uint64_t>(all[i].scope))
                      .byte(i % 5)
                      .number(i, 2)
                      .byte(i & 1)
                      .byte(2)
                      .byte(17 + i % 12)
                      .done());
  out.push_back(Recipe()
                    .byte(2)
                    .byte(0)
                    .number(65535, 2)
                    .byte(255)
                    .text(std::string(20000, 'x'))
                    .byte(0)
                    .byte(1)
                    .done());
  return out;
}

}  // namespace holdfast::fuzz
