// Input: takes numbers, choices and texts from the front of a fuzz input; Recipe writes what Input reads, for
// seeds. When the input is used up everything is 0, false and empty, so a target ends when done() says so.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace holdfast::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  bool done() const { return size_ == 0; }
  size_t left() const { return size_; }

  uint64_t number(int bytes) {
    uint8_t value[8] = {};
    size_t take = std::min<size_t>(size_, static_cast<size_t>(bytes));
    for (size_t i = 0; i < take; ++i) value[i] = data_[i];
    skip(take);
    return get_le(value, bytes);
  }
  uint8_t byte() { return static_cast<uint8_t>(number(1)); }
  // 0 .. n-1, n at most 256.
  uint64_t below(uint64_t n) { return byte() % n; }
  bool flag() { return (byte() & 1) != 0; }
  // A number near the edges of its type as often as a small one: one byte says which, others may follow.
  uint64_t any() {
    uint8_t kind = byte();
    switch (kind >> 5) {
      case 0:
      case 1:
      case 2:
        return kind & 31;
      case 3:
        return number(2);
      case 4:
        return number(8);
      case 5:
        return UINT64_MAX - (kind & 31);
      case 6:
        return (uint64_t{1} << (kind & 31)) - 1;
      default:
        return uint64_t{1} << (32 + (kind & 31));
    }
  }
  // As long as one byte (or, at 255, two more) says.
  std::string text() {
    uint64_t size = byte();
    if (size == 255) size = number(2);
    return take(size);
  }
  std::string take(uint64_t bytes) {
    size_t n = static_cast<size_t>(std::min<uint64_t>(bytes, size_));
    std::string out(reinterpret_cast<const char*>(data_), n);
    skip(n);
    return out;
  }
  std::string rest() { return take(size_); }

 private:
  void skip(size_t n) {
    data_ += n;
    size_ -= n;
  }
  const uint8_t* data_;
  size_t size_;
};

class Recipe {
 public:
  Recipe& number(uint64_t value, int bytes) {
    uint8_t out[8];
    put_le(out, value, bytes);
    bytes_.append(reinterpret_cast<char*>(out), static_cast<size_t>(bytes));
    return *this;
  }
  Recipe& byte(uint64_t value) { return number(value, 1); }
  Recipe& any(uint64_t value) { return value < 32 ? byte(value) : byte(4 << 5).number(value, 8); }
  Recipe& text(std::string_view value) {
    if (value.size() < 255)
      byte(value.size());
    else
      byte(255).number(value.size(), 2);
    return raw(value);
  }
  Recipe& raw(std::string_view value) {
    bytes_.append(value);
    return *this;
  }
  const std::string& done() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace holdfast::fuzz
