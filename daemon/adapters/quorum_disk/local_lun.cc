#include "adapters/quorum_disk/local_lun.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace holdfast {
namespace {

using scsi::Capabilities;
using scsi::FullStatusEntry;
using scsi::RegisteredKeys;
using scsi::Reservation;
using scsi::ReservationType;

class LocalLun : public scsi::Lun {
 public:
  explicit LocalLun(std::string path) : path_(std::move(path)) {}
  ~LocalLun() override { close(); }

  Status open(Duration) override {
    close();
    fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    if (fd_ < 0)
      return fail(ErrorCode::unreachable, "the local quorum file " + path_ + " cannot be opened", errno,
                  "'holdfast cluster create --local-quorum' makes one");
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      int error = errno;
      close();
      return fail(ErrorCode::unreachable, "another process uses the local quorum file " + path_, error,
                  "a local quorum serves one node only");
    }
    struct stat s;
    if (fstat(fd_, &s) != 0)
      return fail(ErrorCode::unreachable, "the size of " + path_ + " cannot be read", errno);
    size_ = static_cast<uint64_t>(s.st_size);
    return {};
  }
  void close() override {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    key_ = {};
    held_ = false;
  }
  bool is_open() const override { return fd_ >= 0; }
  Result<Capabilities> capabilities(Duration) override {
    Capabilities c;
    c.block_size = 512;
    c.block_count = size_ / 512;
    c.vendor = "local";
    c.product = path_;
    c.persistent_reservations = true;
    c.preempt_and_abort = true;
    c.types_mask = 2;
    return c;
  }
  Status test_unit_ready(Duration) override { return {}; }
  Status register_key(ReservationKey existing, ReservationKey wanted, Duration) override {
    if (existing != key_) return conflict();
    return set_key(wanted);
  }
  Status register_ignore(ReservationKey wanted, Duration) override { return set_key(wanted); }
  Status reserve(ReservationKey own, ReservationType, Duration) override {
    if (own != key_ || key_.is_none()) return conflict();
    held_ = true;
    return {};
  }
  Status release(ReservationKey own, ReservationType, Duration) override {
    if (own != key_) return conflict();
    held_ = false;
    return {};
  }
  Status clear(ReservationKey, Duration) override { return set_key({}); }
  Status preempt(ReservationKey own, ReservationKey victim, ReservationType, bool, Duration) override {
    if (own != key_ || victim != key_) return conflict();
    held_ = true;
    return {};
  }
  Result<RegisteredKeys> read_keys(Duration) override {
    RegisteredKeys keys;
    if (!key_.is_none()) keys.keys.push_back(key_);
    return keys;
  }
  Result<Reservation> read_reservation(Duration) override {
    return held_ ? Reservation{key_, ReservationType::write_exclusive, 1} : Reservation{};
  }
  Result<std::vector<FullStatusEntry>> read_full_status(Duration) override {
    return fail(ErrorCode::unsupported, "a local quorum has no full status");
  }
  Status lun_reset(Duration) override { return {}; }
  Status read(uint64_t offset, void* buffer, size_t size, Duration) override {
    auto p = static_cast<char*>(buffer);
    while (size > 0) {
      ssize_t n = pread(fd_, p, size, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return fail(ErrorCode::io, "reading " + path_ + " failed", n < 0 ? errno : 0);
      p += n;
      offset += static_cast<uint64_t>(n);
      size -= static_cast<size_t>(n);
    }
    return {};
  }
  Status write(uint64_t offset, const void* buffer, size_t size, Duration) override {
    auto p = static_cast<const char*>(buffer);
    if (offset + size > size_) return fail(ErrorCode::invalid_argument, "a write beyond the end of " + path_);
    while (size > 0) {
      ssize_t n = pwrite(fd_, p, size, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return fail(ErrorCode::io, "writing " + path_ + " failed", n < 0 ? errno : 0);
      p += n;
      offset += static_cast<uint64_t>(n);
      size -= static_cast<size_t>(n);
    }
    if (fdatasync(fd_) != 0) return fail(ErrorCode::io, "flushing " + path_ + " failed", errno);
    return {};
  }
  uint64_t size_bytes() const override { return size_; }

 private:
  Status conflict() const { return fail(ErrorCode::conflict, "reservation conflict on " + path_); }
  Status set_key(ReservationKey key) {
    key_ = key;
    if (key.is_none()) held_ = false;
    return {};
  }
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
  ReservationKey key_;
  bool held_ = false;
};

}  // namespace

std::unique_ptr<scsi::Lun> make_local_lun(const std::string& path) {
  return std::make_unique<LocalLun>(path);
}

}  // namespace holdfast
