// Client: somebody at the API who tries everything: commands with any property of the table, good values and
// bad ones, raw transactions, requests of other versions. What it changes are groups and resources named
// "odd…" of its own, and what no group depends on; so what must be online in the end still must.
#pragma once

#include <string>

#include "base/tests/random.h"
#include "core/database/tree.h"
#include "proto/api.pb.h"

namespace holdfast::sim {

// `tree`: of the node that is asked, for names that exist.
api::Request random_request(Random& random, const core::Tree& tree);

// Made by such a client: nobody promises that it comes online.
bool is_odd(const std::string& name);

}  // namespace holdfast::sim
