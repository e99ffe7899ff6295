// disk release: takes a disk out of the cluster's hands. A disk stays reserved when its resource goes offline
// or is deleted (docs/decisions/0004), so somebody has to say when it may be used for something else.
#include <strings.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/actions.h"
#include "cli/output.h"
#include "cli/redact.h"
#include "cli/service.h"
#include "iscsi/probe.h"

namespace holdfast::cli {
namespace {

constexpr Duration deadline = Duration::seconds(10);
constexpr uint32_t release_isid = 0x4d01;  // a nexus of its own: never the one of a running service
// Tag 0, which no cluster has.
constexpr ReservationKey scratch_key{0x0000'5d1e'77aa'0006};

std::string owner_of(ReservationKey key, uint16_t tag) {
  if (tag == 0 || key.tag() != tag) return "a key that is not of this cluster (" + to_string(key) + ")";
  return "node " + std::to_string(key.node().value) + " of this cluster (" + to_string(key) + ")";
}

// The resource that uses this disk, or nothing.
Result<std::string> resource_with(Context& context, const std::string& device,
                                  const scsi::ProbeReport& disk) {
  HOLDFAST_TRY(auto client, client::Client::connect(context.socket, service_timeout, "holdfast"));
  HOLDFAST_TRY(auto status, client.status(service_timeout));
  auto same = [&](const std::string& named) {
    if (named == device || redact(named) == redact(device)) return true;
    const auto& names = disk.capabilities.identities;
    return std::any_of(names.begin(), names.end(),
                       [&](const auto& name) { return strcasecmp(name.c_str(), named.c_str()) == 0; });
  };
  for (const auto& resource : status.resources()) {
    if (resource.type() != "physical-disk") continue;
    for (const auto& p : resource.properties())
      if (p.name() == "Device" && same(p.value())) return resource.name();
    for (const auto& text : resource.published())
      if (text.starts_with("Identity=") && same(text.substr(9))) return resource.name();
  }
  return std::string();
}

Status check(Context& context, const ReleaseOptions& o, uint16_t tag, const scsi::ProbeReport& disk) {
  for (const auto& content : disk.contents)
    if (content.is_holdfast() && !o.force)
      return fail(ErrorCode::busy, "it carries a " + content.kind, 0,
                  "a quorum ends with 'holdfast cluster destroy --wipe-quorum'");
  std::vector<ReservationKey> keys = disk.registered.keys;
  if (disk.reservation.held()) keys.push_back(disk.reservation.key);
  for (auto key : keys)
    if ((tag == 0 || key.tag() != tag) && !o.force)
      return fail(ErrorCode::foreign, "it is registered with " + owner_of(key, tag), 0,
                  "--force when nobody uses it any more");
  if (tag == 0) return {};
  auto resource = resource_with(context, o.device, disk);
  if (resource && !resource->empty())
    return fail(ErrorCode::busy, "it is the disk of resource '" + *resource + "'", 0,
                "delete that first: 'holdfast resource delete " + *resource + "'");
  if (!resource && !o.force)
    return fail(ErrorCode::unreachable,
                "the service does not answer, so nobody knows whether a resource uses it", 0,
                "start holdfastd, or --force when the cluster is stopped on every node");
  return {};
}

Status clear(scsi::Lun& lun) {
  HOLDFAST_CHECK(lun.register_ignore(scratch_key, deadline));
  Status cleared = lun.clear(scratch_key, deadline);
  if (!cleared && lun.is_open()) (void)lun.register_key(scratch_key, {}, deadline);
  return cleared;
}

}  // namespace

int disk_release(Context& context, const ReleaseOptions& o) {
  const std::string shown = redact(o.device);
  auto refuse = [&](Error error) {
    error.message = "cannot release " + shown + ": " + error.message;
    return report(context, error);
  };
  auto config = load_node_config(context.config_path);
  if (config && context.socket.empty()) context.socket = config->socket_path();
  auto attachment = scsi::Attachment::parse(o.device);
  if (!attachment) return refuse(attachment.error());
  attachment->initiator_name = !o.initiator.empty() ? o.initiator
                               : config             ? config->quorum.initiator_name
                                                    : std::string();
  if (attachment->initiator_name.empty()) attachment->initiator_name = "iqn.2026-11.io.holdfast:probe";
  attachment->isid_qualifier = release_isid;
  auto lun = scsi::make_lun(*attachment);
  if (auto opened = lun->open(deadline); !opened) return refuse(opened.error());
  const scsi::ProbeReport disk = scsi::probe(*lun);
  if (disk.error) return refuse(*disk.error);
  const bool free = disk.registered.keys.empty() && !disk.reservation.held();
  const uint16_t tag = config ? cluster_tag(config->cluster_id) : uint16_t{0};
  if (!free) {
    if (auto may = check(context, o, tag, disk); !may) return refuse(may.error());
    const ReservationKey holder =
        disk.reservation.held() ? disk.reservation.key : disk.registered.keys.front();
    if (int no = confirm(context, "This ends the reservation of " + shown + " by " + owner_of(holder, tag) +
                                      "; a machine that still has it mounted can write to it afterwards"))
      return no;
    if (auto done = clear(*lun); !done) return refuse(done.error());
  }
  if (context.json)
    print_json(context.out, Json{{"device", shown}, {"was_reserved", !free}});
  else
    context.out << shown << (free ? ": nobody has it reserved\n" : ": released\n");
  return exit_ok;
}

}  // namespace holdfast::cli
