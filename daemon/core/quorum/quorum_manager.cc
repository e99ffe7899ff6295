#include "core/quorum/quorum_manager.h"
#include "base/mutant.h"

#include <algorithm>

namespace holdfast::core {

QuorumManager::QuorumManager(Config config, LunLane& lane, QuorumEvents& events)
    : config_(std::move(config)), lane_(lane), events_(events) {}

void QuorumManager::start(Instant now) {
  now_ = now;
  started_ = true;
  next_watch_ = now;
}

void QuorumManager::arbitrate(ArbitrationRequest request) {
  if (arbitrating_) return;
  arbitrating_ = true;
  lane_.push([this, request = std::move(request)] { return arbitration_job(request); }, /*urgent=*/true);
}

void QuorumManager::hold(Epoch epoch) {
  epoch_ = epoch;
  next_beacon_ = now_;
}

void QuorumManager::observe() {
  holding_ = false;
  degraded_ = false;
  rekey_reported_ = false;
  next_beacon_ = Instant::infinite();
  next_watch_ = now_;
}

void QuorumManager::resign(bool orderly, std::function<void()> done) {
  bool was_holding = holding_;
  observe();
  if (!was_holding) {
    done();
    return;
  }
  lane_.push([this, orderly, done = std::move(done)] { return resign_job(orderly, done); }, /*urgent=*/true);
}

Task<void> QuorumManager::resign_job(bool orderly, std::function<void()> done) {
  if (keyed()) {
    if (orderly) {
      superblock_.set_orderly_shutdown(true);
      co_await write_superblock(superblock_);
    }
    co_await simple(LunOp::Kind::release, key_);
    co_await simple(LunOp::Kind::register_key, key_, ReservationKey{});
    key_ = {};
  }
  done();
}

void QuorumManager::remember_head(const HeadView& head, const std::optional<Beacon>& beacon) {
  HeadObservation fresh{head, beacon, lane_.now(), lane_.now()};
  if (observation_ && observation_->beacon == beacon && observation_->head.valid == head.valid &&
      observation_->head.superblock.epoch() == head.superblock.epoch())
    fresh.changed_at = observation_->changed_at;
  observation_ = std::move(fresh);
}

void QuorumManager::degrade(const std::string& reason) {
  if (!degraded_) {
    degraded_ = true;
    degraded_reason_ = reason;
  }
  reaches_ = false;
}

void QuorumManager::on_io_failed(const std::string& reason) {
  if (holding_) degrade(reason);
}

Task<void> QuorumManager::beacon_job() {
  job_waiting_ = false;
  if (!holding_ || arbitrating_) co_return;
  if (lane_.open && mutant(Mutant::writes_over_new_session)) key_session_ = lane_.session;
  if (!keyed()) {
    // R3: over a new session only look. When the LUN answers, a view change re-keys.
    degrade(lane_.last_error.empty() ? "the session to the quorum LUN broke" : lane_.last_error);
    bool open = co_await lane_.ensure_open(config_.open_deadline);
    if (!open) co_return;
    HeadView head;
    std::optional<Beacon> beacon;
    auto read = co_await read_head(&head, &beacon);
    if (!read.ok() || !holding_) co_return;
    if (head.valid && head.superblock.epoch() > epoch_.value) {
      events_.on_superseded("epoch " + std::to_string(head.superblock.epoch()) + " of node " +
                            std::to_string(head.superblock.holder()) + " owns the quorum LUN");
      co_return;
    }
    reaches_ = true;
    if (!rekey_reported_) {
      rekey_reported_ = true;
      events_.on_rekey_needed(degraded_reason_);
    }
    co_return;
  }
  LunOp op;
  op.kind = LunOp::Kind::write;
  op.offset_bytes = beacon_offset_bytes;
  op.data = encode_beacon(Beacon{epoch_, config_.self, config_.incarnation, ++beacon_counter_});
  op.deadline = config_.op_deadline;
  op.then_read_reservation = true;
  auto written = co_await lane_.run(op);
  if (!written.holder_known) {
    degrade(written.message);
    co_return;
  }
  // A write that met a unit attention was not executed; the reservation, read after it, is the proof.
  if ((written.ok() || written.code == ErrorCode::unit_attention) && written.holder == key_ &&
      key_ == key_of(epoch_, config_.self)) {
    proven_at_ = lane_.now();
    reaches_ = true;
    if (degraded_ && !rekey_reported_) {  // a log write failed meanwhile
      rekey_reported_ = true;
      events_.on_rekey_needed(degraded_reason_);
    }
    co_return;
  }
  if (mutant(Mutant::holder_never_looks)) {
    proven_at_ = lane_.now();
    co_return;
  }
  // The reservation is not ours any more. The superblock tells a newer view from a target that forgot.
  HeadView head;
  std::optional<Beacon> beacon;
  auto read = co_await read_head(&head, &beacon);
  if (!read.ok()) {
    degrade(read.message);
    co_return;
  }
  if (head.valid && head.superblock.epoch() > epoch_.value) {
    events_.on_superseded("epoch " + std::to_string(head.superblock.epoch()) + " of node " +
                          std::to_string(head.superblock.holder()) + " owns the quorum LUN");
    co_return;
  }
  if (written.holder.is_none()) {
    degrade("the target forgot the reservation");
    reaches_ = true;
    if (!rekey_reported_) {
      rekey_reported_ = true;
      events_.on_rekey_needed(degraded_reason_);
    }
    co_return;
  }
  events_.on_superseded("key " + to_string(written.holder) + " took the reservation of the quorum LUN");
}

Task<void> QuorumManager::watch_job() {
  job_waiting_ = false;
  if (holding_ || arbitrating_) co_return;
  bool open = co_await lane_.ensure_open(config_.open_deadline);
  if (!open) {
    reaches_ = false;
    events_.on_head_read();
    co_return;
  }
  HeadView head;
  std::optional<Beacon> beacon;
  auto read = co_await read_head(&head, &beacon);
  reaches_ = read.ok();
  if (reaches_) proven_at_ = lane_.now();
  events_.on_head_read();
}

void QuorumManager::on_time(Instant now) {
  now_ = now;
  if (!started_ || arbitrating_ || job_waiting_) return;
  if (holding_ && now >= next_beacon_) {
    next_beacon_ = now + config_.beacon_interval;
    job_waiting_ = true;
    lane_.push([this] { return beacon_job(); });
  } else if (!holding_ && now >= next_watch_) {
    next_watch_ = now + config_.watch_interval;
    job_waiting_ = true;
    lane_.push([this] { return watch_job(); });
  }
}

Instant QuorumManager::next_deadline() const {
  if (!started_ || arbitrating_ || job_waiting_) return Instant::infinite();
  return holding_ ? next_beacon_ : next_watch_;
}

}  // namespace holdfast::core
