// FailoverHost: what the rest of the core gives to the failover manager. Nothing here may call back into the
// manager before it has returned, except `done` of propose(), which may be called at any time, even within
// propose().
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"
#include "core/database/tree.h"
#include "proto/monitor.pb.h"

namespace holdfast::core {

struct Load {
  uint32_t cpu_percent = 0;
  uint32_t memory_percent = 0;
};

class FailoverHost {
 public:
  virtual ~FailoverHost() = default;

  virtual const Tree& database() const = 0;  // committed state only
  virtual NodeId self() const = 0;
  virtual NodeSet members() const = 0;  // current view
  virtual bool is_locker() const = 0;   // decisions are made here
  virtual bool ready() const = 0;       // view installed and recovered: updates flow
  virtual uint64_t wall_time_ms() const = 0;
  // What no reservation guards must not start on this node before this Instant (lease of removed nodes).
  virtual Instant guard_until() const = 0;
  virtual uint16_t cluster_tag() const = 0;
  virtual Load load_of(NodeId node) const = 0;

  // Sends the transaction through the locker. `done` is called once: committed, or refused for good with the
  // reason (it will not be ordered later). After `done` the host reads next_deadline() again.
  virtual void propose(const Transaction& transaction, std::string cause,
                       std::function<void(const Status&)> done) = 0;
  virtual void order(monitor::Order order) = 0;  // to the local resource monitor
  virtual void event(std::string kind, std::string object, std::string old_value, std::string new_value,
                     std::string cause) = 0;
};

}  // namespace holdfast::core
