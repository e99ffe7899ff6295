// Formatting a quorum LUN from the command line, while no service uses it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "config/node_config.h"

namespace holdfast {

struct FormatOptions {
  bool force = false;  // overwrite what the LUN holds
  std::string cluster_id, cluster_name;
  std::string node_name;                    // the first node, id 1
  std::vector<std::string> node_addresses;  // "network=address"
  std::string fingerprint;                  // of its certificate
  uint16_t port = 0;
};

// Writes superblock, first checkpoint and an empty log. foreign: the LUN holds something else (the message
// names it) and `force` is not set; busy: another key holds its reservation; full: it is too small.
Status format_quorum(const NodeConfig& config, const FormatOptions& options);

}  // namespace holdfast
