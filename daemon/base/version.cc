#include "base/version.h"

namespace holdfast {

std::string version_text() {
  return "0.1.0 (protocol " + std::to_string(protocol_version_min) + "-" +
         std::to_string(protocol_version_max) + ")";
}

}  // namespace holdfast
