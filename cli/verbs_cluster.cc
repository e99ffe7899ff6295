#include "cli/actions.h"
#include "cli/verbs.h"

namespace holdfast::cli {

void add_cluster_verbs(CLI::App* root, Registry& r) {
  CLI::App* cluster = r.noun(root, "cluster", "the cluster as a whole, and this node's part in it");

  auto create = std::make_shared<CreateOptions>();
  auto* v =
      r.verb(cluster, "create", "make a new cluster with this host as its first node",
             "  holdfast cluster create --name prod --node n1 --address lan=192.0.2.11 \\\n"
             "      --address san=198.51.100.11 --quorum iscsi://198.51.100.20:3260/iqn.2026-11.example:q/0\n"
             "  holdfast cluster create --name trial --node n1 --address lan=192.0.2.11 \\\n"
             "      --local-quorum /var/lib/holdfast/quorum    one node, to try things out\n"
             "What is on the quorum LUN is looked at first; anything foreign is refused.",
             create, cluster_create);
  v->add_option("--name", create->name, "name of the cluster")->required();
  v->add_option("--node", create->node, "name of this node")->required();
  v->add_option("--address", create->addresses,
                "NETWORK=ADDRESS of this node, once for each network (1 to 8)")
      ->required()
      ->take_all()
      ->expected(1);
  auto* lun =
      v->add_option("--quorum", create->quorum, "iscsi://ADDRESS:PORT/TARGET/LUN or /dev/disk/by-id/…");
  v->add_option("--local-quorum", create->local_quorum, "a file instead of a LUN, for one node")
      ->excludes(lun);
  v->add_option("--initiator", create->initiator,
                "iSCSI initiator name of this node; default made from the ids");
  v->add_option("--port", create->port, "UDP and TCP port")->capture_default_str();
  v->add_option("--dir", create->dir, "where the configuration goes")->capture_default_str();
  v->add_option("--state-dir", create->state_dir, "local replica; default /var/lib/holdfast");
  v->add_option("--runtime-dir", create->runtime_dir, "socket and locks; default /run/holdfast");
  v->add_flag("--force", create->force, "overwrite what is on the quorum device");
  v->add_flag("--no-start", create->no_start, "do not enable and start the service");

  auto join = std::make_shared<JoinOptions>();
  v = r.verb(cluster, "join", "make this host a node, with a token from 'holdfast node add'",
             "  holdfast cluster join hf1.…                  as 'node add' printed it\n"
             "  holdfast cluster join hf1.… --initiator iqn.2026-11.example:n2",
             join, cluster_join);
  v->add_option("TOKEN", join->token, "one-time token")->required();
  v->add_option("--address", join->addresses,
                "NETWORK=ADDRESS that this host must have; checked against the cluster's")
      ->take_all()
      ->expected(1);
  v->add_option("--initiator", join->initiator, "iSCSI initiator name of this node");
  v->add_option("--dir", join->dir, "where the configuration goes")->capture_default_str();
  v->add_option("--state-dir", join->state_dir, "local replica; default /var/lib/holdfast");
  v->add_option("--runtime-dir", join->runtime_dir, "socket and locks; default /run/holdfast");
  v->add_flag("--no-start", join->no_start, "do not enable and start the service");

  v = r.verb(cluster, "status", "how the cluster is: quorum, nodes, groups, resources, warnings",
             "  holdfast cluster status\n  holdfast cluster status --json | jq '.groups[] | {name, owner}'",
             std::make_shared<NoOptions>(), cluster_status);
  r.verb(cluster, "show", "properties of the cluster, defaults included", "  holdfast cluster show --json",
         std::make_shared<NoOptions>(), cluster_show);

  auto set = std::make_shared<ChangeOptions>();
  v = r.verb(cluster, "set", "change properties of the cluster, on all nodes at once",
             "  holdfast cluster set HeartbeatTimeoutMs=1500\n  holdfast cluster set --unset "
             "HeartbeatTimeoutMs     back to the default",
             set, cluster_set);
  v->add_option("PROPERTY", set->properties, "Name=Value");
  v->add_option("--unset", set->unset, "back to the default")->take_all()->expected(1);

  auto maintenance = std::make_shared<ChangeOptions>();
  v = r.verb(cluster, "maintenance", "watch on, but act on nothing: cluster, one group, or one resource",
             "  holdfast cluster maintenance\n  holdfast cluster maintenance group:web\n"
             "  holdfast cluster maintenance resource:web-fs --off",
             maintenance, cluster_maintenance);
  v->add_option("OBJECT", maintenance->object, "group:NAME or resource:NAME; nothing for the cluster");
  v->add_flag("--off", maintenance->off, "end it");

  r.verb(cluster, "upgrade", "after every node was upgraded: allow what the new release brings",
         "  holdfast cluster upgrade\nThere is no way back: an older release is not let in afterwards.",
         std::make_shared<ChangeOptions>(), cluster_upgrade);

  v = r.verb(cluster, "shutdown", "orderly end: all groups offline, then the service on every node",
             "  holdfast cluster shutdown --yes --wait 300\nThe next start forms the cluster without waiting "
             "for missing nodes.",
             std::make_shared<ChangeOptions>(), cluster_shutdown);

  auto destroy = std::make_shared<DestroyOptions>();
  v = r.verb(
      cluster, "destroy", "forget the cluster on this host: configuration, keys, local replica",
      "  holdfast cluster destroy --yes\n"
      "  holdfast cluster destroy --wipe-quorum      on the last node: the quorum device is free again",
      destroy, cluster_destroy);
  v->add_flag("--wipe-quorum", destroy->wipe_quorum,
              "also wipe the quorum device, if it is this cluster's and nobody uses it");
  v->add_flag("--force", destroy->force, "go on when the service does not stop");
}

}  // namespace holdfast::cli
