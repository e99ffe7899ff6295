#include "iscsi/scsi_lun.h"

#include <algorithm>

#include "base/bytes.h"
#include "iscsi/sense.h"

namespace holdfast::scsi {
namespace {

// One event raises one unit attention at a nexus: a preempt and the reset after it make two. Five leave room.
constexpr int attempts_max = 5;
// A new nexus may find a whole queue of them.
constexpr int attempts_at_open_max = 32;
// Larger transfers are split: targets and libiscsi both have limits from 1 MiB on.
constexpr size_t chunk_bytes = 512 * 1024;
constexpr size_t alignment_bytes = 4096;
// PERSISTENT RESERVE IN counts its buffer in 16 bits.
constexpr size_t reserve_in_bytes_max = 65528;

}  // namespace

ScsiLun::ScsiLun(Attachment attachment, std::unique_ptr<Transport> transport)
    : attachment_(std::move(attachment)), name_(attachment_.text()), transport_(std::move(transport)) {}

tl::unexpected<Error> ScsiLun::drop_if_uncertain(Error error) {
  if (error.uncertain() || error.code == ErrorCode::unreachable) transport_->close();
  return fail(std::move(error));
}

Result<size_t> ScsiLun::run(const Command& command, const Deadline& deadline, int attempts) {
  for (int attempt = 1;; ++attempt) {
    Result<Completion> answer = transport_->execute(command, deadline);
    if (!answer) return drop_if_uncertain(std::move(answer.error()));
    if (is_unit_attention(*answer)) {
      ++unit_attentions_;
      shaken_ = shaken_ || shakes_reservation(*answer);
      if (attempt < attempts && !deadline.passed()) continue;
    }
    Status verdict = judge(*answer, command.name, name_);
    if (!verdict) return drop_if_uncertain(std::move(verdict.error()));
    return answer->transferred;
  }
}

Result<size_t> ScsiLun::run(const Command& command, const Deadline& deadline) {
  return run(command, deadline, attempts_max);
}

Result<size_t> ScsiLun::run_write(const Command& command, const Deadline& deadline) {
  for (int attempt = 1;; ++attempt) {
    auto put = run(command, deadline, 1);
    const bool harmless = !put && put.error().code == ErrorCode::unit_attention && !shaken_;
    if (!harmless || attempt == attempts_max || deadline.passed()) return put;
  }
}

Status ScsiLun::fetch(const Command& command, std::vector<uint8_t>& answer, const Deadline& deadline) {
  HOLDFAST_TRY(size_t got, run(command, deadline));
  answer.resize(std::min(got, answer.size()));
  return {};
}

Status ScsiLun::open(Duration limit) {
  Deadline deadline(limit);
  ready_ = false;
  HOLDFAST_CHECK(transport_->open(deadline));
  Status done;
  if (auto ready = run(test_unit_ready_command(), deadline, attempts_at_open_max); !ready)
    done = fail(std::move(ready.error()));
  if (done) done = learn_basics(deadline);
  if (done) {
    learn_caching(deadline);
    learn_limits(deadline);
    learn_persistence(deadline);
    ready_ = transport_->is_open();
    shaken_ = false;
    if (ready_) return {};
    done = fail(ErrorCode::unreachable, "LUN " + name_ + " stopped answering while it was opened");
  }
  transport_->close();
  Error error = std::move(done.error());
  // Nothing that changes the target was sent, so nothing is uncertain.
  if (error.uncertain()) error.code = ErrorCode::unreachable;
  return fail(std::move(error));
}

Status ScsiLun::learn_basics(const Deadline& deadline) {
  std::vector<uint8_t> answer;
  HOLDFAST_CHECK(fetch(inquiry_command(answer), answer, deadline));
  if (answer.empty() || (answer[0] & 0xe0) != 0)
    return fail(ErrorCode::not_found, "There is no LUN " + name_);
  if ((answer[0] & 0x1f) != 0)
    return fail(ErrorCode::unsupported, "LUN " + name_ + " is not a disk (SCSI device type " +
                                            std::to_string(answer[0] & 0x1f) + ")");
  basics_ = {};
  decode_inquiry(answer, basics_);
  HOLDFAST_CHECK(fetch(read_capacity_command(answer), answer, deadline));
  if (answer.size() < 12) return fail(ErrorCode::corrupt, "LUN " + name_ + " does not tell its size");
  const uint64_t last_block = get_be(&answer[0], 8);
  basics_.block_count = last_block + 1;
  basics_.block_size = static_cast<uint32_t>(get_be(&answer[8], 4));
  if (basics_.block_size < 512 || alignment_bytes % basics_.block_size != 0)
    return fail(ErrorCode::unsupported, "LUN " + name_ + " has blocks of " +
                                            std::to_string(basics_.block_size) +
                                            " bytes; 512 to 4096 are supported");
  if (last_block >= static_cast<uint64_t>(INT64_MAX) / basics_.block_size)
    return fail(ErrorCode::corrupt, "LUN " + name_ + " claims more bytes than can be counted");
  return {};
}

void ScsiLun::learn_caching(const Deadline& deadline) {
  constexpr size_t header_bytes = 4;
  // A target that does not tell is treated as having a cache that must be flushed.
  basics_.write_cache = true;
  basics_.dpofua = false;
  std::vector<uint8_t> answer;
  if (!fetch(caching_page_command(answer), answer, deadline) || answer.size() < header_bytes) return;
  basics_.dpofua = (answer[2] & 0x10) != 0;
  size_t page = header_bytes + answer[3];
  if (answer.size() > page + 2 && (answer[page] & 0x3f) == 0x08)
    basics_.write_cache = (answer[page + 2] & 0x04) != 0;
}

void ScsiLun::learn_limits(const Deadline& deadline) {
  std::vector<uint8_t> page;
  transfer_blocks_max_ = 0;
  basics_.compare_and_write = false;
  if (!fetch(vital_page_command(0xb0, page), page, deadline) || page.size() < 12 || page[1] != 0xb0) return;
  basics_.compare_and_write = page[5] > 0;
  transfer_blocks_max_ = get_be(&page[8], 4);
}

void ScsiLun::learn_persistence(const Deadline& deadline) {
  std::vector<uint8_t> answer;
  if (!attachment_.persist_through_power_loss) return;  // one question less on every open
  if (fetch_reserve_in(ReserveIn::report_capabilities, answer, deadline))
    decode_pr_capabilities(answer, basics_);
}

Status ScsiLun::test_unit_ready(Duration limit) {
  HOLDFAST_TRY([[maybe_unused]] size_t got, run(test_unit_ready_command(), Deadline(limit)));
  return {};
}

Status ScsiLun::reserve_out(ReserveOut action, const ReserveOutParameters& parameters, Duration limit) {
  std::vector<uint8_t> list;
  const Deadline deadline(limit);
  auto answer = run(reserve_out_command(action, parameters, list), deadline);
  if (answer) return {};
  // LIO says "not ready, logical unit communication failure" (02/0800) to RESERVE, RELEASE and CLEAR of an
  // initiator that is not registered, where SPC-4 wants a reservation conflict. A caller that was preempted
  // meanwhile must learn that, and not be told to try again. Only the list of keys tells the two apart.
  const bool about_own_key =
      action == ReserveOut::reserve || action == ReserveOut::release || action == ReserveOut::clear;
  if (about_own_key && answer.error().code == ErrorCode::busy && !deadline.passed()) {
    std::vector<uint8_t> listed;
    HOLDFAST_CHECK(fetch_reserve_in(ReserveIn::read_keys, listed, deadline));
    HOLDFAST_TRY(RegisteredKeys registered, decode_keys(listed));
    if (std::find(registered.keys.begin(), registered.keys.end(), parameters.key) == registered.keys.end())
      return fail(ErrorCode::conflict,
                  answer.error().message + "; " + to_string(parameters.key) + " is not registered");
  }
  return fail(std::move(answer.error()));
}

Status ScsiLun::register_key(ReservationKey existing, ReservationKey wanted, Duration limit) {
  bool persist = attachment_.persist_through_power_loss && basics_.aptpl_capable;
  return reserve_out(ReserveOut::register_key, {existing, wanted, ReservationType::none, persist}, limit);
}

Status ScsiLun::register_ignore(ReservationKey wanted, Duration limit) {
  bool persist = attachment_.persist_through_power_loss && basics_.aptpl_capable;
  return reserve_out(ReserveOut::register_ignore, {{}, wanted, ReservationType::none, persist}, limit);
}

Status ScsiLun::reserve(ReservationKey own, ReservationType type, Duration limit) {
  return reserve_out(ReserveOut::reserve, {own, {}, type}, limit);
}

Status ScsiLun::release(ReservationKey own, ReservationType type, Duration limit) {
  return reserve_out(ReserveOut::release, {own, {}, type}, limit);
}

Status ScsiLun::clear(ReservationKey own, Duration limit) {
  return reserve_out(ReserveOut::clear, {own}, limit);
}

Status ScsiLun::preempt(ReservationKey own, ReservationKey victim, ReservationType type, bool abort,
                        Duration limit) {
  return reserve_out(abort ? ReserveOut::preempt_and_abort : ReserveOut::preempt, {own, victim, type}, limit);
}

Status ScsiLun::fetch_reserve_in(ReserveIn action, std::vector<uint8_t>& answer, const Deadline& deadline) {
  answer.assign(4096, 0);
  HOLDFAST_CHECK(fetch(reserve_in_command(action, answer), answer, deadline));
  if (action == ReserveIn::report_capabilities || announced_bytes(answer) <= answer.size()) return {};
  answer.assign(std::min(announced_bytes(answer), reserve_in_bytes_max), 0);
  // Registrations may come in between; the decoders refuse an answer that is still cut.
  return fetch(reserve_in_command(action, answer), answer, deadline);
}

Result<RegisteredKeys> ScsiLun::read_keys(Duration limit) {
  std::vector<uint8_t> answer;
  HOLDFAST_CHECK(fetch_reserve_in(ReserveIn::read_keys, answer, Deadline(limit)));
  return decode_keys(answer);
}

Result<Reservation> ScsiLun::read_reservation(Duration limit) {
  std::vector<uint8_t> answer;
  HOLDFAST_CHECK(fetch_reserve_in(ReserveIn::read_reservation, answer, Deadline(limit)));
  shaken_ = false;
  return decode_reservation(answer);
}

Result<std::vector<FullStatusEntry>> ScsiLun::read_full_status(Duration limit) {
  std::vector<uint8_t> answer;
  HOLDFAST_CHECK(fetch_reserve_in(ReserveIn::read_full_status, answer, Deadline(limit)));
  return decode_full_status(answer);
}

Status ScsiLun::lun_reset(Duration limit) {
  Status done = transport_->lun_reset(Deadline(limit));
  if (!done) return drop_if_uncertain(std::move(done.error()));
  return {};
}

Status ScsiLun::check_range(uint64_t offset_bytes, size_t size) const {
  if (!is_open()) return fail(ErrorCode::unreachable, "No session to LUN " + name_ + " is open");
  if (offset_bytes % alignment_bytes != 0 || size % alignment_bytes != 0)
    return fail(ErrorCode::invalid_argument, "Offset " + std::to_string(offset_bytes) + " and size " +
                                                 std::to_string(size) + " on LUN " + name_ +
                                                 " are not multiples of 4096 bytes");
  if (offset_bytes > size_bytes() || size > size_bytes() - offset_bytes)
    return fail(ErrorCode::invalid_argument, "Offset " + std::to_string(offset_bytes) + " and size " +
                                                 std::to_string(size) + " reach beyond the end of LUN " +
                                                 name_);
  return {};
}

size_t ScsiLun::transfer_bytes_max() const {
  if (transfer_blocks_max_ == 0) return chunk_bytes;
  uint64_t target_bytes = transfer_blocks_max_ * basics_.block_size;
  // A limit below one aligned piece cannot be honoured by aligned requests; such targets are not seen.
  return std::max<uint64_t>(
      alignment_bytes, std::min<uint64_t>(chunk_bytes, target_bytes / alignment_bytes * alignment_bytes));
}

Status ScsiLun::read(uint64_t offset_bytes, void* buffer, size_t size, Duration limit) {
  HOLDFAST_CHECK(check_range(offset_bytes, size));
  Deadline deadline(limit);
  auto* bytes = static_cast<uint8_t*>(buffer);
  for (size_t done = 0; done < size;) {
    size_t chunk = std::min(size - done, transfer_bytes_max());
    uint64_t at = offset_bytes + done;
    if (transport_->has_block_io()) {
      Status got = transport_->read_blocks(at, bytes + done, chunk, deadline);
      if (!got) return drop_if_uncertain(std::move(got.error()));
    } else {
      auto blocks = static_cast<uint32_t>(chunk / basics_.block_size);
      HOLDFAST_TRY(size_t got,
                   run(read_command(at / basics_.block_size, blocks, bytes + done, chunk), deadline));
      if (got != chunk)
        return drop_if_uncertain({ErrorCode::io, 0, "LUN " + name_ + " returned a short read", ""});
    }
    done += chunk;
  }
  return {};
}

Status ScsiLun::write(uint64_t offset_bytes, const void* buffer, size_t size, Duration limit) {
  HOLDFAST_CHECK(check_range(offset_bytes, size));
  Deadline deadline(limit);
  const auto* bytes = static_cast<const uint8_t*>(buffer);
  for (size_t done = 0; done < size;) {
    // Repeating the write would write without the reservation that protected it.
    if (shaken_)
      return fail(ErrorCode::unit_attention,
                  "LUN " + name_ + " was reset or its reservations were taken: nothing was written", 0,
                  "look at the reservation first");
    size_t chunk = std::min(size - done, transfer_bytes_max());
    uint64_t at = offset_bytes + done;
    if (transport_->has_block_io()) {
      Status put = transport_->write_blocks(at, bytes + done, chunk, deadline);
      if (!put) return drop_if_uncertain(std::move(put.error()));
    } else {
      auto blocks = static_cast<uint32_t>(chunk / basics_.block_size);
      HOLDFAST_TRY(size_t put, run_write(write_command(at / basics_.block_size, blocks, bytes + done, chunk,
                                                       basics_.dpofua),
                                         deadline));
      if (put != chunk)
        return drop_if_uncertain({ErrorCode::io, 0, "LUN " + name_ + " accepted a short write", ""});
    }
    done += chunk;
  }
  if (transport_->has_block_io() || basics_.dpofua || !basics_.write_cache) return {};
  auto flushed = run(synchronize_cache_command(), deadline);
  // Without the command there is no cache that it could flush.
  if (!flushed && flushed.error().code != ErrorCode::unsupported) return fail(std::move(flushed.error()));
  return {};
}

}  // namespace holdfast::scsi
