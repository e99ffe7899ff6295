// A LUN of any size of which only what was written takes memory. Reads and writes alone: no reservations.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "core/log/layout.h"

namespace holdfast::fuzz {

class SparseLun {
 public:
  explicit SparseLun(uint64_t bytes) : size_(bytes) {}
  uint64_t size() const { return size_; }

  // Outside of the LUN: false.
  bool write(uint64_t offset, const std::string& bytes) {
    if (bytes.size() > size_ || offset > size_ - bytes.size()) return false;
    for (size_t done = 0; done < bytes.size();) {
      const uint64_t at = offset + done, block = at / core::block_bytes, within = at % core::block_bytes;
      const size_t part = std::min<size_t>(core::block_bytes - within, bytes.size() - done);
      auto& target = blocks_.try_emplace(block, core::block_bytes, '\0').first->second;
      target.replace(within, part, bytes, done, part);
      done += part;
    }
    return true;
  }
  bool read(uint64_t offset, uint64_t bytes, std::string& out) const {
    if (bytes > size_ || offset > size_ - bytes) return false;
    out.assign(bytes, '\0');
    const uint64_t end = offset + bytes;
    for (auto it = blocks_.lower_bound(offset / core::block_bytes); it != blocks_.end(); ++it) {
      const uint64_t start = it->first * core::block_bytes;
      if (start >= end) break;
      const uint64_t from = std::max(start, offset), to = std::min(start + core::block_bytes, end);
      out.replace(from - offset, to - from, it->second, from - start, to - from);
    }
    return true;
  }

 private:
  uint64_t size_;
  std::map<uint64_t, std::string> blocks_;  // by number
};

}  // namespace holdfast::fuzz
