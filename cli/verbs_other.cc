#include "cli/actions.h"
#include "cli/verbs.h"

namespace holdfast::cli {

void add_other_verbs(CLI::App* root, Registry& r) {
  CLI::App* quorum = r.noun(root, "quorum", "the quorum: who may act");
  r.verb(quorum, "status", "owner, reservation key, log, beacon", "  holdfast quorum status --json",
         std::make_shared<NoOptions>(), quorum_status);
  auto move = std::make_shared<ChangeOptions>();
  auto* v = r.verb(quorum, "move", "let another node own the quorum", "  holdfast quorum move n2", move,
                   quorum_move);
  v->add_option("NODE", move->target, "the new owner")->required();
  v->add_flag("--force", move->force, "even while another move is under way");

  CLI::App* disk = r.noun(root, "disk", "shared disks");
  auto probe = std::make_shared<ProbeOptions>();
  v = r.verb(disk, "probe", "can these disks be used, and what is on them? Changes nothing",
             "  holdfast disk probe /dev/disk/by-id/wwn-0x6001405…\n"
             "  holdfast disk probe iscsi://198.51.100.20:3260/iqn.2026-11.example:q/0",
             probe, disk_probe);
  v->add_option("DEVICE", probe->devices, "/dev/… or iscsi://…")->required();
  v->add_option("--initiator", probe->initiator, "iSCSI initiator name; default from the configuration");
  v->add_flag("--exercise", probe->exercise,
              "try reservations with scratch keys; refused when anybody is registered");

  auto release = std::make_shared<ReleaseOptions>();
  v = r.verb(
      disk, "release",
      "end the reservation of a disk that no resource uses any more; a disk of the cluster stays reserved "
      "until then",
      "  holdfast disk release /dev/disk/by-id/wwn-0x6001405…", release, disk_release);
  v->add_option("DEVICE", release->device, "/dev/… or iscsi://…")->required();
  v->add_option("--initiator", release->initiator, "iSCSI initiator name; default from the configuration");
  v->add_flag("--force", release->force,
              "even when another cluster reserved it, or when the service cannot be asked who uses it");

  auto follow = std::make_shared<EventsOptions>();
  v = r.verb(
      root, "events", "what happened: states, regroups, quorum, with causes",
      "  holdfast events\n  holdfast events --follow --json | jq -r '.kind'      one JSON object a line",
      follow, events);
  v->add_flag("-f,--follow", follow->follow, "go on as they come");
  v->add_flag("--no-history", follow->no_history, "only new ones");

  auto output = std::make_shared<ReportOptions>();
  v = r.verb(root, "report",
             "collect everything needed to explain a problem into one .tar.gz, without secrets",
             "  holdfast report\n  holdfast report --output /tmp/case-17.tar.gz\nWorks without a running "
             "service; says what is missing.",
             output, make_report);
  v->add_option("-o,--output", output->output, "file to write");

  r.verb(root, "version", "versions of this command and of the service", "  holdfast version --json",
         std::make_shared<NoOptions>(), version);
}

}  // namespace holdfast::cli
