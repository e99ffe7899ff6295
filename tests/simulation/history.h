// History: a plan played to its end, with everything that must hold: during it, after it has healed, and
// after a cold start from what is on the quorum LUN.
#pragma once

#include <string>
#include <vector>

#include "simulation/plan.h"
#include "simulation/world.h"

namespace holdfast::sim {

struct Outcome {
  std::string failure;  // "" = everything held
  std::string state;    // of the cluster, when something did not
  uint64_t digest = 0;  // of the whole history
  uint64_t steps = 0, acknowledged = 0;
  double simulated_s = 0;
  std::vector<std::string> log;
};

Outcome play(const Plan& plan);

// Repairs and starts everything; then a cold start. "" = the cluster came back each time, with everything.
std::string heal_and_settle(World& world);

// Leaves out what is not needed for the failure, in at most so many attempts.
Plan shrink(const Plan& plan, int attempts);

}  // namespace holdfast::sim
