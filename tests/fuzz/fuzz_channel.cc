// The ordered channel, both ends, over sessions that break at any frame: every message of a current epoch
// arrives once and in order (C1 to C3).
#include <map>

#include "adapters/transport/channel.h"
#include "input.h"
#include "target.h"

namespace {

using namespace holdfast;
using namespace holdfast::transport;

constexpr uint64_t queue_bytes = 256 << 10;

// A message that says its own number, so that the receiver's end can be judged.
std::string message(uint64_t number, uint64_t size) {
  std::string out(8 + size, 'm');
  put_le(as_u8(out), number, 8);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  Channel sender(1, queue_bytes), receiver(1, queue_bytes);
  std::map<uint64_t, uint64_t> epoch_of;  // of every message that was taken
  uint64_t pushed = 0, delivered = 0, sender_epoch = 1, receiver_epoch = 1;

  auto carry = [&] {  // one frame; false: nothing to send
    FrameHeader header;
    std::string_view body;
    if (!sender.next(header, body)) return false;
    std::string out;
    const auto receipt = receiver.receive(header, body, out);
    HOLDFAST_ASSERT(receipt != Channel::Receipt::bad_order && receipt != Channel::Receipt::too_long);
    if (receipt == Channel::Receipt::message) {
      const uint64_t number = get_le(as_u8(out), 8);
      HOLDFAST_ASSERT(number > delivered && number <= pushed);  // once, in order
      HOLDFAST_ASSERT(epoch_of[number] == 0 || epoch_of[number] >= receiver_epoch);
      for (uint64_t lost = delivered + 1; lost < number; ++lost)  // only what became old may be missing
        HOLDFAST_ASSERT(epoch_of[lost] != 0 && epoch_of[lost] < std::max(sender_epoch, receiver_epoch));
      delivered = number;
    }
    return true;
  };

  while (!in.done()) {
    switch (in.below(6)) {
      case 0: {
        const uint64_t epoch = in.flag() ? 0 : sender_epoch - std::min<uint64_t>(in.below(2), sender_epoch);
        const uint64_t bytes = in.flag() ? in.byte() : in.number(2) * 3;
        if (sender.push(epoch, message(pushed + 1, bytes))) epoch_of[++pushed] = epoch;
        break;
      }
      case 1:
        for (uint64_t frames = in.below(8) + 1; frames > 0 && carry(); --frames) {
        }
        break;
      case 2:
        HOLDFAST_ASSERT(sender.acknowledge(receiver.received()));
        break;
      case 3:  // the session broke; the next one begins behind what was received
        HOLDFAST_ASSERT(sender.restart(receiver.received()));
        break;
      case 4:
        sender.set_epoch(sender_epoch = std::max(sender_epoch, in.below(32)));
        break;
      case 5:
        receiver.set_epoch(receiver_epoch = std::max(receiver_epoch, in.below(32)));
        break;
    }
    HOLDFAST_ASSERT(sender.queued_bytes() <= queue_bytes + 4 * 65536);
  }
  HOLDFAST_ASSERT(sender.restart(receiver.received()));
  while (carry() || sender.queued_bytes() > 0) HOLDFAST_ASSERT(sender.acknowledge(receiver.received()));
  for (uint64_t lost = delivered + 1; lost <= pushed; ++lost)
    HOLDFAST_ASSERT(epoch_of[lost] != 0 && epoch_of[lost] < std::max(sender_epoch, receiver_epoch));
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  Recipe plain, broken;
  for (int i = 0; i < 8; ++i) plain.byte(0).byte(1).byte(1).byte(200).byte(1).byte(7).byte(2);
  for (int i = 1; i < 8; ++i)
    broken.byte(0)
        .byte(0)
        .byte(0)
        .byte(0)
        .number(50'000, 2)
        .byte(1)
        .byte(i % 3)
        .byte(4)
        .byte(i)
        .byte(3)
        .byte(5)
        .byte(i);
  return {plain.done(), broken.done()};
}

}  // namespace holdfast::fuzz
