// What a killed monitor left: the sweep file, and the kernel's list of mounts that it is compared with.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>

#include "fs-hooks/mounts.h"
#include "input.h"
#include "monitor/ledger.h"
#include "target.h"

using namespace holdfast;

namespace {

// A file in memory that has a path.
struct MemoryFile {
  explicit MemoryFile(std::string_view text) : fd(memfd_create("ledger", MFD_CLOEXEC)) {
    HOLDFAST_ASSERT(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  ~MemoryFile() { close(fd); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd); }
  int fd;
};

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t kind = in.byte();
  const std::string rest = in.rest();
  if (kind == 0) {
    for (const auto& mount : fs::parse_mountinfo(rest)) {
      HOLDFAST_ASSERT(!mount.mount_point.empty() && mount.mount_point.size() <= rest.size());
      auto again = fs::parse_device_number(fs::device_number_text(mount.device));
      HOLDFAST_ASSERT(again && *again == mount.device);
    }
    return 0;
  }
  // With the id of this boot, or nothing but that would be looked at.
  const MemoryFile file(kind == 1 ? "{\"boot_id\":\"" + boot_id() + "\",\"entries\":" + rest + "}" : rest);
  const auto entries = monitor::read_ledger(file.path());
  if (!entries) {
    HOLDFAST_ASSERT(entries.error().code == ErrorCode::corrupt);
    return 0;
  }
  size_t memory = 0;
  for (const auto& e : *entries) memory += e.resource.size() + e.kind.size() + e.key.size() + e.detail.size();
  HOLDFAST_ASSERT(memory <= rest.size());
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  return {
      Recipe()
          .byte(0)
          .raw("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n")
          .done(),
      Recipe().byte(0).raw("22 28 8:16 / / ro - xfs /dev/sdb ro\n23 1 0:5 / /p rw - proc proc rw\n").done(),
      Recipe()
          .byte(1)
          .raw("[{\"resource\":\"ip\",\"kind\":\"address\",\"key\":\"eth0 192.0.2.9/24\",\"detail\":\"\"}]")
          .done(),
      Recipe().byte(1).raw("[]").done(), Recipe().byte(2).raw("{\"boot_id\":\"x\",\"entries\":[]}").done()};
}

}  // namespace holdfast::fuzz
