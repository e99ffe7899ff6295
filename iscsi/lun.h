// Lun: one nexus to one logical unit, as the quorum and the disks use it: persistent reservations, LUN reset,
// block I/O.
//
// It reports what happened and decides nothing: it never reconnects, never replays, and repeats a command
// only when the target said that it was not executed (unit attention). Rules and outcomes:
// docs/protocols/reservations.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"

namespace holdfast::scsi {

// Type codes of SPC-3, as they travel in PERSISTENT RESERVE commands.
enum class ReservationType : uint8_t {
  none = 0,
  write_exclusive = 1,
  exclusive_access = 3,
  write_exclusive_registrants_only = 5,
  exclusive_access_registrants_only = 6,
  write_exclusive_all_registrants = 7,
  exclusive_access_all_registrants = 8,
};
std::string_view to_string(ReservationType type);

// READ RESERVATION. With an all-registrants type the key is 0 and every registrant holds.
struct Reservation {
  ReservationKey key;
  ReservationType type = ReservationType::none;
  uint32_t generation = 0;
  bool held() const { return type != ReservationType::none; }
  bool operator==(const Reservation&) const = default;
};

// READ KEYS. A key appears once for each nexus that registered it: twins are visible.
struct RegisteredKeys {
  uint32_t generation = 0;
  std::vector<ReservationKey> keys;
};

struct FullStatusEntry {
  ReservationKey key;
  bool holder = false;
  ReservationType type = ReservationType::none;
  uint16_t relative_port = 0;
  std::string transport_id;  // iSCSI: "iqn…,i,0x<isid>"; others: "protocol N: <hex>"
};

struct Capabilities {
  uint32_t block_size = 0;
  uint64_t block_count = 0;
  std::string vendor, product, revision;
  std::vector<std::string>
      identities;  // VPD 0x83 designators of the unit: naa.…, eui.…, t10.…, scsi-name.…, best first
  std::string serial;        // VPD 0x80
  bool dpofua = false;       // WRITE honours Force Unit Access
  bool write_cache = false;  // WCE of the caching mode page; true when the target does not say
  bool persistent_reservations = false;
  bool preempt_and_abort = false;
  bool read_full_status = false;
  bool aptpl_capable = false;  // registrations can survive a power loss of the target
  bool aptpl_active = false;
  bool all_target_ports = false;
  bool compare_and_write = false;
  uint16_t types_mask = 0;  // bit n = type code n is supported
  bool supports(ReservationType type) const { return (types_mask >> static_cast<int>(type)) & 1; }
};

// Where a LUN is and who we are.
struct Attachment {
  enum class Kind : uint8_t { none, iscsi, block_device };

  // Reads "iscsi://[user%pass@]HOST:PORT/IQN/LUN" (numeric host, IPv6 in brackets: a name look-up would
  // block) or
  // "/dev/…" (a whole SCSI disk). Errors: invalid_argument.
  static Result<Attachment> parse(std::string_view text);

  Kind kind = Kind::none;
  std::string host;  // iSCSI: numeric address without brackets
  uint16_t port = 3260;
  std::string target;
  uint16_t lun = 0;
  std::string user, password;  // CHAP; both empty = none
  std::string device;          // block device: the path as given

  // iSCSI only. Together they name our end of the nexus, so they must differ between nodes and between the
  // paths of one node, and must be the same after every restart: a registration belongs to them.
  std::string initiator_name;
  uint32_t isid_qualifier = 0;

  // Ask that registrations survive a power loss of the target (APTPL) whenever the target can. Off: LIO
  // refuses the registration when its /var/target/pr is missing, and amnesia is judged by the superblock
  // anyway.
  bool persist_through_power_loss = false;

  // For messages: never contains the password.
  std::string text() const;
};

// Blocking calls, each with the longest time it may take. Not thread-safe: one thread owns a Lun.
// After an error that is uncertain(), or `unreachable`, the session is dead: is_open() is false. Call open()
// again (the target sees the same initiator port) and verify keys, holder and generation before any I/O.
class Lun {
 public:
  virtual ~Lun() = default;

  // Connects, logs in, consumes pending unit attentions, learns size and caching. Executes nothing that
  // matters, so its failures are never uncertain: unreachable, permission (CHAP), not_found, unsupported,
  // invalid_argument.
  virtual Status open(Duration deadline) = 0;
  // Drops the session without a logout. Never blocks.
  virtual void close() = 0;
  virtual bool is_open() const = 0;

  virtual Result<Capabilities> capabilities(Duration deadline) = 0;
  // Also answers the pings of an iSCSI target, which drops sessions that stay silent: LIO after 15 to 30 s.
  virtual Status test_unit_ready(Duration deadline) = 0;

  // REGISTER; `wanted` 0 unregisters. conflict: `existing` is not our key.
  virtual Status register_key(ReservationKey existing, ReservationKey wanted, Duration deadline) = 0;
  // REGISTER AND IGNORE EXISTING KEY.
  virtual Status register_ignore(ReservationKey wanted, Duration deadline) = 0;
  virtual Status reserve(ReservationKey own, ReservationType type, Duration deadline) = 0;
  virtual Status release(ReservationKey own, ReservationType type, Duration deadline) = 0;
  virtual Status clear(ReservationKey own, Duration deadline) = 0;
  // PREEMPT or PREEMPT AND ABORT. conflict: we are not registered with `own`, or nobody has `victim`.
  // unsupported: the target has no PREEMPT AND ABORT.
  virtual Status preempt(ReservationKey own, ReservationKey victim, ReservationType type, bool abort,
                         Duration deadline) = 0;
  virtual Result<RegisteredKeys> read_keys(Duration deadline) = 0;
  virtual Result<Reservation> read_reservation(Duration deadline) = 0;
  virtual Result<std::vector<FullStatusEntry>> read_full_status(Duration deadline) = 0;
  // LOGICAL UNIT RESET: every command in flight, of every initiator, is gone when it returns.
  virtual Status lun_reset(Duration deadline) = 0;

  // `offset_bytes` and `size` are multiples of 4096 and inside the LUN, else invalid_argument.
  virtual Status read(uint64_t offset_bytes, void* buffer, size_t size, Duration deadline) = 0;
  // Durable when it returns ok: FUA where the target has it, else SYNCHRONIZE CACHE when it has a write
  // cache.
  virtual Status write(uint64_t offset_bytes, const void* buffer, size_t size, Duration deadline) = 0;
  virtual uint64_t size_bytes() const = 0;

  // How many unit attentions were met since creation: a change means "somebody reset, preempted or resized:
  // look".
  virtual uint64_t unit_attention_count() const { return 0; }
};

// A closed Lun of the right backend. Never null; what is wrong with the attachment is told by open().
std::unique_ptr<Lun> make_lun(const Attachment& attachment);

}  // namespace holdfast::scsi
