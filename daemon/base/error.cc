#include "base/error.h"

#include <cstring>

namespace holdfast {

ErrorClass error_class(ErrorCode code) {
  switch (code) {
    case ErrorCode::unreachable:
    case ErrorCode::unit_attention:
    case ErrorCode::busy:
      return ErrorClass::retryable;
    case ErrorCode::timeout:
    case ErrorCode::connection_lost:
    case ErrorCode::io:
    case ErrorCode::cancelled:
      return ErrorClass::uncertain;
    case ErrorCode::corrupt:
      return ErrorClass::corrupt;
    case ErrorCode::internal:
      return ErrorClass::fatal;
    default:
      return ErrorClass::permanent;
  }
}

std::string_view to_string(ErrorCode code) {
  static constexpr std::string_view names[] = {
      "ok",         "invalid-argument", "not-found",      "already-exists", "conflict",  "unreachable",
      "timeout",    "connection-lost",  "unit-attention", "unsupported",    "corrupt",   "foreign",
      "permission", "version",          "busy",           "not-member",     "no-quorum", "full",
      "io",         "internal",         "cancelled"};
  auto index = static_cast<size_t>(code);
  return index < std::size(names) ? names[index] : "unknown";
}

ErrorCode error_code_from(uint64_t number) {
  return number >= 1 && number <= static_cast<uint64_t>(ErrorCode::cancelled) ? static_cast<ErrorCode>(number)
                                                                              : ErrorCode::internal;
}

std::string Error::text() const {
  std::string out = message.empty() ? std::string(to_string(code)) : message;
  if (os_errno != 0) out += std::string(": ") + strerror(os_errno);
  if (!hint.empty()) out += " (" + hint + ")";
  return out;
}

}  // namespace holdfast
