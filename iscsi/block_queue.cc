#include "iscsi/block_queue.h"

#include <liburing.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace holdfast::scsi {

BlockQueue::BlockQueue(int fd, std::string name) : fd_(fd), name_(std::move(name)) {
  void* pages = mmap(nullptr, transfer_bytes_max, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pages_ = pages == MAP_FAILED ? nullptr : pages;
  ring_ = std::make_unique<io_uring>();
  // Hardened kernels and containers switch io_uring off (kernel.io_uring_disabled, seccomp). pread and pwrite
  // do the same work without a deadline then; the helper process (helper_process.h) supplies one.
  if (io_uring_queue_init(2, ring_.get(), 0) != 0) ring_ = nullptr;
}

BlockQueue::~BlockQueue() {
  if (ring_) io_uring_queue_exit(ring_.get());
  if (pages_ != nullptr) munmap(pages_, transfer_bytes_max);
}

Result<int> BlockQueue::transfer_blocking(bool out, uint64_t offset_bytes, size_t size) {
  iovec v{pages_, size};
  ssize_t moved = out ? pwritev2(fd_, &v, 1, static_cast<off_t>(offset_bytes), RWF_DSYNC)
                      : preadv(fd_, &v, 1, static_cast<off_t>(offset_bytes));
  return moved < 0 ? -errno : static_cast<int>(moved);
}

Result<int> BlockQueue::transfer(bool out, uint64_t offset_bytes, size_t size, const Deadline& deadline) {
  HOLDFAST_ASSERT(size <= transfer_bytes_max);
  if (pages_ == nullptr) return -ENOMEM;
  if (!ring_ && !abandoned_) return transfer_blocking(out, offset_bytes, size);
  if (abandoned_) return -ECANCELED;
  io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
  if (entry == nullptr) return -EAGAIN;
  auto length = static_cast<unsigned>(size);
  if (out) {
    io_uring_prep_write(entry, fd_, pages_, length, offset_bytes);
    entry->rw_flags = RWF_DSYNC;  // the block layer sends FUA or flushes, as the device needs it
  } else {
    io_uring_prep_read(entry, fd_, pages_, length, offset_bytes);
  }
  if (int sent = io_uring_submit(ring_.get()); sent < 0) return sent;
  for (;;) {
    timespec left = deadline.left_timespec();
    __kernel_timespec limit{left.tv_sec, left.tv_nsec};
    io_uring_cqe* answer = nullptr;
    int got = io_uring_wait_cqe_timeout(ring_.get(), &answer, &limit);
    if (got == 0) {
      int moved = answer->res;
      io_uring_cqe_seen(ring_.get(), answer);
      return moved;
    }
    if (got == -EINTR) continue;
    abandoned_ = true;
    if (got == -ETIME)
      return fail(ErrorCode::timeout,
                  "Device " + name_ + " did not finish a request in time; it may have been executed");
    return got;
  }
}

Status BlockQueue::finish(const Result<int>& moved, size_t size, const char* what) {
  if (!moved) return fail(moved.error());
  if (*moved == static_cast<int>(size)) return {};
  int error = *moved < 0 ? -*moved : EIO;
  std::string message = std::string(what) + " on device " + name_ + " failed";
  switch (error) {
    case EBADE:  // how the block layer spells a reservation conflict
      return fail(ErrorCode::conflict, message + ": reservation conflict", error);
    case ETIMEDOUT:
      return fail(ErrorCode::timeout, message, error);
    case ENOLINK:
    case ENXIO:
    case ENODEV:
      return fail(ErrorCode::connection_lost, message, error);
    default:
      return fail(ErrorCode::io, message, error);
  }
}

Status BlockQueue::read(uint64_t offset_bytes, void* buffer, size_t size, const Deadline& deadline) {
  Status done = finish(transfer(false, offset_bytes, size, deadline), size, "Reading");
  if (done) memcpy(buffer, pages_, size);
  return done;
}

Status BlockQueue::write(uint64_t offset_bytes, const void* buffer, size_t size, const Deadline& deadline) {
  if (pages_ != nullptr && !abandoned_) memcpy(pages_, buffer, size);
  return finish(transfer(true, offset_bytes, size, deadline), size, "Writing");
}

}  // namespace holdfast::scsi
