// The contest for the quorum reservation (docs/protocols/quorum.md, "Arbitration").
#include <algorithm>

#include "base/mutant.h"
#include "core/quorum/quorum_manager.h"

namespace holdfast::core {

Task<LunResult> QuorumManager::simple(LunOp::Kind kind, ReservationKey own, ReservationKey other) {
  LunOp op;
  op.kind = kind;
  op.own = own;
  op.other = other;
  op.deadline = config_.op_deadline;
  auto result = co_await lane_.run(op);
  if (result.ok() && kind == LunOp::Kind::register_key) key_ = other, key_session_ = lane_.session;
  if (result.ok() && kind == LunOp::Kind::register_ignore) key_ = own, key_session_ = lane_.session;
  co_return result;
}

Task<LunResult> QuorumManager::read_head(HeadView* head, std::optional<Beacon>* beacon) {
  LunOp op;
  op.kind = LunOp::Kind::read;
  op.size_bytes = head_bytes;
  op.deadline = config_.op_deadline;
  auto result = co_await lane_.run(op);
  if (result.ok() && result.data.size() == head_bytes) {
    *head = decode_superblocks(result.data);
    auto b = decode_beacon(result.data.data() + beacon_offset_bytes);
    if (b) *beacon = *b;
    remember_head(*head, *beacon);
  }
  co_return result;
}

Task<bool> QuorumManager::write_superblock(const disk::Superblock& superblock) {
  for (int copy = 0; copy < 2; ++copy) {
    LunOp op;
    op.kind = LunOp::Kind::write;
    op.offset_bytes = superblock_offset_bytes + copy * block_bytes;
    op.data = encode_superblock(superblock, copy);
    op.deadline = config_.op_deadline;
    auto result = co_await lane_.run(op);
    if (!result.ok() && !mutant(Mutant::superblock_write_unchecked)) co_return false;
  }
  co_return true;
}

// Takes the reservation from `victim` with one atomic command on the expected value. `again`: read and decide
// anew.
Task<QuorumManager::Verdict> QuorumManager::seize(const ArbitrationRequest&, ReservationKey wanted,
                                                  ReservationKey victim) {
  auto registered = co_await simple(LunOp::Kind::register_ignore, wanted);
  if (!registered.ok()) co_return Verdict::again;
  auto taken = co_await simple(LunOp::Kind::preempt, wanted, victim);
  if (taken.session_lost() && mutant(Mutant::preempt_unknown_is_won)) co_return Verdict::won;
  if (taken.session_lost()) co_return Verdict::again;
  if (taken.ok() && !lane_.preempt_and_abort && !mutant(Mutant::no_reset_after_preempt)) {
    // A plain PREEMPT does not stop writes in flight; the reset does.
    auto reset = co_await simple(LunOp::Kind::lun_reset);
    if (!reset.ok()) co_return Verdict::again;
  }
  co_return taken.ok() ? Verdict::won : Verdict::again;
}

Task<QuorumManager::Verdict> QuorumManager::attempt(const ArbitrationRequest& request,
                                                    const disk::Superblock& wanted,
                                                    ArbitrationResult* result) {
  const ReservationKey own = key_of(Epoch{request.view.epoch()}, config_.self);
  const Epoch newest = request.predecessors.back().epoch;
  // Of this life: what an earlier one wrote may land late, under the same key.
  auto lists_us = [&](const disk::Superblock& s) {
    return std::any_of(s.members().begin(), s.members().end(), [&](const auto& m) {
      return m.node() == config_.self.value && m.incarnation() == config_.incarnation.value;
    });
  };
  auto is_ours = [&](const disk::Superblock& s) {
    return s.epoch() == request.view.epoch() && s.holder() == config_.self.value && lists_us(s);
  };
  auto is_predecessor = [&](const disk::Superblock& s) {
    return std::any_of(request.predecessors.begin(), request.predecessors.end(), [&](const Predecessor& p) {
      return p.epoch.value == s.epoch() && p.holder.value == s.holder();
    });
  };
  // The superblock is the judge: a newer one that is not ours means that another view won.
  auto names_us = [&](const disk::Superblock& s) {
    return is_ours(s) || is_predecessor(s) || mutant(Mutant::victim_read_in_race);
  };
  auto superseded_by = [&](const disk::Superblock& s) {
    if (names_us(s) || s.epoch() < newest.value) return false;
    result->reason = "epoch " + std::to_string(s.epoch()) + " of node " + std::to_string(s.holder()) +
                     " owns the quorum LUN";
    return true;
  };
  // A (epoch, holder) that was nominated here may have been won there with another set, by a part that never
  // heard of the nomination. The superblock names the members: a view after the base that lacks this life has
  // removed it.
  auto removed_by = [&](const disk::Superblock& s) {
    if (mutant(Mutant::removal_ignored) || mutant(Mutant::victim_read_in_race)) return false;
    if (is_ours(s) || s.epoch() <= request.predecessors.front().epoch.value) return false;
    if (lists_us(s)) return false;
    result->reason = "epoch " + std::to_string(s.epoch()) + " of node " + std::to_string(s.holder()) +
                     " owns the quorum LUN and was formed without this node";
    return true;
  };

  HeadView head;
  std::optional<Beacon> beacon;
  auto read = co_await read_head(&head, &beacon);
  if (!read.ok()) co_return Verdict::again;
  if (!head.valid) {
    result->reason = "the quorum LUN holds no valid superblock";
    co_return Verdict::lost;
  }
  if (head.superblock.cluster_id() != config_.cluster_id) {
    result->reason = "the quorum LUN belongs to cluster '" + head.superblock.cluster_name() + "'";
    co_return Verdict::lost;
  }
  const bool judged = names_us(head.superblock);
  if (superseded_by(head.superblock)) co_return Verdict::lost;
  if (removed_by(head.superblock)) co_return Verdict::lost;

  auto held = co_await simple(LunOp::Kind::read_reservation);
  if (!held.ok()) co_return Verdict::again;
  const bool registered_here = key_session_ == lane_.session && !key_.is_none();
  bool expected = mutant(Mutant::victim_read_in_race) && held.holder.tag() == config_.tag;
  for (const auto& p : request.predecessors) expected = expected || held.holder == key_of(p.epoch, p.holder);

  const bool abandoned =
      !expected && judged && !request.abandoned.is_none() && held.holder == request.abandoned;

  if (held.holder == own && mutant(Mutant::twin_taken_for_won)) {
    co_return Verdict::won;
  } else if (held.holder == own) {
    // An earlier attempt landed, perhaps over a session that has died since: make this nexus the holder.
    auto again = co_await simple(LunOp::Kind::register_ignore, own);
    if (!again.ok()) co_return Verdict::again;
    co_await simple(LunOp::Kind::preempt, own, own);
    auto reset = co_await simple(LunOp::Kind::lun_reset);
    if (!reset.ok()) co_return Verdict::again;
  } else if (held.holder.is_none()) {
    // Amnesia of the target. Only the view that the superblock names may reserve.
    if (!judged) {
      result->reason = "the target forgot its reservations, and the superblock names another view";
      co_return Verdict::lost;
    }
    auto registered = co_await simple(LunOp::Kind::register_ignore, own);
    if (!registered.ok()) co_return Verdict::again;
    auto reserved = co_await simple(LunOp::Kind::reserve, own);
    if (!reserved.ok()) co_return Verdict::again;  // a conflict: read who has it
    if (!mutant(Mutant::no_reset_after_reserve)) {
      auto reset = co_await simple(LunOp::Kind::lun_reset);
      if (!reset.ok()) co_return Verdict::again;
    }
  } else if (expected && registered_here && held.holder == key_) {
    // The holder defends: sweep dead twins of the key, then re-key.
    co_await simple(LunOp::Kind::preempt, key_, key_);
    auto rekeyed = co_await simple(LunOp::Kind::register_key, held.holder, own);
    if (!rekeyed.ok()) {
      key_ = {};
      co_return Verdict::again;
    }
  } else if (expected || abandoned) {
    auto verdict = co_await seize(request, own, held.holder);
    if (verdict != Verdict::won) co_return Verdict::again;
  } else if (held.holder.tag() == config_.tag && held.holder.counter() < head.superblock.epoch() && judged) {
    // An old reservation came back (stale APTPL): its holder was replaced long ago.
    auto verdict = co_await seize(request, own, held.holder);
    if (verdict != Verdict::won) co_return Verdict::again;
  } else {
    if (judged && held.holder.tag() == config_.tag) result->holder = held.holder;
    result->reason =
        "key " + to_string(held.holder) + " holds the quorum LUN" +
        (held.holder.tag() == config_.tag ? " (node " + std::to_string(held.holder.node().value) +
                                                ", epoch " + std::to_string(held.holder.counter()) + ")"
                                          : " and is not of this cluster");
    co_return Verdict::lost;
  }

  if (mutant(Mutant::preempt_unknown_is_won)) co_return Verdict::won;
  auto back = co_await simple(LunOp::Kind::read_reservation);
  if (!back.ok() || back.holder != own || !back.write_exclusive) co_return Verdict::again;
  // Nobody else writes from here on: what the superblock says now is final. It may name a view that was won
  // between the first look and the preempt, or that was won and ended, with its reservation given back.
  HeadView settled;
  auto looked = co_await read_head(&settled, &beacon);
  if (!looked.ok() || !settled.valid) co_return Verdict::again;
  if (superseded_by(settled.superblock) || removed_by(settled.superblock)) co_return Verdict::lost;
  if (abandoned && !is_predecessor(settled.superblock)) {
    result->reason = "epoch " + std::to_string(settled.superblock.epoch()) + " was won meanwhile";
    co_return Verdict::lost;
  }
  if (mutant(Mutant::win_before_superblock)) co_return Verdict::won;
  bool written = co_await write_superblock(wanted);
  if (!written) co_return Verdict::again;
  HeadView check;
  auto reread = co_await read_head(&check, &beacon);
  if (!reread.ok()) co_return Verdict::again;
  auto last = co_await simple(LunOp::Kind::read_reservation);
  if (!last.ok()) co_return Verdict::again;
  if (mutant(Mutant::superblock_write_unchecked)) co_return Verdict::won;
  if (!check.valid || !is_ours(check.superblock) || last.holder != own) co_return Verdict::again;
  co_return Verdict::won;
}

Task<void> QuorumManager::arbitration_job(ArbitrationRequest request) {
  const Instant begun = lane_.now();
  ArbitrationResult result;
  result.epoch = Epoch{request.view.epoch()};
  if (request.manners.ns > 0) {
    // Manners, not safety: while the holder's beacon moves, a worse set lets the better one win.
    co_await lane_.sleep(request.manners);
  }
  const Instant contest = lane_.now();

  disk::Superblock wanted =
      observation_ && observation_->head.valid ? observation_->head.superblock : superblock_;
  int rounds = 0;
  while (true) {
    lane_.last_error.clear();
    bool open = co_await lane_.ensure_open(config_.open_deadline);
    if (open) {
      if (!observation_ || !observation_->head.valid) {
        HeadView head;
        std::optional<Beacon> beacon;
        co_await read_head(&head, &beacon);
      }
      if (observation_ && observation_->head.valid) wanted = observation_->head.superblock;
      wanted.set_epoch(request.view.epoch());
      wanted.set_holder(static_cast<uint32_t>(config_.self.value));
      *wanted.mutable_members() = request.view.members();
      if (!request.configured.empty()) wanted.set_configured_nodes(request.configured.bits());
      wanted.set_orderly_shutdown(request.orderly_shutdown);
      auto verdict = co_await attempt(request, wanted, &result);
      if (verdict == Verdict::won) {
        superblock_ = wanted;
        result.outcome = ArbitrationResult::Outcome::won;
        break;
      }
      if (verdict == Verdict::lost) {
        result.outcome = ArbitrationResult::Outcome::lost;
        break;
      }
      ++rounds;
    }
    if (lane_.now() - begun > request.patience) {
      result.outcome = ArbitrationResult::Outcome::unreachable;
      result.reason = lane_.last_error.empty() ? "the quorum LUN does not answer" : lane_.last_error;
      break;
    }
    ++result.retries;
    result.retry_reason = lane_.last_error.empty() ? "something changed meanwhile" : lane_.last_error;
    co_await lane_.sleep(lane_.open && rounds < arbitration_quick_rounds ? arbitration_pause_quick
                                                                         : arbitration_pause);
  }
  if (result.outcome != ArbitrationResult::Outcome::won && keyed()) {
    co_await simple(LunOp::Kind::register_key, key_, ReservationKey{});
    key_ = {};
  }
  result.contest = lane_.now() - contest;
  last_contest_ = result.contest;
  arbitrating_ = false;
  if (result.outcome == ArbitrationResult::Outcome::won) {
    holding_ = true;
    epoch_ = result.epoch;
    degraded_ = false;
    rekey_reported_ = false;
    reaches_ = true;
    proven_at_ = lane_.now();
    next_beacon_ = lane_.now();
    next_watch_ = Instant::infinite();
  }
  events_.on_arbitrated(result);
  if (result.outcome == ArbitrationResult::Outcome::won) co_await sweep_losers(key_);
}

Task<void> QuorumManager::sweep_losers(ReservationKey own) {
  auto keys = co_await simple(LunOp::Kind::read_keys);
  if (!keys.ok()) co_return;
  std::vector<ReservationKey> losers;
  for (auto key : keys.keys)
    if (key != own && key.tag() == config_.tag && key.counter() < own.counter() &&
        std::find(losers.begin(), losers.end(), key) == losers.end())
      losers.push_back(key);
  for (auto key : losers) co_await simple(LunOp::Kind::preempt, own, key);
  if (!losers.empty()) keys = co_await simple(LunOp::Kind::read_keys);
  if (keys.ok()) registered_ = keys.keys;
}

}  // namespace holdfast::core
