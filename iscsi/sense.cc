#include "iscsi/sense.h"

#include <cstdio>

namespace holdfast::scsi {
namespace {

enum SenseKey : uint8_t {
  recovered_error = 0x1,
  not_ready = 0x2,
  illegal_request = 0x5,
  unit_attention = 0x6,
  data_protect = 0x7,
  miscompare = 0xe,
};

struct Meaning {
  ErrorCode code;
  const char* text;
};

Meaning illegal_request_meaning(uint16_t sense_code) {
  switch (sense_code) {
    case 0x2000:
    case 0x2400:
      return {ErrorCode::unsupported, "the target does not support it"};
    case 0x2100:
      return {ErrorCode::invalid_argument, "the address is beyond the end of the LUN"};
    case 0x2500:
      return {ErrorCode::not_found, "the target has no such LUN"};
    case 0x2604:
      return {ErrorCode::invalid_argument, "the reservation to release has another type"};
    case 0x5504:
      return {ErrorCode::full, "the target has no room for another registration"};
    default:
      return {ErrorCode::invalid_argument, "the target calls it an illegal request"};
  }
}

Meaning check_condition_meaning(uint8_t key, uint16_t sense_code) {
  switch (key) {
    case not_ready:
      return {ErrorCode::busy, "the LUN is not ready"};
    case illegal_request:
      return illegal_request_meaning(sense_code);
    case unit_attention:
      return {ErrorCode::unit_attention, "the target keeps reporting unit attentions"};
    case data_protect:
      return {ErrorCode::permission, "the LUN is write protected"};
    case miscompare:
      return {ErrorCode::conflict, "the data on the LUN is not what was expected"};
    default:
      // Medium, hardware and aborted-command errors may strike in the middle of the work.
      return {ErrorCode::io, "the target reports an error"};
  }
}

}  // namespace

bool is_unit_attention(const Completion& completion) {
  return completion.status == status_check_condition && completion.sense_key == unit_attention;
}

bool shakes_reservation(const Completion& completion) {
  return is_unit_attention(completion) &&
         (completion.sense_code >> 8 == 0x29 || completion.sense_code == 0x2a03 ||
          completion.sense_code == 0x2a04 || completion.sense_code == 0x2a05);
}

Status judge(const Completion& completion, const std::string& command, const std::string& lun) {
  Meaning meaning{};
  char detail[64] = "";
  switch (completion.status) {
    case status_good:
    case status_condition_met:
      return {};
    case status_check_condition:
      if (completion.sense_key == recovered_error) return {};
      meaning = check_condition_meaning(completion.sense_key, completion.sense_code);
      snprintf(detail, sizeof detail, " (sense %02x/%04x)", completion.sense_key, completion.sense_code);
      break;
    case status_reservation_conflict:
      meaning = {ErrorCode::conflict, "reservation conflict"};
      break;
    case status_busy:
    case status_task_set_full:
      meaning = {ErrorCode::busy, "the target is busy"};
      break;
    case status_task_aborted:
      meaning = {ErrorCode::cancelled, "another initiator aborted it"};
      break;
    default:
      meaning = {ErrorCode::io, "the target answers with an unknown status"};
      snprintf(detail, sizeof detail, " (status %02x)", completion.status);
  }
  return fail(meaning.code, command + " on LUN " + lun + " failed: " + meaning.text + detail);
}

}  // namespace holdfast::scsi
