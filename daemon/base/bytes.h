// Little helpers for fixed-size, explicitly ordered binary fields (disk formats, datagram headers).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace holdfast {

inline void put_le(uint8_t* p, uint64_t v, int size) {
  for (int i = 0; i < size; ++i) p[i] = static_cast<uint8_t>(v >> (8 * i));
}
inline uint64_t get_le(const uint8_t* p, int size) {
  uint64_t v = 0;
  for (int i = 0; i < size; ++i) v |= static_cast<uint64_t>(p[i]) << (8 * i);
  return v;
}
inline void put_be(uint8_t* p, uint64_t v, int size) {
  for (int i = 0; i < size; ++i) p[size - 1 - i] = static_cast<uint8_t>(v >> (8 * i));
}
inline uint64_t get_be(const uint8_t* p, int size) {
  uint64_t v = 0;
  for (int i = 0; i < size; ++i) v = (v << 8) | p[i];
  return v;
}
inline const uint8_t* as_u8(const std::string& s) {
  return reinterpret_cast<const uint8_t*>(s.data());
}
inline uint8_t* as_u8(std::string& s) {
  return reinterpret_cast<uint8_t*>(s.data());
}

}  // namespace holdfast
