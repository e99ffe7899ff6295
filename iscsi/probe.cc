#include "iscsi/probe.h"

#include "iscsi/deadline.h"

namespace holdfast::scsi {
namespace {

constexpr uint64_t quorum_bytes_min = 32 * 1024 * 1024;  // quorum_lun_bytes_min of the log layout
// Tag 0 belongs to no cluster (ids.h), so these collide with nobody.
constexpr ReservationKey scratch_key{0x0000'5d1e'77aa'0003};
constexpr ReservationKey second_scratch_key{0x0000'5d1e'77aa'0004};
constexpr ReservationKey absent_key{0x0000'5d1e'77aa'0005};

void judge_common(const ProbeReport& report, ReservationType type, Verdict& out) {
  const Capabilities& c = report.capabilities;
  if (!c.persistent_reservations) out.reasons.push_back("the target has no persistent reservations");
  if (c.persistent_reservations && c.types_mask != 0 && !c.supports(type))
    out.reasons.push_back("the target has no reservations of type \"" + std::string(to_string(type)) + "\"");
  if (c.persistent_reservations && c.types_mask == 0)
    out.warnings.push_back("the target does not report its reservation types; an exercise will tell");
  if (c.identities.empty()) out.warnings.push_back("the target gives the LUN no identity (VPD page 0x83)");
  if (!report.registered.keys.empty())
    out.warnings.push_back(std::to_string(report.registered.keys.size()) +
                           " registrations exist: somebody uses this LUN, or left it without a goodbye");
  for (const ExerciseStep& step : report.exercise)
    if (!step.passed) out.reasons.push_back("the exercise failed at \"" + step.name + "\": " + step.detail);
}

Verdict judge_quorum(const ProbeReport& report) {
  Verdict out;
  judge_common(report, ReservationType::write_exclusive, out);
  if (report.size_bytes < quorum_bytes_min) out.reasons.push_back("the LUN is smaller than 32 MiB");
  for (const Content& content : report.contents) {
    if (content.is_holdfast())
      out.warnings.push_back("it already carries a " + content.kind);
    else
      out.reasons.push_back("it holds something else: " + content.text());
  }
  if (!report.capabilities.preempt_and_abort)
    out.warnings.push_back("without PREEMPT AND ABORT every takeover resets the LUN for all its users");
  out.suitable = out.reasons.empty();
  return out;
}

Verdict judge_data_disk(const ProbeReport& report) {
  Verdict out;
  judge_common(report, ReservationType::write_exclusive_registrants_only, out);
  if (!report.capabilities.preempt_and_abort)
    out.reasons.push_back(
        "the target has no PREEMPT AND ABORT, so writes in flight of a removed owner could still land");
  for (const Content& content : report.contents) {
    if (content.is_holdfast()) out.reasons.push_back("it carries a " + content.kind);
    if (content.kind.starts_with("LVM2") || content.kind.starts_with("md RAID") ||
        content.kind.starts_with("ZFS"))
      out.warnings.push_back("it is a " + content.kind + ", which the system may activate on its own");
  }
  out.suitable = out.reasons.empty();
  return out;
}

struct Exercise {
  Lun& lun;
  const Deadline& deadline;
  std::vector<ExerciseStep>& steps;

  bool step(const char* name, const Status& result) {
    steps.push_back({name, result.has_value(), result ? "" : result.error().text()});
    return result.has_value();
  }
  bool holder_is(const char* name, ReservationKey key, ReservationType type) {
    auto seen = lun.read_reservation(deadline.left());
    if (!seen) return step(name, fail(seen.error()));
    if (seen->key == key && seen->type == type) return step(name, {});
    return step(name, fail(ErrorCode::conflict, "the target shows key " + to_string(seen->key) + ", type " +
                                                    std::string(to_string(seen->type))));
  }
  bool run_type(ReservationType type) {
    return step("register", lun.register_ignore(scratch_key, deadline.left())) &&
           step("reserve", lun.reserve(scratch_key, type, deadline.left())) &&
           holder_is("the holder is shown", scratch_key, type) &&
           step("change the key while holding",
                lun.register_key(scratch_key, second_scratch_key, deadline.left())) &&
           holder_is("the holder follows the key", second_scratch_key, type) &&
           refused("a stale key is refused", lun.register_key(scratch_key, absent_key, deadline.left())) &&
           refused("preempting an absent key is refused",
                   lun.preempt(second_scratch_key, absent_key, type, false, deadline.left())) &&
           step("preempt",
                lun.preempt(second_scratch_key, second_scratch_key, type, false, deadline.left())) &&
           step("release", lun.release(second_scratch_key, type, deadline.left())) &&
           step("unregister", lun.register_key(second_scratch_key, {}, deadline.left()));
  }
  bool refused(const char* name, const Status& result) {
    if (!result && result.error().code == ErrorCode::conflict) return step(name, {});
    return step(name, result ? fail(ErrorCode::conflict, "the target accepted it") : result);
  }
};

void run_exercise(Lun& lun, const Deadline& deadline, ProbeReport& report) {
  Exercise exercise{lun, deadline, report.exercise};
  if (!report.registered.keys.empty() || report.reservation.held()) {
    exercise.step("nobody is registered",
                  fail(ErrorCode::busy, "an exercise would disturb whoever uses the LUN"));
    return;
  }
  bool passed = exercise.run_type(ReservationType::write_exclusive) &&
                exercise.run_type(ReservationType::write_exclusive_registrants_only);
  // Leave nothing behind; what fails here is visible in the next probe.
  if (!passed && lun.is_open() && lun.register_ignore(scratch_key, deadline.left())) {
    if (lun.clear(scratch_key, deadline.left())) return;
    exercise.step("clean up", fail(ErrorCode::io, "scratch keys may have stayed registered"));
  }
}

Status examine(Lun& lun, const Deadline& deadline, const ProbeOptions& options, ProbeReport& report) {
  report.size_bytes = lun.size_bytes();
  HOLDFAST_TRY(report.capabilities, lun.capabilities(deadline.left()));
  if (report.capabilities.persistent_reservations) {
    HOLDFAST_TRY(report.registered, lun.read_keys(deadline.left()));
    HOLDFAST_TRY(report.reservation, lun.read_reservation(deadline.left()));
    if (report.capabilities.read_full_status) {
      HOLDFAST_TRY(report.full_status, lun.read_full_status(deadline.left()));
    }
  }
  HOLDFAST_TRY(report.contents, read_contents(lun, deadline.left()));
  if (options.exercise && report.capabilities.persistent_reservations) run_exercise(lun, deadline, report);
  return {};
}

}  // namespace

ProbeReport probe(Lun& lun, const ProbeOptions& options) {
  ProbeReport report;
  Deadline deadline(options.deadline);
  if (Status done = examine(lun, deadline, options, report); !done) {
    report.error = done.error();
    report.quorum.reasons.push_back(report.error->text());
    report.data_disk.reasons.push_back(report.error->text());
    return report;
  }
  report.quorum = judge_quorum(report);
  report.data_disk = judge_data_disk(report);
  return report;
}

std::optional<std::string> foreign_content(Lun& lun) {
  constexpr Duration limit =
      Duration::seconds(10);  // two short reads; slow controllers take seconds after a failover
  auto contents = read_contents(lun, limit);
  if (!contents) return "unreadable: " + contents.error().text();
  if (contents->empty()) return std::nullopt;
  std::string out;
  for (const Content& content : *contents) out += (out.empty() ? "" : ", ") + content.text();
  return out;
}

}  // namespace holdfast::scsi
