// What a LUN holds: magics of both ends, and the super block of a file system. Pieces of the input are put at
// places where formats have their magics, since a random input of 256 KiB never hits one.
#include "fs-hooks/superblock.h"
#include "input.h"
#include "iscsi/signatures.h"
#include "target.h"

using namespace holdfast;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  static constexpr uint64_t places[] = {0,    3,     24,    54,    82,    510,   512,
                                        1024, 1080,  1536,  2048,  4086,  4096,  4120,
                                        8192, 32768, 65526, 65536, 65588, 65600, 131072};
  const uint64_t device = in.flag() ? in.any() : (in.number(2) + 1) * 4096;
  std::vector<uint8_t> head(std::min<uint64_t>(device, in.flag() ? scsi::examined_head_bytes : 8192));
  std::vector<uint8_t> tail(std::min<uint64_t>(device, in.flag() ? scsi::examined_tail_bytes : 512));
  bool zero = true;
  while (!in.done()) {
    auto& target = in.flag() ? tail : head;
    uint64_t at = in.flag() ? in.number(3) : places[in.below(std::size(places))];
    for (char c : in.text()) {
      if (at >= target.size()) break;
      target[at++] = static_cast<uint8_t>(c);
    }
  }
  for (const auto* part : {&head, &tail})
    for (uint8_t byte : *part) zero = zero && byte == 0;
  const auto contents = scsi::recognise(head, tail, device);
  HOLDFAST_ASSERT(contents.empty() == zero);  // nobody's data is taken for an empty LUN
  for (const auto& content : contents) {
    HOLDFAST_ASSERT(content.offset_bytes < device && !content.kind.empty());
    for (unsigned char c : content.text()) HOLDFAST_ASSERT(c >= 0x20 && c < 0x7f);
  }
  const auto superblock = fs::parse_superblock(head.data(), head.size());
  HOLDFAST_ASSERT(superblock.type.empty() == superblock.uuid.empty());
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  auto with = [](uint8_t place, std::string_view bytes) {
    return Recipe().byte(0).number(8191, 2).byte(1).byte(1).byte(0).byte(0).byte(place).text(bytes).done();
  };
  using namespace std::string_view_literals;
  const std::string backup = Recipe()
                                 .byte(0)
                                 .number(8191, 2)
                                 .byte(1)
                                 .byte(1)
                                 .byte(1)
                                 .byte(1)
                                 .number(scsi::examined_tail_bytes - 512, 3)
                                 .text("EFI PART")
                                 .done();
  return {with(0, "HOLDFAST"),
          with(6, "EFI PART"),
          with(0, "XFSB"),
          with(8, "\x53\xef"sv),
          with(5, "\x55\xaa"sv),
          with(3, "FAT12"),
          with(19, "_BHRfS_M"),
          with(20, "\x0c\xb1\xba\0\0\0\0\0"sv),
          backup,
          with(12, "any"),
          Recipe().byte(0).number(9, 2).done()};
}

}  // namespace holdfast::fuzz
