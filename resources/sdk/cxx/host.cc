#include "sdk/host.h"

#include <unistd.h>

#include "base/clock.h"

namespace holdfast::sdk {

Status Host::record(const char* kind, const std::string& key, const std::string& detail) const {
  int error = h_->record(h_, kind, key.c_str(), detail.c_str());
  if (error != 0)
    return fail(ErrorCode::io, "cannot note " + std::string(kind) + " " + key + " in the sweep file", error);
  return {};
}

bool Host::sleep(Duration time) const {
  for (Instant until = boottime_now() + time; boottime_now() < until;) {
    if (cancelled()) return false;
    usleep(5000);
  }
  return !cancelled();
}

}  // namespace holdfast::sdk
