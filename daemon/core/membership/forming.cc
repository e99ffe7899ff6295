// Forming a cluster when nobody answers the join (DESIGN 5, "Forming").
#include <algorithm>

#include "base/mutant.h"
#include "core/membership/membership.h"
#include "core/properties/bounds.h"

namespace holdfast::core {

// What a peer said of itself may be a timeout old, and it may have formed since. It is outside the view that
// the superblock names if it had read that very superblock when it said so, and that does not list this life
// of it. (One that forms later changes the superblock, and the arbitration refuses.)
bool Membership::is_outside(NodeId id, const PeerInfo& peer, const disk::Superblock& superblock) {
  if (mutant(Mutant::forms_on_stale_news)) return true;
  if (peer.disk_epoch != superblock.epoch()) return false;
  return std::none_of(superblock.members().begin(), superblock.members().end(), [&](const auto& m) {
    return m.node() == id.value && m.incarnation() == peer.incarnation.value;
  });
}

std::string Membership::why_not_form(Instant now) const {
  if (!obstacle_.empty()) return obstacle_;
  if (now - started_at_ < forming_grace(timing_)) return "listening for a cluster to join";
  if (now < form_blocked_until_) return phase_reason_;
  for (const auto& [id, peer] : peers_)
    if (heard_recently(id, now) && (peer.phase == Phase::member || peer.phase == Phase::regroup))
      return "waiting for node " + std::to_string(id.value) + " to let this node join";
  const auto& seen = quorum_.observation();
  if (!seen || !quorum_.reaches()) return "no member answers, and the quorum LUN is not reachable";
  if (now - seen->read_at > head_fresh_max) return "no member answers; reading the quorum LUN";
  if (!seen->head.valid)
    return seen->head.blank ? "the quorum LUN is blank: run 'holdfast cluster create'"
                            : "the quorum LUN holds no valid superblock";
  const auto& superblock = seen->head.superblock;
  if (superblock.configured_nodes() != 0 && !NodeSet(superblock.configured_nodes()).contains(self_))
    return "this node was evicted from the cluster: run 'holdfast cluster destroy' here, then join again";

  if (mutant(Mutant::resumes_reservation) && superblock.holder() == self_.value) return {};
  // Everybody in contact and forming too: nobody is alive whom we could harm. The lowest id goes first.
  bool all_here = true;
  for (NodeId id : NodeSet(superblock.configured_nodes()) | events_.configured()) {
    if (id == self_) continue;
    auto it = peers_.find(id);
    bool here = it != peers_.end() && heard_recently(id, now) &&
                (it->second.phase == Phase::joining || it->second.phase == Phase::forming);
    if (!here || !is_outside(id, it->second, superblock)) all_here = false;
    // One that was evicted will not form, and a node that lost its replica may not know that it was.
    const bool evicted =
        superblock.configured_nodes() != 0 && !NodeSet(superblock.configured_nodes()).contains(id);
    if (here && !evicted && it->second.reaches_lun && (id < self_ || it->second.phase == Phase::forming))
      return "node " + std::to_string(id.value) + " forms the cluster";
  }
  if (superblock.orderly_shutdown() || all_here || mutant(Mutant::forms_at_once)) return {};
  // Else the holder may be alive and out of contact: the same key and beacon must have stood still long
  // enough.
  Duration still = now - seen->changed_at;
  Duration wanted = forming_wait(timing_);
  if (still >= wanted) return {};
  return "the last view did not end in an orderly way: its beacon must stand still for " +
         std::to_string((wanted - still).ms() / 1000 + 1) + " s more (or every configured node must be here)";
}

void Membership::tick_joining(Instant now) {
  if (phase_ == Phase::forming || regroup_) return;
  std::string why = why_not_form(now);
  if (!why.empty()) {
    phase_reason_ = why;
    return;
  }
  const auto& superblock = quorum_.observation()->head.superblock;
  phase_ = Phase::forming;
  phase_reason_ = "forming the cluster";
  ArbitrationRequest request;
  const Predecessor last{Epoch{superblock.epoch()}, NodeId{superblock.holder()}};
  // The key that was in the way before is still there, a whole wait later, and nobody has won with it:
  // whoever preempted with it died before it wrote its superblock. (If it lives and is only slow, it loses
  // now, as it has not won yet.) Chosen before the contest, so only one of several that form finds it.
  if (found_over_ == last) request.abandoned = found_holder_;
  found_over_ = last;
  View view;
  view.epoch = Epoch{std::max({superblock.epoch(), highest_promise_, request.abandoned.counter()}) + 1};
  view.owner = self_;
  view.members[self_] = incarnation_;
  request.view = view.to_message();
  request.predecessors.push_back(last);
  request.configured = NodeSet(superblock.configured_nodes()) | NodeSet::of(self_);
  request.patience = forming_patience;
  highest_promise_ = view.epoch.value;
  events_.trace("forms " + view.text());
  quorum_.arbitrate(std::move(request));
}

}  // namespace holdfast::core
