#include "cli/actions.h"
#include "cli/verbs.h"

namespace holdfast::cli {
namespace {

using Action = int (*)(Context&, const ChangeOptions&);

// A change of one named object.
CLI::App* change(Registry& r, CLI::App* parent, const char* name, const char* help, const char* examples,
                 std::shared_ptr<ChangeOptions>* options, Action action) {
  auto o = std::make_shared<ChangeOptions>();
  if (options) *options = o;
  auto* v = r.verb(parent, name, help, examples, o, action);
  v->add_option("NAME", o->object, "its name")->required();
  return v;
}

void add_properties(CLI::App* v, const std::shared_ptr<ChangeOptions>& o, bool can_unset) {
  v->add_option("PROPERTY", o->properties, "Name=Value; lists as Name=a,b,c");
  if (can_unset) v->add_option("--unset", o->unset, "back to the default")->take_all()->expected(1);
}

void show(Registry& r, CLI::App* parent, const char* help, int (*list)(Context&, const NoOptions&),
          int (*one)(Context&, const ShowOptions&), const char* list_example, const char* show_example) {
  r.verb(parent, "list", help, list_example, std::make_shared<NoOptions>(), list);
  auto o = std::make_shared<ShowOptions>();
  auto* v =
      r.verb(parent, "show", "everything about one, properties with their defaults", show_example, o, one);
  v->add_option("NAME", o->object, "its name")->required();
}

}  // namespace

void add_node_verbs(CLI::App* root, Registry& r) {
  CLI::App* node = r.noun(root, "node", "nodes of the cluster");
  auto add = std::make_shared<NodeAddOptions>();
  auto* v = r.verb(node, "add", "let another host join; prints the command to run there",
                   "  holdfast node add n2 --address lan=192.0.2.12 --address san=198.51.100.12\n"
                   "To be run on the node that has the authority key (where the cluster was created).",
                   add, node_add);
  v->add_option("NAME", add->name, "name of the new node")->required();
  v->add_option("--address", add->addresses, "NETWORK=ADDRESS of the new node, once for each network")
      ->required()
      ->take_all()
      ->expected(1);
  v->add_option("--valid", add->valid_minutes, "minutes until the token expires")
      ->capture_default_str()
      ->check(CLI::Range(1, 10080));
  show(r, node, "all nodes and their states", node_list, node_show, "  holdfast node list --json",
       "  holdfast node show n1");

  std::shared_ptr<ChangeOptions> o;
  v = change(r, node, "pause", "keep its groups but take no new ones",
             "  holdfast node pause n1\n  holdfast node pause n1 --drain     move its groups away, before "
             "maintenance",
             &o, node_pause);
  v->add_flag("--drain", o->drain, "move its groups to other nodes and wait for it");
  v->add_flag("--force", o->force, "leave groups that have nowhere to go");
  change(r, node, "resume", "take groups again", "  holdfast node resume n1", nullptr, node_resume);
  v = change(r, node, "stop",
             "move its groups away, then it leaves the cluster until its service is started again",
             "  holdfast node stop n1 --wait 300", &o, node_stop);
  v->add_flag("--force", o->force, "even when groups have nowhere to go");
  v = change(r, node, "evict", "remove it for good; its certificate is revoked",
             "  holdfast node stop n3 && holdfast node evict n3 --yes", &o, node_evict);
  v->add_flag("--force", o->force, "even while it is up");
}

void add_group_verbs(CLI::App* root, Registry& r) {
  CLI::App* group = r.noun(root, "group", "groups: what moves between nodes as one");
  std::shared_ptr<ChangeOptions> o;
  auto* v = change(r, group, "create", "make a group",
                   "  holdfast group create web PreferredOwners=n1,n2 AutoFailbackType=1", &o, group_create);
  add_properties(v, o, false);
  v = change(r, group, "delete", "delete a group that is offline",
             "  holdfast group offline web && holdfast group delete web --force", &o, group_delete);
  v->add_flag("--force", o->force, "with its resources");
  v = change(r, group, "set", "change properties",
             "  holdfast group set web FailoverThreshold=5 FailbackWindowStart=22 FailbackWindowEnd=6\n"
             "  holdfast group set web --unset FailbackWindowStart",
             &o, group_set);
  add_properties(v, o, true);
  v = change(r, group, "online", "bring all its resources online, in the order of their dependencies",
             "  holdfast group online web\n  holdfast group online web --node n2 --wait 120", &o,
             group_online);
  v->add_option("--node", o->target, "where");
  change(r, group, "offline", "take all its resources offline", "  holdfast group offline web --wait 300", &o,
         group_offline);
  v = change(r, group, "move", "orderly move to another node; leaves no lasting preference behind",
             "  holdfast group move web n2\n  holdfast group move web          to the best possible node", &o,
             group_move);
  v->add_option("NODE", o->target, "where; nothing: the best possible");
  show(r, group, "all groups: state, owner, and why", group_list, group_show, "  holdfast group list",
       "  holdfast group show web --json");
}

void add_resource_verbs(CLI::App* root, Registry& r) {
  CLI::App* resource = r.noun(root, "resource", "resources: disks, file systems, addresses, programs");
  std::shared_ptr<ChangeOptions> o;
  auto* v = change(
      r, resource, "create", "make a resource in a group",
      "  holdfast resource create web-disk --group web --type physical-disk Device=naa.6001405…\n"
      "  holdfast resource create web-fs --group web --type filesystem MountPoint=/srv/web \\\n"
      "      Dependencies=web-disk\n"
      "  holdfast resource create web-ip --group web --type ip-address Address=192.0.2.80 PrefixLength=24\n"
      "  holdfast resource create web-app --group web --type generic-program \\\n"
      "      'CommandLine=/usr/bin/app --port 80' Dependencies=web-fs,web-ip",
      &o, resource_create);
  v->add_option("--group", o->group, "group it belongs to")->required();
  v->add_option("--type", o->type, "physical-disk, filesystem, ip-address, generic-program, …")->required();
  add_properties(v, o, false);
  change(r, resource, "delete", "delete a resource that is offline",
         "  holdfast resource offline web-app && holdfast resource delete web-app", &o, resource_delete);
  v = change(r, resource, "set", "change properties and parameters",
             "  holdfast resource set web-app RestartThreshold=5 RestartPeriod=600000\n"
             "  holdfast resource set web-fs MountOptions=noatime    read when it next comes online",
             &o, resource_set);
  add_properties(v, o, true);
  change(r, resource, "online", "bring it online, and what it depends on",
         "  holdfast resource online web-app", &o, resource_online);
  change(r, resource, "offline", "take it offline, and what depends on it",
         "  holdfast resource offline web-app", &o, resource_offline);
  v = change(r, resource, "move", "put it into another group", "  holdfast resource move web-app other-group",
             &o, resource_move);
  v->add_option("GROUP", o->target, "the other group")->required();
  change(r, resource, "fail", "play a failure, to see what the policy does",
         "  holdfast resource fail web-app", &o, resource_fail);
  show(r, resource, "all resources and their states", resource_list, resource_show,
       "  holdfast resource list", "  holdfast resource show web-ip");
}

}  // namespace holdfast::cli
