#include "monitor/sweep.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <vector>

#include "base/clock.h"
#include "base/lifetimes.h"
#include "base/process.h"
#include "fs-hooks/dismount.h"
#include "monitor/ledger.h"
#include "monitor/monitor.h"
#include "netaddr/netlink.h"

namespace holdfast::monitor {
namespace {

constexpr Duration kill_patience = Duration::milliseconds(1000);
constexpr Duration unmount_patience = Duration::milliseconds(3000);

using Entries = std::vector<LedgerEntry>;

Status sweep_address(const LedgerEntry& entry) {
  std::stringstream fields(entry.key);
  std::string interface, slashed;
  fields >> interface >> slashed;
  size_t slash = slashed.find('/');
  if (slash == std::string::npos)
    return fail(ErrorCode::corrupt, "the sweep file has an address without a prefix: " + entry.key);
  HOLDFAST_TRY(auto address, netaddr::Address::parse(slashed.substr(0, slash)));
  return netaddr::delete_address(interface, address,
                                 static_cast<unsigned>(atoi(slashed.c_str() + slash + 1)));
}

// Every process that is surely the resource's: the leader by pid and start time, members of its group while
// it lives, and whatever carries the mark.
std::vector<ProcessInfo> processes_of(const LedgerEntry& entry) {
  std::stringstream fields(entry.key);
  pid_t leader = 0;
  uint64_t start = 0;
  fields >> leader >> start;
  auto info = read_process(leader);
  bool leader_known = info && info->start_ticks == start;
  std::vector<ProcessInfo> out;
  for (pid_t pid : all_processes()) {
    auto process = read_process(pid);
    if (!process || process->state == 'Z' || process->state == 'X' || pid == getpid()) continue;
    bool in_group = leader_known && process->group == leader;
    if (in_group || (!entry.detail.empty() && has_environment(pid, entry.detail))) out.push_back(*process);
  }
  return out;
}

Status sweep_processes(const LedgerEntry& entry) {
  Instant until = boottime_now() + kill_patience;
  while (true) {
    auto left = processes_of(entry);
    if (left.empty()) return {};
    // The leader last: while it exists its group cannot be another's.
    std::sort(left.begin(), left.end(), [](auto& a, auto& b) { return a.pid > b.pid; });
    for (const auto& process : left) kill(process.pid, SIGKILL);
    if (boottime_now() >= until)
      return fail(ErrorCode::busy, describe(left.front()) + " of '" + entry.resource + "' does not die");
    usleep(5000);
  }
}

Status sweep_cgroup(const LedgerEntry& entry) {
  for (const char* file : {"/cgroup.kill", "/cgroup.freeze"}) {
    int fd = open((entry.key + file).c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) continue;
    (void)!write(fd, file == std::string("/cgroup.kill") ? "1" : "0", 1);
    close(fd);
  }
  Instant until = boottime_now() + kill_patience;
  while (rmdir(entry.key.c_str()) != 0 && errno == EBUSY && boottime_now() < until) usleep(5000);
  if (access(entry.key.c_str(), F_OK) == 0)
    return fail(ErrorCode::busy, "control group " + entry.key + " cannot be removed");
  return {};
}

Status sweep_mount(const LedgerEntry& entry) {
  HOLDFAST_TRY(auto device, fs::parse_device_number(entry.detail));
  return fs::dismount_at_once(device, unmount_patience);
}

Status sweep(const LedgerEntry& entry) {
  if (entry.kind == "address") return sweep_address(entry);
  if (entry.kind == "process") return sweep_processes(entry);
  if (entry.kind == "cgroup") return sweep_cgroup(entry);
  if (entry.kind == "mount") return sweep_mount(entry);
  return {};  // "device" is for people
}

// Addresses first (clients go elsewhere at once), then who may hold files, then the mounts.
int rank(const LedgerEntry& entry) {
  static const std::map<std::string, int> order = {
      {"address", 0}, {"process", 1}, {"cgroup", 2}, {"mount", 3}};
  auto it = order.find(entry.kind);
  return it == order.end() ? 4 : it->second;
}

}  // namespace

int sweep_main(const std::string& state_dir) {
  std::string lock = state_dir + "/monitor.lock", path = state_dir + "/resources.json";
  int fd = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    fprintf(stderr, "holdfast-monitor: cannot open %s: %s\n", lock.c_str(), strerror(errno));
    return errno == ENOENT ? exit_orderly : exit_incomplete;
  }
  for (Instant until = boottime_now() + sweep_wait_max; flock(fd, LOCK_EX | LOCK_NB) != 0; usleep(10000))
    if (boottime_now() >= until) {
      fprintf(stderr, "holdfast-monitor: another monitor still holds %s; sweeping beside it is not safe\n",
              lock.c_str());
      return exit_incomplete;
    }
  auto entries = read_ledger(path);
  if (!entries) {
    fprintf(stderr, "holdfast-monitor: %s\n", entries.error().text().c_str());
    return exit_usage;
  }
  // Later things lie on top of earlier ones.
  std::reverse(entries->begin(), entries->end());
  std::stable_sort(entries->begin(), entries->end(), [](auto& a, auto& b) { return rank(a) < rank(b); });
  Entries left;
  for (const auto& entry : *entries) {
    auto swept = sweep(entry);
    if (swept) {
      printf("swept %s %s of '%s'\n", entry.kind.c_str(), entry.key.c_str(), entry.resource.c_str());
    } else {
      fprintf(stderr, "holdfast-monitor: %s\n", swept.error().text().c_str());
      left.push_back(entry);
    }
  }
  if (!entries->empty()) {
    if (auto written = write_ledger(path, left); !written)
      fprintf(stderr, "holdfast-monitor: %s, ignoring\n", written.error().text().c_str());
  }
  return left.empty() ? exit_orderly : exit_incomplete;
}

}  // namespace holdfast::monitor
