// A whole target that answers as it likes: open, capabilities, reservations, the probe with its exercise,
// I/O.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "input.h"
#include "iscsi/probe.h"
#include "iscsi/scsi_lun.h"
#include "target.h"

namespace {

using namespace holdfast;
using namespace holdfast::scsi;

constexpr Duration patience = Duration::seconds(5);
constexpr int commands_max = 4000;

// Answers come from the input; when it is used up, zeros with GOOD.
class AnyTarget : public Transport {
 public:
  explicit AnyTarget(fuzz::Input& in) : in_(in) {}
  Status open(const Deadline&) override {
    open_ = true;
    return {};
  }
  void close() override { open_ = false; }
  bool is_open() const override { return open_; }
  Status lun_reset(const Deadline&) override { return {}; }
  Result<Completion> execute(const Command& command, const Deadline&) override {
    HOLDFAST_ASSERT(++commands_ < commands_max);
    if (!open_) return fail(ErrorCode::unreachable, "no session");
    Completion out;
    const uint8_t kind = in_.byte();
    if (kind == 1) {
      open_ = false;
      return fail(in_.flag() ? ErrorCode::timeout : ErrorCode::connection_lost, "no answer");
    }
    if (kind == 2) {
      out.status = in_.byte();
      out.sense_key = in_.byte();
      out.sense_code = static_cast<uint16_t>(in_.number(2));
    }
    out.transferred = command.size;
    if (command.direction == Direction::in) {
      memset(command.data, 0, command.size);
      const std::string bytes = kind == 0 ? std::string() : in_.text();
      const size_t known = std::min(bytes.size(), command.size);
      std::copy_n(bytes.data(), known, static_cast<char*>(command.data));
      if (kind == 3) out.transferred = known;
    } else if (kind == 4) {
      out.transferred = in_.number(2);
    }
    return out;
  }

 private:
  fuzz::Input& in_;
  bool open_ = false;
  int commands_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  Attachment attachment;
  attachment.persist_through_power_loss = in.flag();
  const bool exercise = in.flag();
  ScsiLun lun(attachment, std::make_unique<AnyTarget>(in));
  auto opened = lun.open(patience);
  if (!opened) {
    HOLDFAST_ASSERT(!lun.is_open() && !opened.error().uncertain());  // S6
    HOLDFAST_ASSERT(opened.error().code != ErrorCode::internal);
    return 0;
  }
  const ProbeReport report = probe(lun, {patience, exercise});
  HOLDFAST_ASSERT(!report.error || (!report.quorum.suitable && !report.data_disk.suitable));
  HOLDFAST_ASSERT(nlohmann::json::parse(to_json(report), nullptr, false).is_object());
  HOLDFAST_ASSERT(!to_text(report).empty());
  if (!lun.is_open()) return 0;
  // Whatever the size is said to be: nothing is transferred outside of it, or by halves.
  std::vector<uint8_t> buffer(8192);
  const uint64_t offset = in.any();
  const bool inside =
      offset % 4096 == 0 && offset <= lun.size_bytes() && lun.size_bytes() - offset >= buffer.size();
  auto got = lun.read(offset, buffer.data(), buffer.size(), patience);
  HOLDFAST_ASSERT(inside || !got);
  if (lun.is_open()) (void)lun.write(offset, buffer.data(), buffer.size(), patience);
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  using namespace std::string_view_literals;
  Recipe disk;  // a sound disk of 64 MiB with reservations
  disk.byte(1).byte(1).byte(0);
  disk.byte(5).text("\0\0\5\2\x1f\0\0\2VENDOR  PRODUCT         1.0 "sv);
  disk.byte(5).text("\0\0\0\0\0\1\xff\xff\0\0\2\0"sv);
  disk.byte(5).text("\x13\0\x10\0\x08\x12\4"sv);
  disk.byte(5).text("\0\xb0\0\x3c\0\0\0\0\0\0\x20\0"sv);
  disk.byte(5).text("\0\x08\5\x81\xea\1\0\0"sv);
  disk.byte(5).text("\0\x83\0\x0c\1\3\0\x08\x60\1\2\3\4\5\6\7"sv);
  disk.byte(5).text("\0\x80\0\4abcd"sv);
  Recipe refuses = disk;
  disk.byte(5)
      .text("\0\0\0\5\0\0\0\0"sv)
      .byte(5)
      .text("\0\x08\5\x81\xea\1\0\0"sv)
      .byte(5)
      .text("\0\0\0\5\0\0\0\0"sv);
  disk.byte(2).byte(0x18).byte(0).number(0, 2);
  refuses.byte(2).byte(2).byte(5).number(0x2000, 2).text("");
  Recipe attentions;
  attentions.byte(0).byte(0);
  for (int i = 0; i < 6; ++i) attentions.byte(2).byte(2).byte(6).number(0x2900, 2);
  return {disk.done(), refuses.done(), attentions.done(), Recipe().byte(0).byte(0).byte(1).byte(1).done()};
}

}  // namespace holdfast::fuzz
