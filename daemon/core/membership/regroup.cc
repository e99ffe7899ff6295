// The stages of a regroup (docs/protocols/membership.md): Activate (rows settle), Closing (the matrix is
// complete), Pruning (largest connected set), nomination and arbitration, and the installation of the view
// that won.
#include <algorithm>

#include "base/mutant.h"
#include "core/membership/clique.h"
#include "core/membership/membership.h"
#include "core/properties/bounds.h"

namespace holdfast::core {

void Membership::enter_regroup(RegroupCause cause, const std::string& detail, Instant now,
                               const std::function<void(Regroup&)>& prepare) {
  regroup_ = Regroup{};
  regroup_->base = view_.epoch.value;
  regroup_->begun = now;
  regroup_->cause = cause;
  Row& own = own_row();
  own.incarnation = incarnation_;
  own.version = 1;
  own.heard = NodeSet::of(self_);
  own.reaches_lun = quorum_.reaches();
  phase_ = Phase::regroup;
  phase_reason_ = std::string(to_string(cause)) + ": " + detail;
  last_cause_ = cause;
  quorum_.watch_now();
  events_.on_regroup_begun(cause, detail);
  for (const auto& [id, peer] : peers_)
    if (view_.contains(id, peer.incarnation) && peer.going) regroup_->given_up.add(id);
  if (prepare) prepare(*regroup_);
  next_heartbeat_ = now + regroup_tick;
  settle(now);
  broadcast(now);
  tick_regroup(now);  // a node that is alone decides at once
}

void Membership::enter_as_guest(const wire::Heartbeat& hb, Instant now) {
  regroup_ = Regroup{};
  regroup_->base = hb.regroup_base();
  regroup_->guest = true;
  regroup_->begun = now;
  regroup_->cause = RegroupCause::join;
  Row& own = own_row();
  own.incarnation = incarnation_;
  own.version = 1;
  own.heard = NodeSet::of(self_);
  own.reaches_lun = quorum_.reaches();
  // What this life has promised before, as when it tried to form, counts: an epoch up to there it cannot
  // accept. Nobody's key belongs to it.
  if (highest_promise_ > regroup_->base) own.promises.push_back({Epoch{highest_promise_}, NodeId{}});
  next_heartbeat_ = now;
}

NodeSet Membership::participants() const {
  NodeSet all;
  if (!regroup_->guest) all = view_.set();
  for (const auto& [id, row] : regroup_->rows) all.add(id);
  for (const auto& [id, incarnation] : regroup_->joiners) all.add(id);
  return all;
}

NodeSet Membership::reaching() const {
  NodeSet out;
  for (const auto& [id, row] : regroup_->rows)
    if (row.reaches_lun) out.add(id);
  return out;
}

void Membership::heartbeat_in_regroup(NodeId from, const wire::Heartbeat& hb, Instant now) {
  if (hb.phase() != wire::Heartbeat::REGROUP || hb.regroup_base() != regroup_->base) return;
  const PeerInfo& peer = peers_[from];
  const bool member = !regroup_->guest && view_.contains(from, peer.incarnation);
  auto joiner = regroup_->joiners.find(from);
  if (!member && !regroup_->guest &&
      (joiner == regroup_->joiners.end() || joiner->second != peer.incarnation))
    return;
  if (peer.going || regroup_->accused.contains(from)) return;

  Row& own = own_row();
  regroup_->given_up.remove(from);
  regroup_->heard_at[from] = now;
  if (!own.heard.contains(from)) {
    own.heard.add(from);
    ++own.version;
  }
  for (const auto& m : hb.rows()) {
    NodeId id{m.node()};
    if (id == self_ || id.is_none() || id.value > nodes_max) continue;
    if (!regroup_->guest && !view_.contains(id, Incarnation{m.incarnation()}) && !regroup_->joiners.count(id))
      continue;
    Row& row = regroup_->rows[id];
    if (row.incarnation.value == m.incarnation() && row.version >= m.version()) continue;
    row.incarnation = Incarnation{m.incarnation()};
    row.version = m.version();
    row.heard = NodeSet(m.heard());
    row.settled = m.settled();
    row.reaches_lun = m.reaches_lun();
    row.promises.clear();
    for (const auto& p : m.promises()) row.promises.push_back({Epoch{p.epoch()}, NodeId{p.owner()}});
  }
  if (from == view_.owner && !regroup_->guest)
    for (const auto& j : hb.join()) regroup_->joiners[NodeId{j.node()}] = Incarnation{j.incarnation()};
  if (hb.lost() != 0 && hb.lost() == regroup_->accepted) {
    must_leave("the contest for epoch " + std::to_string(hb.lost()) +
                   " was lost: another part of the cluster owns the quorum",
               now);
    return;
  }
  if (hb.has_nomination() &&
      (!regroup_->nomination || hb.nomination().view().epoch() > regroup_->nomination->view().epoch()))
    regroup_->nomination = hb.nomination();
  tick_regroup(now);
}

void Membership::settle(Instant now) {
  Row& own = own_row();
  bool waiting = false;
  NodeSet heard = own.heard;
  for (NodeId id : participants()) {
    if (id == self_) continue;
    const bool joiner = regroup_->joiners.count(id) != 0;
    bool silent = !heard_recently(id, now);
    auto peer = peers_.find(id);
    if (!regroup_->guest && !joiner && peer != peers_.end() && !view_.contains(id, peer->second.incarnation))
      silent = true;
    if (joiner && !heard.contains(id) && now - regroup_->begun > joiner_patience) silent = true;
    if (silent || regroup_->given_up.contains(id)) {
      heard.remove(id);
      regroup_->given_up.add(id);
    } else if (!heard.contains(id)) {
      waiting = true;
    }
  }
  const bool reaches = quorum_.reaches();
  if (!(heard == own.heard) || own.settled != !waiting || own.reaches_lun != reaches) {
    own.heard = heard;
    own.settled = !waiting;
    own.reaches_lun = reaches;
    ++own.version;
  }
}

void Membership::tick_regroup(Instant now) {
  if (!regroup_) return;
  if (now - regroup_->begun > regroup_give_up(timing_)) {
    if (regroup_->guest)
      regroup_.reset();
    else
      must_leave("the regroup did not end within " + std::to_string(regroup_give_up(timing_).ms()) + " ms (" +
                     phase_reason_ + ")",
                 now);
    return;
  }
  settle(now);
  if (regroup_->guest) {
    bool anybody = false;
    for (const auto& [id, at] : regroup_->heard_at)  // of the members: other guests may wait as we do
      anybody = anybody || (now - at < timing_.heartbeat_timeout && peers_[id].epoch == regroup_->base);
    if (!anybody && now - regroup_->begun > timing_.heartbeat_timeout) {
      regroup_.reset();  // the members dropped us, or died
      return;
    }
  } else {
    close_and_nominate(now);
    if (!regroup_) return;
  }
  if (regroup_->nomination) accept(*regroup_->nomination, now);
  if (regroup_) contest_if_all_accepted(now);
}

// A joining node that does not accept within its patience must not hold up the members: this view goes
// without it.
void Membership::note_reluctant(Instant now) {
  if (!regroup_->nomination || now - regroup_->nominated_at <= joiner_patience) return;
  const auto& view = regroup_->nomination->view();
  if (regroup_->nomination->coordinator() != self_.value) return;
  for (const auto& m : view.members()) {
    const NodeId id{m.node()};
    if (regroup_->joiners.count(id) && peers_[id].accepted != view.epoch()) regroup_->reluctant.add(id);
  }
}

void Membership::close_and_nominate(Instant now) {
  Row& own = own_row();
  if (!own.settled) return;
  // Closing: everybody that can be reached over others must have settled, so that all judge the same matrix.
  NodeSet closure = NodeSet::of(self_), todo = closure;
  while (!todo.empty()) {
    NodeId id = todo.lowest();
    todo.remove(id);
    auto row = regroup_->rows.find(id);
    if (row == regroup_->rows.end() && mutant(Mutant::closes_early)) continue;
    if (row == regroup_->rows.end() || (!row->second.settled && !mutant(Mutant::closes_early))) return;
    NodeSet fresh = (row->second.heard & participants()) - closure;
    closure = closure | fresh;
    todo = todo | fresh;
  }
  Links links{};
  for (NodeId id : closure) links[id.value - 1] = regroup_->rows[id].heard;
  NodeSet members;
  for (NodeId id : closure)
    if (!regroup_->joiners.count(id)) members.add(id);
  // Pruning. Joiners never displace a member: they are added when everybody that stays hears them.
  NodeSet stay = largest_connected_set(members, links, reaching(), view_.owner);
  NodeSet set = stay;
  note_reluctant(now);
  for (NodeId id : closure - members - regroup_->reluctant) {
    bool full = links[id.value - 1].contains_all(set);
    for (NodeId other : set) full = full && links[other.value - 1].contains(id);
    if (full) set.add(id);
  }
  if (!set.contains(self_)) {
    if (!regroup_->pruned) {
      regroup_->pruned = true;
      events_.trace("pruned: " + holdfast::to_string(set) + " stay");
    }
    if (leave_at_.is_never()) {
      leave_at_ = now + pruned_max(timing_);
      leave_reason_ =
          "pruned: this node does not hear every member, nodes " + holdfast::to_string(set) + " stay";
    }
    return;
  }
  regroup_->pruned = false;
  leave_at_ = {};
  if (stay.lowest() != self_) return;

  // Coordinator: nominate, unless the current nomination still says the same.
  uint64_t promised = std::max(highest_promise_, view_.epoch.value);
  for (NodeId id : set) promised = std::max(promised, regroup_->rows[id].promised());
  if (regroup_->nomination) {
    const auto& current = regroup_->nomination->view();
    NodeSet named;
    bool same = regroup_->nomination->coordinator() == self_.value;
    for (const auto& m : current.members()) {
      named.add(NodeId{m.node()});
      same = same && regroup_->rows[NodeId{m.node()}].incarnation.value == m.incarnation();
    }
    NodeId nominee{current.owner()};
    bool nominee_useless = !regroup_->rows[nominee].reaches_lun && !(reaching() & set).empty() &&
                           now - regroup_->nominated_at > nominee_patience;
    if (same && named == set && current.epoch() >= promised && !nominee_useless) return;
  }
  NodeSet fit = reaching() & stay;
  wire::Nomination n;
  View view;
  view.epoch = Epoch{promised + 1};
  if (stay.contains(regroup_->wanted_owner))
    view.owner = regroup_->wanted_owner;
  else if (stay.contains(view_.owner) && (fit.contains(view_.owner) || fit.empty()))
    view.owner = view_.owner;
  else
    view.owner = fit.empty() ? stay.lowest() : fit.lowest();
  for (NodeId id : set) view.members[id] = regroup_->rows[id].incarnation;
  *n.mutable_view() = view.to_message();
  n.set_coordinator(static_cast<uint32_t>(self_.value));
  n.set_base_epoch(regroup_->base);
  std::map<uint64_t, NodeId> predecessors{{view_.epoch.value, view_.owner}};
  for (NodeId id : set)
    for (const auto& p : regroup_->rows[id].promises)
      if (!p.holder.is_none()) predecessors[p.epoch.value] = p.holder;
  for (const auto& [epoch, holder] : predecessors) {
    auto* p = n.add_predecessors();
    p->set_epoch(epoch);
    p->set_owner(static_cast<uint32_t>(holder.value));
  }
  events_.trace("nominates node " + std::to_string(view.owner.value) + " for " + view.text());
  regroup_->nomination = n;
  regroup_->nominated_at = now;
  broadcast(now);
}

void Membership::accept(const wire::Nomination& n, Instant now) {
  View view = View::from(n.view());
  const bool promised = mutant(Mutant::accepts_twice)
                            ? view.epoch.value <= view_.epoch.value || view.epoch.value == regroup_->accepted
                            : view.epoch.value <= highest_promise_;
  if (n.base_epoch() != regroup_->base || promised || !view.contains(self_, incarnation_)) return;
  const Row& own = own_row();
  if (!own.settled || !own.heard.contains_all(view.set())) return;
  if (!mutant(Mutant::promise_forgotten)) highest_promise_ = view.epoch.value;  // R2
  regroup_->accepted = view.epoch.value;
  Row& row = own_row();
  row.promises.push_back({view.epoch, view.owner});
  ++row.version;
  broadcast(now);
}

Duration Membership::manners(NodeSet set) const {
  const int before = static_cast<int>(view_.members.size());
  int steps = 2 * set.size() < before ? 2 : 0;
  if (view_.owner != self_) {
    auto owner = peers_.find(view_.owner);
    const bool gone = owner != peers_.end() &&
                      (owner->second.going || owner->second.incarnation != view_.members.at(view_.owner));
    const auto& seen = quorum_.observation();
    const bool in_set = set.contains(view_.owner);
    const bool stale = !seen || seen->read_at - seen->changed_at > beacon_stale_after;
    if (!gone && !in_set && !stale) ++steps;
  }
  return manners_step * steps;
}

void Membership::contest_if_all_accepted(Instant now) {
  if (!regroup_->nomination || regroup_->arbitrating != 0) return;
  View view = View::from(regroup_->nomination->view());
  if (view.owner != self_ || regroup_->accepted != view.epoch.value) return;
  for (const auto& [id, incarnation] : view.members)
    if (id != self_ && !mutant(Mutant::contests_unaccepted) &&
        (peers_[id].accepted != view.epoch.value || peers_[id].incarnation != incarnation))
      return;
  regroup_->arbitrating = view.epoch.value;
  ArbitrationRequest request;
  request.view = view.to_message();
  for (const auto& p : regroup_->nomination->predecessors())
    request.predecessors.push_back({Epoch{p.epoch()}, NodeId{p.owner()}});
  request.configured = events_.configured();
  request.manners = manners(view.set());
  request.patience = arbitration_patience;
  events_.trace("contests the quorum for " + view.text() +
                (request.manners.ns ? " after " + std::to_string(request.manners.ms()) + " ms" : ""));
  (void)now;
  quorum_.arbitrate(std::move(request));
}

void Membership::on_arbitrated(const ArbitrationResult& result, Instant now) {
  using Outcome = ArbitrationResult::Outcome;
  if (phase_ == Phase::forming) {
    if (result.outcome == Outcome::won) {
      View view;
      view.epoch = result.epoch;
      view.owner = self_;
      view.members[self_] = incarnation_;
      install(view, now);
    } else {
      phase_ = Phase::joining;
      phase_reason_ = "could not form a cluster: " + result.reason;
      found_holder_ = result.outcome == Outcome::lost ? result.holder : ReservationKey{};
      form_blocked_until_ = now + forming_pause;
      started_at_ = now;
    }
    return;
  }
  if (!regroup_ || regroup_->arbitrating != result.epoch.value) {
    if (result.outcome == Outcome::won) quorum_.observe();  // nobody waits for it any more
    return;
  }
  regroup_->arbitrating = 0;
  if (result.outcome == Outcome::won) {
    if (highest_promise_ != result.epoch.value || !regroup_->nomination ||
        regroup_->nomination->view().epoch() != result.epoch.value) {
      events_.trace("won epoch " + std::to_string(result.epoch.value) +
                    ", but its set has promised itself to a newer one");
      quorum_.observe();
      return;
    }
    install(View::from(regroup_->nomination->view()), now);
    return;
  }
  if (result.outcome == Outcome::lost) {
    lost_epoch_ = result.epoch.value;
    must_leave("quorum lost: " + result.reason, now);
    return;
  }
  events_.trace("the quorum LUN does not answer: " +
                result.reason);  // tick_regroup tries again until the bound
}

}  // namespace holdfast::core
