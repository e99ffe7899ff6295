#include "fs-hooks/holders.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>

namespace holdfast::fs {
namespace {

bool link_on(const std::string& path, dev_t device) {
  struct stat s {};
  // The link leads to the object itself, without a walk over path names.
  return stat(path.c_str(), &s) == 0 && s.st_dev == device;
}

bool descriptor_on(const std::string& process, dev_t device) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir((process + "/fd").c_str()), closedir);
  if (!dir) return false;
  while (dirent* entry = readdir(dir.get())) {
    if (entry->d_name[0] == '.') continue;
    struct stat s {};
    if (fstatat(dirfd(dir.get()), entry->d_name, &s, 0) == 0 && s.st_dev == device) return true;
  }
  return false;
}

bool mapping_on(const std::string& process, dev_t device) {
  std::ifstream maps(process + "/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned major_number = 0, minor_number = 0;
    if (sscanf(line.c_str(), "%*s %*s %*s %x:%x", &major_number, &minor_number) == 2 &&
        makedev(major_number, minor_number) == device)
      return true;
  }
  return false;
}

const char* how_it_holds(const std::string& process, dev_t device) {
  if (descriptor_on(process, device)) return "open file";
  if (link_on(process + "/cwd", device)) return "current directory";
  if (link_on(process + "/root", device)) return "root directory";
  if (link_on(process + "/exe", device)) return "executable";
  if (mapping_on(process, device)) return "mapping";
  return nullptr;
}

}  // namespace

std::vector<Holder> find_holders(dev_t device) {
  std::vector<Holder> out;
  for (pid_t pid : all_processes()) {
    const char* how = how_it_holds("/proc/" + std::to_string(pid), device);
    if (how == nullptr) continue;
    auto info = read_process(pid);
    if (!info || info->state == 'Z') continue;
    bool untouchable = pid == 1 || pid == getpid() || pid == getppid() || info->parent == 2 || pid == 2;
    out.push_back({*info, how, untouchable});
  }
  return out;
}

std::string describe(const std::vector<Holder>& holders, size_t most) {
  std::string out;
  for (size_t i = 0; i < holders.size() && i < most; ++i) {
    const auto& h = holders[i];
    out += (out.empty() ? "" : ", ") + std::string("pid ") + std::to_string(h.process.pid) + " (" +
           h.process.command + ": " + h.how + ")";
  }
  if (holders.size() > most) out += " and " + std::to_string(holders.size() - most) + " more";
  return out;
}

void signal_holders(const std::vector<Holder>& holders, int signal) {
  for (const auto& h : holders)
    if (!h.untouchable && runs(h.process.pid, h.process.start_ticks)) kill(h.process.pid, signal);
}

}  // namespace holdfast::fs
