#include "prepare.h"

#include "fs-hooks/superblock.h"

namespace holdfast::files {

Status refuse_when_mounted(dev_t device, const std::string& node, const std::string& mount_point) {
  for (const auto& mount : fs::read_mounts()) {
    if (mount.device == device)
      return fail(ErrorCode::busy, node + " is mounted already, on " + mount.mount_point, 0,
                  "unmount it, and remove it from fstab");
    if (mount.mount_point == mount_point)
      return fail(ErrorCode::busy, mount_point + " is the mount point of " + mount.source + " already");
  }
  for (const auto& foreign : fs::find_foreign_mounts(device))
    return fail(ErrorCode::busy, node + " is mounted already, on " + foreign.mount.mount_point +
                                     " in the mount namespace of pid " + std::to_string(foreign.pid));
  return {};
}

Result<std::string> decide_type(const std::string& node, const std::string& wanted) {
  HOLDFAST_TRY(auto found, fs::read_superblock(node));
  if (found.type.empty())
    return fail(ErrorCode::foreign, node + " holds neither an ext4 nor an xfs file system", 0,
                "make one with mkfs, once, on one node");
  if (wanted != "auto" && wanted != found.type)
    return fail(ErrorCode::foreign, node + " holds an " + found.type +
                                        " file system, but the property FileSystemType says " + wanted);
  return found.type;
}

Status check_file_system(const std::string& node, const std::string& type, Duration limit,
                         const GoOn& go_on) {
  if (type != "ext4") return {};
  HOLDFAST_TRY(auto outcome, run_program({"e2fsck", "-p", node}, limit, go_on));
  // 0 clean, 1 and 2 repaired, 4 errors left, 8 and more: it could not do its work.
  if (outcome.exit_code <= 3) return {};
  std::string said = outcome.output.substr(0, 300);
  for (char& c : said)
    if (c == '\n') c = ' ';
  if ((outcome.exit_code & 4) != 0)
    return fail(ErrorCode::corrupt,
                "the file system on " + node + " has errors that cannot be repaired automatically: " + said,
                0, "run e2fsck -f " + node + " on this node");
  return fail(ErrorCode::io, "e2fsck could not check " + node + " (exit status " +
                                 std::to_string(outcome.exit_code) + "): " + said);
}

}  // namespace holdfast::files
