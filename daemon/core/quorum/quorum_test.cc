#include <gtest/gtest.h>

#include <deque>

#include "core/log/log_manager.h"
#include "core/quorum/fake_lun.h"
#include "core/quorum/quorum_manager.h"

namespace holdfast::core {
namespace {

using Outcome = ArbitrationResult::Outcome;

disk::Superblock formatted(uint64_t lun_bytes) {
  disk::Superblock s;
  s.set_cluster_id("c1");
  s.set_epoch(1);
  s.set_holder(1);
  s.set_log_start_bytes(log_offset_bytes);
  s.set_log_size_bytes(log_ring_bytes(lun_bytes));
  s.set_checkpoint_offset_bytes(checkpoint_offset_bytes);
  s.set_checkpoint_size_bytes(checkpoint_slot_bytes);
  return s;
}

void format(testing::FakeLun& lun) {
  auto s = formatted(lun.data.size());
  for (int copy = 0; copy < 2; ++copy)
    lun.data.replace(copy * block_bytes, block_bytes, encode_superblock(s, copy));
  disk::Checkpoint c;
  c.set_generation(1);
  auto bytes = encode_checkpoint(c);
  lun.data.replace(checkpoint_offset_bytes, bytes.size(), bytes);
}

// One node's quorum part on the shared fake LUN; commands wait in a queue until the test lets them run.
struct Node : QuorumEvents {
  Node(testing::FakeLun& lun, int id, int nexus, uint64_t incarnation = 0)
      : lun(lun),
        id(id),
        nexus(nexus),
        incarnation(incarnation != 0 ? incarnation : static_cast<uint64_t>(id)),
        lane([this](LunOp op) { queue.push_back(std::move(op)); }),
        quorum({"c1", 0x1234, NodeId{static_cast<uint64_t>(id)}, Incarnation{this->incarnation}}, lane,
               *this),
        log(lane) {
    lane.set_now(now);
    quorum.start(now);
  }
  bool step() {
    if (queue.empty()) return false;
    auto op = queue.front();
    queue.pop_front();
    if (op.kind == LunOp::Kind::open && lun.reachable) nexus += 100;  // a new session
    lane.on_result(lun.execute(nexus, op), now);
    return true;
  }
  void tick(Duration d) {
    now = now + d;
    lane.set_now(now);
    quorum.set_now(now);
    lane.on_time(now);
    quorum.on_time(now);
  }
  void run(int ms) {
    for (int i = 0; i < ms; ++i) {
      while (step()) {
      }
      tick(Duration::milliseconds(1));
    }
  }
  // `others`: further members of the view.
  void arbitrate(uint64_t epoch, std::vector<Predecessor> predecessors, std::vector<uint64_t> others = {},
                 ReservationKey abandoned = {}) {
    result.reset();
    ArbitrationRequest r;
    r.abandoned = abandoned;
    r.view.set_epoch(epoch);
    r.view.set_owner(id);
    others.push_back(static_cast<uint64_t>(id));
    for (uint64_t member : others) {
      auto* m = r.view.add_members();
      m->set_node(static_cast<uint32_t>(member));
      m->set_incarnation(member == static_cast<uint64_t>(id) ? incarnation : member);
    }
    r.predecessors = std::move(predecessors);
    r.patience = Duration::seconds(3);
    quorum.arbitrate(r);
  }
  void on_arbitrated(const ArbitrationResult& r) override { result = r; }
  void on_rekey_needed(const std::string& why) override { rekey = why; }
  void on_superseded(const std::string& why) override { superseded = why; }
  void on_head_read() override {}

  testing::FakeLun& lun;
  int id, nexus;
  uint64_t incarnation;
  std::deque<LunOp> queue;
  Instant now{1'000'000'000};
  LunLane lane;
  QuorumManager quorum;
  LogManager log;
  std::optional<ArbitrationResult> result;
  std::string rekey, superseded;
};

struct QuorumTest : ::testing::Test {
  QuorumTest() : lun(40 * 1024 * 1024) { format(lun); }
  testing::FakeLun lun;
};

TEST_F(QuorumTest, FormsThenDefends) {
  Node a(lun, 1, 1);
  a.arbitrate(2, {{Epoch{1}, NodeId{1}}});
  a.run(50);
  ASSERT_TRUE(a.result && a.result->outcome == Outcome::won) << (a.result ? a.result->reason : "no verdict");
  EXPECT_EQ(lun.keys[lun.holder].counter(), 2u);
  a.arbitrate(3, {{Epoch{2}, NodeId{1}}});
  a.run(50);
  ASSERT_TRUE(a.result && a.result->outcome == Outcome::won);
  EXPECT_EQ(decode_superblocks(lun.data).superblock.epoch(), 3u);
}

TEST_F(QuorumTest, EveryInterleavingOfTwoChallengersHasOneWinner) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    testing::FakeLun disk(40 * 1024);
    disk.data.assign(block_bytes * 4, '\0');
    auto s = formatted(quorum_lun_bytes_min);
    s.set_epoch(5);
    s.set_holder(3);
    for (int copy = 0; copy < 2; ++copy)
      disk.data.replace(copy * block_bytes, block_bytes, encode_superblock(s, copy));
    const bool amnesia = seed % 3 == 0;
    if (!amnesia) {
      disk.keys[1] = ReservationKey::make(0x1234, 5, NodeId{3});
      disk.holder = 1;
    }
    Node a(disk, 1, 11), b(disk, 2, 12);
    a.arbitrate(6, {{Epoch{5}, NodeId{3}}});
    b.arbitrate(6 + seed % 2, {{Epoch{5}, NodeId{3}}});
    uint64_t random = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    for (int i = 0; i < 4000 && !(a.result && b.result); ++i) {
      random = random * 6364136223846793005ULL + 1442695040888963407ULL;
      Node& n = (random >> 62) & 1 ? a : b;
      if (!n.step()) n.tick(Duration::milliseconds(1));
    }
    ASSERT_TRUE(a.result && b.result) << seed;
    int wins = (a.result->outcome == Outcome::won) + (b.result->outcome == Outcome::won);
    ASSERT_EQ(wins, 1) << seed << ": " << a.result->reason << " | " << b.result->reason;
    Node& winner = a.result->outcome == Outcome::won ? a : b;
    EXPECT_EQ(disk.keys[disk.holder].node().value, static_cast<uint64_t>(winner.id));
    EXPECT_EQ(decode_superblocks(disk.data).superblock.holder(), static_cast<uint32_t>(winner.id));
  }
}

TEST_F(QuorumTest, UnreachableIsNoConflict) {
  Node a(lun, 1, 1);
  lun.reachable = false;
  a.arbitrate(2, {{Epoch{1}, NodeId{1}}});
  a.run(5000);
  ASSERT_TRUE(a.result);
  EXPECT_EQ(a.result->outcome, Outcome::unreachable);
}

TEST_F(QuorumTest, HolderAsksForRekeyAfterAmnesiaAndLostSession) {
  Node a(lun, 1, 1);
  a.arbitrate(2, {{Epoch{1}, NodeId{1}}});
  a.run(300);
  ASSERT_TRUE(a.quorum.holding());
  EXPECT_FALSE(a.quorum.degraded());
  lun.reachable = false;
  a.run(1000);
  EXPECT_TRUE(a.quorum.degraded());
  EXPECT_TRUE(a.rekey.empty());
  lun.reachable = true;
  lun.forget_reservations();
  a.run(1000);
  EXPECT_FALSE(a.rekey.empty());
  a.arbitrate(3, {{Epoch{2}, NodeId{1}}});
  a.run(300);
  ASSERT_TRUE(a.result && a.result->outcome == Outcome::won);
  EXPECT_FALSE(a.quorum.degraded());
}

TEST_F(QuorumTest, OldHolderNoticesThatItWasReplaced) {
  Node a(lun, 1, 1), b(lun, 2, 2);
  a.arbitrate(2, {{Epoch{1}, NodeId{1}}});
  a.run(300);
  b.arbitrate(3, {{Epoch{2}, NodeId{1}}});
  b.run(300);
  ASSERT_TRUE(b.result && b.result->outcome == Outcome::won);
  a.run(500);
  EXPECT_FALSE(a.superseded.empty());
}

// A nominee that won and died before saying so is replaced against its own nominated key.
TEST_F(QuorumTest, DeadWinnersKeyIsAPredecessor) {
  Node a(lun, 1, 1), b(lun, 2, 2);
  a.arbitrate(2, {{Epoch{1}, NodeId{1}}}, {2});
  a.run(100);
  b.arbitrate(3, {{Epoch{1}, NodeId{1}}, {Epoch{2}, NodeId{1}}});
  b.run(300);
  EXPECT_TRUE(b.result && b.result->outcome == Outcome::won) << b.result->reason;
}

// b nominated a for epoch 2 with both; a, cut off, won epoch 2 by itself. The key is the same, the view is
// not.
// Preempted, and dead before its superblock was written: nobody knows of the nomination any more.
TEST_F(QuorumTest, AKeyThatNobodyWonWithIsReplacedOnlyWhenItWasFoundBefore) {
  lun.keys[77] = ReservationKey::make(0x1234, 5, NodeId{2});
  lun.holder = 77;
  Node a(lun, 1, 1);
  a.arbitrate(2, {{Epoch{1}, NodeId{1}}});
  a.run(100);
  ASSERT_TRUE(a.result);
  EXPECT_EQ(a.result->outcome, Outcome::lost);
  EXPECT_EQ(a.result->holder, lun.keys[77]);
  EXPECT_EQ(lun.holder, 77);
  a.arbitrate(6, {{Epoch{1}, NodeId{1}}}, {}, ReservationKey::make(0x1234, 5, NodeId{3}));
  a.run(100);
  EXPECT_EQ(a.result->outcome, Outcome::lost) << "it is another one now";
  a.arbitrate(6, {{Epoch{1}, NodeId{1}}}, {}, a.result->holder);
  a.run(100);
  EXPECT_EQ(a.result->outcome, Outcome::won);
  // It won after all before it was replaced: its superblock decides.
  Node b(lun, 3, 3);
  b.arbitrate(7, {{Epoch{1}, NodeId{1}}}, {}, ReservationKey::make(0x1234, 6, NodeId{1}));
  b.run(100);
  EXPECT_EQ(b.result->outcome, Outcome::lost);
  EXPECT_TRUE(b.result->holder.is_none());
}

TEST_F(QuorumTest, NominatedKeyWonWithAnotherSetIsNotReplaced) {
  Node a(lun, 1, 1), b(lun, 2, 2);
  a.arbitrate(2, {{Epoch{1}, NodeId{1}}});
  a.run(100);
  b.arbitrate(3, {{Epoch{1}, NodeId{1}}, {Epoch{2}, NodeId{1}}});
  b.run(300);
  ASSERT_TRUE(b.result && b.result->outcome == Outcome::lost) << b.result->reason;
  a.run(300);
  EXPECT_TRUE(a.quorum.holding() && !a.quorum.degraded());
  EXPECT_EQ(a.superseded, "");
}

// The same, and a's win becomes durable after b's first look: every interleaving of their commands.
TEST_F(QuorumTest, OfTwoSetsUnderOneKeyOnlyOneWins) {
  for (int lead = 0; lead < 24; ++lead) {
    format(lun = testing::FakeLun(lun.data.size()));
    Node a(lun, 1, 1), b(lun, 2, 2);
    a.run(5);
    b.run(5);
    a.arbitrate(2, {{Epoch{1}, NodeId{1}}});
    b.arbitrate(3, {{Epoch{1}, NodeId{1}}, {Epoch{2}, NodeId{1}}});
    for (int i = 0; i < lead; ++i) a.step();
    while (b.step() || a.step()) {
    }
    a.run(500);
    b.run(500);
    a.run(500);
    const bool b_won = b.result && b.result->outcome == Outcome::won;
    const bool a_lives = a.quorum.holding() && !a.quorum.degraded() && a.superseded.empty();
    EXPECT_FALSE(b_won && a_lives) << "lead " << lead;
    EXPECT_FALSE(b_won && a.result && a.result->outcome == Outcome::won && a.superseded.empty())
        << "lead " << lead;
  }
}

// a's set has promised itself to b's newer nomination, which wins, works and resigns between a's first look
// and its act. Nobody holds then; a is a member of that view, so it was not removed, and still must not go
// back.
TEST_F(QuorumTest, AViewThatWonAndEndedMeanwhileIsNotUndone) {
  for (int lead = 0; lead < 24; ++lead) {
    format(lun = testing::FakeLun(lun.data.size()));
    Node a(lun, 1, 1), b(lun, 2, 2);
    a.run(5);
    b.run(5);
    a.arbitrate(2, {{Epoch{1}, NodeId{1}}});
    for (int i = 0; i < lead; ++i) a.step();
    b.arbitrate(3, {{Epoch{1}, NodeId{1}}, {Epoch{2}, NodeId{1}}}, {1});
    b.run(300);
    const bool b_won = b.result && b.result->outcome == Outcome::won;
    b.quorum.resign(false, [] {});
    b.run(100);
    a.run(3000);
    if (b_won) {
      EXPECT_EQ(decode_superblocks(lun.data).superblock.epoch(), 3u) << "lead " << lead;
    }
  }
}

// The superblock of an earlier life lands while the present one contests the same epoch under the same key.
TEST_F(QuorumTest, WhatAnEarlierLifeWroteIsNotOurs) {
  int late_writes = 0;
  for (int lead = 0; lead < 24; ++lead) {
    format(lun = testing::FakeLun(lun.data.size()));
    Node old(lun, 1, 1, 7), fresh(lun, 1, 2, 8);
    fresh.run(5);
    old.arbitrate(2, {{Epoch{1}, NodeId{1}}});
    while (old.queue.empty() || old.queue.front().kind != LunOp::Kind::write) ASSERT_TRUE(old.step());
    const LunOp late = old.queue.front();
    fresh.arbitrate(2, {{Epoch{1}, NodeId{1}}});
    for (int i = 0; i < lead; ++i) fresh.step();
    if (fresh.result || !lun.execute(old.nexus, late).ok()) continue;
    ++late_writes;
    fresh.run(300);
    ASSERT_TRUE(fresh.result) << "lead " << lead;
    EXPECT_EQ(fresh.result->outcome, Outcome::lost) << "lead " << lead;
  }
  EXPECT_GT(late_writes, 1);
}

// The holder contests again, loses and gives its key back. Until it leaves it still believes that it holds.
TEST_F(QuorumTest, NothingIsWrittenWithoutTheKey) {
  Node a(lun, 1, 1);
  a.arbitrate(2, {{Epoch{1}, NodeId{1}}});
  a.run(100);
  ASSERT_TRUE(a.quorum.may_write());
  lun.keys[77] = ReservationKey::make(0x1234, 9, NodeId{2});
  lun.holder = 77;
  a.arbitrate(3, {{Epoch{1}, NodeId{1}}, {Epoch{2}, NodeId{1}}});
  while (!a.result && a.step()) {
  }
  ASSERT_TRUE(a.result && a.result->outcome == Outcome::lost);
  EXPECT_TRUE(a.quorum.holding() && !a.quorum.degraded());
  EXPECT_FALSE(a.quorum.may_write());
  lun.holder = 0;  // and now nobody would refuse it
  const std::string before = lun.data;
  a.run(1000);
  EXPECT_EQ(lun.data, before);
}

TEST_F(QuorumTest, LogReplaysWhatWasAppendedAcrossCheckpointsAndRings) {
  Node a(lun, 1, 1);
  a.arbitrate(2, {{Epoch{1}, NodeId{1}}});
  a.run(50);
  std::optional<RecoveredLog> recovered;
  auto recover = [&](Node& n) {
    recovered.reset();
    n.log.recover(decode_superblocks(lun.data).superblock, [&](const RecoveredLog& r) { recovered = r; });
    n.run(200);
    ASSERT_TRUE(recovered && recovered->status)
        << (recovered ? recovered->status.error().text() : "no answer");
  };
  recover(a);
  EXPECT_TRUE(recovered->updates.empty());
  uint64_t sequence = 0, durable = 0, checkpointed = 0;
  for (int i = 0; i < 4000; ++i) {
    disk::LogBatch batch;
    for (int k = 0; k <= i % 3; ++k) {
      auto* u = batch.add_updates();
      u->set_sequence(++sequence);
      u->set_cause(std::string(1 + (i * 37) % 9000, 'x'));
    }
    uint64_t last = sequence;
    a.log.append(2, batch, [&, last](const Status& s) {
      ASSERT_TRUE(s) << s.error().text();
      durable = last;
    });
    if (i % 4 == 0) a.run(2);
    if (a.log.idle() && a.log.wants_checkpoint()) {
      disk::Checkpoint c;
      c.set_sequence(durable);
      checkpointed = durable;
      a.log.checkpoint(c, [](const Status& s) { ASSERT_TRUE(s); });
      a.run(5);
    }
    if (i % 500 == 499) {
      a.run(50);
      ASSERT_EQ(durable, sequence);
      recover(a);
      EXPECT_EQ(recovered->checkpoint.sequence(), checkpointed);
      ASSERT_EQ(recovered->updates.size(), sequence - checkpointed) << i;
      if (!recovered->updates.empty()) {
        EXPECT_EQ(recovered->updates.back().sequence(), sequence);
      }
    }
  }
  EXPECT_GT(checkpointed, 0u);
}

}  // namespace
}  // namespace holdfast::core
