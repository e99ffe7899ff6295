#include "iscsi/signatures.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace holdfast::scsi {
namespace {

struct Magic {
  const char* kind;
  size_t offset;
  std::string_view bytes;
  size_t uuid = 0;   // offset of a 16-byte UUID; 0 = none
  size_t label = 0;  // offset and size of a text label; 0 = none
  size_t label_size = 0;
};

using namespace std::string_view_literals;

// Offsets from the start of the device. ext and FAT need a closer look and are below.
constexpr Magic magics[] = {
    {"Holdfast quorum log", 0, "HOLDFAST"sv},
    {"Holdfast quorum log", 4096, "HOLDFAST"sv},  // the second copy of the superblock
    {"GPT partition table", 512, "EFI PART"sv},
    {"GPT partition table", 4096, "EFI PART"sv},
    {"xfs file system", 0, "XFSB"sv, 32, 108, 12},
    {"btrfs file system", 65536 + 64, "_BHRfS_M"sv, 65536 + 32, 65536 + 299, 256},
    {"swap space", 4086, "SWAPSPACE2"sv, 1036, 1052, 16},
    {"swap space", 65526, "SWAPSPACE2"sv},
    {"LVM2 physical volume", 512, "LABELONE"sv},
    {"LVM2 physical volume", 0, "LABELONE"sv},
    {"LVM2 physical volume", 1024, "LABELONE"sv},
    {"LVM2 physical volume", 1536, "LABELONE"sv},
    {"LUKS volume", 0, "LUKS\xba\xbe"sv},
    {"md RAID member", 0, "\xfc\x4e\x2b\xa9"sv, 16},
    {"md RAID member", 4096, "\xfc\x4e\x2b\xa9"sv, 4096 + 16},
    {"NTFS file system", 3, "NTFS    "sv},
    {"exFAT file system", 3, "EXFAT   "sv},
    {"squashfs file system", 0, "hsqs"sv},
    {"f2fs file system", 1024, "\x10\x20\xf5\xf2"sv},
    {"GFS2 file system", 65536, "\x01\x16\x19\x70\0\0\0\x01"sv},
    {"OCFS2 file system", 512 * 2, "OCFSV2"sv},
    {"OCFS2 file system", 1024 * 2, "OCFSV2"sv},
    {"OCFS2 file system", 2048 * 2, "OCFSV2"sv},
    {"OCFS2 file system", 4096 * 2, "OCFSV2"sv},
    {"JFS file system", 32768, "JFS1"sv},
    {"ReiserFS file system", 65536 + 52, "ReIsEr"sv},
    {"ISO 9660 file system", 32769, "CD001"sv},
    {"bcache device", 4096 + 24, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"sv},
    {"sanlock lockspace", 0, "\x10\x20\x21\x12"sv},
    {"sanlock lease", 0, "\x10\x20\x15\x06"sv},
};

bool has(const std::vector<uint8_t>& data, size_t offset, std::string_view bytes) {
  return offset + bytes.size() <= data.size() && memcmp(&data[offset], bytes.data(), bytes.size()) == 0;
}

std::string text_at(const std::vector<uint8_t>& data, size_t offset, size_t size) {
  std::string out;
  for (size_t i = offset; i < offset + size && i < data.size() && data[i] >= 0x20 && data[i] < 0x7f; ++i)
    out += static_cast<char>(data[i]);
  return out;
}

std::string uuid_at(const std::vector<uint8_t>& data, size_t offset) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < 16 && offset + 16 <= data.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += digits[data[offset + i] >> 4];
    out += digits[data[offset + i] & 0xf];
  }
  return out;
}

void recognise_ext(const std::vector<uint8_t>& head, std::vector<Content>& out) {
  constexpr size_t superblock = 1024;
  if (head.size() < superblock + 1024 || !has(head, superblock + 0x38, "\x53\xef"sv)) return;
  uint64_t compatible = get_le(&head[superblock + 0x5c], 4),
           incompatible = get_le(&head[superblock + 0x60], 4);
  constexpr uint64_t has_journal = 0x4, journal_device = 0x8, extents_64bit_flex = 0x40 | 0x80 | 0x200;
  const char* kind = (incompatible & journal_device) != 0       ? "ext journal device"
                     : (incompatible & extents_64bit_flex) != 0 ? "ext4 file system"
                     : (compatible & has_journal) != 0          ? "ext3 file system"
                                                                : "ext2 file system";
  out.push_back(
      {kind, text_at(head, superblock + 0x78, 16), uuid_at(head, superblock + 0x68), superblock + 0x38});
}

// Both FAT and a partition table end in 55 AA; a boot sector of FAT names itself.
void recognise_boot_sector(const std::vector<uint8_t>& head, std::vector<Content>& out) {
  if (!has(head, 510, "\x55\xaa"sv)) return;
  for (size_t at : {size_t{54}, size_t{82}})
    if (has(head, at, "FAT"sv)) {
      out.push_back({"FAT file system", text_at(head, at - 11, 11), "", at});
      return;
    }
  bool known = std::any_of(out.begin(), out.end(), [](const Content& c) {
    return c.kind.starts_with("GPT") || c.kind.starts_with("NTFS") || c.kind.starts_with("exFAT");
  });
  if (!known) out.push_back({"MBR partition table", "", "", 510});
}

void recognise_zfs(const std::vector<uint8_t>& head, std::vector<Content>& out) {
  for (size_t at = 128 * 1024; at + 8 <= head.size(); at += 1024)
    if (has(head, at, "\x0c\xb1\xba\0\0\0\0\0"sv) || has(head, at, "\0\0\0\0\0\xba\xb1\x0c"sv)) {
      out.push_back({"ZFS member", "", "", at});
      return;
    }
}

void recognise_tail(const std::vector<uint8_t>& tail, uint64_t size_bytes, std::vector<Content>& out) {
  auto at_device = [&](uint64_t offset, std::string_view bytes) {
    uint64_t start = size_bytes - tail.size();
    return offset >= start && has(tail, offset - start, bytes);
  };
  bool gpt = std::any_of(out.begin(), out.end(), [](const Content& c) { return c.kind.starts_with("GPT"); });
  for (uint64_t block : {512, 4096})
    if (!gpt && size_bytes >= block && at_device(size_bytes - block, "EFI PART"sv))
      out.push_back({"GPT partition table (backup)", "", "", size_bytes - block});
  if (size_bytes < 256 * 1024) return;
  constexpr std::string_view md = "\xfc\x4e\x2b\xa9"sv;
  uint64_t version_0 = (size_bytes & ~0xffffULL) - 65536, version_1_0 = (size_bytes - 8192) & ~0xfffULL;
  for (uint64_t at : {version_0, version_1_0})
    if (at_device(at, md)) out.push_back({"md RAID member", "", "", at});
}

}  // namespace

std::string Content::text() const {
  std::string out = kind;
  if (!label.empty()) out += " \"" + label + "\"";
  if (!uuid.empty()) out += " (UUID " + uuid + ")";
  return out + " at byte " + std::to_string(offset_bytes);
}

std::vector<Content> recognise(const std::vector<uint8_t>& head, const std::vector<uint8_t>& tail,
                               uint64_t size_bytes) {
  std::vector<Content> out;
  for (const Magic& m : magics) {
    if (!has(head, m.offset, m.bytes)) continue;
    if (!out.empty() && out.back().kind == m.kind) continue;  // a second copy
    out.push_back({m.kind, m.label == 0 ? "" : text_at(head, m.label, m.label_size),
                   m.uuid == 0 ? "" : uuid_at(head, m.uuid), m.offset});
  }
  recognise_ext(head, out);
  recognise_boot_sector(head, out);
  recognise_zfs(head, out);
  recognise_tail(tail, size_bytes, out);
  if (!out.empty()) return out;
  auto nonzero = [](uint8_t byte) { return byte != 0; };
  if (auto it = std::find_if(head.begin(), head.end(), nonzero); it != head.end())
    out.push_back({"unrecognised data", "", "", static_cast<uint64_t>(it - head.begin())});
  else if (auto last = std::find_if(tail.begin(), tail.end(), nonzero); last != tail.end())
    out.push_back(
        {"unrecognised data", "", "", size_bytes - tail.size() + static_cast<uint64_t>(last - tail.begin())});
  return out;
}

Result<std::vector<Content>> read_contents(Lun& lun, Duration limit) {
  Deadline deadline(limit);
  uint64_t size = lun.size_bytes();
  std::vector<uint8_t> head(std::min(examined_head_bytes, size / 4096 * 4096));
  HOLDFAST_CHECK(lun.read(0, head.data(), head.size(), deadline.left()));
  // A size that is no multiple of 4 KiB leaves a last piece that aligned requests cannot reach: start the
  // tail before.
  uint64_t aligned_end = size / 4096 * 4096;
  std::vector<uint8_t> tail(std::min(examined_tail_bytes, aligned_end));
  HOLDFAST_CHECK(lun.read(aligned_end - tail.size(), tail.data(), tail.size(), deadline.left()));
  tail.resize(tail.size() + (size - aligned_end));  // the unreachable rest counts as zero
  return recognise(head, tail, size);
}

}  // namespace holdfast::scsi
