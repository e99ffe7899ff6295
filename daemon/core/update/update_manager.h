// UpdateManager: the Global Update Manager (M4) with the Database Manager's replica (M3). The quorum owner is
// the locker: it judges each transaction, gives it its place, sends it to all members and logs it at the same
// time. Committed = acknowledged by every member of the view and durable in the log up to and including it.
// docs/protocols/updates.md. Pure.
// Invariants:
//   R1  pending updates are contiguous: committed+1 .. received.
//   R2  the caller is told only after commit; nothing outside happens for an update that is not committed.
//   R3  no new sequence number before recovery of the view is complete.
//   R4  a transaction is judged against the tree with all earlier ordered updates applied, so applying cannot
//   fail.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <tuple>

#include "core/database/tree.h"
#include "core/log/log_manager.h"
#include "core/membership/membership.h"
#include "core/properties/bounds.h"

namespace holdfast::core {

class UpdateEvents {
 public:
  virtual ~UpdateEvents() = default;
  virtual void send_peer(NodeId to, const wire::Peer& message) = 0;  // of the current epoch
  virtual void on_committed_update(const wire::Update& update, const std::vector<ChangeNotice>& notices) = 0;
  virtual void on_tree_replaced() = 0;         // a snapshot or checkpoint was loaded
  virtual void on_recovered(Instant now) = 0;  // updates flow again
  virtual void on_members_late(NodeSet members) = 0;
  virtual void on_log_trouble(const std::string& reason) = 0;
  virtual void on_replica_broken(const std::string& reason) = 0;  // this node must leave
  virtual void trace_update(const std::string& text) = 0;
  virtual uint64_t wall_ms() const = 0;
};

class UpdateManager {
 public:
  struct Limits {
    Duration ack_timeout = Timing{}.update_timeout;  // a member slower than this is removed
    Duration request_timeout = request_max;          // a caller waits at most this long
    Duration hold_timeout = request_hold_max;        // a request waits this long for the quorum
    size_t in_flight_max = 1024;
    // What is ordered and not committed may have to go into one record of the log when the next view recovers
    // (record_bytes_max), with one more transaction on top. Beyond it requests wait.
    size_t in_flight_bytes_max = 2 * 1024 * 1024;
  };
  using Done = std::function<void(const Status&, Sequence)>;

  UpdateManager(NodeId self, Incarnation incarnation, LogManager& log, UpdateEvents& events);

  const Tree& tree() const { return tree_; }
  Sequence committed() const { return committed_; }
  bool ready() const { return ready_; }
  bool idle() const { return pending_.empty() && requests_.empty(); }

  // Asks for a transaction; `done` once: committed (with its sequence), refused with the reason, or timeout
  // (it may still take effect).
  void submit(Transaction transaction, std::string cause, Instant now, Done done);

  void set_ack_timeout(Duration d) { limits_.ack_timeout = d; }

  // A view was installed. `superblock`: layout of the LUN, when this node is its owner.
  void on_view(const View& view, const disk::Superblock* superblock, Instant now);
  // A regroup began, or the node leaves: nothing new is ordered.
  void pause();
  void on_message(NodeId from, const wire::Peer& message, Instant now);
  void on_time(Instant now);
  Instant next_deadline() const;
  void set_now(Instant now) { now_ = now; }
  uint64_t ordered_total() const { return ordered_total_; }
  void check_invariants() const;

 private:
  struct Request {  // of this node, not answered yet
    Transaction transaction;
    std::string cause;
    Done done;
    Instant deadline;
  };
  struct Held {  // at the locker: cannot be ordered yet
    NodeId origin;
    Incarnation incarnation;
    wire::UpdateRequest request;
    Instant deadline;
  };
  using RequestId = std::tuple<uint64_t, uint64_t, uint64_t>;  // origin, incarnation, request

  // update_manager.cc
  bool is_owner() const { return view_.owner == self_ && view_.epoch.value != 0; }
  void dispatch(uint64_t request);
  void handle_request(NodeId origin, Incarnation incarnation, wire::UpdateRequest request, Instant now);
  void order(NodeId origin, Incarnation incarnation, wire::UpdateRequest request, Instant now);
  bool may_order(const wire::UpdateRequest& next) const;
  void reply(NodeId origin, Incarnation incarnation, uint64_t request, const Status& status,
             Sequence sequence);
  void forget_uncommitted();
  void finish_request(uint64_t request, const Status& status, Sequence sequence);
  void log_batch(disk::LogBatch batch);
  void advance_commit();
  void apply_through(uint64_t sequence);
  void receive(const wire::Update& update);
  void send_all(const wire::Peer& message);
  void remember(const wire::Update& update);
  void order_held();
  void maybe_checkpoint();

  // recovery.cc
  void begin_recovery(const disk::Superblock& superblock);
  void on_report(NodeId from, const wire::RecoveryReport& report);
  void merge_if_complete();
  void bring_up_to_date(NodeId member, const wire::RecoveryReport& report, uint64_t base,
                        uint64_t base_epoch);
  bool log_agrees() const;
  void mend_log();
  void renew_log(uint64_t base, uint64_t base_epoch);
  void complete_merge(disk::LogBatch batch, uint64_t base, uint64_t base_epoch);
  void finish_recovery();
  wire::RecoveryReport own_report() const;

  NodeId self_;
  Incarnation incarnation_;
  LogManager& log_;
  UpdateEvents& events_;
  Limits limits_;
  Instant now_;
  View view_;
  bool ready_ = false;
  bool paused_ = true;

  Tree tree_;                 // committed
  mutable Sequence checked_;  // by check_invariants()
  Sequence committed_;
  uint64_t committed_epoch_ = 0;      // epoch in which the newest committed update was ordered
  std::deque<wire::Update> pending_;  // R1
  uint64_t received_ = 0;             // newest of pending, or committed

  // Locker.
  Tree tip_;  // tree_ + pending_
  std::map<NodeId, uint64_t> acked_;
  std::map<NodeId, Instant> progress_at_;  // when that member last acknowledged something, or had nothing to
  uint64_t durable_ = 0;
  std::deque<Held> held_;
  bool checkpoint_hold_ = false;
  bool recovering_ = false;
  Instant recovery_deadline_ = Instant::infinite();
  std::map<NodeId, wire::RecoveryReport> reports_;
  std::optional<RecoveredLog> recovered_log_;
  uint64_t recovery_target_ = 0;
  bool merged_ = false;
  bool mending_ = false;  // the log begins anew with a checkpoint

  // Callers.
  uint64_t next_request_ = 1;
  std::map<uint64_t, Request> requests_;
  std::map<RequestId, uint64_t> known_;  // ordered requests -> sequence
  std::deque<RequestId> known_order_;
  uint64_t ordered_total_ = 0;
  size_t in_flight_bytes_ = 0;  // ordered since nothing was pending
};

}  // namespace holdfast::core
