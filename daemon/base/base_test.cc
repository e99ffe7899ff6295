#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"
#include "base/utf8.h"
#include "base/version.h"

namespace holdfast {
namespace {

TEST(Crc32c, MatchesRfc3720Vectors) {
  uint8_t zeros[32] = {}, ones[32], up[32];
  memset(ones, 0xff, sizeof ones);
  for (int i = 0; i < 32; ++i) up[i] = static_cast<uint8_t>(i);
  EXPECT_EQ(crc32c(zeros, 32), 0x8a9136aau);
  EXPECT_EQ(crc32c(ones, 32), 0x62a8ab43u);
  EXPECT_EQ(crc32c(up, 32), 0x46dd794eu);
  EXPECT_EQ(crc32c(up + 7, 25, crc32c(up, 7)), crc32c(up, 32));
  for (size_t from = 0; from < 9; ++from)
    for (size_t size = 0; size + from <= 32; ++size)
      EXPECT_EQ(crc32c_by_table(up + from, size, 7), crc32c(up + from, size, 7));
}

TEST(Utf8, KeepsCharactersWholeAndReplacesTheRest) {
  EXPECT_EQ(to_utf8("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
            "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(to_utf8("caf\xe9"), "caf?");
  EXPECT_EQ(to_utf8("\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \x80"), "?? ??? ???? ?");
  EXPECT_EQ(to_utf8("ab\xe2\x82"), "ab??");
  EXPECT_EQ(to_utf8("ab\xe2\x82\xac", 4), "ab");
  EXPECT_EQ(to_utf8("ab\xe2\x82\xac", 5), "ab\xe2\x82\xac");
  EXPECT_EQ(to_utf8(std::string_view("\0x", 2)), std::string("\0x", 2));
}

TEST(Error, NumbersOfMessagesBecomeCodesThatExist) {
  EXPECT_EQ(error_code_from(1), ErrorCode::invalid_argument);
  EXPECT_EQ(error_code_from(20), ErrorCode::cancelled);
  // 65536 would be ok, in 16 bits.
  for (uint64_t number : {uint64_t{0}, uint64_t{21}, uint64_t{65536}, UINT64_MAX})
    EXPECT_EQ(error_code_from(number), ErrorCode::internal) << number;
}

TEST(NodeSet, IteratesInOrder) {
  NodeSet set;
  set.add(NodeId{64});
  set.add(NodeId{3});
  set.add(NodeId{1});
  EXPECT_EQ(to_string(set), "{1,3,64}");
  EXPECT_EQ(set.lowest(), NodeId{1});
  EXPECT_FALSE(set.contains(NodeId{0}));
  EXPECT_FALSE(set.contains(NodeId{65}));
}

TEST(ReservationKey, PacksItsParts) {
  auto key = ReservationKey::make(0xabcd, 0x123456789a, NodeId{7});
  EXPECT_EQ(to_string(key), "0xabcd123456789a07");
  EXPECT_EQ(key.counter(), 0x123456789aULL);
  EXPECT_EQ(key.node(), NodeId{7});
  EXPECT_EQ(key.tag(), 0xabcd);
}

TEST(Version, NeighboursMeetAndStrangersDoNot) {
  EXPECT_EQ(common_version(protocol_version_max, protocol_version_max + 1), protocol_version_max);
  EXPECT_EQ(common_version(protocol_version_max + 1, protocol_version_max + 2), 0u);
}

TEST(Error, TellsUncertainty) {
  EXPECT_TRUE((Error{ErrorCode::timeout}.uncertain()));
  EXPECT_FALSE((Error{ErrorCode::conflict}.uncertain()));
}

}  // namespace
}  // namespace holdfast
