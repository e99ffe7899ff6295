// A program and everything it started: its process group, and its control group when there is one.
#pragma once

#include <sys/types.h>
#include <string>

#include "base/error.h"
#include "base/time.h"

namespace holdfast::program {

// A control group (version 2) for one program. Without one the process group has to do: a descendant that
// made a session of its own is then found by its environment when the program ends, but is not frozen.
class ControlGroup {
 public:
  // `setting`: "auto" = below this process's own group unless that is the root; "off"; or a directory to make
  // it in. An empty path() means that there is none.
  static ControlGroup make(const std::string& setting, const std::string& resource);
  const std::string& path() const { return path_; }
  bool add(pid_t pid) const;
  bool freeze(bool frozen) const;
  void kill_all() const;
  bool populated() const;
  void remove();

 private:
  std::string path_;
};

struct ProcessTree {
  pid_t leader = 0;  // also its process group and session; not waited for before the group has been killed,
                     // so that the number cannot be given to another
  std::string mark;  // environment entry of all its processes
  ControlGroup control_group;

  Status freeze(bool frozen) const;
  // Kills everything and waits until it is gone. False = something is left after `limit` (a process in D
  // state).
  bool kill_and_wait(Duration limit) const;

 private:
  bool reap() const;  // true when the process group is empty
};

}  // namespace holdfast::program
