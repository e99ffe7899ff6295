// format_quorum: makes a quorum device the home of a new cluster: superblock, first checkpoint with the initial
// database, empty recovery log.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "config/node_config.h"

namespace holdfast {

struct FormatOptions {
  bool force = false;  // overwrite what is there
  std::string cluster_id, cluster_name;
  std::string node_name;  // the first node
  NodeId node;
  std::vector<std::string> node_addresses;  // "network=address"
  std::string fingerprint;                  // of its certificate
  uint16_t port = default_port;
};

// Errors: foreign (something else is there, without force), conflict (reserved by a living cluster), unreachable, full.
Status format_quorum(const NodeConfig& config, const FormatOptions& options);

}  // namespace holdfast
