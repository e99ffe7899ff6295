// Placement and group states as tables: one line a case.
#include "core/failover/placement.h"

#include <gtest/gtest.h>

#include <sstream>

#include "core/failover/facts.h"
#include "core/failover/group_state.h"

namespace holdfast::core {
namespace {

std::vector<std::string> words(const std::string& text, char separator = ' ') {
  std::vector<std::string> out;
  std::stringstream stream(text);
  for (std::string word; std::getline(stream, word, separator);)
    if (!word.empty()) out.push_back(word);
  return out;
}

// Four nodes n1..n4, the group "g" with the resource "r". `setup` is a list of words:
//   own=N  up=1,2,3  prefer=n2,n1  possible=n1,n2  class=C    the group itself
//   h:own=N h:class=C                                         another group (any one-letter name), wanted
//   online paused=N draining=N stopping=N  cpu:N=P  exclude=N  planned:h=N  enforce
struct Row {
  PlacementCause cause;
  const char* setup;
  uint64_t chosen;  // 0: nobody
  const char* why;  // part of the text
};

Placement run(const Row& row, Tree& tree) {
  PlacementInput in;
  in.group = "g";
  in.cause = row.cause;
  in.members = NodeSet(0b1111);
  Edit edit;
  for (uint64_t id = 1; id <= 4; ++id)
    edit.set("nodes/" + std::to_string(id), "Name", "n" + std::to_string(id));
  edit.set("groups/g", "PersistentState", uint64_t{1}).set("resources/r", "Group", "g");
  for (const auto& word : words(row.setup)) {
    auto equal = word.find('=');
    std::string key = word.substr(0, equal), value = equal == std::string::npos ? "" : word.substr(equal + 1);
    std::string group = "groups/g";
    if (auto colon = key.find(':'); colon == 1) {
      group = "groups/" + key.substr(0, 1);
      key = key.substr(2);
      edit.set(group, "PersistentState", uint64_t{1});
    }
    const auto number = [&] { return static_cast<uint64_t>(std::stoull(value)); };
    if (key == "own") edit.set(group, "Owner", number()).set(group, "Generation", uint64_t{1});
    if (key == "to") edit.set(group, "MoveTo", number());
    if (key == "class") edit.set(group, "AntiAffinityClassNames", words(value, ','));
    if (key == "prefer") edit.set(group, "PreferredOwners", words(value, ','));
    if (key == "possible") edit.set("resources/r", "PossibleOwners", words(value, ','));
    if (key == "possible2")
      edit.set("resources/s", "PossibleOwners", words(value, ',')).set("resources/s", "Group", "g");
    if (key == "paused") edit.set("nodes/" + value, "Paused", uint64_t{1});
    if (key == "draining") edit.set("nodes/" + value, "Draining", uint64_t{1});
    if (key == "stopping") edit.set("nodes/" + value, "Stopping", uint64_t{1});
    if (key == "enforce") edit.set("cluster", "ClusterEnforcedAntiAffinity", uint64_t{1});
    if (key == "exclude") in.excluded.add(NodeId{number()});
    if (key.rfind("cpu:", 0) == 0)
      in.loads[NodeId{std::stoull(key.substr(4))}] = {static_cast<uint32_t>(number()), 0};
    if (key.rfind("planned:", 0) == 0) {
      in.planned[key.substr(8)] = NodeId{number()};
      edit.set("groups/" + key.substr(8), "PersistentState", uint64_t{1});
    }
    if (key == "up") {
      in.members = {};
      for (const auto& id : words(value, ',')) in.members.add(NodeId{std::stoull(id)});
    }
  }
  tree.apply(edit.done(), Sequence{1});
  in.database = &tree;
  return place(in);
}

TEST(Facts, NoNumberIsMoreThanNever) {
  Tree tree;
  Edit edit;
  for (const char* name : {"RestartDelay", "RestartPeriod", "PendingTimeout", "LooksAlivePollInterval",
                           "IsAlivePollInterval", "RetryPeriodOnFailure"})
    edit.set("resources/r", name, UINT64_MAX);
  tree.apply(edit.done(), Sequence{1});
  const auto facts = failover::read_resource(tree, "r");
  const auto never = Duration::milliseconds(static_cast<int64_t>(failover::infinite));
  EXPECT_EQ(facts.restart_delay, never);
  EXPECT_EQ(facts.restart_period, never);
  EXPECT_EQ(facts.pending_timeout, never);
  EXPECT_EQ(facts.looks_alive_ms, failover::infinite);
  EXPECT_EQ(facts.is_alive_ms, failover::infinite);
  EXPECT_EQ(facts.retry_period_ms, failover::infinite);
}

TEST(Placement, Table) {
  using enum PlacementCause;
  const Row rows[] = {
      // A failure with a list: down the list from the present owner, wrapping.
      {node_failure, "own=2 up=1,3,4 prefer=n1,n2,n3", 3, "next in the preferred list"},
      {node_failure, "own=3 up=1,2,4 prefer=n1,n2,n3", 4, "no preferred owner is available, next node"},
      {node_failure, "own=4 up=1,2,3 prefer=n1,n2,n3", 1, "next in the preferred list"},
      {node_failure, "own=1 up=3,4 prefer=n1,n2,n3", 3, "n2: is down"},
      {node_failure, "own=2 up=1,4 prefer=n1,n2", 4, "next node"},
      {resource_failure, "own=2 prefer=n1,n2,n3 exclude=2", 3, "n2: has it now"},
      {resource_failure, "own=3 prefer=n2,n3 exclude=3", 1, "next node"},
      // A node failure without a list: the least loaded; ties by node id.
      {node_failure, "own=2 up=1,3,4", 1, "least loaded (0 groups, cpu 0 %)"},
      {node_failure, "own=2 up=1,3,4 h:own=1", 3, "n1: has 1 groups"},
      {node_failure, "own=2 up=1,3,4 cpu:1=50 cpu:3=40 cpu:4=60", 3, "cpu 40 %"},
      {node_failure, "own=2 up=1,3,4 h:own=3 cpu:1=99 cpu:3=1 cpu:4=99", 1, "least loaded"},
      {node_failure, "own=2 up=1,3 h:own=3 h:to=1", 3, "n1: has 1 groups"},
      {node_failure, "own=2 up=1,3 planned:h=1", 3, "n1: has 1 groups"},
      // A resource failure without a list: over the node ids.
      {resource_failure, "own=2 exclude=2 h:own=3", 3, "next node"},
      {resource_failure, "own=4 exclude=4", 1, "next node"},
      {resource_failure, "own=4 exclude=4 paused=1 draining=2", 3, "n1: is paused; n2: is being drained"},
      // Best possible: from the top of the list, without the present owner.
      {manual, "own=1 prefer=n1,n3,n2 exclude=1", 3, "best available preferred owner"},
      {manual, "own=3 prefer=n2,n1 up=1,2,3 exclude=3 paused=2", 1, "best available preferred owner"},
      {manual, "own=1 prefer=n1 exclude=1 h:own=2", 3, "least loaded"},
      {created, "prefer=n4,n1", 4, "best available preferred owner"},
      {drain, "own=1 exclude=1 h:own=2 i:own=3", 4, "least loaded"},
      // Who can own it at all.
      {created, "possible=n3", 3, "n1: is no possible owner of resource 'r'"},
      {created, "possible=n2,n3 possible2=n3,n4", 3, "n2: is no possible owner of resource 's'"},
      {created, "possible=n1 possible2=n2", 0, "no node can take it"},
      {created, "up=2 stopping=2", 0, "n2: is leaving the cluster"},
      {node_failure, "own=1 up=2 paused=2", 0, "n2: is paused"},
      // Anti-affinity is a wish, unless it is enforced.
      {node_failure, "own=1 up=2,3 class=web h:own=2 h:class=web", 3,
       "runs a group of the same anti-affinity class"},
      {node_failure, "own=1 up=2 class=web h:own=2 h:class=web", 2, "least loaded"},
      {node_failure, "own=1 up=2 class=web h:own=2 h:class=web enforce", 0, "same anti-affinity class"},
      {created, "prefer=n1,n2 class=web h:own=1 h:class=web", 2, "best available preferred owner"},
  };
  for (const Row& row : rows) {
    Tree tree;
    auto placement = run(row, tree);
    EXPECT_EQ(placement.chosen.value, row.chosen) << row.setup << "\n" << placement.text(tree);
    EXPECT_NE(placement.text(tree).find(row.why), std::string::npos) << row.setup << "\n"
                                                                     << placement.text(tree);
    EXPECT_EQ(placement.verdicts.size(), 4u);
    for (const auto& verdict : placement.verdicts) EXPECT_FALSE(verdict.why.empty()) << row.setup;
  }
}

TEST(GroupState, Table) {
  struct {
    std::vector<uint64_t> states;
    GroupState expected;
  } const rows[] = {
      {{}, GroupState::offline},       {{2}, GroupState::online},
      {{2, 2}, GroupState::online},    {{2, 3}, GroupState::partial_online},
      {{3, 3}, GroupState::offline},   {{2, 129}, GroupState::pending},
      {{3, 130}, GroupState::pending}, {{4, 129, 2}, GroupState::failed},
      {{4, 3}, GroupState::failed},    {{77}, GroupState::offline},
  };
  for (const auto& row : rows) {
    Tree tree;
    Edit edit;
    edit.set("groups/g", "Owner", uint64_t{1}).set("groups/g", "Generation", uint64_t{5});
    for (size_t i = 0; i < row.states.size(); ++i) {
      const std::string path = "resources/r" + std::to_string(i);
      edit.set(path, "Group", "g")
          .set(path, "State", row.states[i])
          .set(path, "StateGeneration", uint64_t{5});
    }
    tree.apply(edit.done(), Sequence{1});
    EXPECT_EQ(derive_group_state(tree, "g"), row.expected);
    EXPECT_EQ(derive_group_state(tree, "g", NodeSet::of(NodeId{2})), GroupState::offline)
        << "its owner is down";
    tree.apply(Edit().set("groups/g", "Generation", uint64_t{6}).done(), Sequence{2});
    EXPECT_EQ(derive_group_state(tree, "g"), GroupState::offline) << "reports of an earlier ownership";
    tree.apply(Edit().set("groups/g", "Failed", uint64_t{1}).done(), Sequence{3});
    EXPECT_EQ(derive_group_state(tree, "g"), GroupState::failed);
  }
}

}  // namespace
}  // namespace holdfast::core
