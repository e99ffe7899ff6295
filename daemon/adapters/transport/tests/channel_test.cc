#include "adapters/transport/channel.h"

#include <gtest/gtest.h>

#include <vector>

#include "adapters/transport/transport.h"

namespace holdfast::transport {
namespace {

constexpr uint64_t plenty = 64 << 20;

struct Wire {
  FrameHeader header;
  std::string body;
};

std::vector<Wire> take(Channel& channel) {
  std::vector<Wire> out;
  FrameHeader header;
  std::string_view body;
  while (channel.next(header, body)) out.push_back({header, std::string(body)});
  return out;
}

// Gives frames to the receiver; returns the messages. Fails on a broken order.
std::vector<std::string> give(Channel& to, const std::vector<Wire>& frames) {
  std::vector<std::string> out;
  for (auto& frame : frames) {
    std::string message;
    auto receipt = to.receive(frame.header, frame.body, message);
    EXPECT_NE(receipt, Channel::Receipt::bad_order);
    if (receipt == Channel::Receipt::message) out.push_back(message);
  }
  return out;
}

TEST(Channel, CutsAndJoinsLargeMessages) {
  Channel a(0, plenty), b(0, plenty);
  std::string large(fragment_max * 2 + 17, 'x');
  ASSERT_TRUE(a.push(0, large));
  ASSERT_TRUE(a.push(0, ""));
  auto frames = take(a);
  EXPECT_EQ(frames.size(), 4u);
  EXPECT_EQ(give(b, frames), (std::vector<std::string>{large, ""}));
  EXPECT_TRUE(a.acknowledge(b.received()));
  EXPECT_EQ(a.queued_bytes(), 0u);
  EXPECT_FALSE(a.acknowledge(b.received() + 1)) << "never sent";
}

TEST(Channel, SendsAgainAfterARestartAndDropsDuplicates) {  // C1, C2
  Channel a(0, plenty), b(0, plenty);
  for (int i = 0; i < 10; ++i) a.push(0, std::to_string(i));
  auto frames = take(a);
  frames.resize(6);  // the rest is lost with the session
  EXPECT_EQ(give(b, frames).size(), 6u);
  ASSERT_TRUE(a.restart(3));  // and so were some acknowledgements
  EXPECT_EQ(give(b, take(a)), (std::vector<std::string>{"6", "7", "8", "9"}));
  EXPECT_FALSE(a.restart(11));
}

TEST(Channel, TheWindowBoundsWhatIsInFlight) {
  Channel a(0, plenty), b(0, plenty);
  for (int i = 0; i < 64; ++i) a.push(0, std::string(fragment_max, 'x'));
  auto frames = take(a);
  EXPECT_LT(frames.size(), 20u);
  size_t got = give(b, frames).size();
  while (got < 64) {
    ASSERT_TRUE(a.acknowledge(b.received()));
    auto more = take(a);
    ASSERT_FALSE(more.empty());
    got += give(b, more).size();
  }
}

TEST(Channel, PurgesOldEpochsWhereverTheyAre) {  // C3
  // Every point of progress: nothing sent, a part sent and lost, a part sent and received, all sent.
  for (size_t sent = 0; sent <= 20; ++sent) {
    for (bool arrives : {false, true}) {
      Channel a(1, plenty), b(1, plenty);
      a.push(1, std::string(fragment_max * 20, 'o'));
      a.push(1, "old");
      std::vector<Wire> frames;
      FrameHeader header;
      std::string_view body;
      for (size_t i = 0; i < sent && a.next(header, body); ++i) frames.push_back({header, std::string(body)});
      if (arrives) give(b, frames);
      if (arrives && sent % 2) {
        ASSERT_TRUE(a.acknowledge(b.received()));
      }
      a.set_epoch(2);
      EXPECT_EQ(a.queued_bytes(), 0u);
      ASSERT_TRUE(a.push(2, "new"));
      EXPECT_FALSE(a.push(1, "late"));
      if (!arrives) {
        ASSERT_TRUE(a.restart(b.received()));
      }
      EXPECT_EQ(give(b, take(a)), std::vector<std::string>{"new"}) << sent << " " << arrives;
      ASSERT_TRUE(a.acknowledge(b.received()));
      EXPECT_EQ(a.queued_bytes(), 0u);
    }
  }
}

TEST(Channel, RefusesWhatDoesNotFitTogether) {
  auto frame = [](uint64_t sequence, uint8_t flags, uint64_t epoch = 0) {
    FrameHeader header;
    header.type = FrameType::data;
    header.sequence = sequence;
    header.flags = flags;
    header.epoch = epoch;
    return header;
  };
  std::string out;
  Channel gap(0, plenty);
  EXPECT_EQ(gap.receive(frame(2, frame_first | frame_last), "x", out), Channel::Receipt::bad_order);
  Channel headless(0, plenty);
  EXPECT_EQ(headless.receive(frame(1, frame_last), "x", out), Channel::Receipt::bad_order);
  Channel nested(0, plenty);
  EXPECT_EQ(nested.receive(frame(1, frame_first), "x", out), Channel::Receipt::consumed);
  EXPECT_EQ(nested.receive(frame(2, frame_first), "x", out), Channel::Receipt::bad_order);
  EXPECT_EQ(nested.receive(frame(2, frame_last, 9), "x", out), Channel::Receipt::bad_order);
  EXPECT_EQ(nested.receive(frame(2, frame_last), "y", out), Channel::Receipt::message);
  EXPECT_EQ(out, "xy");
  Channel endless(0, plenty);
  std::string piece(fragment_max, 'x');
  Channel::Receipt receipt = endless.receive(frame(1, frame_first), piece, out);
  for (uint64_t i = 2; receipt == Channel::Receipt::consumed; ++i)
    receipt = endless.receive(frame(i, 0), piece, out);
  EXPECT_EQ(receipt, Channel::Receipt::too_long);
}

TEST(Channel, IsBounded) {
  Channel a(0, 1 << 20);
  int taken = 0;
  while (a.push(0, "")) ++taken;
  EXPECT_EQ(taken, (1 << 20) / 64);
}

TEST(Frame, RoundTripAndGarbage) {
  std::string bytes;
  FrameHeader header;
  header.type = FrameType::data;
  header.flags = frame_first;
  header.sequence = 0x0102030405060708;
  header.ack = 9;
  header.epoch = 10;
  encode_frame(header, "abc", bytes);
  FrameHeader back;
  ASSERT_EQ(decode_frame(bytes, back), FrameCheck::ok);
  EXPECT_EQ(back.length, 3u);
  EXPECT_EQ(back.sequence, header.sequence);
  EXPECT_EQ(back.epoch, 10u);
  EXPECT_EQ(decode_frame(bytes.substr(0, 31), back), FrameCheck::incomplete);
  for (auto [at, value] :
       {std::pair{4, 0}, {4, 9}, {5, 4}, {6, 1}, {2, 2}}) {  // type, flags, reserved, length
    std::string damaged = bytes;
    damaged[static_cast<size_t>(at)] = static_cast<char>(value);
    EXPECT_EQ(decode_frame(damaged, back), FrameCheck::malformed) << at;
  }
}

}  // namespace
}  // namespace holdfast::transport
