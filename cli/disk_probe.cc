// disk probe: what a disk can do and what is on it, before it is given to the cluster. Changes nothing.
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/actions.h"
#include "cli/output.h"
#include "cli/quorum_device.h"
#include "cli/redact.h"
#include "core/log/layout.h"
#include "iscsi/lun.h"

namespace holdfast::cli {
namespace {

constexpr Duration deadline = Duration::milliseconds(5000);

struct Finding {
  scsi::Capabilities can;
  scsi::Reservation reservation;
  std::vector<std::string> keys;
  uint64_t size_bytes = 0;
  std::string content;
  std::vector<std::string> problems;  // why it cannot be a clustered disk
};

Result<Finding> look(const std::string& device, const std::string& initiator) {
  HOLDFAST_TRY(auto attachment, scsi::Attachment::parse(device));
  attachment.initiator_name = initiator;
  attachment.isid_qualifier = 0x4d00;
  auto lun = scsi::make_lun(attachment);
  HOLDFAST_CHECK(lun->open(deadline));
  Finding f;
  HOLDFAST_TRY(f.can, lun->capabilities(deadline));
  f.size_bytes = lun->size_bytes();
  if (f.can.persistent_reservations) {
    HOLDFAST_TRY(f.reservation, lun->read_reservation(deadline));
    HOLDFAST_TRY(auto keys, lun->read_keys(deadline));
    for (auto key : keys.keys) f.keys.push_back(to_string(key));
  }
  std::string head(std::min<uint64_t>(256 * 1024, f.size_bytes) / 4096 * 4096, '\0');
  if (auto read = lun->read(0, head.data(), head.size(), deadline); !read) {
    f.content = "cannot be read: " + read.error().text();
  } else if (auto view = core::decode_superblocks(head.substr(0, core::head_bytes)); head.size() >= core::head_bytes && view.valid) {
    f.content = "quorum of Holdfast cluster '" + view.superblock.cluster_name() + "' (" + view.superblock.cluster_id() + ")";
  } else {
    f.content = describe_content(head);
    if (f.content.empty()) f.content = "blank";
  }
  using T = scsi::ReservationType;
  if (!f.can.persistent_reservations) f.problems.push_back("no persistent reservations: it cannot be guarded");
  else if (!f.can.supports(T::write_exclusive)) f.problems.push_back("no reservation type Write Exclusive: not for the quorum");
  else if (!f.can.supports(T::write_exclusive_registrants_only))
    f.problems.push_back("no reservation type Write Exclusive, Registrants Only: not for data on several paths");
  if (!f.can.preempt_and_abort && f.can.persistent_reservations)
    f.problems.push_back("no PREEMPT AND ABORT: a LUN reset is used instead, which is slower");
  if (f.can.identities.empty()) f.problems.push_back("no identity (VPD page 0x83): it cannot be found again");
  if (f.size_bytes < core::quorum_lun_bytes_min)
    f.problems.push_back("smaller than " + std::to_string(core::quorum_lun_bytes_min >> 20) + " MiB: not for the quorum");
  return f;
}

Json to_json(const std::string& device, const Finding& f) {
  return {{"device", redact(device)},
          {"reachable", true},
          {"vendor", f.can.vendor},
          {"product", f.can.product},
          {"revision", f.can.revision},
          {"serial", f.can.serial},
          {"identities", f.can.identities},
          {"size_bytes", f.size_bytes},
          {"block_size", f.can.block_size},
          {"write_cache", f.can.write_cache},
          {"persistent_reservations", f.can.persistent_reservations},
          {"preempt_and_abort", f.can.preempt_and_abort},
          {"read_full_status", f.can.read_full_status},
          {"aptpl_capable", f.can.aptpl_capable},
          {"reservation", f.reservation.held() ? Json{{"key", to_string(f.reservation.key)},
                                                      {"type", std::string(scsi::to_string(f.reservation.type))},
                                                      {"generation", f.reservation.generation}}
                                               : Json(nullptr)},
          {"registered_keys", f.keys},
          {"content", f.content},
          {"problems", f.problems}};
}

void print(std::ostream& out, const std::string& device, const Finding& f) {
  auto line = [&](const char* name, const std::string& text) {
    out << "  " << name << std::string(14 - std::min<size_t>(13, std::string(name).size()), ' ') << text << "\n";
  };
  out << redact(device) << "\n";
  line("Hardware", f.can.vendor + " " + f.can.product + " " + f.can.revision + ", " + std::to_string(f.size_bytes >> 20) + " MiB");
  for (const auto& id : f.can.identities) line("Identity", id);
  line("Content", f.content);
  line("Reservation", f.reservation.held() ? to_string(f.reservation.key) + " " + std::string(scsi::to_string(f.reservation.type)) : "none");
  std::string keys;
  for (const auto& key : f.keys) keys += (keys.empty() ? "" : ", ") + key;
  if (!keys.empty()) line("Registered", keys);
  for (const auto& problem : f.problems) line("NOTE", problem);
  if (f.problems.empty()) line("Fit", "yes, for quorum and data");
}

}  // namespace

int disk_probe(Context& context, const ProbeOptions& o) {
  std::string initiator = o.initiator;
  if (initiator.empty())
    if (auto config = load_node_config(context.config_path)) initiator = config->quorum.initiator_name;
  if (initiator.empty()) initiator = "iqn.2026-11.io.holdfast:probe";
  int result = exit_ok;
  Json all = Json::array();
  for (const auto& device : o.devices) {
    auto found = look(device, initiator);
    if (!found) {
      result = exit_failed;
      Error error = found.error();
      error.message = "cannot probe " + redact(device) + ": " + error.message;
      if (context.json)
        all.push_back({{"device", redact(device)}, {"reachable", false}, {"error", std::string(to_string(error.code))}, {"message", error.message}});
      else
        report(context, error);
    } else if (context.json) {
      all.push_back(to_json(device, *found));
    } else {
      print(context.out, device, *found);
    }
  }
  if (context.json) print_json(context.out, all);
  return result;
}

}  // namespace holdfast::cli
