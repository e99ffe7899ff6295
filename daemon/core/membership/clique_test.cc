#include "core/membership/clique.h"

#include <gtest/gtest.h>

namespace holdfast::core {
namespace {

NodeSet set(std::initializer_list<uint64_t> ids) {
  NodeSet s;
  for (auto id : ids) s.add(NodeId{id});
  return s;
}

void link(Links& links, uint64_t a, uint64_t b) {
  links[a - 1].add(NodeId{b});
  links[b - 1].add(NodeId{a});
}

TEST(Clique, FullMeshStaysWhole) {
  Links links{};
  for (int a = 1; a <= 64; ++a)
    for (int b = 1; b < a; ++b) link(links, a, b);
  EXPECT_EQ(largest_connected_set(NodeSet(~0ULL), links, {}, NodeId{1}).size(), 64);
}

TEST(Clique, BrokenLinkPrunesOneEnd) {
  Links links{};
  link(links, 1, 2);
  link(links, 2, 3);  // 1 and 3 do not hear each other
  EXPECT_EQ(largest_connected_set(set({1, 2, 3}), links, set({1, 2, 3}), NodeId{3}), set({2, 3}))
      << "the owner's side";
  EXPECT_EQ(largest_connected_set(set({1, 2, 3}), links, set({1}), NodeId{3}), set({1, 2}))
      << "the side that reaches the LUN";
  EXPECT_EQ(largest_connected_set(set({1, 2, 3}), links, {}, NodeId{2}), set({1, 2})) << "the lowest ids";
}

TEST(Clique, OneDirectionIsNoLink) {
  Links links{};
  link(links, 1, 2);
  links[0].add(NodeId{3});
  EXPECT_EQ(largest_connected_set(set({1, 2, 3}), links, {}, NodeId{3}), set({1, 2}));
}

// Against brute force on small random graphs.
TEST(Clique, MatchesBruteForce) {
  uint64_t random = 1;
  for (int round = 0; round < 300; ++round) {
    const int n = 2 + round % 9;
    Links links{};
    for (int a = 1; a <= n; ++a)
      for (int b = 1; b < a; ++b) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        if ((random >> 60) > 4) link(links, a, b);
      }
    int best = 0;
    for (uint64_t bits = 1; bits < (1ULL << n); ++bits) {
      NodeSet s(bits);
      bool full = true;
      for (NodeId a : s)
        for (NodeId b : s) full = full && (a == b || links[a.value - 1].contains(b));
      if (full && s.size() > best) best = s.size();
    }
    NodeSet found = largest_connected_set(NodeSet((1ULL << n) - 1), links, {}, NodeId{1});
    EXPECT_EQ(found.size(), best);
    for (NodeId a : found)
      for (NodeId b : found) EXPECT_TRUE(a == b || links[a.value - 1].contains(b));
  }
}

TEST(Clique, SparseSixtyFourEndsInTime) {
  Links links{};
  uint64_t random = 7;
  for (int a = 1; a <= 64; ++a)
    for (int b = 1; b < a; ++b) {
      random = random * 6364136223846793005ULL + 1442695040888963407ULL;
      if ((random >> 63) != 0) link(links, a, b);
    }
  NodeSet found = largest_connected_set(NodeSet(~0ULL), links, {}, NodeId{1});
  EXPECT_GT(found.size(), 5);
}

}  // namespace
}  // namespace holdfast::core
