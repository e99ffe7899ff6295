// Plan: what happens to a world, and when. A random plan follows from a seed; a shrunk plan is a part of one;
// a scenario is one that somebody wrote.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulation/world.h"

namespace holdfast::sim {

struct PlanStep {
  int64_t at_ms = 0;
  std::string what;
};

struct Plan {
  WorldConfig world;
  int64_t length_ms = 60'000;
  std::vector<PlanStep> steps;
};

// Sizes, kinds of targets and how savage fate is vary by seed. `nodes` 0: from the seed.
Plan random_plan(uint64_t seed, int nodes = 0);
std::string to_text(const Plan& plan);

}  // namespace holdfast::sim
