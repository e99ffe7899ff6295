#include "cli/quorum_device.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <sstream>

#include "cli/redact.h"
#include "core/log/layout.h"
#include "iscsi/probe.h"

namespace holdfast::cli {
namespace {

constexpr Duration command_deadline = Duration::milliseconds(5000);
// A holder writes a beacon every 200 ms; five of them missed is as good as none.
constexpr int beacon_watch_ms = 1000;

// What both kinds have in common: bytes at the beginning.
class Device {
 public:
  static Result<std::unique_ptr<Device>> open(const NodeConfig& c) {
    auto d = std::make_unique<Device>();
    d->name_ = redact(c.quorum.device);
    if (c.quorum.kind == "local") {
      d->path_ = c.quorum.device;
      return d;
    }
    HOLDFAST_TRY(auto attachment, scsi::Attachment::parse(c.quorum.device));
    attachment.initiator_name = c.quorum.initiator_name;
    // Not the service's own path: our look must not disturb its session.
    attachment.isid_qualifier = 0x4c00 | (static_cast<uint32_t>(getpid()) & 0xff);
    d->lun_ = scsi::make_lun(attachment);
    HOLDFAST_CHECK(d->lun_->open(command_deadline));
    return d;
  }
  scsi::Lun* lun() { return lun_.get(); }
  const std::string& name() const { return name_; }

  // Less than `size` when the device is smaller; empty when a local file does not exist.
  Result<std::string> read(size_t size) {
    std::string bytes(size, '\0');
    if (lun_) {
      bytes.resize(std::min<uint64_t>(size, lun_->size_bytes()) / 4096 * 4096);
      HOLDFAST_CHECK(lun_->read(0, bytes.data(), bytes.size(), command_deadline));
      return bytes;
    }
    int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return std::string();
    if (fd < 0) return fail(ErrorCode::io, "cannot read " + path_, errno);
    ssize_t n = pread(fd, bytes.data(), size, 0);
    int why = errno;
    ::close(fd);
    if (n < 0) return fail(ErrorCode::io, "cannot read " + path_, why);
    bytes.resize(static_cast<size_t>(n));
    return bytes;
  }

 private:
  std::unique_ptr<scsi::Lun> lun_;
  std::string path_, name_;
};

std::string superblock_text(const disk::Superblock& s) {
  std::ostringstream out;
  out << "cluster " << s.cluster_id() << " '" << s.cluster_name() << "' epoch " << s.epoch() << " holder "
      << s.holder() << " members";
  for (const auto& m : s.members()) out << " " << m.node();
  out << " configured " << to_string(NodeSet(s.configured_nodes())) << " orderly " << s.orderly_shutdown()
      << " log " << s.log_start_bytes() << "+" << s.log_size_bytes() << " format " << s.format_version();
  return out.str();
}

Status look_at_reservations(scsi::Lun& lun, QuorumContent* content) {
  HOLDFAST_TRY(auto what, lun.capabilities(command_deadline));
  content->device = what.vendor + " " + what.product + ", " + std::to_string(lun.size_bytes() >> 20) + " MiB";
  if (!what.persistent_reservations)
    return fail(ErrorCode::unsupported, "the target has no SCSI-3 persistent reservations", 0,
                "another target or LUN; 'holdfast disk probe' shows what each can");
  HOLDFAST_TRY(auto reservation, lun.read_reservation(command_deadline));
  if (reservation.held())
    content->reservation = to_string(reservation.key) + " " + std::string(scsi::to_string(reservation.type));
  HOLDFAST_TRY(auto keys, lun.read_keys(command_deadline));
  for (auto key : keys.keys) content->registered_keys.push_back(to_string(key));
  return {};
}

Result<QuorumContent> inspect(Device& device) {
  QuorumContent content;
  if (device.lun()) HOLDFAST_CHECK(look_at_reservations(*device.lun(), &content));
  HOLDFAST_TRY(std::string head, device.read(core::head_bytes));
  if (head.size() < core::head_bytes) {
    content.blank = head.empty();
    if (!head.empty()) content.foreign = "a file of " + std::to_string(head.size()) + " bytes";
    return content;
  }
  auto view = core::decode_superblocks(head);
  if (!view.valid) {
    if (device.lun())
      content.foreign = scsi::foreign_content(*device.lun()).value_or("");
    else if (!view.blank)
      content.foreign = "a file that is no quorum";
    content.blank = content.foreign.empty();
    return content;
  }
  content.cluster_id = view.superblock.cluster_id();
  content.cluster_name = view.superblock.cluster_name();
  content.epoch = view.superblock.epoch();
  content.orderly = view.superblock.orderly_shutdown();
  content.superblock_text = superblock_text(view.superblock);
  poll(nullptr, 0, beacon_watch_ms);
  HOLDFAST_TRY(std::string later, device.read(core::head_bytes));
  content.alive = later != head;
  return content;
}

// Takes the reservation from a dead holder, writes, and clears every registration.
Status wipe_lun(scsi::Lun& lun, const NodeConfig& c, uint64_t epoch) {
  auto own = ReservationKey::make(cluster_tag(c.cluster_id), epoch + 1, c.node);
  HOLDFAST_CHECK(lun.register_ignore(own, command_deadline));
  auto take = [&]() -> Status {
    HOLDFAST_TRY(auto held, lun.read_reservation(command_deadline));
    if (!held.held()) return lun.reserve(own, scsi::ReservationType::write_exclusive, command_deadline);
    if (held.key == own) return {};
    auto type = scsi::ReservationType::write_exclusive;
    auto taken = lun.preempt(own, held.key, type, true, command_deadline);
    if (!taken && taken.error().code == ErrorCode::unsupported)
      taken = lun.preempt(own, held.key, type, false, command_deadline);
    return taken;
  };
  Status done = take();
  std::string zero(core::head_bytes, '\0');
  if (done) done = lun.write(0, zero.data(), zero.size(), command_deadline);
  // clear() gives the reservation back with all registrations; when we got nowhere, only our own is
  // withdrawn.
  Status given_back = done ? lun.clear(own, command_deadline) : lun.register_key(own, {}, command_deadline);
  return done ? given_back : done;
}

}  // namespace

Result<QuorumContent> inspect_quorum(const NodeConfig& config) {
  HOLDFAST_TRY(auto device, Device::open(config));
  return inspect(*device);
}

Status wipe_quorum(const NodeConfig& config) {
  HOLDFAST_TRY(auto device, Device::open(config));
  HOLDFAST_TRY(auto content, inspect(*device));
  if (content.cluster_id.empty()) return {};  // nothing of ours is there
  if (content.cluster_id != config.cluster_id)
    return fail(ErrorCode::foreign,
                device->name() + " belongs to another cluster, '" + content.cluster_name + "'", 0,
                "it was left alone");
  if (content.alive)
    return fail(ErrorCode::busy, device->name() + " is in use: its beacon moves", 0,
                "stop the other nodes: 'holdfast cluster shutdown'");
  if (device->lun()) return wipe_lun(*device->lun(), config, content.epoch);
  std::error_code error;
  std::filesystem::remove(config.quorum.device, error);
  if (error) return fail(ErrorCode::io, "cannot remove " + config.quorum.device, error.value());
  return {};
}

}  // namespace holdfast::cli
