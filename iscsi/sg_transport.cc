// Disks that the kernel attached (SAS, FC, kernel iSCSI): SCSI commands by SG_IO, data by O_DIRECT.
// SG_IO may sit in the kernel beyond its own timeout; who cannot afford that uses make_helper_lun().
#include <cstdint>  // the header of libiscsi needs it and does not say so

#include <fcntl.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <iscsi/scsi-lowlevel.h>

#include "iscsi/block_queue.h"
#include "iscsi/sense.h"
#include "iscsi/transport.h"

namespace holdfast::scsi {
namespace {

// Host status bytes of include/scsi/scsi_status.h, which user space does not get.
constexpr unsigned host_no_connect = 0x01;
constexpr unsigned host_bus_busy = 0x02;
constexpr unsigned host_time_out = 0x03;
constexpr unsigned driver_sense = 0x08;
// Of the kernel's scsi/sg.h; the header of the C library is older.
constexpr int reset_no_escalate = 0x100;

class SgTransport : public Transport {
 public:
  explicit SgTransport(const Attachment& attachment) : name_(attachment.device) {}
  ~SgTransport() override { close(); }

  Status open(const Deadline& deadline) override;
  void close() override;
  bool is_open() const override { return fd_ >= 0; }
  Result<Completion> execute(const Command& command, const Deadline& deadline) override;
  Status lun_reset(const Deadline& deadline) override;
  bool has_block_io() const override { return true; }
  Status read_blocks(uint64_t offset, void* buffer, size_t size, const Deadline& deadline) override {
    return queue_->read(offset, buffer, size, deadline);
  }
  Status write_blocks(uint64_t offset, const void* buffer, size_t size, const Deadline& deadline) override {
    return queue_->write(offset, buffer, size, deadline);
  }

 private:
  Status refuse_indirect(dev_t device) const;
  tl::unexpected<Error> lost(ErrorCode code, const std::string& command, const std::string& why,
                             int os_errno = 0);

  const std::string name_;
  int fd_ = -1;
  std::unique_ptr<BlockQueue> queue_;
};

// A reservation belongs to a path. On a partition or a device-mapper device the kernel would choose the path,
// or send the command to one of several.
Status SgTransport::refuse_indirect(dev_t device) const {
  namespace fs = std::filesystem;
  fs::path sys = "/sys/dev/block/" + std::to_string(major(device)) + ":" + std::to_string(minor(device));
  std::error_code ignored;
  if (fs::exists(sys / "partition", ignored))
    return fail(ErrorCode::invalid_argument, "Device " + name_ + " is a partition", 0, "use the whole disk");
  if (!fs::exists(sys / "dm", ignored) && !fs::exists(sys / "md", ignored)) return {};
  std::string below;
  for (const auto& slave : fs::directory_iterator(sys / "slaves", ignored))
    below += (below.empty() ? "/dev/" : ", /dev/") + slave.path().filename().string();
  return fail(ErrorCode::invalid_argument,
              "Device " + name_ + " is a mapped device, on which reservations cannot be placed", 0,
              below.empty() ? "use an underlying disk" : "use the underlying paths: " + below);
}

Status SgTransport::open(const Deadline&) {
  close();
  struct stat about {};
  if (stat(name_.c_str(), &about) != 0) {
    int why = errno;
    return fail(why == ENOENT ? ErrorCode::not_found : ErrorCode::unreachable,
                "Device " + name_ + " cannot be found", why);
  }
  if (!S_ISBLK(about.st_mode)) return fail(ErrorCode::invalid_argument, name_ + " is not a block device");
  HOLDFAST_CHECK(refuse_indirect(about.st_rdev));
  fd_ = ::open(name_.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) {
    int why = errno;
    bool refused = why == EACCES || why == EPERM || why == EROFS;
    return fail(refused ? ErrorCode::permission : ErrorCode::unreachable,
                "Device " + name_ + " cannot be opened", why);
  }
  queue_ = std::make_unique<BlockQueue>(fd_, name_);
  return {};
}

void SgTransport::close() {
  queue_.reset();
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

tl::unexpected<Error> SgTransport::lost(ErrorCode code, const std::string& command, const std::string& why,
                                        int os_errno) {
  close();
  return fail(code, command + " on device " + name_ + ": " + why, os_errno);
}

Result<Completion> SgTransport::execute(const Command& command, const Deadline& deadline) {
  if (!is_open()) return fail(ErrorCode::unreachable, "Device " + name_ + " is not open");
  if (deadline.passed())
    return lost(ErrorCode::unreachable, command.name, "no time is left, it was not sent");
  auto cdb = command.cdb;
  uint8_t sense[64] = {};
  sg_io_hdr_t io{};
  io.interface_id = 'S';
  io.dxfer_direction = command.direction == Direction::in    ? SG_DXFER_FROM_DEV
                       : command.direction == Direction::out ? SG_DXFER_TO_DEV
                                                             : SG_DXFER_NONE;
  io.cmd_len = static_cast<unsigned char>(command.cdb_size);
  io.cmdp = cdb.data();
  io.dxferp = command.data;
  io.dxfer_len = static_cast<unsigned>(command.size);
  io.sbp = sense;
  io.mx_sb_len = sizeof sense;
  io.timeout = static_cast<unsigned>(std::max<int64_t>(1, deadline.left().ms()));
  if (ioctl(fd_, SG_IO, &io) != 0) {
    int why = errno;
    if (why == ENOTTY || why == EINVAL)
      return lost(ErrorCode::unsupported, command.name, "this is not a SCSI disk", why);
    // The kernel refuses without sending: filtered command, or the disk is gone.
    return lost(why == EPERM || why == EACCES ? ErrorCode::permission : ErrorCode::connection_lost,
                command.name, "the kernel refused it", why);
  }
  Completion out;
  out.status = io.status & 0x7e;  // the rest of the byte is vendor's
  size_t left_over = io.resid > 0 ? static_cast<size_t>(io.resid) : 0;
  out.transferred = command.size - std::min(left_over, command.size);
  if (out.status != status_good) {
    if (out.status == status_check_condition) {
      scsi_sense parsed{};
      scsi_parse_sense_data(&parsed, sense);
      out.sense_key = static_cast<uint8_t>(parsed.key);
      out.sense_code = static_cast<uint16_t>(parsed.ascq);
    }
    return out;
  }
  if (io.host_status == host_no_connect || io.host_status == host_bus_busy)
    return lost(ErrorCode::connection_lost, command.name, "the path to the disk is down");
  if (io.host_status == host_time_out)
    return lost(ErrorCode::timeout, command.name, "no answer in time; it may have been executed");
  if (io.host_status != 0 || (io.driver_status & 0x0f & ~driver_sense) != 0)
    return lost(ErrorCode::connection_lost, command.name,
                "the host adapter failed it (host status " + std::to_string(io.host_status) + ")");
  return out;
}

Status SgTransport::lun_reset(const Deadline&) {
  if (!is_open()) return fail(ErrorCode::unreachable, "Device " + name_ + " is not open");
  // No escalation: a reset of the target or of the bus would hit LUNs that are none of our business.
  int what = SG_SCSI_RESET_DEVICE | reset_no_escalate;
  if (ioctl(fd_, SG_SCSI_RESET, &what) == 0) return {};
  int why = errno;
  if (why == EAGAIN || why == EBUSY)
    return fail(ErrorCode::busy, "Device " + name_ + " is being reset already", why);
  if (why == EACCES || why == EPERM)
    return fail(ErrorCode::permission, "Device " + name_ + " may not be reset by this process", why);
  return fail(ErrorCode::unsupported, "Device " + name_ + " cannot be reset", why);
}

}  // namespace

std::unique_ptr<Transport> make_sg_transport(const Attachment& attachment) {
  return std::make_unique<SgTransport>(attachment);
}

}  // namespace holdfast::scsi
