// Event: facts, in the past tense, that adapters hand to the core. The core reads no clock: each step is
// given the time.
#pragma once

#include <functional>
#include <string>
#include <variant>

#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"
#include "core/quorum/lun_op.h"
#include "proto/api.pb.h"
#include "proto/monitor.pb.h"
#include "proto/tree.pb.h"

namespace holdfast::core {

struct Started {};
struct TimeReached {};
// A datagram that was opened and passed the replay window; `payload` is a wire::Heartbeat.
struct DatagramReceived {
  NodeId from;
  Incarnation incarnation;
  int network = 0;
  std::string payload;
  Instant received_at;
};
// A message of the ordered channel; `payload` is a wire::Peer.
struct MessageReceived {
  NodeId from;
  Incarnation incarnation;
  std::string payload;
};
struct PeerConnected {
  NodeId peer;
  Incarnation incarnation;
  std::string software;
};
struct PeerDisconnected {
  NodeId peer;
  std::string why;
};
struct NetworkChanged {
  int network = 0;
  bool up = false;
};
struct LunCompleted {
  LunResult result;
};
struct MonitorStarted {};
struct MonitorDied {  // and everything it held was terminated or swept
  std::string why;
};
struct MonitorSaid {
  monitor::FromMonitor message;
};
struct ApiRequested {
  uint64_t client = 0;
  api::Request request;
  bool may_change = false;  // by its peer credentials
  std::string who;          // "root via holdfast"
};
struct ApiClosed {
  uint64_t client = 0;
};
struct LoadSampled {
  uint32_t cpu_percent = 0;
  uint32_t memory_percent = 0;
};
// An adapter (the enrollment of a node) needs a change of the database. `done` is called once, within a step.
struct TransactionAsked {
  tree::Transaction transaction;
  std::string cause;
  std::function<void(const Status&)> done;
};
// The service was asked to stop (SIGTERM): groups move in an orderly way, then the node leaves.
struct StopRequested {
  std::string why;
};

using Event =
    std::variant<Started, TimeReached, DatagramReceived, MessageReceived, PeerConnected, PeerDisconnected,
                 NetworkChanged, LunCompleted, MonitorStarted, MonitorDied, MonitorSaid, ApiRequested,
                 ApiClosed, LoadSampled, TransactionAsked, StopRequested>;

}  // namespace holdfast::core
