// QuorumManager: owns the question "may this view act?". Quorum is a compare-and-set on a SCSI-3 persistent
// reservation (type 1, Write Exclusive) of the quorum LUN; the holder's key encodes the epoch. See
// docs/protocols/quorum.md. Pure: it orders LunOps and is told their results.
// Invariants:
//   R1  the victim of a preempt is a key that was nominated (or older than the superblock), never one of the
//   race. R2  a win is reported only after: reservation read back = ours, superblock durable, both read once
//   more. R3  no I/O of a holder goes over a session that has not re-keyed to a new epoch. R4  a LUN that
//   does not answer is never a conflict.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/log/layout.h"
#include "core/properties/bounds.h"
#include "core/quorum/lun_lane.h"
#include "proto/wire.pb.h"

namespace holdfast::core {

// A (epoch, holder) that the nominated set agreed to replace.
struct Predecessor {
  Epoch epoch;
  NodeId holder;
  bool operator==(const Predecessor&) const = default;
};

struct ArbitrationRequest {
  wire::View view;                        // the new view; owner = this node
  std::vector<Predecessor> predecessors;  // newest last; the first is the view that the regroup started from
  // A key with which nobody has won, found by an earlier attempt to form (`ArbitrationResult::holder`): its
  // node died, or was beaten, between its PREEMPT and its superblock. May be replaced while a predecessor's
  // superblock stands. None: there is none.
  ReservationKey abandoned;
  NodeSet configured;  // for the superblock
  Duration manners;    // wait before competing, while the holder's beacon is fresh
  Duration patience;   // give up as unreachable after this long
  bool orderly_shutdown = false;
};

struct ArbitrationResult {
  enum class Outcome : uint8_t { won, lost, unreachable };
  Outcome outcome = Outcome::unreachable;
  Epoch epoch;
  std::string reason;
  ReservationKey
      holder;  // lost to a key of this cluster that is no predecessor's, over a predecessor's superblock
  Duration contest;  // from the first command to the verdict, without manners
  int retries = 0;
  std::string retry_reason;  // of the last retry: what the LUN answered
};

// What is known of the head of the LUN without owning it.
struct HeadObservation {
  HeadView head;
  std::optional<Beacon> beacon;
  Instant read_at;     // when this was read
  Instant changed_at;  // when beacon or superblock last differed from the read before
};

class QuorumEvents {
 public:
  virtual ~QuorumEvents() = default;
  virtual void on_arbitrated(const ArbitrationResult& result) = 0;
  // The holder's session or reservation is gone and the LUN answers again: a view change must re-key.
  virtual void on_rekey_needed(const std::string& reason) = 0;
  // A newer view owns the LUN: leave.
  virtual void on_superseded(const std::string& reason) = 0;
  virtual void on_head_read() = 0;
};

class QuorumManager {
 public:
  struct Config {
    std::string cluster_id;
    uint16_t tag = 0;
    NodeId self;
    Incarnation incarnation;
    Duration beacon_interval = core::beacon_interval;
    Duration watch_interval = core::watch_interval;
    Duration op_deadline = lun_command_max;
    Duration open_deadline = lun_open_max;
  };
  QuorumManager(Config config, LunLane& lane, QuorumEvents& events);

  // Begins to watch the LUN as an observer.
  void start(Instant now);
  void arbitrate(ArbitrationRequest request);
  // The view this node won is installed: beacons begin. `observe` ends that role (another node owns the
  // quorum).
  void hold(Epoch epoch);
  void observe();
  // Holder, orderly end: superblock with orderly_shutdown, then release and unregister. `done` is always
  // called.
  void resign(bool orderly_shutdown, std::function<void()> done);
  // Reads the head at once (forming, manners).
  void watch_now() { next_watch_ = Instant{1}; }
  // Log I/O failed with an unknown outcome: the session must not be used for writing any more (R3).
  void on_io_failed(const std::string& reason);

  void on_time(Instant now);
  Instant next_deadline() const;

  bool reaches() const { return reaches_; }
  bool holding() const { return holding_; }
  bool degraded() const { return degraded_; }
  // R3: this very session is the one that took the reservation. A contest that ended without a win may have
  // opened another one, or given the key back.
  bool may_write() const { return holding_ && !degraded_ && keyed(); }
  // The LUN answers again after the session or the reservation was lost: a view change must re-key.
  bool wants_rekey() const { return holding_ && rekey_reported_ && !arbitrating_; }
  const std::string& degraded_reason() const { return degraded_reason_; }
  // Time of the last completed beacon (holder) or head read (observer); never before the first.
  Instant proven_at() const { return proven_at_; }
  const std::optional<HeadObservation>& observation() const { return observation_; }
  ReservationKey key() const { return key_; }
  const std::vector<ReservationKey>& registered() const { return registered_; }
  Duration last_contest() const { return last_contest_; }
  void set_now(Instant now) { now_ = now; }

 private:
  enum class Verdict : uint8_t { won, lost, again };
  Task<void> arbitration_job(ArbitrationRequest request);
  Task<Verdict> attempt(const ArbitrationRequest& request, const disk::Superblock& wanted,
                        ArbitrationResult* result);
  Task<Verdict> seize(const ArbitrationRequest& request, ReservationKey wanted, ReservationKey victim);
  Task<LunResult> simple(LunOp::Kind kind, ReservationKey own = {}, ReservationKey other = {});
  Task<LunResult> read_head(HeadView* head, std::optional<Beacon>* beacon);
  Task<bool> write_superblock(const disk::Superblock& superblock);
  Task<void> sweep_losers(ReservationKey own);
  Task<void> beacon_job();
  Task<void> watch_job();
  Task<void> resign_job(bool orderly, std::function<void()> done);
  void remember_head(const HeadView& head, const std::optional<Beacon>& beacon);
  void degrade(const std::string& reason);
  bool keyed() const { return lane_.open && key_session_ == lane_.session && !key_.is_none(); }
  ReservationKey key_of(Epoch epoch, NodeId node) const {
    return ReservationKey::make(config_.tag, epoch.value, node);
  }

  Config config_;
  LunLane& lane_;
  QuorumEvents& events_;
  Instant now_;
  bool started_ = false;
  bool arbitrating_ = false;
  bool holding_ = false;
  bool degraded_ = false;  // holder that cannot prove its reservation
  bool rekey_reported_ = false;
  std::string degraded_reason_;
  bool reaches_ = false;
  bool job_waiting_ = false;  // a beacon or watch job is in the lane
  Epoch epoch_;               // of the held view
  ReservationKey key_;        // the key this nexus is registered with; 0 = none
  uint64_t key_session_ = 0;  // session in which key_ was registered
  uint64_t beacon_counter_ = 0;
  Instant next_beacon_ = Instant::infinite();
  Instant next_watch_ = Instant::infinite();
  Instant proven_at_;
  std::optional<HeadObservation> observation_;
  disk::Superblock superblock_;  // as this node wrote it
  std::vector<ReservationKey> registered_;
  Duration last_contest_;
};

}  // namespace holdfast::core
