// ProbeReport as text and as JSON.
#include <nlohmann/json.hpp>

#include "iscsi/probe.h"

namespace holdfast::scsi {
namespace {

const char* yes_no(bool value) {
  return value ? "yes" : "no";
}

std::string size_text(uint64_t bytes) {
  static constexpr const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  uint64_t shown = bytes;
  while (shown >= 10240 && unit + 1 < std::size(units)) {
    shown /= 1024;
    ++unit;
  }
  return std::to_string(shown) + " " + units[unit];
}

void print_verdict(std::string& out, const char* what, const Verdict& verdict) {
  out += std::string(what) + ": " + yes_no(verdict.suitable) + "\n";
  for (const std::string& reason : verdict.reasons) out += "  no, because " + reason + "\n";
  for (const std::string& warning : verdict.warnings) out += "  note: " + warning + "\n";
}

std::string types_text(const Capabilities& c) {
  std::string out;
  for (int type = 1; type <= 8; ++type)
    if ((c.types_mask >> type) & 1) out += (out.empty() ? "" : " ") + std::to_string(type);
  return out.empty() ? "not reported" : out;
}

nlohmann::json to_object(const Verdict& verdict) {
  return {{"suitable", verdict.suitable}, {"reasons", verdict.reasons}, {"warnings", verdict.warnings}};
}

}  // namespace

std::string to_text(const ProbeReport& report) {
  const Capabilities& c = report.capabilities;
  std::string out;
  if (report.error) out += "error: " + report.error->text() + "\n";
  out += "device: " + c.vendor + " " + c.product + " " + c.revision +
         (c.serial.empty() ? "" : ", serial " + c.serial) + "\n";
  for (const std::string& identity : c.identities) out += "identity: " + identity + "\n";
  out += "size: " + size_text(report.size_bytes) + ", blocks of " + std::to_string(c.block_size) + " bytes\n";
  out += std::string("durable writes: ") +
         (c.dpofua        ? "force unit access"
          : c.write_cache ? "flush of the write cache"
                          : "no write cache") +
         "\n";
  out += std::string("persistent reservations: ") + yes_no(c.persistent_reservations) + "\n";
  if (c.persistent_reservations) {
    out += "  types: " + types_text(c) + "\n";
    out += std::string("  preempt and abort: ") + yes_no(c.preempt_and_abort) + "\n";
    out += std::string("  survive a power loss: ") + yes_no(c.aptpl_capable) +
           (c.aptpl_active ? " (active)" : "") + "\n";
    out += std::string("  full status: ") + yes_no(c.read_full_status) + "\n";
    out += "  generation: " + std::to_string(report.registered.generation) + "\n";
    for (ReservationKey key : report.registered.keys) out += "  registered: " + to_string(key) + "\n";
    for (const FullStatusEntry& e : report.full_status)
      out += "  nexus: " + to_string(e.key) + " " + e.transport_id + (e.holder ? " (holder)" : "") + "\n";
    if (report.reservation.held())
      out += "  reserved: " + to_string(report.reservation.key) + ", " +
             std::string(to_string(report.reservation.type)) + "\n";
  }
  out += std::string("compare and write: ") + yes_no(c.compare_and_write) + "\n";
  if (report.contents.empty() && !report.error) out += "content: none (both ends are zero)\n";
  for (const Content& content : report.contents) out += "content: " + content.text() + "\n";
  for (const ExerciseStep& step : report.exercise)
    out += "exercise: " + step.name + ": " + (step.passed ? "passed" : "FAILED: " + step.detail) + "\n";
  print_verdict(out, "can carry a quorum", report.quorum);
  print_verdict(out, "can be a data disk", report.data_disk);
  return out;
}

std::string to_json(const ProbeReport& report) {
  using nlohmann::json;
  const Capabilities& c = report.capabilities;
  json out = {{"vendor", c.vendor},
              {"product", c.product},
              {"revision", c.revision},
              {"serial", c.serial},
              {"identities", c.identities},
              {"size_bytes", report.size_bytes},
              {"block_size", c.block_size},
              {"force_unit_access", c.dpofua},
              {"write_cache", c.write_cache},
              {"persistent_reservations", c.persistent_reservations},
              {"preempt_and_abort", c.preempt_and_abort},
              {"read_full_status", c.read_full_status},
              {"aptpl_capable", c.aptpl_capable},
              {"aptpl_active", c.aptpl_active},
              {"all_target_ports", c.all_target_ports},
              {"compare_and_write", c.compare_and_write},
              {"generation", report.registered.generation},
              {"quorum", to_object(report.quorum)},
              {"data_disk", to_object(report.data_disk)}};
  out["types"] = json::array();
  for (int type = 1; type <= 8; ++type)
    if ((c.types_mask >> type) & 1) out["types"].push_back(type);
  out["keys"] = json::array();
  for (ReservationKey key : report.registered.keys) out["keys"].push_back(to_string(key));
  out["reservation"] = nullptr;
  if (report.reservation.held())
    out["reservation"] = {{"key", to_string(report.reservation.key)},
                          {"type", static_cast<int>(report.reservation.type)}};
  out["nexuses"] = json::array();
  for (const FullStatusEntry& e : report.full_status)
    out["nexuses"].push_back(
        {{"key", to_string(e.key)}, {"transport_id", e.transport_id}, {"holder", e.holder}});
  out["contents"] = json::array();
  for (const Content& content : report.contents)
    out["contents"].push_back({{"kind", content.kind},
                               {"label", content.label},
                               {"uuid", content.uuid},
                               {"offset_bytes", content.offset_bytes}});
  out["exercise"] = json::array();
  for (const ExerciseStep& step : report.exercise)
    out["exercise"].push_back({{"name", step.name}, {"passed", step.passed}, {"detail", step.detail}});
  out["error"] = report.error ? json(report.error->text()) : json(nullptr);
  // Names come from the target; whatever is not UTF-8 must not make the report fail.
  return out.dump(2, ' ', false, json::error_handler_t::replace);
}

}  // namespace holdfast::scsi
