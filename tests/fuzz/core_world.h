// CoreWorld: one Core with all that it talks to: a quorum LUN, peers, a resource monitor, clients, a clock.
// Everything in it is honest and quick unless the caller says otherwise; after each step all that the core
// said is checked.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/core.h"
#include "core/quorum/fake_lun.h"

namespace holdfast::fuzz {

constexpr uint64_t world_nodes = 3;

class CoreWorld {
 public:
  // `self` is 1 to world_nodes; `alone`: a cluster of one node. `orderly`: its last view ended on purpose, so
  // that forming need not wait.
  CoreWorld(uint64_t self, bool alone, bool orderly);
  ~CoreWorld();
  CoreWorld(const CoreWorld&) = delete;
  CoreWorld& operator=(const CoreWorld&) = delete;

  // False from the moment the core ended its life.
  bool alive() const { return alive_; }
  int steps() const { return steps_; }
  void step(const core::Event& event);
  // To the core's own deadline, and a step there.
  void to_deadline();
  // Later by `d`, at least a nanosecond, and a step there.
  void later(Duration d);
  // The oldest LUN command completes: honestly, or with `code` instead of being executed.
  void complete_lun(ErrorCode code = ErrorCode::ok);
  // The oldest order to the monitor is answered: as it wants, or with `state`.
  void answer_monitor(std::optional<monitor::State> state = std::nullopt);
  // Every peer says what a healthy one in the core's own situation would say; and acknowledges its messages.
  void peers_follow();
  // Some time passes in which all of this happens.
  void settle(int rounds);

  core::Core& core() { return core_; }
  Instant now() const { return now_; }
  NodeId self() const { return self_; }
  Incarnation incarnation_of(NodeId peer) const { return Incarnation{100 + peer.value}; }
  std::deque<core::LunOp>& lun_orders() { return lun_orders_; }

 private:
  void take(core::Output output);
  void follow(NodeId peer, const wire::Heartbeat& said);
  void acknowledge(NodeId peer, const wire::Peer& message);

  NodeId self_;
  bool alone_;
  core::Core core_;
  Instant now_{1'000'000'000'000};
  Instant deadline_ = Instant::infinite();
  bool alive_ = true;
  int steps_ = 0;
  int nexus_ = 0;
  std::deque<core::LunOp> lun_orders_;
  std::deque<monitor::Order> monitor_orders_;
  std::map<NodeId, wire::Heartbeat> last_heartbeat_;    // to each peer
  std::deque<std::pair<NodeId, wire::Peer>> messages_;  // that no peer has answered
  std::vector<std::pair<uint64_t, size_t>>
      written_blocks_;  // offset, size: what the LUN's image has to forget
};

}  // namespace holdfast::fuzz
