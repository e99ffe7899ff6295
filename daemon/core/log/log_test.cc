#include <gtest/gtest.h>

#include "core/log/layout.h"
#include "core/log/record.h"

namespace holdfast::core {
namespace {

disk::Superblock sample() {
  disk::Superblock s;
  s.set_cluster_id("c");
  s.set_epoch(7);
  s.set_log_start_bytes(log_offset_bytes);
  s.set_log_size_bytes(log_bytes_min);
  s.set_checkpoint_size_bytes(checkpoint_slot_bytes);
  return s;
}

disk::LogBatch batch(uint64_t first, int count, size_t text = 10) {
  disk::LogBatch b;
  for (int i = 0; i < count; ++i) {
    auto* u = b.add_updates();
    u->set_sequence(first + i);
    u->set_cause(std::string(text, 'x'));
  }
  return b;
}

TEST(Superblock, AnyTornCopyLeavesTheOther) {
  auto old = sample(), fresh = sample();
  fresh.set_epoch(8);
  for (size_t torn = 0; torn <= block_bytes; torn += 512) {
    std::string a = encode_superblock(fresh, 0).substr(0, torn) + encode_superblock(old, 0).substr(torn);
    auto head = decode_superblocks(a + encode_superblock(old, 1));
    ASSERT_TRUE(head.valid);
    EXPECT_TRUE(head.superblock.epoch() == 7 || head.superblock.epoch() == 8);
  }
}

TEST(Superblock, EveryFlippedBitIsFound) {
  std::string block = encode_superblock(sample(), 0);
  for (size_t bit = 0; bit < block.size() * 8; bit += 7) {
    std::string bad = block;
    bad[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    EXPECT_FALSE(decode_superblock(bad.data())) << bit;
  }
}

TEST(Superblock, ALayoutThatNobodyWritesIsRefused) {
  ASSERT_TRUE(decode_superblock(encode_superblock(sample(), 0).data()));
  auto refused = [](const disk::Superblock& s) {
    auto decoded = decode_superblock(encode_superblock(s, 0).data());
    return !decoded && decoded.error().code == ErrorCode::corrupt;
  };
  disk::Superblock s = sample();
  s.set_log_size_bytes(log_bytes_max + block_bytes);
  EXPECT_TRUE(refused(s));
  s = sample();
  s.set_checkpoint_size_bytes(checkpoint_slot_bytes + block_bytes);
  EXPECT_TRUE(refused(s));
  s = sample();
  s.set_checkpoint_size_bytes(checkpoint_slot_bytes - 1);
  EXPECT_TRUE(refused(s));
  s = sample();
  s.set_checkpoint_offset_bytes(1);
  EXPECT_TRUE(refused(s));
}

TEST(Beacon, RoundTrip) {
  Beacon b{Epoch{9}, NodeId{3}, Incarnation{77}, 12};
  EXPECT_EQ(*decode_beacon(encode_beacon(b).data()), b);
  std::string zero(block_bytes, '\0');
  EXPECT_FALSE(decode_beacon(zero.data()));
}

TEST(Checkpoint, RoundTripAndRot) {
  disk::Checkpoint c;
  c.set_sequence(5);
  c.set_generation(2);
  c.mutable_tree()->add_keys()->set_path("a");
  auto bytes = encode_checkpoint(c);
  auto header = decode_checkpoint_header(bytes.data());
  ASSERT_TRUE(header);
  auto back = decode_checkpoint(*header, bytes.substr(block_bytes));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->sequence(), 5u);
  bytes[block_bytes + 1] ^= 1;
  EXPECT_EQ(decode_checkpoint(*header, bytes.substr(block_bytes)).error().code, ErrorCode::corrupt);
}

// Writes a chain around the ring several times and replays each suffix.
TEST(Checkpoint, OneThatFillsMoreThanItsSlotIsRefused) {
  disk::Checkpoint c;
  c.mutable_tree()->add_keys()->set_path(std::string(checkpoint_slot_bytes, 'x'));
  auto header = decode_checkpoint_header(encode_checkpoint(c).data());
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code, ErrorCode::corrupt);
}

TEST(Record, ChainGoesAroundTheRing) {
  const uint64_t ring_bytes = log_bytes_min;
  std::string ring(ring_bytes, '\0');
  LogCursor at;
  std::vector<LogCursor> starts;
  uint64_t sequence = 1;
  for (int i = 0; i < 3000; ++i) {
    auto record = encode_record(at, ring_bytes, 1 + i / 100, batch(sequence, 1 + i % 5, 3000));
    sequence += 1 + i % 5;
    starts.push_back(at);
    memcpy(ring.data() + record.position_bytes % ring_bytes, record.bytes.data(), record.bytes.size());
    at = record.next;
  }
  ASSERT_GT(at.position_bytes, 2 * ring_bytes);
  LogCursor read = starts[2900];
  int count = 0;
  while (true) {
    uint64_t place = read.position_bytes % ring_bytes;
    size_t needed;
    auto record =
        decode_record(ring.data() + place, ring_bytes - place, read.position_bytes, read.previous, &needed);
    if (!record && place != 0) {
      read.position_bytes += ring_bytes - place;
      record = decode_record(ring.data(), ring_bytes, read.position_bytes, read.previous, &needed);
    }
    if (!record) break;
    ++count;
    read.position_bytes += record->size_bytes;
    read.previous = record->id;
  }
  EXPECT_EQ(count, 100);
}

TEST(Record, RefusesBrokenChains) {
  LogCursor at;
  auto first = encode_record(at, log_bytes_min, 5, batch(1, 2));
  size_t needed;
  EXPECT_TRUE(decode_record(first.bytes.data(), first.bytes.size(), 0, {}, &needed));
  EXPECT_FALSE(decode_record(first.bytes.data(), first.bytes.size(), 4096, {}, &needed)) << "misdirected";
  EXPECT_FALSE(decode_record(first.bytes.data(), first.bytes.size(), 0, RecordId{5, 3, 1}, &needed))
      << "not its successor";
  auto fallen = encode_record(first.next, log_bytes_min, 4, batch(3, 1));
  EXPECT_FALSE(decode_record(fallen.bytes.data(), fallen.bytes.size(), fallen.position_bytes,
                             first.next.previous, &needed));
  auto hole = encode_record(first.next, log_bytes_min, 5, batch(4, 1));
  EXPECT_FALSE(
      decode_record(hole.bytes.data(), hole.bytes.size(), hole.position_bytes, first.next.previous, &needed));
  auto big = encode_record(at, log_bytes_min, 5, batch(1, 1, 9000));
  auto partial = decode_record(big.bytes.data(), block_bytes, 0, {}, &needed);
  ASSERT_FALSE(partial);
  EXPECT_EQ(partial.error().code, ErrorCode::busy);
  EXPECT_EQ(needed, big.bytes.size());
}

}  // namespace
}  // namespace holdfast::core
