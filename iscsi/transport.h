// Transport: carries one SCSI command at a time to one logical unit. ScsiLun builds the commands, a Transport
// moves them: libiscsi (iscsi_transport.h) or SG_IO (sg_transport.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "iscsi/deadline.h"
#include "iscsi/lun.h"

namespace holdfast::scsi {

enum class Direction : uint8_t { none, in, out };

struct Command {
  std::string name;  // for messages: "PREEMPT", "READ(16)"
  std::array<uint8_t, 16> cdb{};
  size_t cdb_size = 0;
  Direction direction = Direction::none;
  void* data = nullptr;  // `size` bytes; a Direction::out command only reads them
  size_t size = 0;
};

// What the target answered. Every answer is a Completion, also a refusal.
struct Completion {
  uint8_t status = 0;       // SAM status byte
  uint8_t sense_key = 0;    // valid with CHECK CONDITION
  uint16_t sense_code = 0;  // ASC << 8 | ASCQ
  size_t transferred = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual Status open(const Deadline& deadline) = 0;
  virtual void close() = 0;
  virtual bool is_open() const = 0;
  // Errors mean that there was no answer (timeout, connection_lost, unreachable); the transport is closed
  // then.
  virtual Result<Completion> execute(const Command& command, const Deadline& deadline) = 0;
  virtual Status lun_reset(const Deadline& deadline) = 0;

  // A transport that has a better way than READ(16) and WRITE(16) says so; write_blocks is durable.
  virtual bool has_block_io() const { return false; }
  virtual Status read_blocks(uint64_t, void*, size_t, const Deadline&) {
    return fail(ErrorCode::internal, "this transport has no block I/O of its own");
  }
  virtual Status write_blocks(uint64_t, const void*, size_t, const Deadline&) {
    return fail(ErrorCode::internal, "this transport has no block I/O of its own");
  }
};

std::unique_ptr<Transport> make_iscsi_transport(const Attachment& attachment);
std::unique_ptr<Transport> make_sg_transport(const Attachment& attachment);

}  // namespace holdfast::scsi
