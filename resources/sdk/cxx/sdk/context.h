// The parameters and surroundings of a call, typed, with errors that name the parameter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "holdfast/resource.h"

namespace holdfast::sdk {

class Context {
 public:
  explicit Context(const holdfast_context* context) : c_(*context) {}

  std::string resource() const { return c_.resource; }
  uint64_t generation() const { return c_.generation; }
  uint64_t reservation_key() const { return c_.reservation_key; }
  uint64_t victim_key() const { return c_.victim_key; }
  std::string cluster_id() const { return c_.cluster_id; }
  std::string node_name() const { return c_.node_name; }

  std::string text(const char* name, const std::string& otherwise = {}) const;
  Result<std::string> required(const char* name) const;
  // A whole number within [min, max].
  Result<int64_t> number(const char* name, int64_t otherwise, int64_t min, int64_t max) const;
  Result<Duration> milliseconds(const char* name, int64_t otherwise_ms, int64_t min_ms, int64_t max_ms) const;
  // "0"/"1"/"true"/"false"/"yes"/"no".
  Result<bool> boolean(const char* name, bool otherwise) const;
  // A list; a plain value is a list of one.
  std::vector<std::string> list(const char* name) const;
  // What a provider published; with a type only from providers of that type.
  std::optional<std::string> provided(const char* name, const char* type = nullptr) const;

 private:
  const holdfast_parameter* find(const char* name) const;
  const holdfast_context& c_;
};

}  // namespace holdfast::sdk
