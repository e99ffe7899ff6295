// Instants and durations of the local monotonic clock. The core never reads a clock: Instants are handed in.
#pragma once

#include <compare>
#include <cstdint>

namespace holdfast {

// A span of time in nanoseconds, may be negative.
struct Duration {
  int64_t ns = 0;
  static constexpr Duration milliseconds(int64_t ms) { return {ms * 1'000'000}; }
  static constexpr Duration microseconds(int64_t us) { return {us * 1'000}; }
  static constexpr Duration seconds(int64_t s) { return {s * 1'000'000'000}; }
  constexpr int64_t ms() const { return ns / 1'000'000; }
  constexpr int64_t us() const { return ns / 1'000; }
  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator+(Duration o) const { return {ns + o.ns}; }
  constexpr Duration operator-(Duration o) const { return {ns - o.ns}; }
  constexpr Duration operator*(int64_t k) const { return {ns * k}; }
  constexpr Duration operator/(int64_t k) const { return {ns / k}; }
};

// A point on this machine's CLOCK_BOOTTIME (counts through suspend), in nanoseconds. 0 = never.
struct Instant {
  int64_t ns = 0;
  constexpr auto operator<=>(const Instant&) const = default;
  constexpr bool is_never() const { return ns == 0; }
  constexpr Instant operator+(Duration d) const { return {ns + d.ns}; }
  constexpr Instant operator-(Duration d) const { return {ns - d.ns}; }
  constexpr Duration operator-(Instant o) const { return {ns - o.ns}; }
  static constexpr Instant infinite() { return {INT64_MAX / 2}; }
};

}  // namespace holdfast
