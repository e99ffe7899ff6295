// Builders of the SCSI commands that Holdfast sends, and decoders of what comes back. Pure: no I/O, bytes in
// and out. SPC-4 names and layouts; everything is big-endian.
#pragma once

#include <string>
#include <vector>

#include "iscsi/transport.h"

namespace holdfast::scsi {

Command test_unit_ready_command();
Command inquiry_command(std::vector<uint8_t>& answer);
Command vital_page_command(uint8_t page, std::vector<uint8_t>& answer);
Command read_capacity_command(std::vector<uint8_t>& answer);
Command caching_page_command(std::vector<uint8_t>& answer);
Command synchronize_cache_command();
Command read_command(uint64_t block, uint32_t count, void* buffer, size_t size);
Command write_command(uint64_t block, uint32_t count, const void* buffer, size_t size,
                      bool force_unit_access);

enum class ReserveIn : uint8_t {
  read_keys = 0,
  read_reservation = 1,
  report_capabilities = 2,
  read_full_status = 3
};
Command reserve_in_command(ReserveIn action, std::vector<uint8_t>& answer);

enum class ReserveOut : uint8_t {
  register_key = 0,
  reserve = 1,
  release = 2,
  clear = 3,
  preempt = 4,
  preempt_and_abort = 5,
  register_ignore = 6,
};
constexpr size_t reserve_out_bytes = 24;
struct ReserveOutParameters {
  ReservationKey key;         // the key of this nexus
  ReservationKey action_key;  // the new key, or the victim's
  ReservationType type = ReservationType::none;
  bool persist = false;  // APTPL
};
// `list` receives the parameter list and must live as long as the command.
Command reserve_out_command(ReserveOut action, const ReserveOutParameters& parameters,
                            std::vector<uint8_t>& list);

// Each returns corrupt when the bytes cannot be what they should be. `answer` is cut to what was received.
Result<RegisteredKeys> decode_keys(const std::vector<uint8_t>& answer);
Result<Reservation> decode_reservation(const std::vector<uint8_t>& answer);
Result<std::vector<FullStatusEntry>> decode_full_status(const std::vector<uint8_t>& answer);
// How long the whole answer of READ KEYS or READ FULL STATUS is, so that a short buffer can grow.
size_t announced_bytes(const std::vector<uint8_t>& answer);
void decode_pr_capabilities(const std::vector<uint8_t>& answer, Capabilities& out);
// Vendor, product, revision.
void decode_inquiry(const std::vector<uint8_t>& answer, Capabilities& out);
// Designators of the logical unit in VPD 0x83, best first.
std::vector<std::string> decode_identities(const std::vector<uint8_t>& page);
std::string decode_serial(const std::vector<uint8_t>& page);

}  // namespace holdfast::scsi
