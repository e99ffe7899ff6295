// Random histories from a seed: kills, cuts, new lockers, moves, failures and commands in any order. I3 is
// checked after every step, and when the faults stop every group must be online (I4). HOLDFAST_SEED=n plays
// one of them.
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/failover/tests/fake_cluster.h"

namespace holdfast::core {
namespace {

using testing::FakeCluster;

void disturb(FakeCluster& c, int nodes, int groups) {
  auto& random = c.random;
  const int id = 1 + static_cast<int>(random.below(static_cast<uint64_t>(nodes)));
  const std::string n = std::to_string(1 + random.below(static_cast<uint64_t>(groups)));
  const std::string group = "groups/g" + n;
  static const char* const kinds[] = {"disk", "fs", "ip", "app"};
  const std::string resource = kinds[random.below(4)] + n;
  switch (random.below(20)) {
    case 0:
      c.kill(id);
      break;
    case 1:
      c.cut_off(id);
      break;
    case 2:
    case 3:
      c.start(id);
      break;
    case 4:
      c.regroup();
      break;
    case 5:
      c.kill_monitor(id);
      break;
    case 6:
    case 7:
      c.fail(resource);
      break;
    case 8:
    case 9:
    case 10:
      c.command(std::move(Edit().set(group, "MoveTo", static_cast<uint64_t>(id)).unset(group, "Failed")));
      break;
    case 11:
      c.command(std::move(Edit().unset(group, "MoveTo")));
      break;
    case 12:
      c.command(std::move(Edit().set(group, "PersistentState", uint64_t{0}).unset(group, "MoveTo")));
      break;
    case 13:
      c.command(std::move(Edit().set(group, "PersistentState", uint64_t{1}).unset(group, "Failed")));
      break;
    case 14: {
      auto& b = c.behaviours[resource];
      b.online = Duration::milliseconds(static_cast<int64_t>(random.below(300)));
      b.offline = Duration::milliseconds(static_cast<int64_t>(random.below(300)));
      break;
    }
    case 15:
      c.behaviours[resource].online_fails_on = {static_cast<uint64_t>(id)};
      break;
    case 16:
      if (random.chance(50))
        c.behaviours[resource].online_hangs = true;
      else
        c.behaviours[resource].offline_hangs = true;
      break;
    case 17:
      c.behaviours[resource].terminate_fails = 1;
      break;
    case 18: {
      static const char* const flags[] = {"Paused", "Draining", "Stopping"};
      const std::string node = "nodes/" + std::to_string(id);
      const char* flag = flags[random.below(3)];
      if (random.chance(50))
        c.command(std::move(Edit().set(node, flag, uint64_t{1})));
      else
        c.command(std::move(Edit().unset(node, flag)));
      break;
    }
    case 19:
      if (random.chance(50))
        c.command(std::move(Edit().set("resources/" + resource, "FailRequest", random.next() % 1000)));
      else
        c.command(std::move(Edit().set(group, "Maintenance", random.below(2))));
      break;
  }
}

void heal(FakeCluster& c, int nodes, int groups) {
  c.behaviours.clear();
  c.run(Duration::seconds(3));
  for (int id = 1; id <= nodes; ++id) c.start(id);
  c.run(Duration::milliseconds(200));
  for (int id = 1; id <= nodes; ++id) {
    const std::string node = "nodes/" + std::to_string(id);
    c.command(std::move(Edit().unset(node, "Paused").unset(node, "Draining").unset(node, "Stopping")));
  }
  for (int g = 1; g <= groups; ++g) {
    const std::string group = "groups/g" + std::to_string(g);
    c.command(std::move(Edit().set(group, "PersistentState", uint64_t{1}).unset(group, "Maintenance")));
  }
}

void play(uint64_t seed) {
  FakeCluster c(3, seed);
  const int nodes = 3, groups = 1 + static_cast<int>(c.random.below(3));
  if (c.random.chance(30)) c.delay_max = Duration::milliseconds(30);
  for (int id = 1; id <= nodes; ++id) c.start(id);
  c.run(Duration::milliseconds(100));
  testing::make_groups(c, groups);
  for (int g = 1; g <= groups; ++g)
    for (const char* kind : {"disk", "fs", "ip", "app"}) {
      const std::string resource = "resources/" + (kind + std::to_string(g));
      c.command(std::move(Edit()
                              .set(resource, "RetryPeriodOnFailure", uint64_t{10'000})
                              .set(resource, "PendingTimeout", uint64_t{2000})
                              .set(resource, "RestartAction", uint64_t{1 + c.random.below(2)})
                              .set(resource, "RestartThreshold", c.random.below(4))));
    }
  if (c.random.chance(50)) {
    c.command(std::move(Edit()
                            .set("groups/g1", "PreferredOwners", std::vector<std::string>{"n2", "n1"})
                            .set("groups/g1", "AutoFailbackType", uint64_t{1})));
  }
  c.run(Duration::milliseconds(200));
  const uint64_t steps = 10 + c.random.below(40);
  for (uint64_t i = 0; i < steps && c.failure.empty(); ++i) {
    disturb(c, nodes, groups);
    c.run(Duration::microseconds(
        static_cast<int64_t>(c.random.below(c.random.chance(20) ? 2'000'000 : 60'000))));
  }
  ASSERT_EQ(c.failure, "") << "seed " << seed << c.text();
  heal(c, nodes, groups);
  ASSERT_TRUE(c.run_until(
      [&] {
        for (int g = 1; g <= groups; ++g)
          if (!c.online("g" + std::to_string(g))) return false;
        return true;
      },
      Duration::seconds(60)))
      << "seed " << seed << ": I4" << c.text();
}

TEST(FailoverRandom, HistoriesKeepI3AndEndOnline) {
  if (const char* seed = getenv("HOLDFAST_SEED")) return play(strtoull(seed, nullptr, 10));
  const char* count = getenv("HOLDFAST_SEEDS");
  const uint64_t seeds = count ? strtoull(count, nullptr, 10) : 1000;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    play(seed);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace holdfast::core
