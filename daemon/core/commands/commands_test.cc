#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/commands/objects.h"
#include "core/commands/schema.h"
#include "core/commands/test_cluster.h"

namespace holdfast::core {
namespace {

using namespace testing_cluster;
using C = api::Command;
using testing::ElementsAre;

CommandPlan plan(const Tree& tree, const Asked& asked, NodeSet members = NodeSet(7)) {
  auto result = plan_command(tree, asked.command, context(members));
  EXPECT_TRUE(result) << result.error().text();
  return result ? *result : CommandPlan{};
}
WaitVerdict::Kind verdict(const Tree& tree, const Wait& wait, NodeSet members = NodeSet(7)) {
  return judge(tree, members, wait).kind;
}
constexpr auto pending = WaitVerdict::Kind::pending, reached = WaitVerdict::Kind::reached,
               failed = WaitVerdict::Kind::failed;

TEST(InitialDatabase, IsAValidCluster) {
  InitialCluster first{
      "c0ffee", "demo", 2, "n1", {"lan=192.0.2.1", "san=fd00::1"}, 7000, std::string(64, 'a')};
  ASSERT_TRUE(check_initial_cluster(first));
  Tree tree;
  ASSERT_TRUE(tree.check(initial_database(first)));
  apply(tree, initial_database(first));
  auto schema = check_schema(tree);
  EXPECT_TRUE(schema) << schema.error().text();
  EXPECT_EQ(tree.number("nodes/1", "Port"), 7000u);
  EXPECT_FALSE(tree.check(initial_database(first))) << "never over an existing cluster";
  first.addresses = {"lan=192.0.2.1", "lan=192.0.2.2"};
  EXPECT_EQ(check_initial_cluster(first).error().text(),
            "cannot create the cluster: network 'lan' is given twice");
}

TEST(Commands, SmallClusterKeepsTheSchema) {
  auto schema = check_schema(small_cluster());
  EXPECT_TRUE(schema) << schema.error().text();
}

TEST(Commands, NodeIdsAreNeverReused) {
  Tree tree = small_cluster();
  ASSERT_TRUE(run(tree, Asked(C::NODE_EVICT, "n3"), NodeSet(3)));
  EXPECT_TRUE(tree.exists("revoked/" + std::string(64, 'c')));
  EXPECT_THAT(tree.list("groups/web", "PreferredOwners"), ElementsAre("n1"));
  EXPECT_THAT(tree.list("resources/disk", "PossibleOwners"), ElementsAre("n1"));
  auto added = plan(tree, Asked(C::NODE_ADD, "n3").with("Addresses", "lan=192.0.2.3"));
  EXPECT_EQ(added.text, "4");
  EXPECT_EQ(plan_command(tree,
                         Asked(C::NODE_ADD, "n3")
                             .with("Addresses", "lan=192.0.2.3")
                             .with("Fingerprint", std::string(64, 'c'))
                             .command,
                         context())
                .error()
                .text(),
            "cannot add node 'n3': its certificate was revoked (let it make a new one)");
}

TEST(Commands, GenerationsGoOnWhereADeletedGroupEnded) {
  Tree tree = small_cluster();
  ASSERT_TRUE(run(tree, Asked(C::GROUP_OFFLINE, "web")));
  for (const char* r : {"resources/disk", "resources/fs", "resources/ip"})
    apply(tree, Edit().set(r, "State", uint64_t{3}).done());
  ASSERT_TRUE(run(tree, Asked(C::GROUP_DELETE, "web").force()));
  ASSERT_TRUE(run(tree, Asked(C::GROUP_CREATE, "web")));
  EXPECT_EQ(tree.number("groups/web", "Generation"), 4u);
  EXPECT_EQ(tree.number("groups/web", "PersistentState"), 1u);
}

// A disk that went offline stays reserved with its last key. Wherever its resource goes, the next key is
// newer.
TEST(Commands, KeysOfDisksGoOnWhereTheyEnded) {
  Tree tree = small_cluster();
  ASSERT_TRUE(run(tree, Asked(C::GROUP_OFFLINE, "web")));
  for (const char* r : {"resources/disk", "resources/fs", "resources/ip"})
    apply(tree, Edit().set(r, "State", uint64_t{3}).done());
  const auto counter = [&](const char* group) {
    return tree.number("groups/" + std::string(group), "Generation") +
           tree.number("resources/disk", "KeyOffset");
  };
  ASSERT_EQ(counter("web"), 4u);
  apply(tree,
        Edit().set("groups/db", "Owner", uint64_t{2}).set("groups/db", "Generation", uint64_t{1}).done());
  ASSERT_TRUE(run(tree, Asked(C::RESOURCE_MOVE, "disk", "db").force()));
  EXPECT_EQ(counter("db"), 5u) << "the owner stays, and the generation with it";
  ASSERT_TRUE(run(tree, Asked(C::RESOURCE_MOVE, "disk", "web").force()));
  EXPECT_EQ(counter("web"), 6u);
  for (const char* r : {"ip", "fs", "disk"}) ASSERT_TRUE(run(tree, Asked(C::RESOURCE_DELETE, r).force()));
  EXPECT_EQ(tree.number("cluster", "GenerationFloor"), 6u);
  const auto create =
      Asked(C::RESOURCE_CREATE, "disk").with("Type", "physical-disk").with("Device", "naa.5000");
  ASSERT_TRUE(run(tree, Asked(create).with("Group", "db")));
  EXPECT_EQ(counter("db"), 7u);
  ASSERT_TRUE(run(tree, Asked(C::RESOURCE_DELETE, "disk").force()));
  ASSERT_TRUE(run(tree, Asked(C::GROUP_CREATE, "new")));
  ASSERT_TRUE(run(tree, Asked(create).with("Group", "new")));
  EXPECT_EQ(counter("new"), 7u) << "the first owner counts up";
  EXPECT_TRUE(check_schema(tree));
}

// Found by a simulated history: two groups with one disk, and the second one preempted the owner of the
// first.
TEST(Commands, ADiskIsOneResource) {
  Tree tree = small_cluster();
  const std::string device = tree.text("resources/disk/Parameters", "Device");
  ASSERT_FALSE(device.empty());
  const auto second = Asked(C::RESOURCE_CREATE, "second")
                          .with("Group", "db")
                          .with("Type", "physical-disk")
                          .with("Device", device);
  auto refused = run(tree, second);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::already_exists);
  EXPECT_NE(refused.error().message.find("'disk'"), std::string::npos) << refused.error().message;
  ASSERT_TRUE(run(tree, Asked(C::RESOURCE_CREATE, "third")
                            .with("Group", "db")
                            .with("Type", "physical-disk")
                            .with("Device", "naa.7777")));
  EXPECT_FALSE(run(tree, Asked(C::RESOURCE_SET, "third").with("Device", device)));
  EXPECT_FALSE(run(tree, Asked(C::RESOURCE_SET, "disk").with("Device", "NAA.7777")));
  EXPECT_TRUE(run(tree, Asked(C::RESOURCE_SET, "disk").with("Device", device))) << "its own";
  EXPECT_TRUE(check_schema(tree));
}

// Found by a simulated history: a raw transaction set a property to a value that no command would take.
TEST(Commands, RawTransactionsAreHeldToTheSchema) {
  const Tree tree = small_cluster();
  auto held = [&](Edit edit) {
    Transaction t = edit.done();
    return hold_to_schema(tree, &t);
  };
  EXPECT_FALSE(held(Edit().set("cluster", "LeaseMarginMs", uint64_t{99'999'999})));
  EXPECT_FALSE(held(Edit().set("groups/web", "Owner", uint64_t{60})));
  EXPECT_FALSE(held(Edit().remove("groups/web"))) << "resources of it are left";
  EXPECT_TRUE(held(Edit().set("groups/web", "Owner", uint64_t{2})));
  EXPECT_TRUE(held(Edit().set("applications/mine", "Owner", uint64_t{60})));
  Transaction first = Edit().set("resources/x", "Group", "web").set("resources/x", "Type", "mine").done();
  Transaction second = Edit().remove("groups/web").remove("resources").done();
  ASSERT_TRUE(hold_to_schema(tree, &first));
  ASSERT_TRUE(hold_to_schema(tree, &second));
  Tree after = tree;
  ASSERT_TRUE(after.check(first));
  after.apply(first, Sequence{100});
  EXPECT_EQ(after.check(second).error().code, ErrorCode::conflict) << "both were judged against one tree";
}

TEST(Commands, RacesEndInConflict) {
  const Tree before = small_cluster();
  struct Race {
    Asked first, second;
  };
  const Race races[] = {
      {Asked(C::NODE_ADD, "n4").with("Addresses", "lan=192.0.2.4"),
       Asked(C::NODE_ADD, "n5").with("Addresses", "lan=192.0.2.5")},
      {Asked(C::RESOURCE_SET, "dbd").with("PossibleOwners", "n3"),
       Asked(C::GROUP_CREATE, "x").with("PreferredOwners", "n3")},
      {Asked(C::GROUP_MOVE, "web", "n3"), Asked(C::GROUP_MOVE, "web")},
      {Asked(C::NODE_PAUSE, "n3"), Asked(C::GROUP_MOVE, "web", "n3")},
      {Asked(C::RESOURCE_DELETE, "dbd").force(), Asked(C::RESOURCE_CREATE, "x")
                                                     .with("Group", "db")
                                                     .with("Type", "generic-program")
                                                     .with("CommandLine", "x")
                                                     .with("Dependencies", "dbd")},
      {Asked(C::GROUP_DELETE, "db").force(), Asked(C::RESOURCE_ONLINE, "dbd")},
      {Asked(C::GROUP_DELETE, "db").force(), Asked(C::GROUP_ONLINE, "db")},
      {Asked(C::RESOURCE_ONLINE, "dbd"), Asked(C::RESOURCE_DELETE, "dbd")},
      {Asked(C::CLUSTER_SET, "").with("HeartbeatIntervalMs", "300"),
       Asked(C::CLUSTER_SET, "").with("HeartbeatTimeoutMs", "400")},
  };
  for (const auto& race : races) {
    auto first = plan_command(before, race.first.command, context()),
         second = plan_command(before, race.second.command, context());
    if (!first || !second) {
      ADD_FAILURE() << (first ? second : first).error().text();
      continue;
    }
    Tree tree = before;
    ASSERT_TRUE(tree.check(first->transaction)) << first->cause;
    apply(tree, first->transaction);
    auto late = tree.check(second->transaction);
    ASSERT_FALSE(late) << first->cause << " and then " << second->cause;
    EXPECT_EQ(late.error().code, ErrorCode::conflict);
  }
}

TEST(Commands, WhatIsSoAlreadyChangesNothing) {
  Tree tree = small_cluster();
  ASSERT_TRUE(run(tree, Asked(C::NODE_PAUSE, "n2")));
  for (const auto& asked :
       {Asked(C::NODE_PAUSE, "n2"), Asked(C::GROUP_ONLINE, "web"), Asked(C::GROUP_MOVE, "web", "n1"),
        Asked(C::RESOURCE_ONLINE, "ip"), Asked(C::NODE_RESUME, "n1")}) {
    auto p = plan(tree, asked);
    EXPECT_EQ(p.transaction.changes_size(), 0) << p.cause;
    EXPECT_EQ(p.transaction.preconditions_size(), 0);
    EXPECT_EQ(verdict(tree, p.wait), reached) << p.cause;
  }
  EXPECT_EQ(plan(tree, Asked(C::GROUP_MOVE, "web", "n1")).cause,
            "move group 'web' to 'n1', asked by root via test");
}

TEST(Commands, MoveAndItsWait) {
  Tree tree = small_cluster();
  auto move = plan(tree, Asked(C::GROUP_MOVE, "web"));
  EXPECT_EQ(move.wait.node, NodeId{3}) << "the preferred owner that is not the present one";
  apply(tree, move.transaction);
  EXPECT_EQ(judge(tree, NodeSet(7), move.wait).why, "group 'web' is still on n1");
  apply(tree, Edit()
                  .set("groups/web", "Owner", uint64_t{3})
                  .set("groups/web", "Generation", uint64_t{5})
                  .unset("groups/web", "MoveTo")
                  .done());
  EXPECT_EQ(judge(tree, NodeSet(7), move.wait).why, "resource 'disk' is Offline");
  for (const char* r : {"resources/disk", "resources/fs", "resources/ip"})
    apply(tree, Edit().set(r, "StateGeneration", uint64_t{5}).done());
  EXPECT_EQ(verdict(tree, move.wait), reached);
  Tree refused = small_cluster();
  apply(refused, move.transaction);
  apply(refused, Edit().unset("groups/web", "MoveTo").set("groups/web", "Reason", "n3 went down").done());
  EXPECT_EQ(judge(refused, NodeSet(3), move.wait).why, "group 'web' stays on n1: n3 went down");
  EXPECT_EQ(verdict(refused, move.wait), failed);
}

TEST(Commands, OnlineAndOfflineOfGroups) {
  Tree tree = small_cluster();
  auto offline = plan(tree, Asked(C::GROUP_OFFLINE, "web"));
  apply(tree, offline.transaction);
  EXPECT_EQ(tree.number("groups/web", "PersistentState", 9), 0u);
  EXPECT_EQ(verdict(tree, offline.wait), pending);
  EXPECT_EQ(verdict(tree, offline.wait, NodeSet(6)), reached) << "its owner is gone";
  for (const char* r : {"resources/disk", "resources/fs", "resources/ip"})
    apply(tree, Edit().set(r, "State", uint64_t{3}).done());
  EXPECT_EQ(verdict(tree, offline.wait), reached);
  apply(tree, Edit()
                  .set("groups/web", "Failed", uint64_t{1})
                  .set("groups/web", "FailoverCount", uint64_t{3})
                  .set("resources/ip", "State", uint64_t{4})
                  .set("resources/ip", "PersistentState", uint64_t{0})
                  .done());
  auto online = plan(tree, Asked(C::GROUP_ONLINE, "web"));
  apply(tree, online.transaction);
  EXPECT_EQ(tree.find_value("groups/web", "Failed"), nullptr);
  EXPECT_EQ(tree.find_value("groups/web", "FailoverCount"), nullptr);
  EXPECT_EQ(tree.find_value("resources/ip", "PersistentState"), nullptr);
  EXPECT_EQ(tree.find_value("resources/ip", "State"), nullptr)
      << "the failure is forgotten, so that it is started again";
  EXPECT_EQ(verdict(tree, online.wait), pending);
  EXPECT_EQ(verdict(tree, offline.wait), failed);
  apply(tree, Edit().set("groups/web", "Failed", uint64_t{1}).set("groups/web", "Reason", "gave up").done());
  EXPECT_EQ(judge(tree, NodeSet(7), online.wait).why, "group 'web' failed: gave up");
}

TEST(Commands, ResourcesComeOnlineWithWhatTheyNeed) {
  Tree tree = small_cluster();
  ASSERT_TRUE(run(tree, Asked(C::GROUP_OFFLINE, "web")));
  ASSERT_TRUE(run(tree, Asked(C::RESOURCE_ONLINE, "fs")));
  EXPECT_TRUE(objects::wanted_online(tree, "disk"));
  EXPECT_TRUE(objects::wanted_online(tree, "fs"));
  EXPECT_FALSE(objects::wanted_online(tree, "ip"));
  EXPECT_EQ(plan(tree, Asked(C::RESOURCE_OFFLINE, "fs")).remark,
            "'ip' go offline with it, and come back with it");
}

TEST(Commands, NodesAndTheirWaits) {
  Tree tree = small_cluster();
  auto drain = plan(tree, Asked(C::NODE_PAUSE, "n1").with("Drain", "true"));
  apply(tree, drain.transaction);
  EXPECT_EQ(judge(tree, NodeSet(7), drain.wait).why, "node 'n1' still owns 'web'");
  ASSERT_TRUE(run(tree, Asked(C::NODE_RESUME, "n1")));
  EXPECT_EQ(judge(tree, NodeSet(7), drain.wait).why,
            "node 'n1' still owns 'web' and is not being drained any more");
  auto stop = plan(tree, Asked(C::NODE_STOP, "n2"));
  EXPECT_EQ(verdict(tree, stop.wait), pending);
  EXPECT_EQ(verdict(tree, stop.wait, NodeSet(5)), reached);
  auto quorum = plan(tree, Asked(C::QUORUM_MOVE, "", "n2"));
  apply(tree, quorum.transaction);
  EXPECT_EQ(verdict(tree, quorum.wait), pending);
  apply(tree, Edit()
                  .unset("cluster", "QuorumMoveTo")
                  .set("cluster", "QuorumMoveResult", "n2 does not reach the LUN")
                  .done());
  EXPECT_EQ(judge(tree, NodeSet(7), quorum.wait).why,
            "the quorum stays where it is: n2 does not reach the LUN");
}

TEST(Commands, MovingResourcesBetweenGroups) {
  Tree tree = small_cluster();
  ASSERT_TRUE(run(tree, Asked(C::GROUP_OFFLINE, "web")));
  for (const char* r : {"resources/disk", "resources/fs", "resources/ip"})
    apply(tree, Edit().set(r, "State", uint64_t{3}).done());
  ASSERT_TRUE(run(tree, Asked(C::RESOURCE_MOVE, "fs", "db").force()));
  EXPECT_THAT(objects::resources_of(tree, "db"), ElementsAre("dbd", "disk", "fs", "ip"));
  EXPECT_EQ(tree.find_value("resources/disk", "StateGeneration"), nullptr);
  EXPECT_TRUE(check_schema(tree));
}

TEST(Commands, FunctionalLevelRisesToWhatEveryNodeSpeaks) {
  Tree tree = small_cluster();
  apply(tree, Edit().set("cluster", "FunctionalLevel", uint64_t{2}).done());
  api::Command command;
  command.set_verb(api::Command::CLUSTER_UPGRADE);
  auto one_is_old = context();
  one_is_old.version_max[NodeId{2}] = 2;
  auto same = plan_command(tree, command, one_is_old);
  ASSERT_TRUE(same);
  EXPECT_EQ(same->transaction.changes_size(), 0);
  EXPECT_EQ(same->text, "2");
  auto one_is_down = plan_command(tree, command, context(NodeSet(3)));
  ASSERT_FALSE(one_is_down);
  EXPECT_EQ(one_is_down.error().code, ErrorCode::busy);
  auto all = plan_command(tree, command, context());
  ASSERT_TRUE(all);
  apply(tree, all->transaction);
  EXPECT_EQ(tree.number("cluster", "FunctionalLevel"), 3u);
}

TEST(Commands, MaintenanceShutdownAndFail) {
  Tree tree = small_cluster();
  ASSERT_TRUE(run(tree, Asked(C::CLUSTER_MAINTENANCE, "group:web").with("Maintenance", "1")));
  EXPECT_EQ(tree.number("groups/web", "Maintenance"), 1u);
  ASSERT_TRUE(run(tree, Asked(C::CLUSTER_MAINTENANCE, "group:web").with("Maintenance", "0")));
  EXPECT_EQ(tree.find_value("groups/web", "Maintenance"), nullptr);
  ASSERT_TRUE(run(tree, Asked(C::CLUSTER_SHUTDOWN, "")));
  EXPECT_EQ(tree.number("cluster", "Shutdown"), 1u);
  ASSERT_TRUE(run(tree, Asked(C::RESOURCE_FAIL, "ip")));
  ASSERT_TRUE(run(tree, Asked(C::RESOURCE_FAIL, "ip")));
  EXPECT_EQ(tree.number("resources/ip", "FailRequest"), 2u);
}

TEST(Schema, FindsEveryBrokenInvariant) {
  struct Case {
    Edit edit;
    const char* text;
  };
  const Case cases[] = {
      {Edit().unset("cluster", "Id"), "S1: the cluster has no Id or Name"},
      {Edit().set("cluster", "NextNode", uint64_t{3}), "S1: NextNode is 3 but 'nodes/3' exists"},
      {Edit().create("nodes/x"), "S2: a key below 'nodes' is no node id"},
      {Edit().set("nodes/2", "Fingerprint", std::string(64, 'a')), "S2: two nodes have one certificate"},
      {Edit().create("revoked/" + std::string(64, 'b')), "S2: the certificate of 'n2' is revoked"},
      {Edit().set("nodes/2", "Name", "N1"), "S3: two nodes are named 'n1'"},
      {Edit().create("groups/WEB"), "S3: two groups are named 'web'"},
      {Edit().set("groups/web", "Owner", uint64_t{9}), "S4: Owner of 'groups/web' is the unknown node 9"},
      {Edit().set("groups/web", "PreferredOwners", std::vector<std::string>{"n9"}),
       "S4: PreferredOwners of 'groups/web' names the unknown node 'n9'"},
      {Edit().set("resources/ip", "Group", "gone"), "S5: the group 'gone' of 'resources/ip' does not exist"},
      {Edit().unset("resources/ip", "Type"), "S5: 'resources/ip' has no Type"},
      {Edit().remove("resources/disk"), "S6: 'resources/fs' depends on 'disk', which does not exist"},
      {Edit().set("resources/disk", "Dependencies", std::vector<std::string>{"ip"}),
       "S6: dependencies go round: disk -> ip -> fs -> disk"},
      {Edit().set("resources/ip", "RestartAction", uint64_t{7}),
       "S7: 'resources/ip': '7' does not suit RestartAction: it takes 0 to 2 "
       "(0=DontRestart,1=RestartNoNotify,2=RestartNotify)"},
      {Edit().set("resources/ip", "RestartAction", "2"),
       "S7: RestartAction of 'resources/ip' has the wrong type"},
      {Edit().set("cluster", "HeartbeatTimeoutMs", uint64_t{200}),
       "S8: HeartbeatTimeoutMs of 200 ms is too short: at least 300 ms is needed, three times "
       "HeartbeatIntervalMs (100 ms), so that two lost datagrams are no failure"},
  };
  for (const auto& c : cases) {
    Tree tree = small_cluster();
    apply(tree, c.edit.done());
    auto schema = check_schema(tree);
    EXPECT_EQ(schema ? "sound" : schema.error().message, c.text);
  }
}

// What the refusal advises is accepted, and an illegal combination is no plan, however it comes about.
TEST(Commands, TimingIsJudgedAsAWhole) {
  Tree tree = small_cluster();
  const auto set = [&](const char* name, const char* value) {
    return run(tree, Asked(C::CLUSTER_SET, "").with(name, value));
  };
  EXPECT_FALSE(set("HeartbeatIntervalMs", "500"));
  EXPECT_TRUE(run(tree, Asked(C::CLUSTER_SET, "")
                            .with("HeartbeatIntervalMs", "500")
                            .with("HeartbeatTimeoutMs", "1500")
                            .with("LeaseMarginMs", "500")
                            .with("MonitorSilenceMs", "3000")));
  EXPECT_FALSE(set("HeartbeatTimeoutMs", "1499"));
  EXPECT_FALSE(set("QuorumStallMaxMs", "3999"));
  EXPECT_TRUE(set("QuorumStallMaxMs", "4000"));
  auto status = set("HeartbeatTimeoutMs", "1000");  // its default
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().text().find("HeartbeatIntervalMs (500 ms)"), std::string::npos)
      << status.error().text();
  EXPECT_TRUE(check_schema(tree));
}

TEST(IpText, ParsesWhatPeopleWrite) {
  for (const char* good : {"0.0.0.0", "255.255.255.255", "::", "::1", "1::", "fe80::1:2", "1:2:3:4:5:6:7:8",
                           "::ffff:192.0.2.1", "1:2:3:4:5:6:1.2.3.4", "2001:DB8::"})
    EXPECT_TRUE(objects::parse_ip(good)) << good;
  for (const char* bad : {"",
                          ":",
                          ":::",
                          "1:2",
                          "1.2.3",
                          "1.2.3.4.5",
                          "256.1.1.1",
                          "01.2.3.4",
                          "1.2.3.4 ",
                          "1::2::3",
                          "12345::",
                          "1:2:3:4:5:6:7:8:9",
                          "1:2:3:4:5:6:7:8::",
                          "fe80::1%eth0",
                          "1.2.3.4::",
                          "1.2.3.4::1",
                          "::1.2.3",
                          "g::",
                          "1:",
                          ":1"})
    EXPECT_FALSE(objects::parse_ip(bad)) << bad;
  EXPECT_EQ(objects::parse_ip("::ffff:1.2.3.4"), objects::parse_ip("1.2.3.4"));
  EXPECT_EQ(objects::parse_ip("1:0::2"), objects::parse_ip("1::2"));
}

}  // namespace
}  // namespace holdfast::core
