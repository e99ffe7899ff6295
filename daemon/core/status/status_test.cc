#include "core/status/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/commands/initial_database.h"

namespace holdfast::core {
namespace {

using testing::ElementsAre;

Tree cluster() {
  Tree tree;
  tree.apply(initial_database({"c0ffee", "demo", 2, "n1", {"lan=192.0.2.1"}, 0, std::string(64, 'a')}),
             Sequence{1});
  tree.apply(Edit()
                 .set("nodes/2", "Name", "n2")
                 .set("nodes/2", "Fingerprint", std::string(64, 'b'))
                 .set("cluster", "NextNode", uint64_t{3})
                 .set("groups/web", "Owner", uint64_t{1})
                 .set("groups/web", "Generation", uint64_t{4})
                 .set("groups/web", "PersistentState", uint64_t{1})
                 .set("groups/web", "Reason", "preferred owner")
                 .set("resources/ip", "Group", "web")
                 .set("resources/ip", "Type", "ip-address")
                 .set("resources/ip", "State", uint64_t{2})
                 .set("resources/ip", "StateGeneration", uint64_t{4})
                 .set("resources/ip", "Message", "announced")
                 .set("resources/ip", "Published", std::vector<std::string>{"Address=192.0.2.9"})
                 .set("resources/ip/Parameters", "Address", "192.0.2.9")
                 .set("resources/ip/Parameters", "Odd", "x")
                 .done(),
             Sequence{2});
  return tree;
}

api::Status status_of(const Tree& tree, NodeSet members) {
  api::Status status;
  fill_status(tree, members, NodeId{1}, NodeId{1}, &status);
  return status;
}

const api::Property* property(const google::protobuf::RepeatedPtrField<api::Property>& all,
                              std::string_view name) {
  for (const auto& p : all)
    if (p.name() == name) return &p;
  return nullptr;
}

TEST(Status, SaysWhatTheDatabaseSays) {
  auto s = status_of(cluster(), NodeSet(3));
  EXPECT_EQ(s.cluster_name(), "demo");
  EXPECT_EQ(s.node_name(), "n1");
  ASSERT_EQ(s.nodes_size(), 2);
  EXPECT_TRUE(s.nodes(0).quorum_owner());
  EXPECT_EQ(s.groups(0).state(), 0);
  EXPECT_EQ(s.groups(0).state_text(), "Online");
  EXPECT_EQ(s.groups(0).owner(), "n1");
  EXPECT_EQ(s.resources(0).state(), 2);
  EXPECT_EQ(s.resources(0).message(), "announced");
  EXPECT_THAT(s.resources(0).published(), ElementsAre("Address=192.0.2.9"));
  EXPECT_EQ(property(s.resources(0).properties(), "ProbeCount")->value(), "3") << "defaults included";
  EXPECT_EQ(property(s.resources(0).properties(), "Odd")->value(), "x");
  EXPECT_EQ(property(s.cluster_properties(), "HeartbeatTimeoutMs")->value(), "1000");
  EXPECT_EQ(property(s.cluster_properties(), "QuarantineThreshold"), nullptr) << "nothing acts on it";
  EXPECT_THAT(s.warnings(), ElementsAre());
}

TEST(Status, WarnsOfWhatIsWrong) {
  Tree tree = cluster();
  EXPECT_THAT(status_of(tree, NodeSet(1)).warnings(),
              ElementsAre("node 'n2' is down", "only one node is up: the next failure stops everything"));
  EXPECT_THAT(status_of(tree, NodeSet(2)).warnings(),
              ElementsAre("node 'n1' is down", "group 'web' is wanted online and is offline: preferred owner",
                          "only one node is up: the next failure stops everything"));
  tree.apply(Edit()
                 .set("resources/ip", "State", uint64_t{4})
                 .set("resources/ip", "Message", "no such interface")
                 .set("groups/web", "Failed", uint64_t{1})
                 .set("groups/web", "Reason", "3 failovers in 6 hours")
                 .set("nodes/2", "Paused", uint64_t{1})
                 .set("cluster", "Maintenance", uint64_t{1})
                 .done(),
             Sequence{3});
  auto s = status_of(tree, NodeSet(3));
  EXPECT_EQ(s.nodes(1).state(), 2);
  EXPECT_EQ(s.groups(0).state(), 2);
  EXPECT_THAT(
      s.warnings(),
      ElementsAre("the cluster is in maintenance: failures are seen, nothing is done about them",
                  "group 'web' failed: 3 failovers in 6 hours", "resource 'ip' failed: no such interface"));
}

}  // namespace
}  // namespace holdfast::core
