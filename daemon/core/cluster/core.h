// Core: one node's whole decision making, as a pure state machine. step() consumes one fact at a given time
// and returns orders; the same facts at the same times give the same orders, byte for byte. It makes no
// system call, reads no clock, takes no lock and has no randomness of its own (the incarnation comes in by
// the constructor).
//
// It composes the managers and dispatches between them; the order within a step is fixed: the fact's owner
// first, then time for everybody (quorum, membership, updates, failover), then grants to the monitor.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/cluster/event.h"
#include "core/cluster/event_processor.h"
#include "core/cluster/output.h"
#include "core/commands/plan.h"
#include "core/failover/failover_manager.h"
#include "core/membership/membership.h"
#include "core/properties/bounds.h"
#include "core/update/update_manager.h"

namespace holdfast::core {

struct CoreConfig {
  std::string cluster_id, cluster_name, node_name;
  NodeId self;
  Incarnation incarnation;
  // From the configuration file or the replica: known before the database is. A member's roster replaces it.
  std::map<NodeId, std::string> peers;
  std::vector<std::pair<std::string, std::string>> networks;  // name, local address
  std::string quorum_kind, quorum_device;
  Duration stop_timeout = orderly_stop_max;
};

class Core : private QuorumEvents, private MembershipEvents, private UpdateEvents, private FailoverHost {
 public:
  explicit Core(CoreConfig config);

  Output step(const Event& event, Instant now, uint64_t wall_ms);

  const Tree& tree() const { return updates_.tree(); }
  const Membership& membership() const { return membership_; }
  const QuorumManager& quorum() const { return quorum_; }
  const UpdateManager& updates() const { return updates_; }
  const FailoverManager& failover() const { return failover_; }
  bool leaving() const { return leaving_; }
  // Aborts when an invariant of any manager does not hold.
  void check_invariants() const;
  // As above; it reads the tree, so it is for steps that may have changed that.
  void check_configured() const;

 private:
  struct Call {  // an API command under way
    uint64_t client = 0;
    uint64_t id = 0;
    api::Command command;
    CommandPlan plan;
    std::string who;
    Instant deadline;
    int attempts = 0;
    bool committed = false;
    uint64_t sequence = 0;
  };

  // core.cc
  void handle(const Started&);
  void handle(const TimeReached&) {}
  void handle(const DatagramReceived& e);
  void handle(const MessageReceived& e);
  void handle(const PeerConnected& e);
  void handle(const PeerDisconnected& e);
  void handle(const NetworkChanged& e);
  void handle(const LunCompleted& e);
  void handle(const MonitorStarted&);
  void handle(const MonitorDied& e);
  void handle(const MonitorSaid& e);
  void handle(const ApiRequested& e);
  void handle(const ApiClosed& e);
  void handle(const LoadSampled& e);
  void handle(const TransactionAsked& e);
  void handle(const StopRequested& e);
  void learn_roster(NodeId from, const wire::Roster& roster);
  void run_timers();
  void grant();
  void renew_gates();
  Duration grant_pace() const;
  void continue_stopping();
  void continue_leaving();
  void obey_timing();
  void obey_database();
  void offer_roster(NodeSet to);
  static std::string too_old(uint64_t level);
  Instant deadline() const;

  // core_api.cc
  void answer(uint64_t client, api::Response response);
  void answer_error(uint64_t client, uint64_t id, const Error& error);
  void start_command(Call call);
  void judge_calls();
  bool judge_call(const Call& call);
  void fill_runtime(api::Status* status) const;
  std::string phase_text() const;

  // core_callbacks.cc: QuorumEvents
  void on_arbitrated(const ArbitrationResult& result) override;
  void on_rekey_needed(const std::string& reason) override;
  void on_superseded(const std::string& reason) override;
  void on_head_read() override {}
  // MembershipEvents
  void send_heartbeat(NodeId to, const wire::Heartbeat& heartbeat) override;
  void on_regroup_begun(RegroupCause cause, const std::string& detail) override;
  void on_view_installed(const View& previous, const View& now, NodeSet removed) override;
  void on_must_leave(const std::string& reason) override;
  bool connected(NodeId peer) const override { return connected_.contains(peer); }
  NodeSet configured() const override { return configured_; }
  NodeSet read_configured() const;
  uint32_t functional_level() const override {
    return static_cast<uint32_t>(tree().number("cluster", "FunctionalLevel"));
  }
  std::string node_name(NodeId id) const override;
  void trace(const std::string& text) override { out_.trace.push_back(text); }
  // UpdateEvents
  void send_peer(NodeId to, const wire::Peer& message) override;
  void on_committed_update(const wire::Update& update, const std::vector<ChangeNotice>& notices) override;
  void on_tree_replaced() override;
  void on_recovered(Instant now) override;
  void on_members_late(NodeSet members) override;
  void on_log_trouble(const std::string& reason) override;
  void on_replica_broken(const std::string& reason) override;
  void trace_update(const std::string& text) override { out_.trace.push_back(text); }
  uint64_t wall_ms() const override { return wall_ms_; }
  // FailoverHost
  const Tree& database() const override { return updates_.tree(); }
  NodeId self() const override { return config_.self; }
  NodeSet members() const override { return membership_.view().set(); }
  bool is_locker() const override { return membership_.is_owner(); }
  bool ready() const override { return updates_.ready() && membership_.phase() == Phase::member; }
  uint64_t wall_time_ms() const override { return wall_ms_; }
  Instant guard_until() const override { return membership_.guard_until(); }
  uint16_t cluster_tag() const override { return tag_; }
  Load load_of(NodeId node) const override;
  void propose(const Transaction& transaction, std::string cause,
               std::function<void(const Status&)> done) override;
  void order(monitor::Order order) override;
  void event(std::string kind, std::string object, std::string old_value, std::string new_value,
             std::string cause) override;

  CoreConfig config_;
  uint16_t tag_;
  Output out_;
  Instant now_;
  uint64_t wall_ms_ = 0;
  LunLane lane_;
  QuorumManager quorum_;
  LogManager log_;
  Membership membership_;
  UpdateManager updates_;
  FailoverManager failover_;
  EventProcessor events_;
  NodeSet configured_;  // of the tree, kept because every heartbeat asks for it

  NodeSet connected_;
  std::map<NodeId, std::string> software_;
  std::map<int, bool> network_up_;
  bool monitor_alive_ = false;
  Load load_;
  Instant last_grant_;                // the distant past: due at once
  Phase gates_for_ = Phase::joining;  // what the gates were last told, and when
  Instant last_gates_;
  Instant gates_close_at_ = Instant::infinite();
  uint64_t grant_counter_ = 0;
  wire::Heartbeat heartbeat_;  // the newest; kept for its memory, one arrives every few milliseconds
  bool nothing_new_ = false;   // this step: a heartbeat that came over another network before
  Instant expected_deadline_ = Instant::infinite();
  std::vector<Call> calls_;
  bool tree_changed_ = false;
  uint64_t roster_sequence_ = 0;

  bool stopping_ = false;  // orderly: drains first
  bool recovered_once_ = false;
  bool stale_stopping_ = false;  // Stopping is left from an earlier life and is being taken back
  bool stop_proposed_ = false;
  Instant stop_deadline_;
  std::string stop_reason_;
  bool leaving_ = false;
  std::string leave_reason_;
  Instant leave_deadline_;
  bool resigned_ = false;
  bool resign_begun_ = false;
  bool life_over_ = false;
  Instant regroup_at_;
  bool quorum_degraded_told_ = false;
};

}  // namespace holdfast::core
