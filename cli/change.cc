#include "cli/actions.h"
#include "cli/service.h"

namespace holdfast::cli {
namespace {

using C = api::Command;

api::Command make(C::Verb verb, const ChangeOptions& o) {
  api::Command command;
  command.set_verb(verb);
  command.set_object(o.object);
  command.set_target(o.target);
  command.set_force(o.force);
  return command;
}

void add(api::Command& command, const char* name, const std::string& value) {
  auto* p = command.add_properties();
  p->set_name(name);
  p->set_value(value);
}

int run(Context& context, api::Command command, const ChangeOptions& o, bool waits, const std::string& done) {
  auto properties = parse_properties(o.properties, o.unset);
  if (!properties) return report(context, properties.error(), exit_usage);
  for (auto& p : *properties) *command.add_properties() = std::move(p);
  return run_command(context, std::move(command), waits, done);
}

int set(Context& context, C::Verb verb, const ChangeOptions& o, const std::string& what) {
  if (o.properties.empty() && o.unset.empty())
    return report(context,
                  {ErrorCode::invalid_argument, 0, "no property is given", "Name=Value, or --unset Name"},
                  exit_usage);
  return run(context, make(verb, o), o, false, "set properties of " + what);
}

std::string named(const char* kind, const ChangeOptions& o) {
  return std::string(kind) + " '" + o.object + "'";
}

}  // namespace

int cluster_set(Context& c, const ChangeOptions& o) {
  return set(c, C::CLUSTER_SET, o, "the cluster");
}

int cluster_maintenance(Context& c, const ChangeOptions& o) {
  bool good = o.object.empty() || o.object.rfind("group:", 0) == 0 || o.object.rfind("resource:", 0) == 0;
  if (!good)
    return report(c,
                  {ErrorCode::invalid_argument, 0, "'" + o.object + "' cannot be in maintenance",
                   "nothing for the cluster, group:NAME or resource:NAME"},
                  exit_usage);
  auto command = make(C::CLUSTER_MAINTENANCE, o);
  add(command, "Maintenance", o.off ? "0" : "1");
  std::string what = o.object.empty() ? "the cluster" : o.object;
  return run(
      c, command, o, false,
      o.off ? "maintenance of " + what + " is over" : what + " is in maintenance: watched, not acted on");
}

int cluster_upgrade(Context& c, const ChangeOptions& o) {
  return run(c, make(C::CLUSTER_UPGRADE, o), o, false, "the functional level is what every node speaks");
}

int cluster_shutdown(Context& c, const ChangeOptions& o) {
  if (int no = confirm(c, "This takes every group offline and stops the service on every node")) return no;
  return run(c, make(C::CLUSTER_SHUTDOWN, o), o, true, "the cluster shuts down");
}

int quorum_move(Context& c, const ChangeOptions& o) {
  return run(c, make(C::QUORUM_MOVE, o), o, true, "the quorum moved to " + o.target);
}

int node_pause(Context& c, const ChangeOptions& o) {
  auto command = make(C::NODE_PAUSE, o);
  add(command, "Drain", o.drain ? "1" : "0");
  return run(c, command, o, o.drain,
             "paused node '" + o.object + "'" + (o.drain ? ", its groups moved away" : ""));
}
int node_resume(Context& c, const ChangeOptions& o) {
  return run(c, make(C::NODE_RESUME, o), o, false, "resumed " + named("node", o));
}
int node_stop(Context& c, const ChangeOptions& o) {
  return run(c, make(C::NODE_STOP, o), o, true, "stopped " + named("node", o) + ", its groups moved away");
}
int node_evict(Context& c, const ChangeOptions& o) {
  if (int no = confirm(
          c, "This removes node '" + o.object + "' from the cluster for good and revokes its certificate"))
    return no;
  return run(c, make(C::NODE_EVICT, o), o, false, "evicted " + named("node", o));
}

int group_create(Context& c, const ChangeOptions& o) {
  return run(c, make(C::GROUP_CREATE, o), o, false, "created " + named("group", o));
}
int group_delete(Context& c, const ChangeOptions& o) {
  if (o.force)
    if (int no = confirm(c, "This deletes group '" + o.object + "' with all its resources")) return no;
  return run(c, make(C::GROUP_DELETE, o), o, false, "deleted " + named("group", o));
}
int group_set(Context& c, const ChangeOptions& o) {
  return set(c, C::GROUP_SET, o, named("group", o));
}
int group_online(Context& c, const ChangeOptions& o) {
  return run(c, make(C::GROUP_ONLINE, o), o, true, named("group", o) + " is online");
}
int group_offline(Context& c, const ChangeOptions& o) {
  return run(c, make(C::GROUP_OFFLINE, o), o, true, named("group", o) + " is offline");
}
int group_move(Context& c, const ChangeOptions& o) {
  return run(c, make(C::GROUP_MOVE, o), o, true,
             "moved " + named("group", o) + (o.target.empty() ? "" : " to " + o.target));
}

int resource_create(Context& c, const ChangeOptions& o) {
  auto command = make(C::RESOURCE_CREATE, o);
  add(command, "Group", o.group);
  add(command, "Type", o.type);
  return run(c, command, o, false, "created " + named("resource", o) + " in group '" + o.group + "'");
}
int resource_delete(Context& c, const ChangeOptions& o) {
  return run(c, make(C::RESOURCE_DELETE, o), o, false, "deleted " + named("resource", o));
}
int resource_set(Context& c, const ChangeOptions& o) {
  return set(c, C::RESOURCE_SET, o, named("resource", o));
}
int resource_online(Context& c, const ChangeOptions& o) {
  return run(c, make(C::RESOURCE_ONLINE, o), o, true, named("resource", o) + " is online");
}
int resource_offline(Context& c, const ChangeOptions& o) {
  return run(c, make(C::RESOURCE_OFFLINE, o), o, true, named("resource", o) + " is offline");
}
int resource_move(Context& c, const ChangeOptions& o) {
  return run(c, make(C::RESOURCE_MOVE, o), o, true,
             "moved " + named("resource", o) + " to group '" + o.target + "'");
}
int resource_fail(Context& c, const ChangeOptions& o) {
  return run(c, make(C::RESOURCE_FAIL, o), o, false, "played a failure of " + named("resource", o));
}

}  // namespace holdfast::cli
