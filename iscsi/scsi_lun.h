// ScsiLun: the Lun over any Transport. Knows the commands and the outcome rules; see
// docs/protocols/reservations.md.
#pragma once

#include "iscsi/commands.h"
#include "iscsi/transport.h"

namespace holdfast::scsi {

class ScsiLun : public Lun {
 public:
  ScsiLun(Attachment attachment, std::unique_ptr<Transport> transport);

  Status open(Duration deadline) override;
  void close() override { transport_->close(); }
  bool is_open() const override { return ready_ && transport_->is_open(); }

  Result<Capabilities> capabilities(Duration deadline) override;
  Status test_unit_ready(Duration deadline) override;
  Status register_key(ReservationKey existing, ReservationKey wanted, Duration deadline) override;
  Status register_ignore(ReservationKey wanted, Duration deadline) override;
  Status reserve(ReservationKey own, ReservationType type, Duration deadline) override;
  Status release(ReservationKey own, ReservationType type, Duration deadline) override;
  Status clear(ReservationKey own, Duration deadline) override;
  Status preempt(ReservationKey own, ReservationKey victim, ReservationType type, bool abort,
                 Duration deadline) override;
  Result<RegisteredKeys> read_keys(Duration deadline) override;
  Result<Reservation> read_reservation(Duration deadline) override;
  Result<std::vector<FullStatusEntry>> read_full_status(Duration deadline) override;
  Status lun_reset(Duration deadline) override;
  Status read(uint64_t offset_bytes, void* buffer, size_t size, Duration deadline) override;
  Status write(uint64_t offset_bytes, const void* buffer, size_t size, Duration deadline) override;
  uint64_t size_bytes() const override { return basics_.block_count * basics_.block_size; }
  uint64_t unit_attention_count() const override { return unit_attentions_; }

 private:
  // Runs a command; repeats it while it is answered with a unit attention. Ok: how many bytes were
  // transferred.
  Result<size_t> run(const Command& command, const Deadline& deadline, int attempts);
  Result<size_t> run(const Command& command, const Deadline& deadline);
  // As above, but not repeated after a unit attention that says that the reservation may be gone.
  Result<size_t> run_write(const Command& command, const Deadline& deadline);
  // Runs a command that fills `answer`, and cuts it to what came.
  Status fetch(const Command& command, std::vector<uint8_t>& answer, const Deadline& deadline);
  Status fetch_reserve_in(ReserveIn action, std::vector<uint8_t>& answer, const Deadline& deadline);
  Status reserve_out(ReserveOut action, const ReserveOutParameters& parameters, Duration deadline);
  // Closes the session when `error` leaves doubt about what the target did.
  tl::unexpected<Error> drop_if_uncertain(Error error);

  Status learn_basics(const Deadline& deadline);
  void learn_caching(const Deadline& deadline);
  void learn_limits(const Deadline& deadline);
  void learn_persistence(const Deadline& deadline);
  bool probe_preempt_and_abort(const Deadline& deadline);

  Status check_range(uint64_t offset_bytes, size_t size) const;
  size_t transfer_bytes_max() const;

  const Attachment attachment_;
  const std::string name_;
  const std::unique_ptr<Transport> transport_;
  bool ready_ = false;                // open() has finished
  Capabilities basics_;               // what open() learned; the rest is asked by capabilities()
  uint64_t transfer_blocks_max_ = 0;  // of the target; 0 = no limit reported
  uint64_t unit_attentions_ = 0;
  bool shaken_ = false;  // a unit attention said that the reservation may be gone; nobody has looked since
};

}  // namespace holdfast::scsi
