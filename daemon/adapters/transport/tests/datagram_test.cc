#include "adapters/transport/datagram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "adapters/transport/key_ring.h"
#include "base/bytes.h"
#include "pki/openssl.h"

namespace holdfast::transport {
namespace {

DatagramHeader sample() {
  DatagramHeader header;
  header.network = 1;
  header.cluster_tag = 0xabcd;
  header.from = NodeId{1};
  header.to = NodeId{2};
  return header;
}

// The example of docs/protocols/transport.md: key 00 01 .. 1f, id 0x11223344, the first datagram, payload
// "hello".
TEST(Datagram, MatchesTheExampleInTheDocument) {
  uint8_t key[32];
  for (int i = 0; i < 32; ++i) key[i] = static_cast<uint8_t>(i);
  SealKey seal(key, 0x11223344, true);
  std::string bytes;
  seal.seal(sample(), "hello", bytes);
  EXPECT_EQ(pki::to_hex(as_u8(bytes), bytes.size()),
            "48466862"
            "01"
            "01"
            "cdab"
            "01"
            "02"
            "0000"
            "44332211"
            "0100000000000000"
            "7db3d3902b"
            "91e0dafce8a80bca1f42d644849cb3c0");
}

TEST(Datagram, EveryFlippedBitIsRefused) {
  uint8_t key[32] = {1, 2, 3};
  SealKey seal(key, 5, true), open(key, 5, false);
  std::string bytes, payload;
  seal.seal(sample(), "a heartbeat", bytes);
  DatagramHeader header;
  ASSERT_EQ(decode_datagram_header(as_u8(bytes), bytes.size(), header), DatagramCheck::ok);
  ASSERT_TRUE(open.open(as_u8(bytes), bytes.size(), header.counter, payload));
  EXPECT_EQ(payload, "a heartbeat");
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    if (decode_datagram_header(as_u8(damaged), damaged.size(), header) != DatagramCheck::ok) continue;
    EXPECT_FALSE(open.open(as_u8(damaged), damaged.size(), header.counter, payload)) << bit;
  }
  for (size_t size = 0; size < datagram_header_size + datagram_tag_size; ++size)
    EXPECT_EQ(decode_datagram_header(as_u8(bytes), size, header), DatagramCheck::malformed);
}

TEST(ReplayWindow, KnowsWhatItHasSeen) {
  ReplayWindow window;
  for (uint64_t counter : {1, 5, 3, 2000, 4}) {
    EXPECT_TRUE(window.is_new(counter)) << counter;
    window.mark(counter);
    EXPECT_FALSE(window.is_new(counter)) << counter;
  }
  EXPECT_TRUE(window.is_new(2));
  window.mark(ReplayWindow::size + 2);
  EXPECT_FALSE(window.is_new(2)) << "older than the window";
  EXPECT_FALSE(window.is_new(3));
  EXPECT_FALSE(window.is_new(5));
  EXPECT_TRUE(window.is_new(6));
  EXPECT_FALSE(window.is_new(2000));
  window.mark(1'000'000);  // a jump beyond the whole window
  EXPECT_FALSE(window.is_new(2000));
  EXPECT_TRUE(window.is_new(999'999));
  EXPECT_TRUE(window.is_new(1'000'000 - ReplayWindow::size + 1));
  EXPECT_FALSE(window.is_new(1'000'000 - ReplayWindow::size));
}

// Against the plain definition, with random counters.
TEST(ReplayWindow, AgreesWithAList) {
  ReplayWindow window;
  std::vector<uint64_t> seen;
  uint64_t top = 0, state = 12345;
  for (int i = 0; i < 20000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    uint64_t counter = top + 1 + (state >> 33) % 30;
    if ((state >> 20) % 4)
      counter = counter > 2200 ? counter - (state >> 40) % 2200 : 1 + (state >> 40) % counter;
    bool fresh = counter > top || (top - counter < ReplayWindow::size &&
                                   std::find(seen.begin(), seen.end(), counter) == seen.end());
    ASSERT_EQ(window.is_new(counter), fresh) << counter << " top " << top;
    if (!fresh) continue;
    window.mark(counter);
    seen.push_back(counter);
    if (seen.size() > 4 * ReplayWindow::size) seen.erase(seen.begin(), seen.begin() + ReplayWindow::size);
    top = std::max(top, counter);
  }
}

SessionKeysPtr keys(uint8_t fill, uint64_t life = 1) {
  uint8_t material[SessionKeys::material_size];
  memset(material, fill, sizeof material);
  return std::make_shared<SessionKeys>(material, true, Incarnation{life});
}

TEST(KeyRing, KeepsTheOldKeyUntilTheNewOneWasHeard) {  // K1, K3
  KeyRing ring;
  auto first = keys(1), second = keys(2);
  ring.add(first);
  ring.keep(first);
  ring.send_with(first);
  ring.add(second);
  ring.keep(second);
  EXPECT_EQ(ring.sending(), first);  // K2
  EXPECT_EQ(ring.find(first->receive.id()), first);
  ring.heard_with(first);
  EXPECT_EQ(ring.find(second->receive.id()), second);
  ring.heard_with(second);
  EXPECT_EQ(ring.find(first->receive.id()), nullptr);
}

TEST(KeyRing, AbandonsWhatWasNeverUsed) {
  KeyRing ring;
  auto used = keys(1), unused = keys(2);
  ring.add(used);
  ring.keep(used);
  ring.add(unused);
  ring.abandon(unused);
  ring.abandon(used);
  EXPECT_EQ(ring.find(unused->receive.id()), nullptr);
  EXPECT_EQ(ring.find(used->receive.id()), used);
}

TEST(KeyRing, ForgetsOtherLives) {
  KeyRing ring;
  auto old_life = keys(1, 1), new_life = keys(2, 2);
  for (auto& k : {old_life, new_life}) ring.add(k), ring.keep(k);
  ring.send_with(old_life);
  ring.forget_other_lives(Incarnation{2});
  EXPECT_EQ(ring.find(old_life->receive.id()), nullptr);
  EXPECT_EQ(ring.sending(), nullptr);
  EXPECT_EQ(ring.find(new_life->receive.id()), new_life);
}

TEST(KeyRing, ManyBrokenSessionsDoNotPushOutTheKeyInUse) {
  KeyRing ring;
  auto used = keys(1);
  ring.add(used);
  ring.keep(used);
  ring.heard_with(used);
  for (uint8_t i = 2; i < 200; ++i) {
    auto broken = keys(i);
    ring.add(broken);
    ring.keep(broken);
  }
  EXPECT_EQ(ring.find(used->receive.id()), used);
}

}  // namespace
}  // namespace holdfast::transport
