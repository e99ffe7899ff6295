// Every decoder of what a target answers, on the same bytes.
#include "input.h"
#include "iscsi/commands.h"
#include "iscsi/sense.h"
#include "target.h"

using namespace holdfast;
using namespace holdfast::scsi;

namespace {

void printable(const std::string& text) {
  for (unsigned char c : text) HOLDFAST_ASSERT(c >= 0x20 && c < 0x7f);
}

template <typename T>
void only_corrupt(const Result<T>& result) {
  HOLDFAST_ASSERT(result || result.error().code == ErrorCode::corrupt);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  Completion completion;
  completion.status = in.byte();
  completion.sense_key = in.byte();
  completion.sense_code = static_cast<uint16_t>(in.number(2));
  auto judged = judge(completion, "READ KEYS", "lun");
  if (!judged) {
    HOLDFAST_ASSERT(judged.error().code != ErrorCode::internal && judged.error().code != ErrorCode::ok);
    printable(judged.error().text());
  }
  HOLDFAST_ASSERT(!shakes_reservation(completion) || is_unit_attention(completion));

  const std::string rest = in.rest();
  const std::vector<uint8_t> answer(rest.begin(), rest.end());
  auto keys = decode_keys(answer);
  only_corrupt(keys);
  if (keys) HOLDFAST_ASSERT(keys->keys.size() * 8 <= answer.size());
  auto reservation = decode_reservation(answer);
  only_corrupt(reservation);
  if (reservation) HOLDFAST_ASSERT(!to_string(reservation->type).empty());
  auto full = decode_full_status(answer);
  only_corrupt(full);
  size_t text = 0;
  if (full)
    for (const auto& entry : *full) {
      printable(entry.transport_id);
      text += entry.transport_id.size();
    }
  HOLDFAST_ASSERT(text <= 16 * answer.size());
  Capabilities capabilities;
  decode_pr_capabilities(answer, capabilities);
  decode_inquiry(answer, capabilities);
  for (const auto* field : {&capabilities.vendor, &capabilities.product, &capabilities.revision})
    printable(*field);
  for (const auto& identity : decode_identities(answer)) {
    printable(identity);
    HOLDFAST_ASSERT(identity.size() <= 16 + 2 * 255);
  }
  printable(decode_serial(answer));
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  auto with = [](uint8_t status, uint8_t key, uint16_t code, std::string_view answer) {
    return Recipe().byte(status).byte(key).number(code, 2).raw(answer).done();
  };
  using namespace std::string_view_literals;
  return {
      with(0, 0, 0, "\0\0\0\5\0\0\0\x10\xab\xcd\0\0\0\0\7\1\xab\xcd\0\0\0\0\7\2"sv),
      with(0x18, 0, 0, "\0\0\0\5\0\0\0\x10\xab\xcd\0\0\0\0\7\1\0\0\0\0\0\1\0\0"sv),
      with(
          2, 6, 0x2a03,
          "\0\0\0\5\0\0\0\x2c\xab\xcd\0\0\0\0\7\1\0\0\0\0\1\1\0\0\0\0\0\1\0\0\0\x14\x45\0\0\x10iqn.2026-11.io:a\0"sv),
      with(2, 5, 0x2400, "\0\x83\0\x1c\1\3\0\x10\x60\1\2\3\4\5\6\7\x08\x09\xa\xb\xc\xd\xe\xf\2\1\0\4ATA "sv),
      with(2, 2, 0x0800, "\0\x80\0\4abcd"sv),
      with(8, 0, 0, "\0\0\5\2\x1f\0\0\2VENDOR  PRODUCT         1.0 "sv),
      with(0x28, 0, 0, "\0\x08\5\x81\xea\1\0\0"sv),
  };
}

}  // namespace holdfast::fuzz
