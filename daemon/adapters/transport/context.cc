#include "adapters/transport/context.h"

#include <time.h>

namespace holdfast::transport {
namespace {

constexpr Duration refusal_repeat = Duration::seconds(10);
constexpr size_t refusals_remembered = 256;  // strangers must not fill the memory

}  // namespace

Instant now() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return {t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

void Context::count(std::string_view name, uint64_t by) {
  if (by == 0) return;
  auto it = counters.find(name);
  if (it == counters.end()) it = counters.emplace(name, 0).first;
  it->second += by;
}

void Context::refused(const std::string& reason, const std::string& who, const std::string& why) {
  count("refused-" + reason);
  if (stopped) return;
  // A stranger has a new port each time; its address is what repeats.
  std::string key = who.substr(0, who.rfind(':')) + '\n' + why;
  Instant at = now();
  Instant& told = refusals_told_[key];
  if (!told.is_never() && at - told < refusal_repeat) return;
  told = at;
  if (refusals_told_.size() > refusals_remembered)
    std::erase_if(refusals_told_, [&](auto& entry) { return at - entry.second >= refusal_repeat; });
  if (refusals_told_.size() > refusals_remembered) return count("refusals-not-told");
  events.on_peer_refused(who, why);
}

}  // namespace holdfast::transport
