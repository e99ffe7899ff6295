// Error and Result: how every part of Holdfast says that something did not work.
//
// An Error carries a code (its class tells whether to retry and whether the action may have happened), the
// errno of the system call if there was one, and a sentence for people: what failed, on which object, why. No
// exceptions. Library code returns errors and never logs; the caller that drops one logs it once, with ",
// ignoring".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace holdfast {

enum class ErrorCode : uint16_t {
  ok = 0,
  invalid_argument = 1,  // the caller asked for something that cannot be
  not_found = 2,
  already_exists = 3,
  conflict = 4,         // reservation conflict, or a precondition of a transaction does not hold
  unreachable = 5,      // device or peer does not answer; nothing was executed
  timeout = 6,          // no answer within the deadline; the action MAY have happened
  connection_lost = 7,  // session broke while the action was under way; it MAY have happened
  unit_attention = 8,   // the target reports a change; the command was not executed
  unsupported = 9,
  corrupt = 10,  // bytes that fail their checks
  foreign = 11,  // a device holds something that is not ours
  permission = 12,
  version = 13,  // the other side speaks no version that we do
  busy = 14,
  not_member = 15,  // this node is not (or no longer) in the cluster
  no_quorum = 16,
  full = 17,
  io = 18,
  internal = 19,
  cancelled = 20,
};

enum class ErrorClass : uint8_t { retryable, uncertain, permanent, corrupt, fatal };

// The class of each code; `uncertain` means that the action may have happened: read back before acting on it.
ErrorClass error_class(ErrorCode code);
std::string_view to_string(ErrorCode code);
// The code of a number in a message that tells of an error. One that this release does not know (0 among
// them, which is no error) is internal.
ErrorCode error_code_from(uint64_t number);

struct Error {
  ErrorCode code = ErrorCode::internal;
  int os_errno = 0;     // 0 when no system call failed
  std::string message;  // a sentence: what failed, on which object, why
  std::string hint;     // what to do next; may be empty

  bool uncertain() const { return error_class(code) == ErrorClass::uncertain; }
  // "message: strerror (hint)".
  std::string text() const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message, int os_errno = 0,
                                  std::string hint = {}) {
  return tl::unexpected<Error>(Error{code, os_errno, std::move(message), std::move(hint)});
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace holdfast

#define HOLDFAST_CONCAT_(a, b) a##b
#define HOLDFAST_CONCAT(a, b) HOLDFAST_CONCAT_(a, b)
// HOLDFAST_TRY(auto x, f()): x = value of f(), or return its error from this function.
#define HOLDFAST_TRY(decl, expr)                                                 \
  auto HOLDFAST_CONCAT(try_, __LINE__) = (expr);                                 \
  if (!HOLDFAST_CONCAT(try_, __LINE__))                                          \
    return ::tl::unexpected(std::move(HOLDFAST_CONCAT(try_, __LINE__).error())); \
  decl = std::move(*HOLDFAST_CONCAT(try_, __LINE__))
// The same for a Status.
#define HOLDFAST_CHECK(expr)                                                           \
  if (auto HOLDFAST_CONCAT(chk_, __LINE__) = (expr); !HOLDFAST_CONCAT(chk_, __LINE__)) \
  return ::tl::unexpected(std::move(HOLDFAST_CONCAT(chk_, __LINE__).error()))
