#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace holdfast::disk {
namespace {

namespace files = std::filesystem;

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

std::string identity_of(const std::string& sys, const std::string& name) {
  std::string identity = first_line(sys + "/block/" + name + "/device/wwid");
  return identity.empty() ? first_line(sys + "/block/" + name + "/wwid") : identity;
}

// "/dev/disk/by-id/…" -> "sdb". Links are followed, since udev makes them.
Result<std::string> kernel_name(const std::string& path) {
  char* real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return fail(ErrorCode::not_found, "there is no device " + path, errno);
  std::string name = files::path(real).filename();
  free(real);
  return name;
}

// Device mapper or MD on top of it means that somebody else on this node manages the disk.
Status refuse_when_held(const std::string& sys, const std::string& name) {
  std::error_code ignored;
  for (const auto& holder : files::directory_iterator(sys + "/block/" + name + "/holders", ignored))
    return fail(ErrorCode::foreign,
                "disk /dev/" + name + " is used by " + holder.path().filename().string() + " on this node", 0,
                "exclude it from LVM, multipath and MD");
  return {};
}

}  // namespace

Result<Device> find_device(const std::string& text, const std::string& expected_identity,
                           const std::string& sys) {
  Device out;
  if (text.starts_with("iscsi://")) {
    size_t at = text.rfind('@');
    out.identity = at == std::string::npos ? text : "iscsi://" + text.substr(at + 1);
    out.paths = {text};
    return out;
  }
  std::string identity = text;
  if (text.starts_with("/")) {
    HOLDFAST_TRY(std::string name, kernel_name(text));
    identity = identity_of(sys, name);
    if (identity.empty())
      return fail(ErrorCode::unsupported, "device " + text + " tells no identity (VPD page 0x83)", 0,
                  "only whole SCSI disks can be clustered");
  }
  if (!expected_identity.empty() && identity != expected_identity)
    return fail(
        ErrorCode::foreign,
        text + " is now disk " + identity + ", but the resource was opened for disk " + expected_identity, 0,
        "set the property Device to the identity");
  std::error_code ignored;
  for (const auto& entry : files::directory_iterator(sys + "/block", ignored)) {
    std::string name = entry.path().filename();
    if (!name.starts_with("sd") || identity_of(sys, name) != identity) continue;
    HOLDFAST_CHECK(refuse_when_held(sys, name));
    out.paths.push_back("/dev/" + name);
  }
  std::sort(out.paths.begin(), out.paths.end());
  if (out.paths.empty())
    return fail(ErrorCode::not_found, "no disk with identity " + identity + " is attached to this node", 0,
                "compare with the wwid files in /sys/block/*/device");
  out.identity = identity;
  return out;
}

bool in_use(const Device& device) {
  if (!device.kernel()) return false;
  for (const auto& path : device.paths) {
    int fd = open(path.c_str(), O_RDWR | O_EXCL | O_CLOEXEC);
    if (fd < 0 && errno == EBUSY) return true;
    if (fd >= 0) close(fd);
  }
  return false;
}

}  // namespace holdfast::disk
