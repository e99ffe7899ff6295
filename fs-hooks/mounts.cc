#include "fs-hooks/mounts.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

#include "base/process.h"

namespace holdfast::fs {
namespace {

// mountinfo writes blanks and backslashes as \ooo.
std::string unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    auto digit = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool has_option(const std::string& options, const std::string& wanted) {
  return ("," + options + ",").find("," + wanted + ",") != std::string::npos;
}

std::string namespace_of(pid_t pid) {
  char text[64];
  std::string path = "/proc/" + (pid == 0 ? std::string("self") : std::to_string(pid)) + "/ns/mnt";
  ssize_t n = readlink(path.c_str(), text, sizeof text);
  return n > 0 ? std::string(text, static_cast<size_t>(n)) : "";
}

}  // namespace

std::vector<Mount> parse_mountinfo(const std::string& text) {
  std::vector<Mount> out;
  std::stringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::stringstream front(line.substr(0, dash)), back(line.substr(dash + 3));
    std::string id, parent, device, root, point, super_options;
    Mount mount;
    if (!(front >> id >> parent >> device >> root >> point) ||
        !(back >> mount.type >> mount.source >> super_options))
      continue;
    auto number = parse_device_number(device);
    if (!number) continue;
    mount.device = *number;
    mount.root = unescape(root);
    mount.mount_point = unescape(point);
    mount.source = unescape(mount.source);
    mount.read_only = has_option(super_options, "ro");
    out.push_back(std::move(mount));
  }
  return out;
}

std::vector<Mount> read_mounts(pid_t pid) {
  std::ifstream file("/proc/" + (pid == 0 ? std::string("self") : std::to_string(pid)) + "/mountinfo");
  std::stringstream text;
  text << file.rdbuf();
  return parse_mountinfo(text.str());
}

std::vector<ForeignMount> find_foreign_mounts(dev_t device) {
  std::string own = namespace_of(0);
  std::map<std::string, pid_t> others;
  for (pid_t pid : all_processes())
    if (std::string name = namespace_of(pid); !name.empty() && name != own) others.emplace(name, pid);
  std::vector<ForeignMount> out;
  for (const auto& [name, pid] : others)
    for (const auto& mount : read_mounts(pid))
      if (mount.device == device) out.push_back({pid, mount});
  return out;
}

std::string device_number_text(dev_t device) {
  return std::to_string(major(device)) + ":" + std::to_string(minor(device));
}

Result<dev_t> parse_device_number(const std::string& text) {
  unsigned major_number = 0, minor_number = 0;
  char rest = 0;
  if (sscanf(text.c_str(), "%u:%u%c", &major_number, &minor_number, &rest) != 2)
    return fail(ErrorCode::invalid_argument, "'" + text + "' is not a device number");
  return makedev(major_number, minor_number);
}

Result<dev_t> block_device_number(const std::string& path) {
  struct stat s {};
  if (stat(path.c_str(), &s) != 0) return fail(ErrorCode::not_found, "cannot find device " + path, errno);
  if (!S_ISBLK(s.st_mode)) return fail(ErrorCode::invalid_argument, path + " is not a block device");
  return s.st_rdev;
}

}  // namespace holdfast::fs
