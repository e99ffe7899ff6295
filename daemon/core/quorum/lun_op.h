// LunOp, LunResult: the primitive commands that the core orders on the quorum LUN, and their completions. The
// adapter executes them one after the other on one nexus, never repeats one, and never reconnects by itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"
#include "core/properties/bounds.h"

namespace holdfast::core {

struct LunOp {
  enum class Kind : uint8_t {
    open,
    close,
    register_key,
    register_ignore,
    reserve,
    release,
    preempt,
    read_keys,
    read_reservation,
    lun_reset,
    read,
    write
  };
  uint64_t token = 0;
  Kind kind = Kind::open;
  ReservationKey own;    // register_key: the existing key
  ReservationKey other;  // register_key: the wanted one; preempt: the victim
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;  // read
  std::string data;         // write: whole blocks; durable when it completes
  // write: then read the reservation as well, unless the session was lost. The result's code is that of the
  // write when `holder_known`, else that of the reading.
  bool then_read_reservation = false;
  Duration deadline = lun_command_max;
};

struct LunResult {
  uint64_t token = 0;
  ErrorCode code = ErrorCode::ok;
  std::string message;
  std::string data;                  // read
  ReservationKey holder;             // read_reservation: 0 = none
  bool write_exclusive = false;      // read_reservation: of type 1
  bool holder_known = false;         // the reservation was read
  std::vector<ReservationKey> keys;  // read_keys
  uint64_t lun_bytes = 0;            // open
  bool preempt_and_abort = false;    // open: the target has the command
  bool ok() const { return code == ErrorCode::ok; }
  // The session is gone: whatever was under way may have happened.
  bool session_lost() const {
    return code == ErrorCode::timeout || code == ErrorCode::connection_lost ||
           code == ErrorCode::unreachable || code == ErrorCode::cancelled || code == ErrorCode::io;
  }
};

}  // namespace holdfast::core
