#include "fs-hooks/dismount.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/clock.h"

namespace holdfast::fs {
namespace {

std::vector<Mount> mounts_of(dev_t device) {
  std::vector<Mount> out;
  for (auto& mount : read_mounts())
    if (mount.device == device) out.push_back(mount);
  // The last one mounted is on top.
  std::reverse(out.begin(), out.end());
  return out;
}

void flush(dev_t device, Duration limit, const GoOn& go_on) {
  auto mounts = mounts_of(device);
  if (mounts.empty()) return;
  std::string point = mounts.front().mount_point;
  (void)run_in_helper(
      [&] {
        int fd = open(point.c_str(), O_RDONLY | O_DIRECTORY);
        return fd >= 0 && syncfs(fd) == 0 ? 0 : 1;
      },
      limit, "flushing " + point, go_on);
}

// One pass over all mounts. busy = somebody holds it; other errors are the kernel's or the helper's.
Status unmount_all(dev_t device, int flags, Duration limit, const GoOn& go_on = {}) {
  for (const auto& mount : mounts_of(device)) {
    const char* point = mount.mount_point.c_str();
    HOLDFAST_TRY(int error,
                 run_in_helper([&] { return umount2(point, flags | UMOUNT_NOFOLLOW) == 0 ? 0 : errno; },
                               limit, "unmounting " + mount.mount_point, go_on));
    if (error == EBUSY) return fail(ErrorCode::busy, mount.mount_point + " is busy");
    if (error != 0 && error != EINVAL)
      return fail(ErrorCode::io, "cannot unmount " + mount.mount_point, error);
  }
  for (const auto& foreign : find_foreign_mounts(device)) {
    std::string space = "/proc/" + std::to_string(foreign.pid) + "/ns/mnt";
    const char* point = foreign.mount.mount_point.c_str();
    HOLDFAST_TRY(int error,
                 run_in_helper(
                     [&] {
                       int fd = open(space.c_str(), O_RDONLY);
                       if (fd < 0) return errno == ENOENT ? 0 : errno;
                       if (setns(fd, CLONE_NEWNS) != 0) return errno;
                       return umount2(point, flags | UMOUNT_NOFOLLOW) == 0 ? 0 : errno;
                     },
                     limit, "unmounting in the mount namespace of pid " + std::to_string(foreign.pid)));
    if (error == EBUSY)
      return fail(ErrorCode::busy, foreign.mount.mount_point + " in the mount namespace of pid " +
                                       std::to_string(foreign.pid) + " is busy");
    if (error != 0 && error != EINVAL)
      return fail(ErrorCode::io,
                  "cannot unmount in the mount namespace of pid " + std::to_string(foreign.pid), error);
  }
  return {};
}

std::string device_node(dev_t device) {
  std::ifstream uevent("/sys/dev/block/" + device_number_text(device) + "/uevent");
  for (std::string line; std::getline(uevent, line);)
    if (line.starts_with("DEVNAME=")) return "/dev/" + line.substr(8);
  return "";
}

// Signals the holders, then tries to unmount until it works or the time is up.
Status insist(dev_t device, int signal, Duration time, const DismountSettings& settings, std::string* names) {
  Instant until = boottime_now() + time;
  Status last;
  bool first = true;
  while (true) {
    auto holders = find_holders(device);
    if (!holders.empty()) *names = describe(holders);
    // SIGTERM once; SIGKILL to newcomers too.
    if (first || signal == SIGKILL) signal_holders(holders, signal);
    if (first && !holders.empty())
      settings.progress(std::string(signal == SIGKILL ? "Killing " : "Asking to end: ") + *names);
    first = false;
    last = unmount_all(device, 0, settings.flush, settings.go_on);
    if (last || last.error().code != ErrorCode::busy) return last;
    if (boottime_now() >= until) return last;
    if (settings.cancelled()) return fail(ErrorCode::cancelled, "the dismount was cancelled");
    usleep(10000);
  }
}

}  // namespace

bool is_gone(dev_t device) {
  if (!mounts_of(device).empty() || !find_foreign_mounts(device).empty()) return false;
  std::string node = device_node(device);
  if (node.empty()) return true;  // no block device: tmpfs and the like
  int fd = open(node.c_str(), O_RDWR | O_EXCL | O_CLOEXEC);
  if (fd < 0) return errno != EBUSY;
  close(fd);
  return true;
}

Result<DismountOutcome> dismount(dev_t device, const DismountSettings& settings) {
  DismountOutcome outcome;
  flush(device, settings.flush, settings.go_on);
  auto done = unmount_all(device, 0, settings.flush, settings.go_on);
  auto busy = [&] { return !done && done.error().code == ErrorCode::busy; };
  std::string names;
  if (busy() && settings.ask.ns > 0) {
    outcome.forced = true;
    done = insist(device, SIGTERM, settings.ask, settings, &names);
  }
  if (busy() && settings.kill.ns > 0) {
    outcome.forced = true;
    done = insist(device, SIGKILL, settings.kill, settings, &names);
  }
  if (!done && done.error().code == ErrorCode::cancelled) return fail(done.error());
  if (!done && settings.detach) {
    auto detached = unmount_all(device, MNT_DETACH, settings.flush);
    if (!detached) return fail(detached.error());
    outcome.detached = true;
    outcome.text =
        "It was detached while still in use (" + (names.empty() ? done.error().text() : names) + ").";
    return outcome;
  }
  if (!done) {
    Error error = done.error();
    if (!names.empty()) error.message += "; held by " + names;
    return fail(error);
  }
  if (outcome.forced && !names.empty())
    outcome.text = "These were ended because they held it: " + names + ".";
  return outcome;
}

Status dismount_at_once(dev_t device, Duration limit) {
  DismountSettings settings;
  settings.flush = limit;
  settings.ask = {};
  settings.detach = true;
  HOLDFAST_TRY(auto outcome, dismount(device, settings));
  for (Instant until = boottime_now() + Duration::seconds(1); !is_gone(device); usleep(10000))
    if (boottime_now() >= until)
      return fail(ErrorCode::busy, "the file system on device " + device_number_text(device) +
                                       " is still active. " + outcome.text);
  return {};
}

}  // namespace holdfast::fs
