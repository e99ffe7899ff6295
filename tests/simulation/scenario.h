// Scenario: a history that somebody wrote, with what has to be seen in it. One line, one act; the language is
// in tests/simulation/scenarios/README.md. The checkers look at every step, and at the end everything is
// healed and has to come back, as after a random history.
#pragma once

#include <string>
#include <vector>

namespace holdfast::sim {

struct ScenarioResult {
  std::string failure;             // "" = everything held; else with the number of the line
  std::string state;               // of the cluster then
  std::vector<std::string> trace;  // what the nodes decided, without times: comparable between two runs
  std::vector<std::string> log;    // everything
};

ScenarioResult run_scenario(const std::string& text);

}  // namespace holdfast::sim
