#include "simulation/write_gate.h"

#include <algorithm>
#include <utility>

namespace holdfast::sim {
namespace {
// Until the first renewal: long enough for a node to come into a view, and finite.
constexpr Duration first_close = Duration::seconds(120);
}  // namespace

GrantDescriptor::GrantDescriptor(std::function<Instant()> clock)
    : clock_(std::move(clock)), grant_(std::make_shared<Grant>()) {
  grant_->close_at = clock_() + first_close;
}

GrantDescriptor::~GrantDescriptor() {
  grant_->open_until = std::min(grant_->open_until, clock_());
}

void GrantDescriptor::renew(Instant open_until, Instant close_at) {
  const Instant now = clock_();
  if (gate_state(*grant_, now) == GateState::closed) return;
  grant_->open_until = open_until;
  grant_->close_at = close_at;
  (void)gate_state(*grant_, now);
}

GateState gate_state(Grant& grant, Instant now) {
  if (!grant.closed && now >= grant.close_at) grant.closed = true;
  if (grant.closed) return GateState::closed;
  return now < grant.open_until ? GateState::open : GateState::held;
}

}  // namespace holdfast::sim
