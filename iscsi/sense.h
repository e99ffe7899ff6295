// What an answer of the target means to a caller: the one table from status and sense to ErrorCode.
#pragma once

#include <string>

#include "base/error.h"
#include "iscsi/transport.h"

namespace holdfast::scsi {

constexpr uint8_t status_good = 0x00;
constexpr uint8_t status_check_condition = 0x02;
constexpr uint8_t status_condition_met = 0x04;
constexpr uint8_t status_busy = 0x08;
constexpr uint8_t status_reservation_conflict = 0x18;
constexpr uint8_t status_task_set_full = 0x28;
constexpr uint8_t status_task_aborted = 0x40;

// A unit attention is delivered instead of executing the command.
bool is_unit_attention(const Completion& completion);
// One that says that the reservation may be gone: power on or reset (29h), reservations or registrations
// preempted or released (2Ah 03h to 05h; SPC-4 annex D).
bool shakes_reservation(const Completion& completion);

// Ok for GOOD, else the error that names the LUN, the command and the sense.
Status judge(const Completion& completion, const std::string& command, const std::string& lun);

}  // namespace holdfast::scsi
