// Removes what a killed monitor left active: run by the service before it joins. Idempotent; ends within 10
// s.
#pragma once

#include <string>

namespace holdfast::monitor {

// Waits up to 5 s for the lock of a monitor that is still ending its resources, then removes what the ledger
// names. Exit status 0 = nothing is left, 20 = something could not be removed (it stays in the ledger), 2 =
// the ledger is damaged.
int sweep_main(const std::string& state_dir);

}  // namespace holdfast::monitor
