// Dismounting that always ends: a ladder with a bounded time for each rung. Calls that may hang run in helper
// processes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/time.h"
#include "fs-hooks/holders.h"
#include "fs-hooks/mounts.h"

namespace holdfast::fs {

struct DismountSettings {
  Duration flush = Duration::seconds(120);       // for syncfs and for each umount call
  Duration ask = Duration::milliseconds(1000);   // holders get SIGTERM and this long; 0 = no such rung
  Duration kill = Duration::milliseconds(1000);  // then SIGKILL and this long
  bool detach = false;                           // last rung: MNT_DETACH
  std::function<void(const std::string&)> progress = [](const std::string&) {};
  std::function<bool()> cancelled = [] { return false; };
  GoOn go_on;  // asked during long waits; see run_in_helper
};

struct DismountOutcome {
  bool forced = false;    // holders were ended
  bool detached = false;  // out of sight, but perhaps not gone
  std::string text;       // who stood in the way
};

// Removes every mount of the device, in this namespace and in others. The error `busy` names who is in the
// way.
Result<DismountOutcome> dismount(dev_t device, const DismountSettings& settings);

// For the sweep: kills, unmounts, detaches; an error when the file system is still active afterwards.
Status dismount_at_once(dev_t device, Duration limit);

// True when no mount is left and, for a block device, no super block is active on it.
bool is_gone(dev_t device);

}  // namespace holdfast::fs
