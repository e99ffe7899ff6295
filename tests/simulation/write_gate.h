// The kernel's write gates of one node, as docs/formats/kernel-module.md describes them: a control descriptor
// is a grant with two times, and every gate that was made with it follows it. Whoever holds the descriptor
// may renew; when the last copy of it is closed, writes wait from then on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/time.h"

namespace holdfast::sim {

// What the kernel remembers of a grant; it outlives the descriptors.
struct Grant {
  Instant open_until, close_at;  // the clock of the machine
  bool closed = false;           // for good
};

enum class GateState : uint8_t { open, held, closed };

// An open control descriptor: its copies share one of these.
class GrantDescriptor {
 public:
  explicit GrantDescriptor(std::function<Instant()> clock);
  GrantDescriptor(const GrantDescriptor&) = delete;
  GrantDescriptor& operator=(const GrantDescriptor&) = delete;
  ~GrantDescriptor();  // writes wait from now on

  void renew(Instant open_until, Instant close_at);
  const std::shared_ptr<Grant>& grant() const { return grant_; }

 private:
  std::function<Instant()> clock_;
  std::shared_ptr<Grant> grant_;
};

// What a write meets at `now`. A grant that is found past its end is closed, whatever is said to it later.
GateState gate_state(Grant& grant, Instant now);

}  // namespace holdfast::sim
