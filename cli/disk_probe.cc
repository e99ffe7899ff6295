// disk probe: what a disk can do and what is on it, before it is given to the cluster. Changes nothing
// without --exercise.
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/actions.h"
#include "cli/output.h"
#include "cli/redact.h"
#include "iscsi/probe.h"

namespace holdfast::cli {
namespace {

constexpr Duration deadline = Duration::seconds(10);
constexpr uint32_t probe_isid = 0x4d00;  // a nexus of its own: never the one of a running service

Result<scsi::ProbeReport> look(const std::string& device, const std::string& initiator, bool exercise) {
  HOLDFAST_TRY(auto attachment, scsi::Attachment::parse(device));
  attachment.initiator_name = initiator;
  attachment.isid_qualifier = probe_isid;
  auto lun = scsi::make_lun(attachment);
  HOLDFAST_CHECK(lun->open(deadline));
  return scsi::probe(*lun, {.deadline = deadline, .exercise = exercise});
}

std::string indented(const std::string& text) {
  std::string out;
  for (size_t start = 0; start < text.size();) {
    size_t end = std::min(text.find('\n', start), text.size());
    out += "  " + text.substr(start, end - start) + "\n";
    start = end + 1;
  }
  return out;
}

}  // namespace

int disk_probe(Context& context, const ProbeOptions& o) {
  std::string initiator = o.initiator;
  if (initiator.empty())
    if (auto config = load_node_config(context.config_path)) initiator = config->quorum.initiator_name;
  if (initiator.empty()) initiator = "iqn.2026-11.io.holdfast:probe";
  if (o.exercise)
    if (int no =
            confirm(context, "This registers, reserves and preempts with scratch keys on the given disks"))
      return no;
  int result = exit_ok;
  Json all = Json::array();
  for (const auto& device : o.devices) {
    std::string shown = redact(device);
    auto found = look(device, initiator, o.exercise);
    Error error = found ? found->error.value_or(Error{ErrorCode::ok, 0, "", ""}) : found.error();
    if (error.code != ErrorCode::ok) {
      result = exit_failed;
      error.message = "cannot probe " + shown + ": " + error.message;
    }
    if (context.json) {
      Json json = {{"device", shown},
                   {"reachable", found.has_value()},
                   {"error", error.code == ErrorCode::ok ? Json(nullptr) : Json(error.text())},
                   {"probe", found ? Json::parse(scsi::to_json(*found)) : Json(nullptr)}};
      all.push_back(std::move(json));
      continue;
    }
    if (found) context.out << shown << "\n" << indented(scsi::to_text(*found));
    if (error.code != ErrorCode::ok) report(context, error);
  }
  if (context.json) print_json(context.out, all);
  return result;
}

}  // namespace holdfast::cli
