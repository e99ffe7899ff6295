// The database of a new cluster: what `quorum format` writes as the first checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "core/database/tree.h"

namespace holdfast::core {

struct InitialCluster {
  std::string cluster_id;
  std::string cluster_name;
  uint32_t functional_level = 0;
  // The first node; it gets id 1.
  std::string node_name;
  std::vector<std::string> addresses;  // "network=address"
  uint16_t port = 0;                   // 0: the default
  std::string fingerprint;             // SHA-256 of its certificate, may be empty in tests
};

// To be applied to an empty tree as update 1. Requires that there is no cluster yet.
Transaction initial_database(const InitialCluster& cluster);
// invalid_argument when a name, an address or the functional level is not allowed. Ask before
// initial_database().
Status check_initial_cluster(const InitialCluster& cluster);

}  // namespace holdfast::core
