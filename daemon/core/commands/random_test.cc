// Thousands of random commands against a tree that also changes underneath. Whatever is accepted passes
// Tree::check and keeps the schema; and a plan made against an older tree either conflicts or keeps the
// schema too.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "core/commands/objects.h"
#include "core/commands/schema.h"
#include "core/commands/test_cluster.h"

namespace holdfast::core {
namespace {

using namespace testing_cluster;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t below(uint64_t n) {  // xorshift64*
    state_ ^= state_ >> 12, state_ ^= state_ << 25, state_ ^= state_ >> 27;
    return (state_ * 0x2545F4914F6CDD1DULL >> 16) % n;
  }
  template <size_t N>
  std::string pick(const char* const (&list)[N]) {
    return list[below(N)];
  }

 private:
  uint64_t state_;
};

constexpr const char* nodes[] = {"n1", "n2", "n3", "n4", "n5", "", "3", "nope"};
constexpr const char* groups[] = {"web", "db", "g3", "g4", "WEB", "", "a/b"};
constexpr const char* resources[] = {"disk", "fs", "ip", "dbd", "r1", "r2", "r3", "r4", "Disk", ""};
constexpr const char* types[] = {"physical-disk", "filesystem", "ip-address", "generic-program", "mine", ""};
constexpr const char* names[] = {"Dependencies",
                                 "PossibleOwners",
                                 "PreferredOwners",
                                 "PersistentState",
                                 "RestartAction",
                                 "Address",
                                 "MountPoint",
                                 "CommandLine",
                                 "Device",
                                 "HeartbeatIntervalMs",
                                 "HeartbeatTimeoutMs",
                                 "LeaseMarginMs",
                                 "FailbackWindowStart",
                                 "Drain",
                                 "Maintenance",
                                 "Group",
                                 "Type",
                                 "Addresses",
                                 "Nonsense",
                                 "Priority"};
constexpr const char* values[] = {
    "0",     "1",  "2",     "300",     "1000",           "-1",   "",    "x", "n1,n3", "n2", "n4,n5", "disk",
    "fs,ip", "r1", "r2,r3", "r4,disk", "lan=192.0.2.77", "/srv", "none"};
constexpr const char* resource_lists[] = {"",      "r1",    "r2",   "r3", "r4",
                                          "r1,r2", "r3,r4", "disk", "fs", "ip,r1"};
constexpr const char* node_lists[] = {"", "n1", "n1,n2", "n1,n4", "n4,n1,n5", "n1,n2,n3", "n5", "n3,n1"};
constexpr api::Command::Verb verbs[] = {api::Command::CLUSTER_SET,
                                        api::Command::CLUSTER_MAINTENANCE,
                                        api::Command::CLUSTER_SHUTDOWN,
                                        api::Command::NODE_ADD,
                                        api::Command::NODE_PAUSE,
                                        api::Command::NODE_RESUME,
                                        api::Command::NODE_STOP,
                                        api::Command::NODE_EVICT,
                                        api::Command::GROUP_CREATE,
                                        api::Command::GROUP_DELETE,
                                        api::Command::GROUP_SET,
                                        api::Command::GROUP_ONLINE,
                                        api::Command::GROUP_OFFLINE,
                                        api::Command::GROUP_MOVE,
                                        api::Command::RESOURCE_CREATE,
                                        api::Command::RESOURCE_CREATE,
                                        api::Command::RESOURCE_DELETE,
                                        api::Command::RESOURCE_SET,
                                        api::Command::RESOURCE_SET,
                                        api::Command::RESOURCE_ONLINE,
                                        api::Command::RESOURCE_OFFLINE,
                                        api::Command::RESOURCE_MOVE,
                                        api::Command::RESOURCE_FAIL,
                                        api::Command::QUORUM_MOVE,
                                        api::Command::NONE};

api::Command random_command(Random& random) {
  using C = api::Command;
  C::Verb verb = verbs[random.below(std::size(verbs))];
  bool of_node = verb >= C::NODE_ADD && verb < C::GROUP_CREATE,
       of_group = verb >= C::GROUP_CREATE && verb < C::RESOURCE_CREATE;
  Asked asked(verb, of_node ? random.pick(nodes) : of_group ? random.pick(groups) : random.pick(resources));
  if (verb < C::NODE_ADD) asked.command.set_object(random.below(2) ? "" : "group:" + random.pick(groups));
  asked.command.set_target(verb == C::RESOURCE_MOVE ? random.pick(groups) : random.pick(nodes));
  std::map<std::string, std::string> given;
  if (verb == C::NODE_ADD) given["Addresses"] = "lan=192.0.2." + std::to_string(random.below(255));
  if (verb == C::NODE_ADD && random.below(2))
    given["Fingerprint"] = std::string(64, static_cast<char>('0' + random.below(10)));
  if (verb == C::RESOURCE_CREATE) {
    given["Group"] = random.pick(groups), given["Type"] = random.pick(types);
    given["MountPoint"] = "/x";
    if (given["Type"] != "filesystem") given.erase("MountPoint");
    if (given["Type"] == "ip-address") given["Address"] = "192.0.2.8";
    if (given["Type"] == "physical-disk") given["Device"] = "naa.5";
    if (given["Type"] == "generic-program") given["CommandLine"] = "/bin/true";
  }
  bool sets = verb == C::CLUSTER_SET || verb == C::GROUP_SET || verb == C::RESOURCE_SET;
  for (uint64_t n = random.below(sets ? 3 : 2) + (sets ? 1 : 0); n > 0; --n)
    if (random.below(3) < (sets ? 3u : 1u)) given[random.pick(names)] = random.pick(values);
  // References are where races hurt: give many of them, and let the objects they name come and go.
  if ((verb == C::RESOURCE_CREATE || verb == C::RESOURCE_SET) && random.below(2))
    given["Dependencies"] = random.pick(resource_lists);
  if ((verb == C::RESOURCE_CREATE || verb == C::RESOURCE_SET) && random.below(3) == 0)
    given["PossibleOwners"] = random.pick(node_lists);
  if ((verb == C::GROUP_CREATE || verb == C::GROUP_SET) && random.below(2))
    given["PreferredOwners"] = random.pick(node_lists);
  for (const auto& [name, value] : given) {
    asked.with(name, value);
    if (random.below(12) == 0) asked.command.mutable_properties()->rbegin()->set_unset(true);
  }
  asked.command.set_force(random.below(3) == 0);
  return asked.command;
}

// What the failover manager and the monitors would write: owners, generations, states.
void play_the_rest(Tree& tree, Random& random, NodeSet members) {
  for (const auto& group : tree.children("groups")) {
    std::string key = objects::group_key(group);
    if (random.below(4) == 0) {
      auto ids = all_nodes(tree);
      const auto& node = ids[random.below(ids.size())];
      if (members.contains(node.id))
        apply(tree, Edit()
                        .set(key, "Owner", node.id.value)
                        .set(key, "Generation", tree.number(key, "Generation") + 1)
                        .unset(key, "MoveTo")
                        .done());
    }
    if (random.below(16) == 0) apply(tree, Edit().set(key, "Failed", uint64_t{1}).done());
    for (const auto& resource : objects::resources_of(tree, group)) {
      if (random.below(3)) continue;
      constexpr uint64_t states[] = {2, 3, 3, 3, 4, 129, 130};
      uint64_t state = objects::wanted_online(tree, resource) ? states[random.below(std::size(states))] : 3;
      apply(tree, Edit()
                      .set(objects::resource_key(resource), "State", state)
                      .set(objects::resource_key(resource), "StateGeneration", tree.number(key, "Generation"))
                      .done());
    }
  }
}

// Does it create or delete objects, or change how they refer to each other?
bool is_structural(const Transaction& transaction) {
  for (const auto& change : transaction.changes())
    if (change.key() == "cluster" && change.name() == "Structure") return true;
  return false;
}

struct Tally {
  std::map<int, int> accepted;
  int conflicts = 0;
};

void run_seed(uint64_t seed, Tally* out) {
  Random random(seed);
  Tree tree = small_cluster();
  std::vector<CommandPlan> late;  // made earlier, ordered later
  for (int step = 0; step < 400; ++step) {
    NodeSet members;
    for (const auto& node : all_nodes(tree))
      if (node.id == NodeId{1} || random.below(3)) members.add(node.id);
    play_the_rest(tree, random, members);
    api::Command command = random_command(random);
    auto plan = plan_command(tree, command, context(members));
    if (!plan) {
      ASSERT_FALSE(plan.error().message.empty());
      ASSERT_NE(plan.error().code, ErrorCode::internal) << plan.error().text();
      continue;
    }
    auto fits = tree.check(plan->transaction);
    ASSERT_TRUE(fits) << plan->cause << ": " << fits.error().text();
    // Structural plans are the ones that can leave dangling references when they come late.
    bool structural = is_structural(plan->transaction);
    if (late.size() < 6 && random.below(structural ? 2 : 8) == 0) {
      late.push_back(std::move(*plan));
      continue;
    }
    ++out->accepted[command.verb()];
    apply(tree, plan->transaction);
    judge(tree, members, plan->wait);
    auto schema = check_schema(tree);
    ASSERT_TRUE(schema) << "seed " << seed << " step " << step << " " << plan->cause << ": "
                        << schema.error().text();
    if (!late.empty() && random.below(3) == 0) {
      size_t which = random.below(late.size());
      CommandPlan old = std::move(late[which]);
      late.erase(late.begin() + static_cast<std::ptrdiff_t>(which));
      if (!tree.check(old.transaction)) {
        ++out->conflicts;
        continue;
      }
      apply(tree, old.transaction);
      schema = check_schema(tree);
      ASSERT_TRUE(schema) << "seed " << seed << " step " << step << " late " << old.cause << ": "
                          << schema.error().text();
    }
  }
  tree.check_invariants();
}

TEST(RandomCommands, KeepTheSchema) {
  Tally tally;
  for (uint64_t seed = 1; seed <= 120; ++seed) {
    run_seed(seed, &tally);
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
  }
  for (auto verb : verbs) {
    if (verb == api::Command::NONE) continue;
    EXPECT_GT(tally.accepted[verb], 0) << "verb " << verb << " never got through: the test is too weak";
  }
  EXPECT_GT(tally.conflicts, 20);
}

}  // namespace
}  // namespace holdfast::core
