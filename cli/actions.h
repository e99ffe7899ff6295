// What the verbs do, without the command line. Each returns an ExitCode.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/context.h"

namespace holdfast::cli {

struct NoOptions {};

// A change of any object: what every command to the service needs.
struct ChangeOptions {
  std::string object, target, type, group;
  std::vector<std::string> properties;  // "Name=Value"
  std::vector<std::string> unset;
  bool force = false, drain = false, off = false;
};
struct ShowOptions {
  std::string object;
};

// change.cc: commands to the service.
int cluster_set(Context&, const ChangeOptions&);
int cluster_maintenance(Context&, const ChangeOptions&);
int cluster_shutdown(Context&, const ChangeOptions&);
int cluster_upgrade(Context&, const ChangeOptions&);
int quorum_move(Context&, const ChangeOptions&);
int node_pause(Context&, const ChangeOptions&);
int node_resume(Context&, const ChangeOptions&);
int node_stop(Context&, const ChangeOptions&);
int node_evict(Context&, const ChangeOptions&);
int group_create(Context&, const ChangeOptions&);
int group_delete(Context&, const ChangeOptions&);
int group_set(Context&, const ChangeOptions&);
int group_online(Context&, const ChangeOptions&);
int group_offline(Context&, const ChangeOptions&);
int group_move(Context&, const ChangeOptions&);
int resource_create(Context&, const ChangeOptions&);
int resource_delete(Context&, const ChangeOptions&);
int resource_set(Context&, const ChangeOptions&);
int resource_online(Context&, const ChangeOptions&);
int resource_offline(Context&, const ChangeOptions&);
int resource_move(Context&, const ChangeOptions&);
int resource_fail(Context&, const ChangeOptions&);

// show.cc: reading.
int cluster_status(Context&, const NoOptions&);
int cluster_show(Context&, const NoOptions&);
int node_list(Context&, const NoOptions&);
int node_show(Context&, const ShowOptions&);
int group_list(Context&, const NoOptions&);
int group_show(Context&, const ShowOptions&);
int resource_list(Context&, const NoOptions&);
int resource_show(Context&, const ShowOptions&);
int quorum_status(Context&, const NoOptions&);
int version(Context&, const NoOptions&);
struct EventsOptions {
  bool follow = false, no_history = false;
};
int events(Context&, const EventsOptions&);

// cluster_create.cc, cluster_join.cc, cluster_destroy.cc, node_add.cc
struct CreateOptions {
  std::string name, node;
  std::vector<std::string> addresses;
  std::string quorum, local_quorum, initiator;
  uint16_t port = default_port;
  std::string dir = default_config_dir, state_dir, runtime_dir;
  bool force = false, no_start = false;
};
int cluster_create(Context&, const CreateOptions&);
struct JoinOptions {
  std::string token;
  std::vector<std::string> addresses;
  std::string initiator;
  std::string dir = default_config_dir, state_dir, runtime_dir;
  bool no_start = false;
};
int cluster_join(Context&, const JoinOptions&);
struct DestroyOptions {
  bool wipe_quorum = false, force = false;
};
int cluster_destroy(Context&, const DestroyOptions&);
struct NodeAddOptions {
  std::string name;
  std::vector<std::string> addresses;
  uint32_t valid_minutes = 60;
};
int node_add(Context&, const NodeAddOptions&);

// disk_probe.cc, report.cc
struct ProbeOptions {
  std::vector<std::string> devices;
  std::string initiator;
  bool exercise = false;
};
int disk_probe(Context&, const ProbeOptions&);
struct ReleaseOptions {
  std::string device, initiator;
  bool force = false;
};
int disk_release(Context&, const ReleaseOptions&);
struct ReportOptions {
  std::string output;  // empty: holdfast-report-NODE-TIME.tar.gz here
};
int make_report(Context&, const ReportOptions&);

}  // namespace holdfast::cli
