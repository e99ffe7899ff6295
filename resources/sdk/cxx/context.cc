#include "sdk/context.h"

#include <strings.h>

#include <cstdlib>
#include <cstring>

namespace holdfast::sdk {

const holdfast_parameter* Context::find(const char* name) const {
  for (size_t i = 0; i < c_.parameters_size; ++i)
    if (strcasecmp(c_.parameters[i].name, name) == 0) return &c_.parameters[i];
  return nullptr;
}

std::string Context::text(const char* name, const std::string& otherwise) const {
  const auto* p = find(name);
  return p == nullptr || p->value[0] == 0 ? otherwise : p->value;
}

Result<std::string> Context::required(const char* name) const {
  std::string value = text(name);
  if (value.empty())
    return fail(ErrorCode::invalid_argument,
                "the property " + std::string(name) + " of resource '" + resource() + "' is not set");
  return value;
}

Result<int64_t> Context::number(const char* name, int64_t otherwise, int64_t min, int64_t max) const {
  std::string value = text(name);
  if (value.empty()) return otherwise;
  char* end = nullptr;
  errno = 0;
  long long n = strtoll(value.c_str(), &end, 10);
  if (*end != 0 || errno != 0 || n < min || n > max)
    return fail(ErrorCode::invalid_argument, "the property " + std::string(name) + " = '" + value +
                                                 "' is not a number from " + std::to_string(min) + " to " +
                                                 std::to_string(max));
  return n;
}

Result<Duration> Context::milliseconds(const char* name, int64_t otherwise_ms, int64_t min_ms,
                                       int64_t max_ms) const {
  HOLDFAST_TRY(int64_t ms, number(name, otherwise_ms, min_ms, max_ms));
  return Duration::milliseconds(ms);
}

Result<bool> Context::boolean(const char* name, bool otherwise) const {
  std::string value = text(name);
  if (value.empty()) return otherwise;
  for (const char* yes : {"1", "true", "yes", "on"})
    if (strcasecmp(value.c_str(), yes) == 0) return true;
  for (const char* no : {"0", "false", "no", "off"})
    if (strcasecmp(value.c_str(), no) == 0) return false;
  return fail(ErrorCode::invalid_argument,
              "the property " + std::string(name) + " = '" + value + "' is neither 0 nor 1");
}

std::vector<std::string> Context::list(const char* name) const {
  const auto* p = find(name);
  if (p == nullptr) return {};
  if (p->list_size == 0)
    return p->value[0] == 0 ? std::vector<std::string>{} : std::vector<std::string>{p->value};
  return {p->list, p->list + p->list_size};
}

std::optional<std::string> Context::provided(const char* name, const char* type) const {
  for (size_t i = 0; i < c_.provided_size; ++i) {
    const auto& p = c_.provided[i];
    if (strcmp(p.name, name) != 0) continue;
    if (type == nullptr || p.type[0] == 0 || strcmp(p.type, type) == 0) return p.value;
  }
  return std::nullopt;
}

}  // namespace holdfast::sdk
