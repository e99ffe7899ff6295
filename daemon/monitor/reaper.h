// The monitor is the subreaper of everything its plug-ins start: children whose parents died come to it.
#pragma once

#include "base/time.h"

namespace holdfast::monitor {

// Collects zombies that nobody has waited for in 10 s. Plug-ins wait for their own children within that time;
// what is left then are strays.
void reap_strays(Instant now);

}  // namespace holdfast::monitor
