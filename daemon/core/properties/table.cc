// The rows. Names, defaults and ranges are the classic ones (2003 era, with the 2008 restart policy) unless
// the help line says "was": those were changed on purpose.
#include <algorithm>
#include <array>
#include <iterator>

#include "core/properties/property.h"
#include "core/properties/timing_settings.h"

namespace holdfast::core {
namespace {

constexpr uint64_t infinite = UINT32_MAX;  // the classic DWORD -1

constexpr Property number(Scope scope, std::string_view name, uint64_t value, std::string_view help) {
  Property p;
  p.scope = scope, p.name = name, p.kind = PropertyType::number, p.default_number = value, p.help = help;
  return p;
}
constexpr Property boolean(Scope scope, std::string_view name, bool value, std::string_view help) {
  auto p = number(scope, name, value, help).range(0, 1);
  p.kind = PropertyType::boolean;
  return p;
}
constexpr Property text(Scope scope, std::string_view name, std::string_view value, std::string_view help) {
  Property p;
  p.scope = scope, p.name = name, p.default_text = value, p.help = help;
  return p;
}
constexpr Property list(Scope scope, std::string_view name, std::string_view help) {
  auto p = text(scope, name, "", help);
  p.kind = PropertyType::list;
  return p;
}
// A private parameter: read by the plug-in when the resource comes online.
constexpr Property of(std::string_view type, Property p) {
  p.scope = Scope::parameter, p.type = type, p.live = false;
  return p;
}
constexpr uint64_t in_ms(Duration d) {
  return static_cast<uint64_t>(d.ms());
}

constexpr Scope C = Scope::cluster, N = Scope::node, G = Scope::group, R = Scope::resource,
                P = Scope::parameter;
// A timing property of the cluster.
constexpr Property timed(std::string_view name, Duration Timing::*member, std::string_view help) {
  return number(C, name, in_ms(Timing{}.*member), help)
      .range(in_ms(timing_least.*member), in_ms(timing_most.*member))
      .in("ms");
}

// clang-format off
constexpr Property table[] = {
  text(C, "Name", "", "name of the cluster").by("a new cluster"),
  text(C, "Id", "", "identity of the cluster").by("a new cluster"),
  text(C, "Description", "", "free text for people"),
  number(C, "FunctionalLevel", 0, "highest version whose updates may be issued").by("holdfast cluster upgrade"),
  boolean(C, "Maintenance", false, "monitoring goes on, actions do not").by("holdfast cluster maintenance"),
  timed("HeartbeatIntervalMs", &Timing::heartbeat_interval, "time between two heartbeats on a network (was 1200)"),
  timed("HeartbeatTimeoutMs", &Timing::heartbeat_timeout, "silence after which a node counts as lost (was 7200)"),
  timed("LeaseMarginMs", &Timing::lease_margin, "what a node may still act after its timeout"),
  timed("QuorumStallMaxMs", &Timing::quorum_stall_max, "how long the quorum LUN may not answer before everything stops"),
  timed("UpdateTimeoutMs", &Timing::update_timeout, "a member that does not acknowledge an update for so long is removed"),
  timed("MonitorSilenceMs", &Timing::monitor_silence, "resource monitors end everything when the service is silent for so long; read when the service starts").next_online(),
  number(C, "ClusterEnforcedAntiAffinity", 0, "1: groups that share an anti-affinity class never share a node").range(0, 1),
  number(C, "QuorumArbitrationTimeMax", 20, "limit of an arbitration").range(1, 3600).in("s").reserved(),
  number(C, "ClusterGroupWaitDelay", 120, "wait for preferred owners at the start of the cluster").range(0, 3600).in("s").reserved(),
  number(C, "ShutdownTimeoutInMinutes", 20, "limit of an orderly shutdown").range(0, 1440).in("min").reserved(),
  boolean(C, "DrainOnShutdown", true, "move groups away before the service stops").reserved(),
  number(C, "RequestReplyTimeout", 60, "limit of a request between nodes").range(5, 1440).in("min").reserved(),
  number(C, "QuarantineThreshold", 3, "unclean departures before a node is kept out").range(0, infinite).reserved(),
  number(C, "QuarantineDuration", 7200, "how long it is kept out").in("s").reserved(),
  boolean(C, "EnableEventLogReplication", true, "event-log entries reach all nodes").reserved(),
  number(C, "ClusterLogLevel", 3, "detail of the trace").range(0, 5).reserved(),
  number(C, "DefaultNetworkRole", 3, "role of new networks").range(0, 3).reserved(),
  number(C, "SecurityLevel", 2, "traffic between nodes is always encrypted").range(2, 2).reserved(),

  text(N, "Name", "", "name of the node").by("holdfast node add"),
  list(N, "Addresses", "\"network=address\", one each network").by("holdfast node add"),
  number(N, "Port", 7420, "UDP and TCP port of the service").range(1, 65535).by("holdfast node add"),
  text(N, "Fingerprint", "", "SHA-256 of its certificate").by("holdfast join"),
  boolean(N, "Paused", false, "keeps its groups, takes no new ones").by("holdfast node pause | resume"),
  text(N, "Description", "", "free text for people"),
  number(N, "NodeWeight", 1, "votes").range(0, 1).reserved(),
  boolean(N, "EnableEventLogReplication", true, "event-log entries of this node reach all others").reserved(),

  text(G, "Description", "", "free text for people"),
  boolean(G, "PersistentState", true, "wanted online; new groups are (was FALSE)").by("holdfast group online | offline"),
  boolean(G, "Maintenance", false, "monitoring goes on, actions do not").by("holdfast group maintenance"),
  list(G, "PreferredOwners", "node names, best first"),
  number(G, "FailoverThreshold", infinite, "failovers tolerated in a FailoverPeriod").range(0, infinite).named("4294967295=nodes-1"),
  number(G, "FailoverPeriod", 6, "period in which failovers are counted").range(0, 1193).in("h"),
  number(G, "AutoFailbackType", 0, "move back to a preferred owner that returned").range(0, 1).named("0=Prevent,1=Allow"),
  number(G, "FailbackWindowStart", 0, "first hour of the day in which failback is allowed").none().range(0, 23).in("hour"),
  number(G, "FailbackWindowEnd", 0, "hour at which it ends; before the start: past midnight").none().range(0, 23).in("hour"),
  list(G, "AntiAffinityClassNames", "groups that share a class name prefer different nodes"),
  number(G, "Priority", 2000, "order of placement; 0: does not start by itself").range(0, 3000).named("0=NoAutoStart,1000=Low,2000=Medium,3000=High").reserved(),
  number(G, "ColdStartSetting", 0, "behaviour at the start of the cluster").range(0, 2).named("0=Always,1=DoNotStart,2=Allowed").reserved(),
  number(G, "GroupStartDelay", 0, "wait before the group starts").range(0, 1'800'000).in("ms").reserved(),
  number(G, "ResiliencyPeriod", 0, "wait for an isolated owner").in("s").reserved(),
  number(G, "DefaultOwner", 0, "node where the group was created").none().reserved(),

  text(R, "Description", "", "free text for people"),
  text(R, "Group", "", "group of the resource").by("holdfast resource move"),
  text(R, "Type", "", "resource type").by("holdfast resource create"),
  list(R, "Dependencies", "resources of the same group that must be online first"),
  list(R, "PossibleOwners", "names of the nodes that can run it; empty: all"),
  boolean(R, "PersistentState", false, "wanted online; absent: as its group").none().by("holdfast resource online | offline"),
  boolean(R, "Maintenance", false, "monitoring goes on, actions do not").by("holdfast resource maintenance"),
  number(R, "LooksAlivePollInterval", 5000, "time between quick checks").range(10, infinite).in("ms").next_online(),
  number(R, "IsAlivePollInterval", 10000, "time between thorough checks (was 60000)").range(10, infinite).in("ms").next_online(),
  number(R, "PendingTimeout", 180000, "limit between two reports of progress while going online or offline").range(10, infinite).in("ms"),
  number(R, "RestartAction", 2, "what a failure does").range(0, 2).named("0=DontRestart,1=RestartNoNotify,2=RestartNotify"),
  number(R, "RestartThreshold", 3, "restarts tolerated in a RestartPeriod").range(0, infinite),
  number(R, "RestartPeriod", 900000, "period in which restarts are counted").range(0, infinite).in("ms"),
  number(R, "RestartDelay", 500, "pause before a restart").range(0, infinite).in("ms"),
  number(R, "RetryPeriodOnFailure", 3600000, "one more try after so long in the state Failed").range(0, infinite).in("ms").named("4294967295=never"),
  boolean(R, "SeparateMonitor", false, "runs in a monitor process of its own").next_online().reserved(),
  number(R, "DeadlockTimeout", 60000, "an entry point that does not return for so long hangs (was 300000)").range(1000, infinite).in("ms").reserved(),
  number(R, "EmbeddedFailureAction", 2, "answer to failures inside a virtual machine").range(0, 2).reserved(),

  of("physical-disk", text(P, "Device", "", "identity from VPD page 0x83 (naa., eui., t10.), or a /dev/disk/by-id name")).must(),
  of("physical-disk", number(P, "DiskArbInterval", 3, "time between two checks of the reservation").range(1, 60).in("s")),
  of("physical-disk", number(P, "CommandTimeout", 2000, "limit of one SCSI command").range(50, 60000).in("ms")),
  of("physical-disk", number(P, "AcquireTimeout", 20000, "limit of the whole take-over").range(100, 600000).in("ms")),
  of("physical-disk", number(P, "UnreachableTolerance", 10000, "a disk that does not answer its checks fails after so long").range(0, 600000).in("ms")),
  of("physical-disk", text(P, "InitiatorName", "", "iscsi:// devices only; empty: made from the node's name")),
  of("physical-disk", number(P, "IsidQualifier", 1, "iscsi:// devices only: tells sessions of one initiator apart").range(0, 65535)),
  of("physical-disk", number(P, "MaxIoLatency", 1000, "slowest tolerated I/O").range(1000, 60000).in("ms")).reserved(),

  of("filesystem", text(P, "Device", "", "device or UUID=...; empty: what the disk it depends on publishes")),
  of("filesystem", text(P, "MountPoint", "", "absolute path")).must(),
  of("filesystem", text(P, "FileSystemType", "", "ext4, xfs, ...; empty: found by probing")),
  of("filesystem", text(P, "MountOptions", "", "as mount -o")),
  of("filesystem", boolean(P, "CheckOnMount", true, "check of the file system before it is mounted")),
  of("filesystem", number(P, "MountTimeout", 60000, "limit of the mount").range(100, 3600000).in("ms")),
  of("filesystem", number(P, "CheckTimeout", 600000, "limit of the check").range(100, 86400000).in("ms")),
  of("filesystem", number(P, "HolderNotice", 1000, "a holder of a busy file system gets SIGTERM and so long to end").range(0, 600000).in("ms")),
  of("filesystem", number(P, "HolderKill", 1000, "then SIGKILL and so long to be gone").range(0, 600000).in("ms")),
  of("filesystem", number(P, "FlushTimeout", 120000, "limit of writing back what is dirty when going offline").range(100, 3600000).in("ms")),

  of("ip-address", text(P, "Address", "", "IPv4 or IPv6 address")).must(),
  of("ip-address", text(P, "SubnetMask", "", "IPv4: 255.255.255.0; or give PrefixLength")),
  of("ip-address", number(P, "PrefixLength", 0, "bits of the network; absent: 24 for IPv4, 64 for IPv6").none().range(1, 128).in("bit")),
  of("ip-address", text(P, "Network", "", "interface; empty: the one whose subnet holds the address")),
  of("ip-address", number(P, "ValidLifetime", in_ms(address_lifetime_default) / 1000, "the kernel removes the address when it was not refreshed for so long").range(1, 3600).in("s")),
  of("ip-address", number(P, "RefreshInterval", 0, "time between refreshes; absent: a quarter of ValidLifetime, at most 500").none().range(50, 1'800'000).in("ms")),
  of("ip-address", number(P, "ProbeCount", address_probe_count, "duplicate probes before the address is taken").range(0, 20)),
  of("ip-address", number(P, "ProbeInterval", in_ms(address_probe_interval), "time between two probes").range(1, 2000).in("ms")),
  of("ip-address", number(P, "AwaitConflict", in_ms(address_conflict_wait), "an address that still answers is awaited so long, then taken").range(0, 600000).in("ms")),
  of("ip-address", number(P, "AnnounceCount", 5, "announcements after it was taken").range(0, 100)),
  of("ip-address", number(P, "AnnounceInterval", 500, "time between two announcements").range(10, 60000).in("ms")),
  of("ip-address", boolean(P, "FailOnCarrierLoss", true, "fails when its interface loses the carrier")),

  of("generic-program", text(P, "CommandLine", "", "program and arguments, no shell")).must(),
  of("generic-program", text(P, "CurrentDirectory", "", "directory it starts in; empty: /")),
  of("generic-program", list(P, "Environment", "\"NAME=value\"")),
  of("generic-program", text(P, "User", "", "user it runs as; empty: root")),
  of("generic-program", text(P, "StopSignal", "TERM", "signal that asks it to stop")),
  of("generic-program", number(P, "StopTimeout", 30000, "after so long it is killed").range(0, 3600000).in("ms")),
  of("generic-program", text(P, "ControlGroup", "auto", "control group in which it can be frozen")),
};
// clang-format on

constexpr bool sound() {
  for (size_t i = 0; i < std::size(table); ++i) {
    const Property& p = table[i];
    if (p.help.empty() || p.name.empty() || p.min > p.max) return false;
    if ((p.scope == Scope::parameter) == p.type.empty()) return false;
    bool counts = p.kind == PropertyType::number || p.kind == PropertyType::boolean;
    if (counts && p.has_default && p.access == PropertyAccess::open &&
        (p.default_number < p.min || p.default_number > p.max))
      return false;
    for (size_t k = 0; k < i; ++k) {
      bool same_place = table[k].scope == p.scope && table[k].type == p.type;
      // A parameter may not hide a common property: both are given by name in one command.
      bool hides = p.scope == Scope::parameter && table[k].scope == Scope::resource;
      if ((same_place || hides) && table[k].name == p.name) return false;
    }
  }
  return true;
}
static_assert(sound(), "a row is incomplete, its default is out of range, or a name is there twice");

}  // namespace

std::span<const Property> all_properties() {
  return table;
}

std::vector<std::string_view> builtin_types() {
  std::vector<std::string_view> out;
  for (const auto& p : table)
    if (!p.type.empty() && (out.empty() || out.back() != p.type)) out.push_back(p.type);
  return out;
}

bool is_builtin_type(std::string_view type) {
  auto types = builtin_types();
  return std::find(types.begin(), types.end(), type) != types.end();
}

}  // namespace holdfast::core
