// Stands in for adapters/quorum_disk in builds that do not have it.
#include "adapters/quorum_disk/quorum_format.h"

namespace holdfast {

Status format_quorum(const NodeConfig& config, const FormatOptions&) {
  return fail(ErrorCode::unsupported,
              "this build cannot format a quorum device (" + config.quorum.device + ")");
}

}  // namespace holdfast
