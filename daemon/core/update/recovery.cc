// Recovery after a change of view: everything that is in the log or at any member is completed at all, and
// logged, before new work begins (docs/protocols/updates.md, "Recovery").
#include <algorithm>

#include "base/mutant.h"
#include "core/update/update_manager.h"

namespace holdfast::core {

wire::RecoveryReport UpdateManager::own_report() const {
  wire::RecoveryReport report;
  report.set_received_sequence(received_);
  report.set_received_epoch(pending_.empty() ? committed_epoch_ : pending_.back().epoch());
  report.set_committed_sequence(committed_.value);
  for (const auto& update : pending_) *report.add_pending() = update;
  return report;
}

void UpdateManager::on_view(const View& view, const disk::Superblock* superblock, Instant now) {
  now_ = now;
  view_ = view;
  ready_ = false;
  paused_ = true;
  recovering_ = false;
  merged_ = false;
  mending_ = false;
  checkpoint_hold_ = false;
  reports_.clear();
  recovered_log_.reset();
  acked_.clear();
  progress_at_.clear();
  if (!is_owner()) {
    held_.clear();  // their callers send them to the new locker
    log_.reset();
    wire::Peer peer;
    *peer.mutable_recovery_report() = own_report();
    events_.send_peer(view_.owner, peer);
    return;
  }
  begin_recovery(*superblock);
}

void UpdateManager::begin_recovery(const disk::Superblock& superblock) {
  recovering_ = true;
  recovery_deadline_ = now_ + limits_.ack_timeout;
  reports_[self_] = own_report();
  log_.recover(superblock, [this, epoch = view_.epoch](RecoveredLog log) {
    if (epoch != view_.epoch || !recovering_) return;
    if (!log.status) {
      if (log.status.error().code == ErrorCode::corrupt)
        events_.on_replica_broken(log.status.error().text());
      else
        events_.on_log_trouble(log.status.error().text());
      return;
    }
    if (!log.remark.empty()) events_.trace_update("log: " + log.remark);
    recovered_log_ = std::move(log);
    merge_if_complete();
  });
}

void UpdateManager::on_report(NodeId from, const wire::RecoveryReport& report) {
  if (!recovering_ || merged_) return;
  reports_[from] = report;
  merge_if_complete();
}

void UpdateManager::merge_if_complete() {
  if (!recovered_log_ || merged_ || mending_) return;
  for (const auto& [id, incarnation] : view_.members)
    if (!reports_.count(id) && !mutant(Mutant::recovery_without_reports)) return;

  // A node that formed, or that was behind the checkpoint, begins with the checkpoint.
  const auto& checkpoint = recovered_log_->checkpoint;
  if (committed_.value < checkpoint.sequence()) {
    if (auto ok = tree_.load(checkpoint.tree()); !ok) {
      events_.on_replica_broken("the checkpoint cannot be used: " + ok.error().text());
      return;
    }
    committed_ = Sequence{checkpoint.sequence()};
    committed_epoch_ = checkpoint.last_epoch();
    pending_.clear();
    received_ = committed_.value;
    events_.on_tree_replaced();
  }
  if (!log_agrees()) return mend_log();
  std::map<uint64_t, const wire::Update*> found;  // in reports_ and recovered_log_
  auto add = [&](const wire::Update& update) {
    if (update.sequence() <= committed_.value) return;
    auto& slot = found[update.sequence()];
    if (slot == nullptr || update.epoch() > slot->epoch()) slot = &update;
  };
  for (const auto& [id, report] : reports_)
    for (const auto& update : report.pending()) add(update);
  if (!mutant(Mutant::recovery_without_log))
    for (const auto& update : recovered_log_->updates) add(update);

  const uint64_t base = committed_.value;
  const uint64_t base_epoch = committed_epoch_;
  pending_.clear();
  received_ = base;
  forget_uncommitted();
  tip_ = tree_;
  disk::LogBatch batch;
  batch.set_epoch_start(true);
  const uint64_t logged = log_.cursor().previous.sequence;
  for (const auto& [sequence, update] : found) {
    if (sequence != received_ + 1) break;
    tip_.apply(update->transaction(), Sequence{sequence});
    remember(*update);
    if (sequence > logged) *batch.add_updates() = *update;
    pending_.push_back(*update);
    received_ = sequence;
  }
  if (logged > received_) {
    events_.on_replica_broken("the log ends at update " + std::to_string(logged) + ", but updates after " +
                              std::to_string(received_) + " are missing");
    return;
  }
  if (log_.fits(batch.ByteSizeLong(), 1)) return complete_merge(std::move(batch), base, base_epoch);
  renew_log(base, base_epoch);
}

// View after view may have filled the log, none of which came as far as a checkpoint. What is completed now
// goes into one, and nothing else has to be logged.
void UpdateManager::renew_log(uint64_t base, uint64_t base_epoch) {
  mending_ = true;
  events_.trace_update("the log on the quorum LUN is full: it begins anew with a checkpoint of update " +
                       std::to_string(received_));
  log_.begin_anew(view_.epoch.value, received_);
  disk::Checkpoint checkpoint;
  checkpoint.set_sequence(received_);
  checkpoint.set_last_epoch(pending_.empty() ? committed_epoch_ : pending_.back().epoch());
  *checkpoint.mutable_tree() = tip_.to_proto();
  log_.checkpoint(std::move(checkpoint), [this, base, base_epoch, epoch = view_.epoch](const Status& status) {
    if (epoch != view_.epoch || !recovering_) return;
    mending_ = false;
    if (!status) return events_.on_log_trouble(status.error().text());
    disk::LogBatch batch;
    batch.set_epoch_start(true);
    complete_merge(std::move(batch), base, base_epoch);
  });
}

// Everything that is completed is in pending_; `batch` is what of it the log lacks. The members get what they
// lack behind update `base`.
void UpdateManager::complete_merge(disk::LogBatch batch, uint64_t base, uint64_t base_epoch) {
  merged_ = true;
  recovery_target_ = received_;
  recovery_deadline_ = now_ + limits_.ack_timeout;
  durable_ = 0;
  for (const auto& [id, incarnation] : view_.members) {
    if (id == self_) continue;
    progress_at_[id] = now_;
    bring_up_to_date(id, reports_[id], base, base_epoch);
  }
  const uint64_t target = received_;
  log_.append(view_.epoch.value, std::move(batch), [this, target, epoch = view_.epoch](const Status& status) {
    if (epoch != view_.epoch) return;
    if (!status) {
      events_.on_log_trouble(status.error().text());
      return;
    }
    durable_ = std::max(durable_, target);
    advance_commit();
  });
}

// Does the log on the LUN contain the history that this node knows to be committed, and nothing else up to
// there? The same update of the same epoch has the same predecessors. It does not after a bit rotted, or when
// a write of an earlier owner landed while the target had forgotten the reservation.
bool UpdateManager::log_agrees() const {
  const auto& log = *recovered_log_;
  if (log.checkpoint.sequence() == committed_.value) return log.checkpoint.last_epoch() == committed_epoch_;
  std::map<uint64_t, uint64_t> newest;  // epoch by sequence, of what members hold
  newest[committed_.value] = committed_epoch_;
  for (const auto& [id, report] : reports_)
    for (const auto& update : report.pending())
      newest[update.sequence()] = std::max(newest[update.sequence()], update.epoch());
  bool reaches = false;
  for (const auto& update : log.updates) {
    auto held = newest.find(update.sequence());
    if (held != newest.end() && update.epoch() < held->second) return false;
    if (update.sequence() == committed_.value) {
      if (update.epoch() != committed_epoch_) return false;
      reaches = true;
    }
  }
  return reaches;
}

void UpdateManager::mend_log() {
  mending_ = true;
  events_.trace_update("the log on the quorum LUN does not hold what was committed up to update " +
                       std::to_string(committed_.value) + ": it begins anew with a checkpoint of this node");
  log_.begin_anew(view_.epoch.value, committed_.value);
  disk::Checkpoint checkpoint;
  checkpoint.set_sequence(committed_.value);
  checkpoint.set_last_epoch(committed_epoch_);
  *checkpoint.mutable_tree() = tree_.to_proto();
  log_.checkpoint(checkpoint, [this, checkpoint, epoch = view_.epoch](const Status& status) {
    if (epoch != view_.epoch || !recovering_) return;
    mending_ = false;
    if (!status) return events_.on_log_trouble(status.error().text());
    recovered_log_->checkpoint = checkpoint;
    recovered_log_->updates.clear();
    merge_if_complete();
  });
}

void UpdateManager::bring_up_to_date(NodeId member, const wire::RecoveryReport& report, uint64_t base,
                                     uint64_t base_epoch) {
  uint64_t has = report.received_sequence();
  uint64_t same_epoch = base_epoch;
  for (const auto& update : pending_)
    if (update.sequence() == has) same_epoch = update.epoch();
  const bool unreported = mutant(Mutant::recovery_without_reports) && report.received_sequence() == 0;
  if (unreported) has = base;
  const bool known = mutant(Mutant::members_not_compared) || unreported
                         ? has >= base && has <= received_
                         : has >= base && has <= received_ && has != 0 &&
                               report.received_epoch() == same_epoch && report.committed_sequence() <= has;
  if (!known) {
    wire::Peer peer;
    auto* snapshot = peer.mutable_recovery_snapshot();
    snapshot->set_sequence(base);
    snapshot->set_last_epoch(base_epoch);
    *snapshot->mutable_tree() = tree_.to_proto();
    events_.send_peer(member, peer);
    has = base;
    acked_[member] = 0;
  } else {
    acked_[member] = has;
  }
  for (const auto& update : pending_) {
    if (update.sequence() <= has) continue;
    wire::Peer peer;
    *peer.mutable_update_order()->mutable_update() = update;
    events_.send_peer(member, peer);
  }
}

void UpdateManager::finish_recovery() {
  recovering_ = false;
  recovery_deadline_ = Instant::infinite();
  wire::Peer peer;
  peer.mutable_recovery_done()->set_sequence(recovery_target_);
  send_all(peer);
  ready_ = true;
  paused_ = false;
  apply_through(recovery_target_);
  maybe_checkpoint();  // before anything new: many views in a row leave little room
  events_.on_recovered(now_);
  for (auto it = requests_.begin(); it != requests_.end();) dispatch((it++)->first);
  order_held();
}

}  // namespace holdfast::core
