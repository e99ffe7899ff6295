// BlockQueue: O_DIRECT reads and writes of one block device with a deadline, one at a time, by io_uring.
//
// Transfers go through the queue's own mapped pages. When a deadline passes, the kernel may still move data
// to or from those pages; they are given up together with the ring (the kernel keeps them until it is done),
// so that late data never lands in memory that somebody uses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "iscsi/deadline.h"

struct io_uring;

namespace holdfast::scsi {

class BlockQueue {
 public:
  static constexpr size_t transfer_bytes_max = 512 * 1024;

  // Borrows `fd`, opened with O_DIRECT. `name` is for messages.
  BlockQueue(int fd, std::string name);
  ~BlockQueue();
  BlockQueue(const BlockQueue&) = delete;
  BlockQueue& operator=(const BlockQueue&) = delete;

  // `size` at most transfer_bytes_max. After a timeout the queue is of no use any more.
  Status read(uint64_t offset_bytes, void* buffer, size_t size, const Deadline& deadline);
  // Durable when it returns ok.
  Status write(uint64_t offset_bytes, const void* buffer, size_t size, const Deadline& deadline);
  // False: io_uring is not to be had, and calls block for as long as the kernel likes.
  bool has_deadlines() const { return ring_ != nullptr; }

 private:
  // Bytes moved, or -errno; timeout as an Error.
  Result<int> transfer(bool out, uint64_t offset_bytes, size_t size, const Deadline& deadline);
  Result<int> transfer_blocking(bool out, uint64_t offset_bytes, size_t size);
  Status finish(const Result<int>& moved, size_t size, const char* what);

  const int fd_;
  const std::string name_;
  void* pages_ = nullptr;
  std::unique_ptr<io_uring> ring_;
  bool abandoned_ = false;
};

}  // namespace holdfast::scsi
