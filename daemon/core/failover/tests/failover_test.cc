// Named histories of the failover manager on the fake cluster.
#include <gtest/gtest.h>

#include "core/failover/group_state.h"
#include "core/failover/tests/fake_cluster.h"

namespace holdfast::core {
namespace {

using testing::FakeCluster;
using testing::make_groups;

constexpr Duration soon = Duration::seconds(3);

struct Case : ::testing::Test {
  void form(FakeCluster& c, int count, int groups, bool with_disk = true) {
    for (int id = 1; id <= count; ++id) c.start(id);
    c.run(Duration::milliseconds(100));
    make_groups(c, groups, with_disk);
    ASSERT_TRUE(c.run_until([&] { return all_online(c, groups); }, soon)) << c.text();
  }
  static bool all_online(FakeCluster& c, int groups) {
    for (int i = 1; i <= groups; ++i)
      if (!c.online("g" + std::to_string(i))) return false;
    return true;
  }
  static int owner(FakeCluster& c, const std::string& group = "g1") {
    return static_cast<int>(c.owner(group).value);
  }
  static int other_than(int id) { return id == 1 ? 2 : 1; }
  static Edit move(const std::string& group, int to) {
    return std::move(Edit().set("groups/" + group, "MoveTo", static_cast<uint64_t>(to)));
  }
};

TEST_F(Case, GroupsAreSpreadAndComeOnline) {
  FakeCluster c(3, 1);
  form(c, 3, 3);
  NodeSet owners;
  for (int i = 1; i <= 3; ++i) owners.add(c.owner("g" + std::to_string(i)));
  EXPECT_EQ(owners.size(), 3) << c.text();
}

TEST_F(Case, UnplannedTakeoverOfAKilledNode) {
  FakeCluster c(3, 2);
  form(c, 3, 1);
  int first = owner(c);
  uint64_t generation = c.tip().number("groups/g1", "Generation");
  c.kill(first);
  ASSERT_TRUE(c.run_until([&] { return owner(c) != first && c.online("g1"); }, soon)) << c.text();
  EXPECT_EQ(c.tip().number("groups/g1", "Generation"), generation + 1);
  EXPECT_EQ(c.tip().number("groups/g1", "PreviousOwner"), static_cast<uint64_t>(first));
  const auto& order = c.nodes.at(owner(c)).resources["disk1"].last_online;
  EXPECT_EQ(order.victim_key(),
            ReservationKey::make(7, generation, NodeId{static_cast<uint64_t>(first)}).value);
  EXPECT_EQ(order.reservation_key(), ReservationKey::make(7, generation + 1, c.owner("g1")).value);
  EXPECT_NE(c.tip().text("groups/g1", "Reason").find("left the cluster"), std::string::npos);
}

TEST_F(Case, PlannedMoveOfAnAddressTakesFourUpdates) {
  FakeCluster c(3, 3);
  form(c, 3, 1, false);
  int to = other_than(owner(c));
  c.run(Duration::seconds(1));
  size_t before = c.updates;
  Instant begun = c.now;
  c.command(move("g1", to));
  ASSERT_TRUE(c.run_until([&] { return owner(c) == to && c.online("g1"); }, soon)) << c.text();
  EXPECT_EQ(c.updates - before, 4u) << "MoveTo, offline and released, owner, online\n" << c.text();
  EXPECT_LT((c.now - begun).ms(), 50);
}

TEST_F(Case, PlannedMoveOfFourResourcesTakesAsFew) {
  FakeCluster c(2, 4);
  form(c, 2, 1);
  int to = other_than(owner(c));
  c.run(Duration::seconds(1));
  size_t before = c.updates;
  c.command(move("g1", to));
  ASSERT_TRUE(c.run_until([&] { return owner(c) == to && c.online("g1"); }, soon)) << c.text();
  EXPECT_EQ(c.updates - before, 4u) << c.text();
}

TEST_F(Case, SlowResourcesShowTheirPendingStates) {
  FakeCluster c(2, 5);
  form(c, 2, 1);
  c.behaviours["app1"].offline = Duration::seconds(1);
  c.command(move("g1", other_than(owner(c))));
  c.run(Duration::milliseconds(300));
  EXPECT_EQ(resource_state(c.tip(), "app1"), ResourceState::offline_pending) << c.text();
  EXPECT_EQ(derive_group_state(c.tip(), "g1"), GroupState::pending);
  ASSERT_TRUE(c.run_until([&] { return c.online("g1"); }, soon)) << c.text();
}

TEST_F(Case, MoveIsGivenUpWhenItsTargetDies) {
  FakeCluster c(3, 6);
  form(c, 3, 1);
  int from = owner(c), to = other_than(from);
  c.behaviours["app1"].offline = Duration::milliseconds(200);
  c.command(move("g1", to));
  c.run(Duration::milliseconds(50));
  c.kill(to);
  ASSERT_TRUE(c.run_until([&] { return !c.tip().find_value("groups/g1", "MoveTo") && c.online("g1"); }, soon))
      << c.text();
  EXPECT_EQ(owner(c), from);
}

TEST_F(Case, OwnerDiesWhileItMovesTheGroup) {
  for (int ms = 0; ms < 40; ++ms) {  // at every moment of the move
    FakeCluster c(3, 7);
    form(c, 3, 1);
    int from = owner(c), to = other_than(from);
    c.command(move("g1", to));
    c.run(Duration::milliseconds(ms));
    c.kill(from);
    ASSERT_TRUE(c.run_until([&] { return c.online("g1"); }, soon)) << ms << c.text();
    EXPECT_EQ(owner(c), to) << ms << ": the target of the move is the first choice\n" << c.text();
  }
}

TEST_F(Case, NewLockerAtEveryMomentOfAMove) {
  for (int ms = 0; ms < 60; ++ms) {
    FakeCluster c(3, 100 + static_cast<uint64_t>(ms));
    form(c, 3, 1);
    int to = other_than(owner(c));
    c.command(move("g1", to));
    c.run(Duration::milliseconds(ms));
    c.regroup();
    ASSERT_TRUE(c.run_until([&] { return owner(c) == to && c.online("g1"); }, soon)) << ms << c.text();
  }
}

// The move is taken back while the release is under way, and asked for again at once: the second one must
// wait for the owner too.
TEST_F(Case, ReleaseDoesNotOutliveItsMove) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    FakeCluster c(3, seed);
    c.delay_max = Duration::milliseconds(20);
    form(c, 3, 1, false);
    int from = owner(c), to = other_than(from);
    c.command(move("g1", to));
    c.run(Duration::milliseconds(static_cast<int64_t>(seed % 60)));
    c.command(std::move(Edit().unset("groups/g1", "MoveTo")));
    c.run(Duration::milliseconds(static_cast<int64_t>(seed % 37)));
    c.command(move("g1", 6 - from - to));
    ASSERT_TRUE(
        c.run_until([&] { return c.online("g1") && !c.tip().find_value("groups/g1", "MoveTo"); }, soon))
        << seed << c.text();
  }
}

// The owner dies and comes back before the takeover got its place in the order: it is sent again in the view
// in which the owner runs the group again.
TEST_F(Case, TakeoverDoesNotOutliveItsView) {
  int taken = 0, kept = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    FakeCluster c(3, seed);
    form(c, 3, 1, false);
    int first = owner(c);
    c.delay_max = Duration::milliseconds(40);
    c.kill(first);
    c.run(Duration::milliseconds(8 + static_cast<int64_t>(seed % 20)));
    c.start(first);
    ASSERT_TRUE(c.run_until([&] { return c.online("g1"); }, soon)) << seed << c.text();
    c.run(Duration::milliseconds(200));
    ASSERT_EQ(c.failure, "") << seed << c.text();
    ++(owner(c) == first ? kept : taken);
  }
  EXPECT_GT(taken, 0);
  EXPECT_GT(kept, 0);
}

TEST_F(Case, FailedResourceIsRestartedThenFailsOverThenTheGroupFails) {
  FakeCluster c(2, 8);
  form(c, 2, 1);
  c.command(std::move(Edit().set("resources/app1", "RetryPeriodOnFailure", uint64_t{20'000})));
  int first = owner(c);
  for (int i = 0; i < 3; ++i) {
    c.fail("app1");
    ASSERT_TRUE(c.run_until([&] { return !c.online("g1"); }, soon));
    ASSERT_TRUE(c.run_until([&] { return c.online("g1"); }, soon)) << i << c.text();
    EXPECT_EQ(owner(c), first) << "RestartThreshold 3";
  }
  c.behaviours["app1"].online_fails = true;
  ASSERT_TRUE(c.run_until(
      [&] {
        c.fail("app1");
        return owner(c) != first;
      },
      soon))
      << c.text();
  EXPECT_NE(c.tip().text("groups/g1", "Reason").find("failed 4 times"), std::string::npos) << c.text();
  // FailoverThreshold is nodes - 1 = 1: on the second node it fails for good, and is offline but for the
  // failed one.
  ASSERT_TRUE(c.run_until([&] { return c.tip().number("groups/g1", "Failed") == 1; }, Duration::seconds(10)))
      << c.text();
  ASSERT_TRUE(c.run_until([&] { return resource_state(c.tip(), "disk1") == ResourceState::offline; }, soon));
  EXPECT_EQ(derive_group_state(c.tip(), "g1"), GroupState::failed);
  c.behaviours["app1"].online_fails = false;
  ASSERT_TRUE(c.run_until([&] { return c.online("g1"); }, Duration::seconds(25)))
      << "RetryPeriodOnFailure" << c.text();
}

TEST_F(Case, RestartActionsLessThanNotify) {
  for (uint64_t action : {0, 1}) {
    FakeCluster c(2, 9);
    form(c, 2, 1);
    c.command(std::move(Edit()
                            .set("resources/app1", "RestartAction", action)
                            .set("resources/app1", "RestartThreshold", uint64_t{1})
                            .set("resources/app1", "RetryPeriodOnFailure", uint64_t{5000})));
    int first = owner(c);
    c.run(Duration::milliseconds(50));
    c.behaviours["app1"].online_fails = true;
    c.fail("app1");
    c.run(soon);
    EXPECT_EQ(owner(c), first);
    EXPECT_EQ(resource_state(c.tip(), "app1"), ResourceState::failed) << c.text();
    EXPECT_EQ(resource_state(c.tip(), "fs1"), ResourceState::online) << "what does not need it stays";
    c.behaviours["app1"].online_fails = false;
    c.run(Duration::seconds(5));
    EXPECT_EQ(c.online("g1"), action == 1) << c.text();
  }
}

TEST_F(Case, FailureOfAProviderTakesItsDependentsAlong) {
  FakeCluster c(2, 10);
  form(c, 2, 1);
  c.fail("disk1");
  c.run(Duration::milliseconds(200));
  EXPECT_FALSE(c.nodes.at(owner(c)).resources["app1"].live);
  EXPECT_TRUE(c.nodes.at(owner(c)).resources["ip1"].live);
  ASSERT_TRUE(c.run_until([&] { return c.online("g1"); }, soon)) << c.text();
}

TEST_F(Case, PlayedFailureIsALadderStep) {
  FakeCluster c(2, 11);
  form(c, 2, 1);
  c.command(std::move(Edit().set("resources/fs1", "FailRequest", uint64_t{1})));
  ASSERT_TRUE(c.run_until([&] { return !c.online("g1"); }, soon));
  ASSERT_TRUE(c.run_until([&] { return c.online("g1"); }, soon)) << c.text();
}

TEST_F(Case, HangingOfflineIsTerminated) {
  FakeCluster c(2, 12);
  form(c, 2, 1);
  c.command(std::move(Edit().set("resources/app1", "PendingTimeout", uint64_t{1000})));
  c.behaviours["app1"].offline_hangs = true;
  int to = other_than(owner(c));
  c.run(Duration::milliseconds(50));
  c.command(move("g1", to));
  ASSERT_TRUE(c.run_until([&] { return owner(c) == to && c.online("g1"); }, Duration::seconds(10)))
      << c.text();
}

TEST_F(Case, HangingOnlineIsTerminatedByAMove) {
  FakeCluster c(2, 13);
  form(c, 2, 1);
  int first = owner(c), to = other_than(first);
  c.behaviours["app1"].online_hangs = true;
  c.fail("app1");
  c.run(Duration::seconds(1));
  c.behaviours["app1"].online_hangs = false;
  c.command(move("g1", to));
  ASSERT_TRUE(c.run_until([&] { return owner(c) == to && c.online("g1"); }, soon)) << c.text();
}

TEST_F(Case, WhatCannotBeEndedFailsTheGroupAndIsNotMoved) {
  FakeCluster c(2, 14);
  form(c, 2, 1);
  int first = owner(c);
  c.command(std::move(Edit().set("resources/app1", "PendingTimeout", uint64_t{100})));
  c.behaviours["app1"].offline_hangs = true;
  c.behaviours["app1"].terminate_fails = 2;
  c.run(Duration::milliseconds(50));
  c.command(move("g1", other_than(first)));
  ASSERT_TRUE(c.run_until([&] { return c.tip().number("groups/g1", "Failed") == 1; }, Duration::seconds(10)))
      << c.text();
  EXPECT_NE(c.tip().text("groups/g1", "Reason").find("app1"), std::string::npos);
  EXPECT_EQ(owner(c), first);
  ASSERT_TRUE(c.run_until([&] { return owner(c) != first; }, Duration::seconds(20)))
      << "terminate is tried again" << c.text();
}

TEST_F(Case, RemovedNodesLeaseIsAwaitedByAddressesNotByDisks) {
  FakeCluster c(3, 15);
  form(c, 3, 1);
  int first = owner(c);
  c.cut_off(first);
  Instant begun = c.now;
  ASSERT_TRUE(
      c.run_until([&] { return owner(c) != first && c.nodes.at(owner(c)).resources["fs1"].live; }, soon))
      << c.text();
  EXPECT_LT((c.now - begun).ms(), 100);
  ASSERT_TRUE(c.run_until([&] { return c.nodes.at(owner(c)).resources["ip1"].live; }, soon)) << c.text();
  EXPECT_GE((c.now - begun).ms(), 300);
  ASSERT_TRUE(c.run_until([&] { return c.online("g1"); }, soon)) << c.text();
}

TEST_F(Case, MonitorDeathRestartsHere) {
  FakeCluster c(2, 16);
  form(c, 2, 2);
  int first = owner(c);
  for (int i = 0; i < 6; ++i) {
    c.kill_monitor(first);
    ASSERT_TRUE(c.run_until([&] { return !c.online("g1"); }, soon));
    ASSERT_TRUE(c.run_until([&] { return all_online(c, 2); }, soon)) << i << c.text();
    EXPECT_EQ(owner(c), first);
  }
}

TEST_F(Case, StoppingNodeOwnsNothingInTheEnd) {
  FakeCluster c(3, 17);
  form(c, 3, 4);
  int first = owner(c);
  c.command(std::move(Edit().set("groups/g1", "Failed", uint64_t{1})));  // goes along
  c.command(std::move(Edit().set("nodes/" + std::to_string(first), "Stopping", uint64_t{1})));
  ASSERT_TRUE(c.run_until([&] { return c.nodes.at(first).manager->owns_nothing(); }, soon)) << c.text();
  EXPECT_NE(owner(c), first);
}

TEST_F(Case, LastNodeStopsWithEverythingOffline) {
  FakeCluster c(1, 18);
  form(c, 1, 1);
  c.command(std::move(Edit().set("nodes/1", "Stopping", uint64_t{1})));
  ASSERT_TRUE(c.run_until([&] { return c.nodes.at(1).manager->owns_nothing(); }, soon)) << c.text();
  EXPECT_TRUE(c.nodes.at(1).manager->local_all_offline());
  EXPECT_EQ(c.tip().number("groups/g1", "PersistentState"), 1u);
  c.kill(1);
  c.start(1);
  c.command(std::move(Edit().unset("nodes/1", "Stopping")));
  c.run(Duration::milliseconds(50));
  c.command(std::move(Edit().unset("nodes/1", "Stopping")));
  ASSERT_TRUE(c.run_until([&] { return c.online("g1"); }, soon)) << c.text();
}

TEST_F(Case, FailbackWhenTheNodeReturnsAndOnlyThen) {
  FakeCluster c(3, 19);
  form(c, 3, 1);
  c.command(std::move(Edit()
                          .set("groups/g1", "PreferredOwners", std::vector<std::string>{"n2", "n3"})
                          .set("groups/g1", "AutoFailbackType", uint64_t{1})));
  if (owner(c) != 2) c.command(move("g1", 2));
  ASSERT_TRUE(c.run_until([&] { return owner(c) == 2 && c.online("g1"); }, soon)) << c.text();
  c.kill(2);
  ASSERT_TRUE(c.run_until([&] { return owner(c) == 3 && c.online("g1"); }, soon)) << c.text();
  c.start(2);
  ASSERT_TRUE(c.run_until([&] { return owner(c) == 2 && c.online("g1"); }, soon)) << c.text();
  c.run(Duration::seconds(1));
  c.command(move("g1", 1));
  ASSERT_TRUE(c.run_until([&] { return owner(c) == 1 && c.online("g1"); }, soon)) << c.text();
  c.run(soon);
  EXPECT_EQ(owner(c), 1) << "an administrator put it there";
}

TEST_F(Case, FailbackWaitsForItsHours) {
  FakeCluster c(2, 20);
  form(c, 2, 1);
  if (owner(c) != 2) c.command(move("g1", 2));
  ASSERT_TRUE(c.run_until([&] { return owner(c) == 2 && c.online("g1"); }, soon)) << c.text();
  const uint64_t hour = c.nodes.at(1).wall_time_ms() / 3'600'000 % 24;
  c.command(std::move(Edit()
                          .set("groups/g1", "PreferredOwners", std::vector<std::string>{"n2"})
                          .set("groups/g1", "AutoFailbackType", uint64_t{1})
                          .set("groups/g1", "FailbackWindowStart", (hour + 1) % 24)
                          .set("groups/g1", "FailbackWindowEnd", (hour + 2) % 24)));
  c.kill(2);
  ASSERT_TRUE(c.run_until([&] { return owner(c) == 1 && c.online("g1"); }, soon)) << c.text();
  c.start(2);
  c.run(soon);
  EXPECT_EQ(owner(c), 1);
  EXPECT_EQ(c.tip().number("groups/g1", "FailbackTo"), 2u) << c.text();
  c.regroup();
  c.run(Duration::seconds(3600));
  EXPECT_EQ(owner(c), 2) << c.text();
  EXPECT_TRUE(c.online("g1"));
}

TEST_F(Case, MaintenanceWatchesAndDoesNothing) {
  FakeCluster c(2, 21);
  form(c, 2, 1);
  int first = owner(c);
  c.command(std::move(Edit().set("groups/g1", "Maintenance", uint64_t{1})));
  c.run(Duration::milliseconds(50));
  c.fail("app1");
  c.run(soon);
  EXPECT_EQ(resource_state(c.tip(), "app1"), ResourceState::failed) << c.text();
  EXPECT_FALSE(c.nodes.at(first).resources["app1"].live);
  c.command(std::move(Edit().unset("groups/g1", "Maintenance")));
  ASSERT_TRUE(c.run_until([&] { return c.online("g1"); }, soon)) << c.text();
  EXPECT_EQ(owner(c), first);
}

TEST_F(Case, OnlineOnANodeGoesThere) {
  FakeCluster c(3, 22);
  for (int id = 1; id <= 3; ++id) c.start(id);
  c.run(Duration::milliseconds(100));
  make_groups(c, 1);
  c.command(move("g1", 3));
  ASSERT_TRUE(c.run_until([&] { return owner(c) == 3 && c.online("g1"); }, soon)) << c.text();
}

TEST_F(Case, NoCandidateIsSaidAndTheReturnOfTheOwnerHelps) {
  FakeCluster c(2, 23);
  form(c, 2, 1);
  int first = owner(c);
  c.command(std::move(Edit().set("resources/disk1", "PossibleOwners",
                                 std::vector<std::string>{"n" + std::to_string(first)})));
  c.run(Duration::milliseconds(50));
  c.kill(first);
  ASSERT_TRUE(c.run_until(
      [&] {
        return c.tip().text("groups/g1", "Reason").find("is no possible owner of resource 'disk1'") !=
               std::string::npos;
      },
      soon))
      << c.text();
  c.start(first);
  ASSERT_TRUE(c.run_until([&] { return c.online("g1"); }, soon)) << c.text();
}

TEST_F(Case, DeletedResourceIsEnded) {
  FakeCluster c(2, 24);
  form(c, 2, 1);
  int first = owner(c);
  c.command(std::move(Edit().remove("resources/app1")));
  ASSERT_TRUE(c.run_until([&] { return !c.nodes.at(first).resources["app1"].live; }, soon)) << c.text();
}

}  // namespace
}  // namespace holdfast::core
