// Records of the recovery log on the quorum LUN (M5): one record = one batch of updates that shared a disk
// write.
//
// A position counts bytes since the log began and only grows; its place in the ring is position % ring size.
// A record never crosses the end of the ring: when it would, it begins at the next multiple of the ring size.
// Each record names its predecessor (epoch, sequence, CRC): replay follows that chain, stops where it breaks
// (the torn tail of a crash) and refuses an epoch that falls.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "proto/disk.pb.h"

namespace holdfast::core {

// Identity of a record, for the chain.
struct RecordId {
  uint64_t epoch = 0;
  uint64_t sequence = 0;  // of its last update
  uint32_t crc = 0;
  bool operator==(const RecordId&) const = default;
};

// Where the next record goes, and what it has to name as its predecessor.
struct LogCursor {
  uint64_t position_bytes = 0;
  RecordId previous;
};

constexpr size_t record_header_bytes = 80;

struct EncodedRecord {
  uint64_t position_bytes = 0;  // where it has to be written (after a jump over the end of the ring)
  std::string bytes;            // whole blocks
  LogCursor next;
};

// `epoch` is the view that writes; the batch's updates are in order. A batch without updates marks an epoch's
// start; it carries the sequence of its predecessor.
EncodedRecord encode_record(const LogCursor& at, uint64_t ring_bytes, uint64_t epoch,
                            const disk::LogBatch& batch);

struct DecodedRecord {
  disk::LogBatch batch;
  RecordId id;
  uint64_t size_bytes = 0;  // on disk, whole blocks
  uint64_t epoch = 0;
};

// Decodes what stands at `position_bytes`; `bytes` begins there. corrupt: no record, torn, rotten, or not the
// successor of `previous`. busy: the record is longer than `available`; read more (its message says how
// much).
Result<DecodedRecord> decode_record(const char* bytes, size_t available, uint64_t position_bytes,
                                    const RecordId& previous, size_t* needed);

// The biggest record a ring takes.
constexpr uint64_t record_bytes_max = 4 * 1024 * 1024;

}  // namespace holdfast::core
