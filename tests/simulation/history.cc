#include "simulation/history.h"

#include <algorithm>

namespace holdfast::sim {
namespace {

// I4: when faults stop, everything is back within this. The longest way: a node has just begun to join, the
// beacon of a holder that is gone has to stand still for QuorumStallMaxMs + lease (23 s at most here), a view
// forms, disks that broke wait for RetryPeriodOnFailure.
constexpr Duration healing_max = Duration::seconds(120);

std::string settle(World& world) {
  auto revived = [&] {
    for (int id = 1; id <= world.nodes(); ++id) world.service(id).start();
    return world.together();
  };
  if (!world.run_until(revived, healing_max)) return "I4: the nodes do not come together";
  const std::string member = std::to_string(world.any_member());
  (void)world.act("command " + member + " CLUSTER_MAINTENANCE - - Maintenance=0");
  for (const std::string& group : world.groups())
    (void)world.act("command " + member + " GROUP_ONLINE " + group + " -");
  for (int id : world.population())
    (void)world.act("command " + member + " NODE_RESUME n" + std::to_string(id) + " -");
  // What began before the faults stopped, such as an orderly stop, may still be under way.
  const Instant end = world.time().now() + healing_max;
  while (true) {
    const Duration left = end - world.time().now();
    // What was asked for before the end, such as a failure that is played, may still be done now.
    const Duration patience = Duration::seconds(30);
    bool online =
        world.run_until([&] { return revived() && world.groups_online(); }, std::min(left, patience));
    if (!online && left > patience && world.any_member() != 0) {
      for (const std::string& group : world.groups())
        (void)world.act("command " + std::to_string(world.any_member()) + " GROUP_ONLINE " + group + " -");
      continue;
    }
    if (!online)
      return world.together() ? "I4: a group does not come online" : "I4: the nodes do not stay together";
    world.run(Duration::milliseconds(300));  // the others learn of a commit one message later than the caller
    if (world.together() && world.groups_online()) break;
  }
  return world.missing_updates();
}

}  // namespace

std::string heal_and_settle(World& world) {
  world.heal();
  std::string verdict = settle(world);
  // What a medium has lost may be the cluster itself; nothing else may break by it.
  if (world.damaged()) return world.failure();
  if (!verdict.empty() || !world.failure().empty())
    return world.failure().empty() ? verdict : world.failure();
  // Everything ends at once: what the LUN holds must be the same.
  for (int id = 1; id <= world.nodes(); ++id) (void)world.act("power-off " + std::to_string(id));
  world.heal();
  verdict = settle(world);
  if (!world.failure().empty()) return world.failure();
  return verdict.empty() ? "" : "after a cold start: " + verdict;
}

Outcome play(const Plan& plan) {
  World world(plan.world);
  const Instant begun = world.time().now();
  for (const auto& step : plan.steps) {
    const Instant at = begun + Duration::milliseconds(step.at_ms);
    if (at > world.time().now()) world.run(at - world.time().now());
    if (!world.failure().empty()) break;
    (void)world.act(step.what);
  }
  if (world.failure().empty())
    if (auto verdict = heal_and_settle(world); !verdict.empty()) world.fail(verdict);
  Outcome out;
  out.failure = world.failure();
  if (!out.failure.empty()) out.state = world.describe();
  out.digest = world.digest();
  out.steps = world.time().steps();
  out.acknowledged = world.acknowledged();
  out.simulated_s = static_cast<double>((world.time().now() - begun).ms()) / 1000;
  out.log = world.log();
  return out;
}

namespace {

// What failed, without the numbers: a smaller plan has to fail in the same way.
std::string kind_of(const std::string& failure) {
  std::string out;
  for (char c : failure.substr(std::min(failure.size(), failure.find(" us: "))))
    if (c < '0' || c > '9') out += c;
  return out.substr(0, 60);
}

}  // namespace

// Drops halves, quarters, … of the steps as long as something still fails (ddmin).
Plan shrink(const Plan& plan, int attempts) {
  Plan best = plan;
  best.world.keep_log = false;
  const std::string kind = kind_of(play(best).failure);
  size_t chunk = std::max<size_t>(1, best.steps.size() / 2);
  while (attempts > 0) {
    bool smaller = false;
    for (size_t from = 0; from < best.steps.size() && attempts > 0;) {
      Plan candidate = best;
      const size_t to = std::min(from + chunk, candidate.steps.size());
      candidate.steps.erase(candidate.steps.begin() + static_cast<ptrdiff_t>(from),
                            candidate.steps.begin() + static_cast<ptrdiff_t>(to));
      --attempts;
      if (kind_of(play(candidate).failure) == kind) {
        best = std::move(candidate);
        smaller = true;
      } else {
        from = to;
      }
    }
    if (chunk == 1 && !smaller) break;
    chunk = std::max<size_t>(1, chunk / 2);
  }
  return best;
}

}  // namespace holdfast::sim
