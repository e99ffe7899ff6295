// The part of ScsiLun that asks what a LUN can do. Every question is one that changes nothing.
#include "iscsi/scsi_lun.h"

namespace holdfast::scsi {
namespace {

// Keys that no cluster uses: tag 0 is never given to one (ids.h).
constexpr ReservationKey nobodys_key{0x0000'5d1e'77aa'0001};
constexpr ReservationKey nobodys_victim{0x0000'5d1e'77aa'0002};

}  // namespace

// Asks with a key that this nexus never has: a target that knows the service action must answer with a
// conflict, and nothing changes. REPORT SUPPORTED OPERATION CODES would be the polite way, but LIO 6.1 lacks
// it and tgtd says yes to what it then refuses.
bool ScsiLun::probe_preempt_and_abort(const Deadline& deadline) {
  std::vector<uint8_t> list;
  ReserveOutParameters nobody{nobodys_key, nobodys_victim, ReservationType::write_exclusive};
  auto answer = run(reserve_out_command(ReserveOut::preempt_and_abort, nobody, list), deadline);
  return !answer && answer.error().code == ErrorCode::conflict;
}

Result<Capabilities> ScsiLun::capabilities(Duration limit) {
  if (!is_open()) return fail(ErrorCode::unreachable, "No session to LUN " + name_ + " is open");
  Deadline deadline(limit);
  Capabilities out = basics_;
  std::vector<uint8_t> answer;
  if (fetch(vital_page_command(0x83, answer), answer, deadline)) out.identities = decode_identities(answer);
  if (fetch(vital_page_command(0x80, answer), answer, deadline)) out.serial = decode_serial(answer);

  out.persistent_reservations = fetch_reserve_in(ReserveIn::read_keys, answer, deadline).has_value();
  if (out.persistent_reservations) {
    if (fetch_reserve_in(ReserveIn::report_capabilities, answer, deadline))
      decode_pr_capabilities(answer, out);
    out.read_full_status = fetch_reserve_in(ReserveIn::read_full_status, answer, deadline).has_value();
    out.preempt_and_abort = probe_preempt_and_abort(deadline);
  }
  // Unsupported questions are answers; a broken session is not.
  if (!is_open())
    return fail(ErrorCode::unreachable, "LUN " + name_ + " stopped answering while it was examined");
  return out;
}

std::unique_ptr<Lun> make_lun(const Attachment& attachment) {
  bool block_device = attachment.kind == Attachment::Kind::block_device;
  return std::make_unique<ScsiLun>(
      attachment, block_device ? make_sg_transport(attachment) : make_iscsi_transport(attachment));
}

}  // namespace holdfast::scsi
