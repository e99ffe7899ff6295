#include "process_tree.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "base/process.h"

namespace holdfast::program {
namespace {

bool write_file(const std::string& path, const std::string& text) {
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool done = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return done;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The directory of this process's own control group; empty when there is no version 2 or it is the root.
std::string own_group() {
  std::string mount, path;
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::stringstream fields(line);
    std::string source, where, type;
    fields >> source >> where >> type;
    if (type == "cgroup2") mount = where;
  }
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);)
    if (line.starts_with("0::")) path = line.substr(3);
  return mount.empty() || path.empty() || path == "/" ? "" : mount + path;
}

}  // namespace

ControlGroup ControlGroup::make(const std::string& setting, const std::string& resource) {
  ControlGroup out;
  if (setting == "off") return out;
  std::string parent = setting == "auto" ? own_group() : setting;
  if (parent.empty()) return out;
  std::string name = "holdfast-";
  for (char c : resource) name += isalnum(static_cast<unsigned char>(c)) ? c : '_';
  std::string path = parent + "/" + name;
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return out;
  if (access((path + "/cgroup.freeze").c_str(), W_OK) != 0) return out;
  out.path_ = path;
  out.freeze(false);  // an earlier life may have left it frozen
  return out;
}

bool ControlGroup::add(pid_t pid) const {
  return write_file(path_ + "/cgroup.procs", std::to_string(pid));
}

bool ControlGroup::freeze(bool frozen) const {
  return write_file(path_ + "/cgroup.freeze", frozen ? "1" : "0");
}

void ControlGroup::kill_all() const {
  if (write_file(path_ + "/cgroup.kill", "1")) return;
  std::stringstream pids(read_file(path_ + "/cgroup.procs"));  // before Linux 5.14
  for (pid_t pid; pids >> pid;) kill(pid, SIGKILL);
}

bool ControlGroup::populated() const {
  return read_file(path_ + "/cgroup.events").find("populated 1") != std::string::npos;
}

void ControlGroup::remove() {
  if (!path_.empty()) rmdir(path_.c_str());
  path_.clear();
}

Status ProcessTree::freeze(bool frozen) const {
  if (leader == 0) return {};
  if (!control_group.path().empty() && control_group.freeze(frozen)) return {};
  if (kill(-leader, frozen ? SIGSTOP : SIGCONT) != 0 && errno != ESRCH)
    return fail(ErrorCode::io, "cannot signal process group " + std::to_string(leader), errno);
  return {};
}

bool ProcessTree::reap() const {
  siginfo_t info{};
  while (waitid(P_PGID, static_cast<id_t>(leader), &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0)
    info = {};
  return kill(-leader, 0) != 0 && errno == ESRCH;
}

bool ProcessTree::kill_and_wait(Duration limit) const {
  if (leader == 0) return true;
  Instant until = boottime_now() + limit;
  kill(-leader, SIGKILL);
  if (!control_group.path().empty()) control_group.kill_all();
  for (pid_t pid : all_processes())
    if (has_environment(pid, mark)) kill(pid, SIGKILL);
  // Only now: what is held must not run again on its way out.
  if (!control_group.path().empty()) control_group.freeze(false);
  while (true) {
    bool gone = reap() && (control_group.path().empty() || !control_group.populated());
    if (gone || boottime_now() >= until) return gone;
    usleep(1000);
  }
}

}  // namespace holdfast::program
