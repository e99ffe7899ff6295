#include <algorithm>
#include <cstring>

#include "cli/quorum_device.h"

namespace holdfast::cli {

std::string describe_content(const std::string& head) {
  if (std::all_of(head.begin(), head.end(), [](char c) { return c == 0; })) return "";
  struct Signature {
    size_t offset;
    std::string bytes;
    const char* what;
  };
  // The outer ones first: a partition table may have anything behind it.
  static const Signature known[] = {
      {512, "EFI PART", "a GPT partition table"},
      {4096, "EFI PART", "a GPT partition table"},
      {0, std::string("LUKS\xba\xbe", 6), "an encrypted volume (LUKS)"},
      {512, "LABELONE", "an LVM physical volume"},
      {0, "LABELONE", "an LVM physical volume"},
      {1024, "LABELONE", "an LVM physical volume"},
      {4096, std::string("\xfc\x4e\x2b\xa9", 4), "a member of a RAID (md)"},
      {0, "XFSB", "an XFS file system"},
      {1080, std::string("\x53\xef", 2), "an ext2, ext3 or ext4 file system"},
      {65600, "_BHRfS_M", "a btrfs file system"},
      {4086, "SWAPSPACE2", "swap space"},
      {1024, std::string("\x10\x20\xf5\xf2", 4), "an f2fs file system"},
      {3, "NTFS    ", "an NTFS file system"},
      {65536, std::string("\x01\x16\x19\x70", 4), "a GFS2 file system"},
      {510, std::string("\x55\xaa", 2), "an MBR partition table or a boot sector"},
  };
  for (const auto& s : known)
    if (head.size() >= s.offset + s.bytes.size() && memcmp(head.data() + s.offset, s.bytes.data(), s.bytes.size()) == 0)
      return s.what;
  return "data of an unknown kind";
}

}  // namespace holdfast::cli
