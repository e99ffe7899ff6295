// Output: orders of one step, in lanes that are executed in this order (DESIGN 3):
//   safety   hold, halt: never waits for any I/O
//   lun      commands on the quorum LUN, the durable writes among them
//   messages datagrams and channel messages. What depends on a durable write is sent in the step that learns
//   of its
//            completion, so nothing here overtakes one.
//   commands to the resource monitor
//   answers  to API clients, journal events, the replica
//   timers   one deadline
//   trace
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/quorum/lun_op.h"
#include "proto/api.pb.h"
#include "proto/monitor.pb.h"
#include "proto/tree.pb.h"
#include "proto/wire.pb.h"

namespace holdfast::core {

// This life of the service is over: its resources have ended or are the monitor's to end.
struct LifeEnded {
  std::string reason;
  bool stop = false;  // asked for: exit. Else: begin a new life (a new incarnation) after a back-off
};

// What the kernel's write gates of this node let through, by its own clock. Two times instead of a state: the
// kernel keeps them when nobody calls any more.
struct GateLease {
  Instant open_until;  // writes pass before; from then on they wait ...
  Instant close_at;    // ... until here: then the gates are closed, for good
};

struct Output {
  struct Datagram {
    NodeId to;
    std::string payload;
  };
  struct Message {
    NodeId to;
    uint64_t epoch = 0;
    std::string payload;
  };
  struct Answer {
    uint64_t client = 0;
    api::Response response;
  };
  struct ReplicaWrite {  // either one update, or the whole tree
    std::optional<wire::Update> update;
    bool whole_tree = false;
  };

  // safety
  std::optional<LifeEnded> life_ended;
  std::optional<GateLease> gates;
  // lun
  std::vector<LunOp> lun;
  // messages
  std::optional<uint64_t> new_epoch;  // frames of older epochs are dropped from here on
  std::vector<Datagram> datagrams;
  std::vector<Message> messages;
  // commands
  std::vector<monitor::ToMonitor> monitor;
  // answers
  std::vector<Answer> answers;
  std::vector<api::Event> events;
  std::vector<ReplicaWrite> replica;
  std::optional<tree::Tree> roster;  // who belongs to the cluster, for a node that is outside
  bool nodes_changed = false;        // addresses, ports or fingerprints in the database changed
  // timers
  Instant next_deadline = Instant::infinite();
  // trace
  std::vector<std::string> trace;
};

}  // namespace holdfast::core
