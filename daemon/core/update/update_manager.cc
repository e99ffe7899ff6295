#include "core/update/update_manager.h"

#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/utf8.h"

namespace holdfast::core {
namespace {
constexpr size_t remembered_requests_max = 8192;
// A cause is a sentence for people; a client may send megabytes, and with the transaction it must fit a log
// record.
constexpr size_t cause_bytes_max = 4096;
}  // namespace

UpdateManager::UpdateManager(NodeId self, Incarnation incarnation, LogManager& log, UpdateEvents& events)
    : self_(self), incarnation_(incarnation), log_(log), events_(events) {}

void UpdateManager::submit(Transaction transaction, std::string cause, Instant now, Done done) {
  now_ = now;
  uint64_t id = next_request_++;
  requests_[id] =
      Request{std::move(transaction), std::move(cause), std::move(done), now + limits_.request_timeout};
  if (ready_ && !paused_) dispatch(id);
}

// Sends the request to the locker. Repeated after each change of view: the locker knows what it has ordered
// already.
void UpdateManager::dispatch(uint64_t id) {
  const Request& r = requests_[id];
  wire::UpdateRequest m;
  m.set_request(id);
  *m.mutable_transaction() = r.transaction;
  m.set_cause(r.cause);
  if (is_owner()) {
    handle_request(self_, incarnation_, std::move(m), now_);
  } else {
    wire::Peer peer;
    *peer.mutable_update_request() = std::move(m);
    events_.send_peer(view_.owner, peer);
  }
}

void UpdateManager::finish_request(uint64_t id, const Status& status, Sequence sequence) {
  auto it = requests_.find(id);
  if (it == requests_.end()) return;
  auto done = std::move(it->second.done);
  requests_.erase(it);
  if (done) done(status, sequence);
}

// The numbers of requests begin anew with each life: what an earlier life asked is not answered to a later
// one.
void UpdateManager::reply(NodeId origin, Incarnation incarnation, uint64_t request, const Status& status,
                          Sequence sequence) {
  if (!view_.contains(origin, incarnation) && !mutant(Mutant::answers_another_life)) return;
  if (origin == self_) {
    finish_request(request, status, sequence);
    return;
  }
  wire::Peer peer;
  auto* m = peer.mutable_update_reply();
  m->set_request(request);
  m->set_sequence(sequence.value);
  if (!status) {
    m->set_error(static_cast<uint32_t>(status.error().code));
    m->set_message(status.error().text());
  }
  events_.send_peer(origin, peer);
}

bool UpdateManager::may_order(const wire::UpdateRequest& next) const {
  // What is larger is cut, or refused, when its turn comes.
  const size_t next_bytes =
      std::min(next.ByteSizeLong(), TreeLimits::transaction_bytes_max + cause_bytes_max);
  return ready_ && !paused_ && log_.ready() && !checkpoint_hold_ && pending_.size() < limits_.in_flight_max &&
         in_flight_bytes_ < limits_.in_flight_bytes_max &&
         log_.fits(in_flight_bytes_ + next_bytes, pending_.size() + 1);
}

void UpdateManager::handle_request(NodeId origin, Incarnation incarnation, wire::UpdateRequest request,
                                   Instant now) {
  RequestId id{origin.value, incarnation.value, request.request()};
  if (auto it = known_.find(id); it != known_.end()) {
    if (it->second <= committed_.value)
      reply(origin, incarnation, request.request(), {}, Sequence{it->second});
    return;  // else it is on its way, and answered when it commits
  }
  for (const auto& h : held_)
    if (h.origin == origin && h.incarnation == incarnation && h.request.request() == request.request())
      return;
  if (!held_.empty() || !may_order(request)) {
    held_.push_back({origin, incarnation, std::move(request), now + limits_.hold_timeout});
    order_held();
    return;
  }
  order(origin, incarnation, std::move(request), now);
}

void UpdateManager::order_held() {
  while (!held_.empty() && may_order(held_.front().request)) {
    Held h = std::move(held_.front());
    held_.pop_front();
    order(h.origin, h.incarnation, std::move(h.request), now_);
  }
}

void UpdateManager::order(NodeId origin, Incarnation incarnation, wire::UpdateRequest request, Instant) {
  if (auto ok = tip_.check(request.transaction()); !ok) {
    reply(origin, incarnation, request.request(), ok, {});
    return;
  }
  wire::Update update;
  update.set_sequence(++received_);
  update.set_epoch(view_.epoch.value);
  update.set_origin(static_cast<uint32_t>(origin.value));
  update.set_origin_incarnation(incarnation.value);
  update.set_request(request.request());
  *update.mutable_transaction() = std::move(*request.mutable_transaction());
  update.set_cause(to_utf8(request.cause(), cause_bytes_max));
  update.set_wall_time_ms(events_.wall_ms());
  ++ordered_total_;
  tip_.apply(update.transaction(), Sequence{update.sequence()});
  remember(update);
  if (pending_.empty())
    for (auto& [id, at] : progress_at_) at = now_;
  pending_.push_back(update);
  in_flight_bytes_ += update.ByteSizeLong();

  wire::Peer peer;
  *peer.mutable_update_order()->mutable_update() = update;
  peer.mutable_update_order()->set_committed(committed_.value);
  send_all(peer);
  disk::LogBatch batch;
  *batch.add_updates() = std::move(update);
  log_batch(std::move(batch));
}

void UpdateManager::log_batch(disk::LogBatch batch) {
  uint64_t last = batch.updates_size() ? batch.updates(batch.updates_size() - 1).sequence() : received_;
  log_.append(view_.epoch.value, std::move(batch), [this, last, epoch = view_.epoch](const Status& status) {
    if (epoch != view_.epoch) return;
    if (!status) {
      if (status.error().code == ErrorCode::full) events_.trace_update(status.error().text());
      events_.on_log_trouble(status.error().text());
      return;
    }
    durable_ = std::max(durable_, last);
    advance_commit();
  });
}

void UpdateManager::send_all(const wire::Peer& message) {
  for (const auto& [id, incarnation] : view_.members)
    if (id != self_) events_.send_peer(id, message);
}

void UpdateManager::advance_commit() {
  if (!is_owner() || (recovering_ && !merged_)) return;
  uint64_t through = mutant(Mutant::ack_before_durable) ? received_ : std::min(durable_, received_);
  for (const auto& [id, incarnation] : view_.members)
    if (id != self_) through = std::min(through, acked_[id]);
  if (recovering_) {
    if (through >= recovery_target_) finish_recovery();
    return;
  }
  if (through <= committed_.value) return;
  wire::Peer peer;
  peer.mutable_committed()->set_sequence(through);
  send_all(peer);  // before the replies: on one ordered channel a caller has applied it when it is told
  apply_through(through);
  maybe_checkpoint();
  order_held();
}

void UpdateManager::apply_through(uint64_t sequence) {
  while (!pending_.empty() && pending_.front().sequence() <= sequence) {
    wire::Update update = std::move(pending_.front());
    pending_.pop_front();
    auto notices = tree_.apply(update.transaction(), Sequence{update.sequence()});
    committed_ = Sequence{update.sequence()};
    committed_epoch_ = update.epoch();
    remember(update);
    const bool mine = update.origin() == self_.value && update.origin_incarnation() == incarnation_.value;
    events_.on_committed_update(update, notices);
    if (mine)
      finish_request(update.request(), {}, Sequence{update.sequence()});
    else if (is_owner())
      reply(NodeId{update.origin()}, Incarnation{update.origin_incarnation()}, update.request(), {},
            Sequence{update.sequence()});
  }
  if (pending_.empty()) in_flight_bytes_ = 0;
}

void UpdateManager::remember(const wire::Update& update) {
  RequestId id{update.origin(), update.origin_incarnation(), update.request()};
  if (!known_.emplace(id, update.sequence()).second) return;
  known_order_.push_back(id);
  if (known_order_.size() > remembered_requests_max) {
    known_.erase(known_order_.front());
    known_order_.pop_front();
  }
}

// Ordered, but not in the history that goes on: sent again, they are new.
void UpdateManager::forget_uncommitted() {
  if (mutant(Mutant::remembers_uncommitted)) return;
  std::erase_if(known_order_, [&](const RequestId& id) {
    auto it = known_.find(id);
    const bool stale = it != known_.end() && it->second > committed_.value;
    if (stale) known_.erase(it);
    return stale;
  });
}

void UpdateManager::maybe_checkpoint() {
  if (!is_owner() || !log_.wants_checkpoint()) return;
  if (!pending_.empty() || !log_.idle()) {
    // Busy without a pause: hold new updates for a moment before the ring is full.
    if (log_.used_bytes() > log_.ring_bytes() / 4 * 3) checkpoint_hold_ = true;
    return;
  }
  checkpoint_hold_ = false;
  disk::Checkpoint checkpoint;
  checkpoint.set_sequence(committed_.value);
  checkpoint.set_last_epoch(committed_epoch_);
  *checkpoint.mutable_tree() = tree_.to_proto();
  log_.checkpoint(std::move(checkpoint), [this, epoch = view_.epoch](const Status& status) {
    if (epoch != view_.epoch) return;
    if (!status) events_.on_log_trouble(status.error().text());
  });
}

void UpdateManager::receive(const wire::Update& update) {
  if (update.sequence() <= received_) return;  // sent again after a change of network or view
  if (update.sequence() != received_ + 1) {
    events_.on_replica_broken("update " + std::to_string(update.sequence()) + " arrived after " +
                              std::to_string(received_) + ": one is missing");
    return;
  }
  received_ = update.sequence();
  pending_.push_back(update);
}

void UpdateManager::pause() {
  paused_ = true;
  recovery_deadline_ = Instant::infinite();
}

void UpdateManager::on_message(NodeId from, const wire::Peer& m, Instant now) {
  now_ = now;
  if (!view_.members.count(from)) return;
  const bool from_owner = from == view_.owner;
  switch (m.body_case()) {
    case wire::Peer::kUpdateRequest:
      if (is_owner()) handle_request(from, view_.members[from], m.update_request(), now);
      break;
    case wire::Peer::kUpdateReply: {
      const auto& r = m.update_reply();
      if (r.error() == 0)
        finish_request(r.request(), {}, Sequence{r.sequence()});
      else
        finish_request(r.request(), fail(error_code_from(r.error()), r.message()), {});
      break;
    }
    case wire::Peer::kUpdateOrder:
      if (!from_owner || is_owner()) break;
      receive(m.update_order().update());
      {
        wire::Peer ack;
        ack.mutable_update_ack()->set_sequence(received_);
        events_.send_peer(from, ack);
      }
      if (ready_)
        apply_through(mutant(Mutant::acts_on_uncommitted) ? received_ : m.update_order().committed());
      break;
    case wire::Peer::kUpdateAck:
      if (!is_owner()) break;
      if (m.update_ack().sequence() > acked_[from]) {
        acked_[from] = std::min(m.update_ack().sequence(), received_);
        progress_at_[from] = now;
      }
      advance_commit();
      break;
    case wire::Peer::kCommitted:
      if (from_owner && ready_) apply_through(m.committed().sequence());
      break;
    case wire::Peer::kRecoveryReport:
      if (is_owner()) on_report(from, m.recovery_report());
      break;
    case wire::Peer::kRecoverySnapshot:
      if (!from_owner || is_owner() || ready_) break;
      if (auto ok = tree_.load(m.recovery_snapshot().tree()); !ok) {
        events_.on_replica_broken("the snapshot from node " + std::to_string(from.value) +
                                  " cannot be used: " + ok.error().text());
        break;
      }
      pending_.clear();
      committed_ = Sequence{m.recovery_snapshot().sequence()};
      committed_epoch_ = m.recovery_snapshot().last_epoch();
      received_ = committed_.value;
      forget_uncommitted();
      events_.on_tree_replaced();
      {
        wire::Peer ack;
        ack.mutable_update_ack()->set_sequence(received_);
        events_.send_peer(from, ack);
      }
      break;
    case wire::Peer::kRecoveryDone:
      if (!from_owner || is_owner() || ready_) break;
      if (m.recovery_done().sequence() != received_) {
        events_.on_replica_broken("recovery ended at update " + std::to_string(m.recovery_done().sequence()) +
                                  ", this node has " + std::to_string(received_));
        break;
      }
      apply_through(m.recovery_done().sequence());
      ready_ = true;
      paused_ = false;
      events_.on_recovered(now);
      for (auto it = requests_.begin(); it != requests_.end();) dispatch((it++)->first);
      break;
    default:
      break;
  }
}

void UpdateManager::on_time(Instant now) {
  now_ = now;
  for (auto it = requests_.begin(); it != requests_.end();) {
    auto current = it++;
    if (now < current->second.deadline) continue;
    finish_request(
        current->first,
        fail(ErrorCode::timeout,
             "the cluster did not commit the change within " +
                 std::to_string(limits_.request_timeout.ms() / 1000) + " s; it may still take effect",
             0, "look at 'holdfast cluster status' before repeating it"),
        {});
    it = requests_.begin();
  }
  if (!is_owner()) return;
  for (auto it = held_.begin(); it != held_.end();) {
    if (now < it->deadline) {
      ++it;
      continue;
    }
    Held h = std::move(*it);
    it = held_.erase(it);
    reply(h.origin, h.incarnation, h.request.request(),
          fail(ErrorCode::no_quorum,
               "the change was refused: the quorum LUN does not accept updates at present", 0,
               "see 'holdfast quorum status'; nothing was changed"),
          {});
  }
  if (paused_ && !recovering_) return;
  NodeSet late;
  for (const auto& [id, incarnation] : view_.members) {
    if (id == self_) continue;
    const bool owes = recovering_ ? now >= recovery_deadline_ &&
                                        (!reports_.count(id) || (merged_ && acked_[id] < recovery_target_))
                                  : acked_[id] < received_ && now - progress_at_[id] > limits_.ack_timeout;
    if (owes) late.add(id);
  }
  if (!late.empty()) events_.on_members_late(late);
  if (!recovering_) {
    maybe_checkpoint();
    order_held();
  }
}

Instant UpdateManager::next_deadline() const {
  Instant next = Instant::infinite();
  for (const auto& [id, r] : requests_) next = std::min(next, r.deadline);
  for (const auto& h : held_) next = std::min(next, h.deadline);
  if (is_owner() && recovering_) next = std::min(next, recovery_deadline_);
  if (is_owner() && !recovering_ && !paused_ && received_ > committed_.value)
    for (const auto& [id, at] : progress_at_)
      if (acked_.count(id) && acked_.at(id) < received_)
        next = std::min(next, at + limits_.ack_timeout + Duration::milliseconds(1));
  return next;
}

void UpdateManager::check_invariants() const {
  uint64_t expected = committed_.value;
  for (const auto& u : pending_) HOLDFAST_ASSERT(u.sequence() == ++expected);  // R1
  HOLDFAST_ASSERT(expected == received_);
  // The whole tree takes long; it changes with each update only.
  if (checked_ == committed_) return;
  checked_ = committed_;
  tree_.check_invariants();
}

}  // namespace holdfast::core
