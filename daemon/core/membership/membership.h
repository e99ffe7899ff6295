// Membership: heartbeats, join, leave and regroup (M1, M2). Keeps every member's view exactly identical.
// Pure: see docs/protocols/membership.md. Datagrams carry the whole protocol; each is complete in itself, so
// loss, duplication and reordering need no special care. Invariants:
//   R1  the epoch of the installed view never decreases, and a view is installed only when it won the quorum.
//   R2  a node accepts at most one nomination an epoch, and none below one that it accepted.
//   R3  a member in a regroup echoes nobody: the working lease of whoever is removed runs out.
//   R4  a member that hears of a newer epoch without itself leaves.
//   R5  a node that was starved accuses nobody before it has listened.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "core/properties/timing_settings.h"
#include "core/quorum/quorum_manager.h"
#include "proto/wire.pb.h"

namespace holdfast::core {

struct View {
  Epoch epoch;
  NodeId owner;  // quorum owner and locker
  std::map<NodeId, Incarnation> members;
  NodeSet set() const;
  bool contains(NodeId id, Incarnation incarnation) const;
  static View from(const wire::View& message);
  wire::View to_message() const;
  std::string text() const;  // "epoch 7 {1,2,3} owner 1"
};

enum class Phase : uint8_t { joining, forming, member, regroup, leaving };
const char* to_string(Phase phase);

// Why a regroup began. Traced and counted.
enum class RegroupCause : uint8_t {
  none,
  heartbeat_timeout,
  told_by_peer,
  incarnation_changed,
  node_going,
  join,
  quorum_rekey,
  quorum_unreachable_at_owner,
  quorum_move,
  update_timeout,
  nominee_lost,
  configuration
};
const char* to_string(RegroupCause cause);

class MembershipEvents {
 public:
  virtual ~MembershipEvents() = default;
  virtual void send_heartbeat(NodeId to, const wire::Heartbeat& heartbeat) = 0;
  virtual void on_regroup_begun(RegroupCause cause, const std::string& detail) = 0;
  virtual void on_view_installed(const View& previous, const View& now, NodeSet removed) = 0;
  // This life must end: resources are terminated, then the node tries to join again.
  virtual void on_must_leave(const std::string& reason) = 0;
  virtual bool connected(NodeId peer) const = 0;  // a TLS session exists
  virtual NodeSet configured() const = 0;         // nodes of the database (or of the configuration file)
  virtual uint32_t functional_level() const = 0;  // of the database; a node that speaks less is not let in
  virtual std::string node_name(NodeId id) const = 0;
  virtual void trace(const std::string& text) = 0;
};

struct PeerInfo {
  Instant last_heard;  // any datagram of its current incarnation
  Incarnation incarnation;
  Phase phase = Phase::joining;
  uint64_t epoch = 0;
  uint64_t sent_at_ns = 0;  // of the newest heartbeat, its clock
  Instant received_at;      // when that one arrived, our clock
  uint64_t heartbeat_epoch = 0;
  Instant echoed_receipt;  // receipt of the newest heartbeat of it that we echoed (R3)
  bool reaches_lun = false;
  bool going = false;
  bool resources_ended = false;
  uint64_t echo_ns = 0;  // our newest send time that it echoed in our epoch
  uint64_t echo_epoch = 0;
  NodeSet heard;
  uint64_t disk_epoch = 0;
  Duration lease, lease_left;  // as it said
  wire::Load load;
  uint32_t core_late_ms = 0;
  std::array<Instant, networks_max> last_heard_on{};
  uint64_t accepted = 0;  // nomination it accepted
  uint64_t lost = 0;
  uint32_t version_max = 0;
};

class Membership {
 public:
  Membership(NodeId self, Incarnation incarnation, std::string name, Timing timing, QuorumManager& quorum,
             MembershipEvents& events);

  void start(Instant now);
  // False: nothing new, as it came over another network before.
  bool on_heartbeat(NodeId from, Incarnation incarnation, int network, const wire::Heartbeat& heartbeat,
                    Instant received_at, Instant now);
  void on_arbitrated(const ArbitrationResult& result, Instant now);
  void on_time(Instant now);
  Instant next_deadline() const;
  // The core ran late by `late` (it was starved): R5.
  void on_starved(Duration late, Instant now);

  // Members that did not acknowledge an update in time.
  void accuse(NodeSet suspects, Instant now);
  void move_quorum(NodeId to, Instant now);
  // Begins to leave: says so to everybody. `resources_ended` may follow later.
  void leave(const std::string& reason, Instant now);
  void resources_ended(Instant now);
  void set_timing(const Timing& timing, Instant now);
  // Why this node must stay outside; "" = nothing. It neither forms nor asks to join meanwhile.
  void set_obstacle(std::string why) { obstacle_ = std::move(why); }
  void set_load(wire::Load load) { load_ = load; }
  void set_applied(Sequence applied) { applied_ = applied; }
  // Joins are possible only while the view is recovered.
  void set_ready(bool ready) {
    ready_ = ready;
    ready_once_ = ready_once_ || ready;
  }

  Phase phase() const { return phase_; }
  const std::string& phase_reason() const { return phase_reason_; }
  const View& view() const { return view_; }
  bool is_owner() const { return phase_ == Phase::member && view_.owner == self_; }
  const std::map<NodeId, PeerInfo>& peers() const { return peers_; }
  const Timing& timing() const { return timing_; }
  RegroupCause last_cause() const { return last_cause_; }
  // The working lease: what no reservation guards may run until then (own clock). Never when not a member.
  Instant lease_until() const { return lease_until_; }
  // What no reservation guards must not start before this (leases of the removed have run out).
  Instant guard_until() const;
  Incarnation incarnation() const { return incarnation_; }
  Duration last_regroup() const { return last_regroup_; }
  void check_invariants() const;

 private:
  struct Row {
    Incarnation incarnation;
    uint32_t version = 0;
    NodeSet heard;
    bool settled = false;
    bool reaches_lun = false;
    std::vector<Predecessor> promises;
    uint64_t promised() const { return promises.empty() ? 0 : promises.back().epoch.value; }
  };
  struct Regroup {
    uint64_t base = 0;   // epoch of the regrouped view
    bool guest = false;  // this node is being joined, not a member of the base view
    Instant begun;
    RegroupCause cause = RegroupCause::none;
    std::map<NodeId, Row> rows;
    std::map<NodeId, Instant> heard_at;  // last datagram of this regroup
    NodeSet given_up;
    NodeSet accused;  // did not acknowledge an update: not to come back in this regroup
    std::map<NodeId, Incarnation> joiners;
    NodeSet reluctant;                           // joiners that did not accept in time
    NodeId wanted_owner;                         // quorum move
    std::optional<wire::Nomination> nomination;  // newest known
    uint64_t accepted = 0;
    uint64_t arbitrating = 0;  // epoch this node is contesting
    Instant nominated_at;
    bool pruned = false;
  };

  // membership.cc
  Duration longest_lease(Instant now) const;
  bool note_peer(PeerInfo& peer, Incarnation incarnation, int network, const wire::Heartbeat& heartbeat,
                 Instant received_at);
  void heartbeat_as_member(NodeId from, const wire::Heartbeat& heartbeat, Instant now);
  void heartbeat_as_outsider(NodeId from, const wire::Heartbeat& heartbeat, Instant now);
  void tick_member(Instant now);
  void consider_join(Instant now);
  void renew_lease(Instant now);
  void broadcast(Instant now);
  wire::Heartbeat make_heartbeat(NodeId to, Instant now);
  void must_leave(const std::string& reason, Instant now);
  void install(const View& view, Instant now);
  bool heard_recently(NodeId id, Instant now) const;

  // regroup.cc
  // `prepare` completes the new regroup before its first tick (a node that is alone decides within it).
  void enter_regroup(RegroupCause cause, const std::string& detail, Instant now,
                     const std::function<void(Regroup&)>& prepare = {});
  void enter_as_guest(const wire::Heartbeat& heartbeat, Instant now);
  void heartbeat_in_regroup(NodeId from, const wire::Heartbeat& heartbeat, Instant now);
  void tick_regroup(Instant now);
  void settle(Instant now);
  void note_reluctant(Instant now);
  void close_and_nominate(Instant now);
  void accept(const wire::Nomination& nomination, Instant now);
  void contest_if_all_accepted(Instant now);
  Row& own_row() { return regroup_->rows[self_]; }
  NodeSet participants() const;
  NodeSet reaching() const;
  Duration manners(NodeSet set) const;

  // forming.cc
  void tick_joining(Instant now);
  static bool is_outside(NodeId id, const PeerInfo& peer, const disk::Superblock& superblock);
  std::string why_not_form(Instant now) const;  // "" = form now

  NodeId self_;
  Incarnation incarnation_;
  std::string name_;
  Timing timing_;
  QuorumManager& quorum_;
  MembershipEvents& events_;
  Phase phase_ = Phase::joining;
  std::string phase_reason_;
  std::string obstacle_;
  View view_;
  std::map<NodeId, PeerInfo> peers_;
  std::optional<Regroup> regroup_;
  RegroupCause last_cause_ = RegroupCause::none;
  Instant started_at_, next_heartbeat_, lease_until_, quiet_until_;
  // Guard: what removed nodes may still rely on. The first is of what they said; the second counts with the
  // timing of the database, which may be learned, or become longer, after the view was installed.
  Instant guard_said_, guard_from_;
  Duration old_lease_;  // of the timing before the present one, if it was longer
  Instant old_lease_until_;
  Instant owner_degraded_since_;
  Instant join_blocked_until_;
  Instant form_blocked_until_;
  // What held the LUN when this node last tried to form, and the view that its superblock named then.
  ReservationKey found_holder_;
  Predecessor found_over_;
  Instant leave_at_;  // pruned or lost: leave then
  std::string leave_reason_;
  uint64_t lost_epoch_ = 0;
  uint64_t highest_promise_ = 0;  // R2, over all regroups of this life
  bool going_ = false;
  bool resources_ended_ = false;
  bool ready_ = false, ready_once_ = false;
  bool must_leave_told_ = false;
  uint32_t core_late_ms_ = 0;
  wire::Load load_;
  Sequence applied_;
  Duration last_regroup_;
  int64_t last_sent_ns_ = 0;
};

}  // namespace holdfast::core
