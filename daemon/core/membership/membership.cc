#include "core/membership/membership.h"

#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/version.h"
#include "core/properties/bounds.h"

namespace holdfast::core {

NodeSet View::set() const {
  NodeSet s;
  for (const auto& [id, incarnation] : members) s.add(id);
  return s;
}

bool View::contains(NodeId id, Incarnation incarnation) const {
  auto it = members.find(id);
  return it != members.end() && it->second == incarnation;
}

View View::from(const wire::View& message) {
  View v;
  v.epoch = Epoch{message.epoch()};
  v.owner = NodeId{message.owner()};
  for (const auto& m : message.members()) v.members[NodeId{m.node()}] = Incarnation{m.incarnation()};
  return v;
}

wire::View View::to_message() const {
  wire::View m;
  m.set_epoch(epoch.value);
  m.set_owner(static_cast<uint32_t>(owner.value));
  for (const auto& [id, incarnation] : members) {
    auto* member = m.add_members();
    member->set_node(static_cast<uint32_t>(id.value));
    member->set_incarnation(incarnation.value);
  }
  return m;
}

std::string View::text() const {
  return "epoch " + std::to_string(epoch.value) + " " + holdfast::to_string(set()) + " owner " +
         std::to_string(owner.value);
}

const char* to_string(Phase phase) {
  static constexpr const char* names[] = {"joining", "forming", "member", "regroup", "leaving"};
  return names[static_cast<int>(phase)];
}

const char* to_string(RegroupCause cause) {
  static constexpr const char* names[] = {"none",         "heartbeat-timeout",
                                          "told-by-peer", "incarnation-changed",
                                          "node-going",   "join",
                                          "quorum-rekey", "quorum-unreachable-at-owner",
                                          "quorum-move",  "update-timeout",
                                          "nominee-lost", "configuration"};
  return names[static_cast<int>(cause)];
}

Membership::Membership(NodeId self, Incarnation incarnation, std::string name, Timing timing,
                       QuorumManager& quorum, MembershipEvents& events)
    : self_(self),
      incarnation_(incarnation),
      name_(std::move(name)),
      timing_(timing),
      quorum_(quorum),
      events_(events) {}

void Membership::start(Instant now) {
  started_at_ = now;
  next_heartbeat_ = now;
  phase_reason_ = "looking for a cluster to join";
}

bool Membership::heard_recently(NodeId id, Instant now) const {
  auto it = peers_.find(id);
  return it != peers_.end() && !it->second.last_heard.is_never() &&
         now - it->second.last_heard < timing_.heartbeat_timeout;
}

bool Membership::note_peer(PeerInfo& peer, Incarnation incarnation, int network, const wire::Heartbeat& hb,
                           Instant received_at) {
  if (peer.incarnation != incarnation) {
    peer = PeerInfo{};
    peer.incarnation = incarnation;
  }
  peer.last_heard = std::max(peer.last_heard, received_at);
  if (network >= 0 && network < static_cast<int>(networks_max)) peer.last_heard_on[network] = received_at;
  if (hb.sent_at_ns() <= peer.sent_at_ns) return false;  // overtaken, or the same one over another network
  peer.sent_at_ns = hb.sent_at_ns();
  peer.received_at = received_at;
  peer.phase =
      static_cast<Phase>(std::clamp<int>(hb.phase() - 1, 0, 4));  // wire STARTING and JOINING are one here
  if (hb.phase() == wire::Heartbeat::STARTING) peer.phase = Phase::joining;
  peer.epoch = hb.epoch();
  peer.heartbeat_epoch = hb.phase() == wire::Heartbeat::MEMBER ? hb.epoch() : 0;
  peer.reaches_lun = hb.reaches_lun();
  peer.going = peer.going || hb.going();
  peer.resources_ended = peer.resources_ended || hb.resources_ended();
  peer.heard = NodeSet(hb.heard());
  peer.disk_epoch = hb.disk_epoch();
  peer.lease = Duration::milliseconds(hb.lease_ms());
  peer.lease_left = Duration::milliseconds(hb.lease_left_ms());
  peer.load = hb.load();
  peer.core_late_ms = hb.core_late_ms();
  peer.accepted = hb.accepted();
  peer.lost = hb.lost();
  peer.version_max = hb.version_max();
  if (hb.echo_ns() != 0 && hb.echo_incarnation() == incarnation_.value &&
      hb.phase() == wire::Heartbeat::MEMBER &&
      (hb.echo_ns() > peer.echo_ns || peer.echo_epoch != hb.epoch())) {
    peer.echo_ns = hb.echo_ns();
    peer.echo_epoch = hb.epoch();
  }
  return true;
}

bool Membership::on_heartbeat(NodeId from, Incarnation incarnation, int network, const wire::Heartbeat& hb,
                              Instant received_at, Instant now) {
  if (from == self_ || from.is_none() || from.value > nodes_max ||
      common_version(hb.version_min(), hb.version_max()) == 0)
    return false;
  if (!note_peer(peers_[from], incarnation, network, hb, received_at)) return false;
  switch (phase_) {
    case Phase::joining:
    case Phase::forming:
      heartbeat_as_outsider(from, hb, now);
      break;
    case Phase::member:
    case Phase::regroup:
      heartbeat_as_member(from, hb, now);
      break;
    case Phase::leaving:
      break;
  }
  return true;
}

void Membership::heartbeat_as_member(NodeId from, const wire::Heartbeat& hb, Instant now) {
  const PeerInfo& peer = peers_[from];
  if (hb.has_won() && hb.won().epoch() > view_.epoch.value) {
    View won = View::from(hb.won());
    if (!won.contains(self_, incarnation_)) {  // R4
      must_leave("removed from the cluster: " + won.text() + " was formed without this node", now);
      return;
    }
    if (won.epoch.value >= highest_promise_ && regroup_ && regroup_->accepted == won.epoch.value)
      install(won, now);
    return;
  }
  auto member = view_.members.find(from);
  if (member != view_.members.end()) {
    if (member->second != peer.incarnation) {
      if (phase_ == Phase::member)
        enter_regroup(RegroupCause::incarnation_changed, "node " + std::to_string(from.value) + " restarted",
                      now);
    } else if (peer.going && hb.epoch() == view_.epoch.value) {
      if (phase_ == Phase::member)
        enter_regroup(RegroupCause::node_going, "node " + std::to_string(from.value) + " leaves", now);
      else
        regroup_->given_up.add(from);
    } else if (hb.phase() == wire::Heartbeat::REGROUP && hb.regroup_base() == view_.epoch.value &&
               phase_ == Phase::member) {
      enter_regroup(RegroupCause::told_by_peer,
                    "node " + std::to_string(from.value) + " regroups: " +
                        to_string(static_cast<RegroupCause>(std::min<uint32_t>(hb.regroup_cause(), 11))),
                    now);
    }
  }
  if (phase_ == Phase::regroup) heartbeat_in_regroup(from, hb, now);
}

void Membership::heartbeat_as_outsider(NodeId from, const wire::Heartbeat& hb, Instant now) {
  if (hb.has_won() && regroup_ && regroup_->accepted == hb.won().epoch()) {
    View won = View::from(hb.won());
    if (won.contains(self_, incarnation_)) {
      install(won, now);
      return;
    }
  }
  // Decided without us: the next attempt to join begins at once.
  if (regroup_ && hb.has_won() && hb.won().epoch() > regroup_->base &&
      !View::from(hb.won()).contains(self_, incarnation_))
    regroup_.reset();
  if (phase_ == Phase::joining && !regroup_ && hb.phase() == wire::Heartbeat::REGROUP) {
    for (const auto& m : hb.join())
      if (m.node() == self_.value && m.incarnation() == incarnation_.value) enter_as_guest(hb, now);
  }
  if (regroup_) heartbeat_in_regroup(from, hb, now);
}

void Membership::on_starved(Duration late, Instant now) {
  core_late_ms_ = std::max<uint32_t>(core_late_ms_, static_cast<uint32_t>(late.ms()));
  if (late < starved_after(timing_)) return;
  // R5: what arrived while we slept is still in the socket. Nobody is accused before two more intervals.
  events_.trace("core ran " + std::to_string(late.ms()) + " ms late: listening before accusing anybody");
  for (auto& [id, peer] : peers_)
    if (!peer.last_heard.is_never())
      peer.last_heard = std::max(peer.last_heard, now - timing_.heartbeat_timeout + listening_time(timing_));
}

void Membership::renew_lease(Instant now) {
  if (phase_ != Phase::member) return;
  Instant oldest = now;
  for (const auto& [id, incarnation] : view_.members) {
    if (id == self_) continue;
    auto it = peers_.find(id);
    if (it == peers_.end() || it->second.echo_epoch != view_.epoch.value ||
        it->second.incarnation != incarnation) {
      if (mutant(Mutant::lease_of_some)) continue;
      return;
    }
    oldest = std::min(oldest, mutant(Mutant::lease_from_reception)
                                  ? it->second.received_at
                                  : Instant{static_cast<int64_t>(it->second.echo_ns)});
  }
  lease_until_ = std::max(lease_until_, oldest + lease(timing_));
}

// A shorter timing is not in force everywhere at once, and a lease that was given is not taken back: the
// longer one counts until every lease under it has run out.
void Membership::set_timing(const Timing& timing, Instant now) {
  const Duration before = longest_lease(now);
  if (ready_once_ && lease(timing) < lease(timing_)) {  // before that the timing was a guess
    old_lease_ = before;
    old_lease_until_ = now + old_lease_kept(before);
  }
  timing_ = timing;
}

Duration Membership::longest_lease(Instant now) const {
  if (mutant(Mutant::old_timing_forgotten)) return lease(timing_);
  return now < old_lease_until_ ? std::max(lease(timing_), old_lease_) : lease(timing_);
}

Instant Membership::guard_until() const {
  if (mutant(Mutant::no_guard)) return {};
  if (guard_from_.is_never()) return guard_said_;
  return std::max(guard_said_, guard_from_ + takeover_wait(timing_));
}

wire::Heartbeat Membership::make_heartbeat(NodeId to, Instant now) {
  wire::Heartbeat hb;
  hb.set_incarnation(incarnation_.value);
  hb.set_epoch(view_.epoch.value);
  const bool in_regroup = regroup_.has_value();
  switch (phase_) {
    case Phase::joining:
      hb.set_phase(in_regroup ? wire::Heartbeat::REGROUP : wire::Heartbeat::JOINING);
      break;
    case Phase::forming:
      hb.set_phase(wire::Heartbeat::FORMING);
      break;
    case Phase::member:
      hb.set_phase(wire::Heartbeat::MEMBER);
      break;
    case Phase::regroup:
      hb.set_phase(wire::Heartbeat::REGROUP);
      break;
    case Phase::leaving:
      hb.set_phase(wire::Heartbeat::LEAVING);
      break;
  }
  hb.set_sent_at_ns(static_cast<uint64_t>(last_sent_ns_));
  hb.set_version_min(protocol_version_min);
  hb.set_version_max(protocol_version_max);
  hb.set_node_name(name_);
  hb.set_reaches_lun(quorum_.reaches());
  hb.set_core_late_ms(core_late_ms_);
  *hb.mutable_load() = load_;
  hb.set_going(going_);
  hb.set_resources_ended(resources_ended_);
  hb.set_applied_sequence(applied_.value);
  hb.set_lost(lost_epoch_);
  hb.set_lease_ms(static_cast<uint32_t>(longest_lease(now).ms()));
  hb.set_lease_left_ms(static_cast<uint32_t>(std::max<int64_t>((lease_until_ - now).ms() + 1, 0)));
  if (auto& o = quorum_.observation()) hb.set_disk_epoch(o->head.superblock.epoch());
  NodeSet heard = NodeSet::of(self_);
  for (const auto& [id, peer] : peers_)
    if (heard_recently(id, now) && peer.phase != Phase::leaving) heard.add(id);
  hb.set_heard(heard.bits());

  auto it = peers_.find(to);
  if (phase_ == Phase::member && it != peers_.end() && view_.contains(to, it->second.incarnation) &&
      (it->second.heartbeat_epoch == view_.epoch.value || mutant(Mutant::echoes_outsiders))) {  // R3
    hb.set_echo_ns(it->second.sent_at_ns);
    hb.set_echo_incarnation(it->second.incarnation.value);
    it->second.echoed_receipt = it->second.received_at;
  }
  if (phase_ == Phase::member) *hb.mutable_won() = view_.to_message();
  if (in_regroup) {
    hb.set_regroup_base(regroup_->base);
    hb.set_regroup_cause(static_cast<uint32_t>(regroup_->cause));
    hb.set_accepted(regroup_->accepted);
    if (regroup_->nomination) *hb.mutable_nomination() = *regroup_->nomination;
    for (const auto& [id, row] : regroup_->rows) {
      auto* r = hb.add_rows();
      r->set_node(static_cast<uint32_t>(id.value));
      r->set_incarnation(row.incarnation.value);
      r->set_version(row.version);
      r->set_heard(row.heard.bits());
      r->set_settled(row.settled);
      r->set_reaches_lun(row.reaches_lun);
      for (const auto& p : row.promises) {
        auto* promise = r->add_promises();
        promise->set_epoch(p.epoch.value);
        promise->set_owner(static_cast<uint32_t>(p.holder.value));
      }
    }
    for (const auto& [id, incarnation] : regroup_->joiners) {
      auto* j = hb.add_join();
      j->set_node(static_cast<uint32_t>(id.value));
      j->set_incarnation(incarnation.value);
    }
  }
  return hb;
}

void Membership::broadcast(Instant now) {
  NodeSet to = events_.configured() | view_.set();
  if (regroup_) to = to | participants();
  // Two heartbeats of one moment differ too: a receiver keeps the newest by this number.
  last_sent_ns_ = std::max(now.ns, last_sent_ns_ + 1);
  for (NodeId id : to)
    if (id != self_) events_.send_heartbeat(id, make_heartbeat(id, now));
  core_late_ms_ = 0;
}

void Membership::install(const View& view, Instant now) {
  HOLDFAST_ASSERT(view.epoch > view_.epoch);  // R1
  View previous = view_;
  NodeSet removed;
  for (const auto& [id, incarnation] : previous.members)
    if (!view.contains(id, incarnation)) removed.add(id);
  for (NodeId id : removed) {
    auto it = peers_.find(id);
    if (id == self_ || it == peers_.end()) continue;
    // A restarted service has swept what its earlier life left before it speaks; one that ended its resources
    // said so.
    if (it->second.incarnation != previous.members[id] || it->second.resources_ended ||
        it->second.echoed_receipt.is_never())
      continue;
    const PeerInfo& peer = it->second;
    guard_from_ = std::max(guard_from_, peer.echoed_receipt);
    if (mutant(Mutant::guard_by_own_timing)) continue;
    guard_said_ =
        std::max({guard_said_, peer.echoed_receipt + with_drift(std::max(peer.lease, longest_lease(now))),
                  peer.received_at + with_drift(peer.lease_left)});
  }
  // A node that joins does not know whom an earlier view removed a moment ago: it waits as long as that could
  // matter. One that forms alone need not: it waited before, or everybody was in contact, or the last view
  // ended in an orderly way.
  if (previous.members.empty() && view.members.size() > 1 && !mutant(Mutant::joiner_does_not_guard)) {
    guard_from_ = std::max(guard_from_, now);
    for (const auto& [id, incarnation] : view.members)
      if (id != self_) guard_said_ = std::max(guard_said_, now + with_drift(peers_[id].lease));
  }
  if (regroup_) last_regroup_ = now - regroup_->begun;
  bool joiners_missing = false;
  if (regroup_)
    for (const auto& [id, incarnation] : regroup_->joiners)
      joiners_missing = joiners_missing || !view.contains(id, incarnation);
  if (joiners_missing) join_blocked_until_ = now + join_pause;
  view_ = view;
  highest_promise_ = std::max(highest_promise_, view.epoch.value);
  regroup_.reset();
  leave_at_ = {};
  phase_ = Phase::member;
  phase_reason_ = view.text();
  owner_degraded_since_ = {};
  ready_ = false;
  if (view.owner == self_)
    quorum_.hold(view.epoch);
  else
    quorum_.observe();
  next_heartbeat_ = now + timing_.heartbeat_interval;
  broadcast(now);
  events_.on_view_installed(previous, view_, removed);
}

void Membership::consider_join(Instant now) {
  if (view_.owner != self_ || !ready_ || now < join_blocked_until_ || quorum_.degraded()) return;
  std::map<NodeId, Incarnation> joiners;
  for (NodeId id : events_.configured() - view_.set()) {
    auto it = peers_.find(id);
    if (it == peers_.end() || it->second.phase != Phase::joining || it->second.going ||
        !heard_recently(id, now))
      continue;
    if (it->second.version_max < events_.functional_level()) continue;
    if (!events_.connected(id) || !it->second.heard.contains_all(view_.set())) continue;
    bool all_hear_it = true;
    for (NodeId m : view_.set())
      if (m != self_ && !peers_[m].heard.contains(id)) all_hear_it = false;
    if (all_hear_it) joiners[id] = it->second.incarnation;
  }
  if (joiners.empty()) return;
  std::string who;
  for (const auto& [id, incarnation] : joiners) who += (who.empty() ? "" : ", ") + std::to_string(id.value);
  enter_regroup(RegroupCause::join, "node " + who + " joins", now, [&](Regroup& r) { r.joiners = joiners; });
}

void Membership::tick_member(Instant now) {
  std::string silent;
  for (const auto& [id, incarnation] : view_.members)
    if (id != self_ && !heard_recently(id, now))
      silent += (silent.empty() ? "" : ", ") + std::to_string(id.value);
  if (!silent.empty()) {
    enter_regroup(
        RegroupCause::heartbeat_timeout,
        "node " + silent + " was not heard for " + std::to_string(timing_.heartbeat_timeout.ms()) + " ms",
        now);
    return;
  }
  if (view_.owner == self_) {
    if (quorum_.wants_rekey()) {
      enter_regroup(RegroupCause::quorum_rekey, quorum_.degraded_reason(), now);
      return;
    }
    if (quorum_.holding() && now - quorum_.proven_at() > timing_.quorum_stall_max) {
      must_leave("no beacon reached the quorum LUN for " + std::to_string(timing_.quorum_stall_max.ms()) +
                     " ms: " + quorum_.degraded_reason(),
                 now);
      return;
    }
  }
  // The superblock names the configured nodes, so that one that was evicted finds itself missing.
  const auto& seen = quorum_.observation();
  if (view_.owner == self_ && ready_ && !quorum_.degraded() && seen && seen->head.valid &&
      !(NodeSet(seen->head.superblock.configured_nodes()) == events_.configured())) {
    enter_regroup(RegroupCause::configuration, "nodes were added or evicted", now);
    return;
  }
  // The owner does not reach the LUN, somebody else does: the quorum moves there in an orderly way.
  bool owner_reaches = view_.owner == self_ ? quorum_.reaches() : peers_[view_.owner].reaches_lun;
  if (owner_reaches) {
    owner_degraded_since_ = {};
  } else {
    if (owner_degraded_since_.is_never()) owner_degraded_since_ = now;
    bool other = view_.owner != self_ && quorum_.reaches();
    for (const auto& [id, incarnation] : view_.members)
      if (id != self_ && id != view_.owner && peers_[id].reaches_lun) other = true;
    if (other && now - owner_degraded_since_ > owner_degraded_max) {
      enter_regroup(
          RegroupCause::quorum_unreachable_at_owner,
          "node " + std::to_string(view_.owner.value) + " does not reach the quorum LUN, another member does",
          now);
      return;
    }
  }
  consider_join(now);
}

void Membership::on_time(Instant now) {
  if (!leave_at_.is_never() && now >= leave_at_ && phase_ != Phase::leaving) {
    must_leave(leave_reason_, now);
    return;
  }
  switch (phase_) {
    case Phase::joining:
    case Phase::forming:
      tick_joining(now);
      break;
    case Phase::member:
      tick_member(now);
      break;
    case Phase::regroup:
      break;
    case Phase::leaving:
      break;
  }
  if (regroup_) tick_regroup(now);
  renew_lease(now);
  // Nearly due ones go along with a step that takes place anyway, which is mostly a heartbeat of a peer: so
  // the nodes fall into step, and each wakes less often.
  const Duration early = phase_ == Phase::member ? heartbeat_early(timing_) : Duration{};
  if (now >= next_heartbeat_ - early) {
    Duration pace = regroup_ ? regroup_tick : timing_.heartbeat_interval;
    next_heartbeat_ = now + pace;
    broadcast(now);
  }
}

Instant Membership::next_deadline() const {
  Instant next = next_heartbeat_;
  if (!leave_at_.is_never()) next = std::min(next, leave_at_);
  if (phase_ == Phase::member)
    for (const auto& [id, incarnation] : view_.members) {
      auto it = peers_.find(id);
      if (id != self_ && it != peers_.end())
        next = std::min(next, it->second.last_heard + timing_.heartbeat_timeout);
    }
  return next;
}

void Membership::accuse(NodeSet suspects, Instant now) {
  if (phase_ != Phase::member || suspects.empty()) return;
  enter_regroup(RegroupCause::update_timeout,
                "node " + holdfast::to_string(suspects) + " did not acknowledge an update in time", now,
                [&](Regroup& r) { r.given_up = r.accused = suspects; });
}

void Membership::move_quorum(NodeId to, Instant now) {
  if (phase_ != Phase::member || view_.owner == to || !view_.set().contains(to)) return;
  enter_regroup(RegroupCause::quorum_move, "the quorum moves to node " + std::to_string(to.value), now,
                [&](Regroup& r) { r.wanted_owner = to; });
}

void Membership::must_leave(const std::string& reason, Instant now) {
  if (must_leave_told_) return;
  must_leave_told_ = true;
  leave(reason, now);
  events_.on_must_leave(reason);
}

void Membership::leave(const std::string& reason, Instant now) {
  if (phase_ == Phase::leaving) return;
  phase_ = Phase::leaving;
  phase_reason_ = reason;
  going_ = true;
  regroup_.reset();
  leave_at_ = {};
  must_leave_told_ = true;
  next_heartbeat_ = now + timing_.heartbeat_interval;
  broadcast(now);
}

void Membership::resources_ended(Instant now) {
  resources_ended_ = true;
  for (int copy = 0; copy < 3; ++copy)
    broadcast(now);  // the last words: nobody would repeat them after a loss
}

void Membership::check_invariants() const {
  if (phase_ == Phase::member || phase_ == Phase::regroup) {
    HOLDFAST_ASSERT(view_.contains(self_, incarnation_));
    HOLDFAST_ASSERT(highest_promise_ >= view_.epoch.value);
  }
  HOLDFAST_ASSERT(phase_ != Phase::regroup || regroup_);
  if (regroup_ && regroup_->accepted) HOLDFAST_ASSERT(regroup_->accepted <= highest_promise_);  // R2
}

}  // namespace holdfast::core
