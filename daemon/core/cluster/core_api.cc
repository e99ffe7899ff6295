// The cluster API as the core sees it: requests of clients, and what they wait for.
#include <algorithm>

#include "base/version.h"
#include "core/cluster/core.h"
#include "core/commands/schema.h"
#include "core/commands/wait.h"
#include "core/properties/timing.h"
#include "core/status/status.h"

namespace holdfast::core {

void Core::answer(uint64_t client, api::Response response) {
  response.set_version(protocol_version_max);
  out_.answers.push_back({client, std::move(response)});
}

void Core::answer_error(uint64_t client, uint64_t id, const Error& error) {
  api::Response r;
  r.set_id(id);
  r.set_error(static_cast<uint32_t>(error.code));
  Error plain = error;
  plain.hint.clear();
  r.set_message(plain.text());
  r.set_hint(error.hint);
  answer(client, std::move(r));
}

void Core::handle(const ApiClosed& e) {
  events_.unsubscribe(e.client);
  std::erase_if(calls_, [&](const Call& c) { return c.client == e.client; });
}

void Core::handle(const ApiRequested& e) {
  const auto& q = e.request;
  api::Response r;
  r.set_id(q.id());
  if (common_version(q.version_min(), q.version_max()) == 0) {
    answer_error(e.client, q.id(),
                 {ErrorCode::version, 0,
                  "the client speaks API versions " + std::to_string(q.version_min()) + " to " +
                      std::to_string(q.version_max()) + ", this service " +
                      std::to_string(protocol_version_min) + " to " + std::to_string(protocol_version_max),
                  "upgrade the older of the two"});
    return;
  }
  const bool changes = q.has_command() || q.has_transact();
  if (changes && !e.may_change) {
    answer_error(e.client, q.id(),
                 {ErrorCode::permission, 0,
                  "only root and members of group holdfast-admin may change the cluster", ""});
    return;
  }
  if (changes &&
      (leaving_ || (membership_.phase() != Phase::member && membership_.phase() != Phase::regroup))) {
    answer_error(e.client, q.id(),
                 {ErrorCode::not_member, 0,
                  "this node is not in the cluster at present (" + phase_text() + ": " +
                      membership_.phase_reason() + ")",
                  "ask another node, or wait until it has joined"});
    return;
  }
  switch (q.body_case()) {
    case api::Request::kStatus:
      fill_status(tree(), members(), config_.self, membership_.view().owner, r.mutable_status());
      fill_runtime(r.mutable_status());
      answer(e.client, std::move(r));
      break;
    case api::Request::kReadTree:
      *r.mutable_tree() = tree().to_proto(q.read_tree().prefix());
      r.set_sequence(updates_.committed().value);
      answer(e.client, std::move(r));
      break;
    case api::Request::kSubscribe:
      if (q.subscribe().history())
        for (const auto& old : events_.history()) {
          api::Response h;
          h.set_id(q.id());
          *h.mutable_event() = old;
          answer(e.client, std::move(h));
        }
      events_.subscribe(e.client);
      break;
    case api::Request::kTransact: {
      Transaction transaction = q.transact().transaction();
      auto legal = keep_timing_legal(tree(), &transaction);
      if (legal) legal = hold_to_schema(tree(), &transaction);
      if (!legal) {
        answer_error(e.client, q.id(), legal.error());
        break;
      }
      updates_.submit(std::move(transaction),
                      q.transact().cause().empty() ? "transaction of " + e.who : q.transact().cause(), now_,
                      [this, client = e.client, id = q.id()](const Status& status, Sequence sequence) {
                        if (!status) {
                          answer_error(client, id, status.error());
                          return;
                        }
                        api::Response done;
                        done.set_id(id);
                        done.set_sequence(sequence.value);
                        answer(client, std::move(done));
                      });
      break;
    }
    case api::Request::kCommand: {
      Call call;
      call.client = e.client;
      call.id = q.id();
      call.command = q.command();
      call.who = e.who;
      call.deadline = now_ + Duration::milliseconds(std::min<uint32_t>(q.command().wait_ms(), 3'600'000));
      start_command(std::move(call));
      break;
    }
    default:
      answer_error(e.client, q.id(),
                   {ErrorCode::invalid_argument, 0, "the request is of a kind this service does not know",
                    "upgrade the service"});
  }
}

void Core::start_command(Call call) {
  ++call.attempts;
  CommandContext context{config_.self, members(), {{config_.self, protocol_version_max}}, wall_ms_, call.who};
  for (const auto& [id, peer] : membership_.peers()) context.version_max[id] = peer.version_max;
  auto plan = plan_command(tree(), call.command, context);
  if (!plan) {
    answer_error(call.client, call.id, plan.error());
    return;
  }
  call.plan = std::move(*plan);
  if (call.plan.transaction.changes_size() == 0) {
    call.committed = true;
    call.sequence = updates_.committed().value;
    if (!judge_call(call)) calls_.push_back(std::move(call));
    return;
  }
  Transaction transaction = call.plan.transaction;
  std::string cause = call.plan.cause;
  updates_.submit(std::move(transaction), std::move(cause), now_,
                  [this, call = std::move(call)](const Status& status, Sequence sequence) mutable {
                    if (!status) {
                      // Somebody changed what the plan relied on: plan again on the newer state.
                      if (status.error().code == ErrorCode::conflict && call.attempts < 10) {
                        start_command(std::move(call));
                        return;
                      }
                      answer_error(call.client, call.id, status.error());
                      return;
                    }
                    call.committed = true;
                    call.sequence = sequence.value;
                    if (!judge_call(call)) calls_.push_back(std::move(call));
                  });
}

// True when the call was answered.
bool Core::judge_call(const Call& call) {
  WaitVerdict verdict;
  if (call.command.wait_ms() == 0 || call.plan.wait.kind == Wait::Kind::nothing)
    verdict.kind = WaitVerdict::Kind::reached;
  else if (call.plan.wait.kind == Wait::Kind::quorum_moved)
    verdict.kind = membership_.view().owner == call.plan.wait.node && updates_.ready()
                       ? WaitVerdict::Kind::reached
                       : WaitVerdict::Kind::pending;
  else
    verdict = judge(tree(), members(), call.plan.wait);
  if (verdict.kind == WaitVerdict::Kind::pending && now_ < call.deadline) return false;
  if (verdict.kind == WaitVerdict::Kind::reached) {
    api::Response r;
    r.set_id(call.id);
    r.set_sequence(call.sequence);
    r.set_message(call.plan.remark);
    if (!call.plan.text.empty()) r.set_text(call.plan.text);
    answer(call.client, std::move(r));
  } else if (verdict.kind == WaitVerdict::Kind::failed) {
    answer_error(call.client, call.id,
                 {ErrorCode::io, 0, call.plan.cause + ": " + verdict.why, "see 'holdfast cluster status'"});
  } else {
    answer_error(call.client, call.id,
                 {ErrorCode::timeout, 0,
                  call.plan.cause + ": not reached within " + std::to_string(call.command.wait_ms() / 1000) +
                      " s" + (verdict.why.empty() ? "" : ", " + verdict.why),
                  "the change is committed and goes on; see 'holdfast cluster status'"});
  }
  return true;
}

void Core::judge_calls() {
  for (auto it = calls_.begin(); it != calls_.end();) it = judge_call(*it) ? calls_.erase(it) : it + 1;
}

std::string Core::phase_text() const {
  if (leaving_) return "leaving";
  return to_string(membership_.phase());
}

void Core::fill_runtime(api::Status* s) const {
  const auto& m = membership_;
  if (s->cluster_name().empty()) s->set_cluster_name(config_.cluster_name);
  if (s->cluster_id().empty()) s->set_cluster_id(config_.cluster_id);
  s->set_node_name(config_.node_name);
  s->set_node_id(static_cast<uint32_t>(config_.self.value));
  s->set_phase(phase_text());
  s->set_phase_reason(leaving_ ? leave_reason_ : m.phase_reason());
  s->set_epoch(m.view().epoch.value);
  s->set_software(version_text());
  s->set_lease_remaining_ms((m.lease_until() - now_).ms());
  for (auto& node : *s->mutable_nodes()) {
    NodeId id{node.id()};
    node.set_quorum_owner(id == m.view().owner);
    // Nothing but reservations and leases guards writes in this release: there is no kernel gate yet.
    node.set_protection("reservations and leases; no write gate in this release");
    if (id == config_.self) {
      node.set_reaches_lun(quorum_.reaches());
      node.set_incarnation(m.incarnation().value);
      node.set_version_max(protocol_version_max);
      node.set_software(version_text());
      continue;
    }
    auto peer = m.peers().find(id);
    if (peer == m.peers().end()) continue;
    node.set_incarnation(peer->second.incarnation.value);
    node.set_reaches_lun(peer->second.reaches_lun);
    node.set_version_max(peer->second.version_max);
    if (!peer->second.last_heard.is_never())
      node.set_heartbeat_age_ms(
          static_cast<uint32_t>(std::max<int64_t>(0, (now_ - peer->second.last_heard).ms())));
    auto software = software_.find(id);
    if (software != software_.end()) node.set_software(software->second);
    if (!m.view().set().contains(id) && peer->second.phase == Phase::joining &&
        now_ - peer->second.last_heard < m.timing().heartbeat_timeout) {
      node.set_state(3);
      node.set_state_text("Joining");
    }
  }
  for (size_t i = 0; i < config_.networks.size(); ++i) {
    auto* n = s->add_networks();
    n->set_name(config_.networks[i].first);
    n->set_local_address(config_.networks[i].second);
    int reachable = 0, others = 0;
    for (NodeId id : m.view().set()) {
      if (id == config_.self) continue;
      ++others;
      auto peer = m.peers().find(id);
      if (peer != m.peers().end() && i < networks_max && !peer->second.last_heard_on[i].is_never() &&
          now_ - peer->second.last_heard_on[i] < m.timing().heartbeat_timeout) {
        ++reachable;
        n->add_reachable_nodes(static_cast<uint32_t>(id.value));
      }
    }
    auto up = network_up_.find(static_cast<int>(i));
    if (up != network_up_.end() && !up->second)
      n->set_state("down");
    else
      n->set_state(others == 0 ? "up" : reachable == others ? "up" : reachable == 0 ? "down" : "partitioned");
  }
  auto* q = s->mutable_quorum();
  q->set_kind(config_.quorum_kind);
  q->set_device(config_.quorum_device);
  q->set_owner(static_cast<uint32_t>(m.view().owner.value));
  q->set_epoch(m.view().epoch.value);
  q->set_last_sequence(updates_.committed().value);
  q->set_last_arbitration_us(static_cast<uint64_t>(quorum_.last_contest().us()));
  if (quorum_.holding()) {
    q->set_state(quorum_.degraded() ? "degraded" : "held");
    q->set_reason(quorum_.degraded() ? quorum_.degraded_reason() : "");
    q->set_key(quorum_.key().value);
    q->set_log_used_bytes(log_.used_bytes());
    q->set_log_size_bytes(log_.ring_bytes());
    for (auto key : quorum_.registered()) q->add_registered_keys(to_string(key));
  } else {
    q->set_state(quorum_.reaches() ? "observed" : "unreachable");
    if (!quorum_.reaches()) q->set_reason(lane_.last_error);
  }
  if (!quorum_.proven_at().is_never())
    q->set_beacon_age_ms(static_cast<uint64_t>(std::max<int64_t>(0, (now_ - quorum_.proven_at()).ms())));
  if (quorum_.degraded())
    s->add_warnings("the quorum LUN does not answer: " + quorum_.degraded_reason() +
                    "; groups go on, changes wait");
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, uint64_t>>{
           {"updates-ordered", updates_.ordered_total()},
           {"regroup-cause-last", static_cast<uint64_t>(m.last_cause())}}) {
    auto* c = s->add_counters();
    c->set_name(name);
    c->set_value(value);
  }
}

}  // namespace holdfast::core
