// A history as lanes: one column for each node, time downwards, what fate did across all of them.
#pragma once

#include <string>
#include <vector>

namespace holdfast::sim {

// `log`: lines "MICROSECONDS nN TEXT" or "MICROSECONDS > ACT", as World keeps them. Only what decides is
// drawn.
std::string sequence_diagram(const std::vector<std::string>& log, int nodes);

}  // namespace holdfast::sim
