#include "core/cluster/core.h"

#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/version.h"
#include "core/properties/timing.h"

namespace holdfast::core {

Core::Core(CoreConfig config)
    : config_(std::move(config)),
      tag_(holdfast::cluster_tag(config_.cluster_id)),
      lane_([this](LunOp op) { out_.lun.push_back(std::move(op)); }),
      quorum_({config_.cluster_id, tag_, config_.self, config_.incarnation}, lane_, *this),
      log_(lane_, [this] { return quorum_.may_write() && !leaving_; }),
      membership_(config_.self, config_.incarnation, config_.node_name, {}, quorum_, *this),
      updates_(config_.self, config_.incarnation, log_, *this),
      failover_(*this),
      events_(config_.node_name),
      configured_(read_configured()) {}

Output Core::step(const Event& event, Instant now, uint64_t wall_ms) {
  out_ = Output{};
  now_ = now;
  wall_ms_ = wall_ms;
  lane_.set_now(now);
  quorum_.set_now(now);
  updates_.set_now(now);
  if (expected_deadline_ != Instant::infinite() && now > expected_deadline_ + lateness_noticed)
    membership_.on_starved(now - expected_deadline_, now);
  nothing_new_ = false;
  std::visit([this](const auto& e) { handle(e); }, event);
  if (!nothing_new_ || now >= expected_deadline_) run_timers();
  out_.next_deadline = deadline();
  expected_deadline_ = out_.next_deadline;
  return std::move(out_);
}

void Core::run_timers() {
  if (life_over_) return;
  lane_.on_time(now_);
  quorum_.on_time(now_);
  membership_.on_time(now_);
  updates_.on_time(now_);
  if (!leaving_) failover_.on_time(now_);
  if (tree_changed_) {
    tree_changed_ = false;
    obey_database();
  }
  continue_stopping();
  continue_leaving();
  judge_calls();
  renew_gates();
  grant();
}

Instant Core::deadline() const {
  if (life_over_) return Instant::infinite();
  Instant next = std::min({lane_.next_deadline(), quorum_.next_deadline(), membership_.next_deadline(),
                           updates_.next_deadline()});
  if (monitor_alive_) next = std::min(next, last_grant_ + grant_pace());
  if (!leaving_) next = std::min(next, failover_.next_deadline());
  for (const auto& call : calls_) next = std::min(next, call.deadline);
  if (stopping_ && !leaving_) next = std::min(next, stop_deadline_);
  if (leaving_) next = std::min(next, leave_deadline_);
  return std::max(next, now_ + Duration::microseconds(
                                   200));  // a deadline that lies behind us is due, but never a busy loop
}

void Core::handle(const Started&) {
  quorum_.start(now_);
  membership_.start(now_);
  last_grant_ = {};
}

void Core::handle(const DatagramReceived& e) {
  wire::Heartbeat& hb = heartbeat_;
  if (!hb.ParseFromString(e.payload)) {
    out_.trace.push_back("a datagram of node " + std::to_string(e.from.value) +
                         " cannot be decoded, ignoring");
    return;
  }
  nothing_new_ = !membership_.on_heartbeat(e.from, e.incarnation, e.network, hb, e.received_at, now_);
}

void Core::handle(const MessageReceived& e) {
  wire::Peer m;
  if (!m.ParseFromString(e.payload)) {
    out_.trace.push_back("a message of node " + std::to_string(e.from.value) +
                         " cannot be decoded, ignoring");
    return;
  }
  if (m.has_roster()) return learn_roster(e.from, m.roster());
  // Only messages of the installed view count: the channel drops older ones, and a newer one means that the
  // announcement of that view is on its way; its sender says everything again in that view's recovery.
  const View& view = membership_.view();
  if (!view.contains(e.from, e.incarnation)) return;
  if (m.epoch() == view.epoch.value) {
    updates_.on_message(e.from, m, now_);
  }
}

void Core::handle(const PeerConnected& e) {
  connected_.add(e.peer);
  software_[e.peer] = e.software;
  out_.trace.push_back("session to node " + std::to_string(e.peer.value) + " (" + e.software + ")");
  offer_roster(NodeSet::of(e.peer));
}

// A node outside learns whom it has to hear. It may have been away while nodes were added, or have enrolled
// before they were.
void Core::offer_roster(NodeSet to) {
  to = (to & connected_) - membership_.view().set();
  if (to.empty() || !updates_.ready()) return;
  wire::Peer m;
  m.mutable_roster()->set_sequence(updates_.committed().value);
  m.mutable_roster()->set_functional_level(functional_level());
  auto* known = m.mutable_roster()->mutable_tree();
  *known = tree().to_proto("nodes");
  known->MergeFrom(tree().to_proto("revoked"));
  for (NodeId id : to) out_.messages.push_back({id, 0, m.SerializeAsString()});
}

std::string Core::too_old(uint64_t level) {
  return "the functional level of the cluster is " + std::to_string(level) + ", this software (" +
         version_text() + ") knows up to " + std::to_string(functional_level_max) + ": upgrade it";
}

void Core::learn_roster(NodeId from, const wire::Roster& roster) {
  const bool outside = membership_.phase() == Phase::joining || membership_.phase() == Phase::forming;
  if (!outside || leaving_ || tree().exists("nodes") || roster.sequence() <= roster_sequence_) return;
  Tree known;
  if (auto loaded = known.load(roster.tree()); !loaded || !known.exists("nodes")) {
    out_.trace.push_back("the list of nodes of node " + std::to_string(from.value) + " is damaged, ignoring");
    return;
  }
  roster_sequence_ = roster.sequence();
  membership_.set_obstacle(
      roster.functional_level() > functional_level_max ? too_old(roster.functional_level()) : "");
  config_.peers.clear();
  for (const auto& node : all_nodes(known)) config_.peers[node.id] = node.name;
  config_.peers.erase(config_.self);
  configured_ = read_configured();
  out_.roster = roster.tree();
}

void Core::handle(const PeerDisconnected& e) {
  connected_.remove(e.peer);
  out_.trace.push_back("no session to node " + std::to_string(e.peer.value) + ": " + e.why);
}
void Core::handle(const NetworkChanged& e) {
  network_up_[e.network] = e.up;
  std::string name = e.network >= 0 && e.network < static_cast<int>(config_.networks.size())
                         ? config_.networks[e.network].first
                         : "?";
  event("NETWORK_STATE", name, "", e.up ? "up" : "down", e.up ? "carrier returned" : "carrier lost");
}
void Core::handle(const LunCompleted& e) {
  lane_.on_result(e.result, now_);
}

void Core::handle(const MonitorStarted&) {
  monitor_alive_ = true;
  last_grant_ = {};
  failover_.on_monitor_ready(now_);
}
void Core::handle(const MonitorDied& e) {
  monitor_alive_ = false;
  event("MONITOR_STATE", config_.node_name, "running", "died", e.why);
  failover_.on_monitor_died(now_);
}
void Core::handle(const MonitorSaid& e) {
  if (e.message.has_report()) failover_.on_report(e.message.report(), now_);
  if (e.message.has_log())
    out_.trace.push_back((e.message.log().resource().empty() ? "monitor" : e.message.log().resource()) +
                         ": " + e.message.log().text());
}
void Core::handle(const LoadSampled& e) {
  load_ = Load{e.cpu_percent, e.memory_percent};
  wire::Load load;
  load.set_cpu_percent(e.cpu_percent);
  load.set_memory_percent(e.memory_percent);
  membership_.set_load(load);
}

void Core::handle(const StopRequested& e) {
  if (stopping_ || leaving_) return;
  stopping_ = true;
  stop_reason_ = e.why;
  stop_deadline_ = now_ + config_.stop_timeout;
  out_.trace.push_back("stopping: " + e.why);
}

// Renews the monitor's authority. Its lease is the node's working lease; when this node is no member it has
// none. In a regroup the newest lease counts, so grants come every interval; otherwise every second one.
Duration Core::grant_pace() const {
  return core::grant_pace(membership_.timing(), membership_.phase() != Phase::member);
}

void Core::grant() {
  // Early, along with a step that takes place anyway: most of an idle node's cost are wakeups.
  if (!monitor_alive_ || now_ < last_grant_ + grant_pace() - grant_early(membership_.timing())) return;
  last_grant_ = now_;
  monitor::ToMonitor m;
  bool may_work =
      !leaving_ && (membership_.phase() == Phase::member || membership_.phase() == Phase::regroup);
  m.mutable_grant()->set_lease_until_boottime_ns(
      mutant(Mutant::lease_for_outsiders) ? static_cast<uint64_t>((now_ + Duration::seconds(1)).ns)
      : may_work                          ? static_cast<uint64_t>(membership_.lease_until().ns)
                                          : 0);
  m.mutable_grant()->set_counter(++grant_counter_);
  out_.monitor.push_back(std::move(m));
}

// M2: while membership is not stable nobody writes to a shared disk. A member's gates are open as long as its
// working lease; in a regroup writes wait; who leaves never writes again. A node that was in no view yet has
// no gate that a life of it could have opened, so nothing is said.
void Core::renew_gates() {
  // The kernel has closed them while this core stood still: what it owns cannot be written in this life.
  if (now_ >= gates_close_at_ && !leaving_)
    on_must_leave("the write gates closed while the service stood still");
  const Phase phase = membership_.phase();
  if (phase == Phase::joining || phase == Phase::forming) return;
  const bool fresh = phase != gates_for_;
  if (phase == Phase::leaving && !fresh) return;
  if (!fresh && now_ < last_gates_ + grant_pace() - grant_early(membership_.timing())) return;
  gates_for_ = phase;
  last_gates_ = now_;
  GateLease lease{now_, now_};
  if (phase != Phase::leaving) {
    lease.close_at = std::max(membership_.lease_until(), now_) + gate_held_max(membership_.timing());
    if (mutant(Mutant::gate_outlives_lease))
      lease.open_until = lease.close_at;
    else if (phase == Phase::member || mutant(Mutant::gates_open_in_regroup))
      lease.open_until = membership_.lease_until();
  }
  gates_close_at_ = phase == Phase::leaving ? Instant::infinite() : lease.close_at;
  out_.gates = lease;
}

// At once, and before anything is judged by it.
void Core::obey_timing() {
  const Timing timing = timing_from(tree());
  membership_.set_timing(timing, now_);
  updates_.set_ack_timeout(timing.update_timeout);
}

// What the database asks of this node as such.
void Core::obey_database() {
  const std::string own = "nodes/" + std::to_string(config_.self.value);
  if (!updates_.ready()) return;
  if (functional_level() > functional_level_max && !leaving_) on_must_leave(too_old(functional_level()));
  if (recovered_once_ && !stale_stopping_ && tree().number(own, "Stopping") == 1 && !stopping_ && !leaving_) {
    stopping_ = true;
    stop_proposed_ = true;
    stop_reason_ = "node stop was asked for";
    stop_deadline_ = now_ + config_.stop_timeout;
    failover_.begin_drain(now_);
  }
  if (!tree().exists(own) && !leaving_ && tree().exists("nodes"))
    on_must_leave("this node was evicted from the cluster");
  if (membership_.is_owner()) {
    uint64_t to = tree().number("cluster", "QuorumMoveTo");
    if (to != 0) {
      propose(Edit()
                  .unset("cluster", "QuorumMoveTo")
                  .require_equal("cluster", "QuorumMoveTo", number_value(to))
                  .done(),
              "quorum move to node " + std::to_string(to) + " begins", [this, to](const Status& ok) {
                if (ok) membership_.move_quorum(NodeId{to}, now_);
              });
    }
    if (tree().number("cluster", "Shutdown") == 1) {
      Edit edit;
      for (const auto& node : all_nodes(tree())) edit.set(node.key, "Stopping", uint64_t{1});
      edit.unset("cluster", "Shutdown");
      propose(edit.done(), "shutdown of the cluster: every node stops", {});
    }
  }
}

void Core::continue_stopping() {
  if (!stopping_ || leaving_) return;
  const bool member = membership_.phase() == Phase::member && updates_.ready();
  if (member && !stop_proposed_) {
    stop_proposed_ = true;
    propose(Edit().set("nodes/" + std::to_string(config_.self.value), "Stopping", uint64_t{1}).done(),
            stop_reason_, [this](const Status& ok) {
              if (!ok) stop_proposed_ = false;
            });
    failover_.begin_drain(now_);
  }
  bool drained = member && stop_proposed_ && failover_.owns_nothing();
  // The locker goes last when everybody stops: then the LUN can be marked as left in an orderly way.
  if (drained && membership_.is_owner())
    for (NodeId id : members())
      if (id != config_.self && tree().number("nodes/" + std::to_string(id.value), "Stopping") == 1)
        drained = false;
  const bool outside = membership_.phase() == Phase::joining || membership_.phase() == Phase::forming;
  if (drained || outside || now_ >= stop_deadline_) {
    if (!drained && !outside)
      out_.trace.push_back("the orderly stop took too long: resources are ended by force");
    leaving_ = true;
    leave_reason_ = stop_reason_;
    leave_deadline_ = now_ + leave_max;
    updates_.pause();
    failover_.on_lost_membership(now_);
    if (membership_.view().members.size() > 1 || !drained) {
      resigned_ = resign_begun_ = true;
    }
    if (drained) {
      membership_.leave(leave_reason_, now_);
      membership_.resources_ended(now_);
    }
  }
}

void Core::on_must_leave(const std::string& reason) {
  if (leaving_) return;
  leaving_ = true;
  resigned_ = resign_begun_ = true;
  leave_reason_ = reason;
  leave_deadline_ = now_ + leave_max;
  updates_.pause();
  membership_.leave(reason, now_);
  event("CLUSTER_STATE", config_.node_name, "member", "left", reason);
  // The monitor must not work on an old grant while its resources end.
  last_grant_ = {};
  failover_.on_lost_membership(now_);
}

void Core::continue_leaving() {
  if (!leaving_ || life_over_) return;
  const bool ended = failover_.local_all_offline() || !monitor_alive_;
  if (!ended && now_ < leave_deadline_ && !mutant(Mutant::says_ended_too_early)) return;
  if (!resign_begun_) {
    resign_begun_ = true;
    quorum_.resign(/*orderly_shutdown=*/true, [this] { resigned_ = true; });
  }
  if (!resigned_ && now_ < leave_deadline_) return;
  if (membership_.phase() != Phase::leaving) membership_.leave(leave_reason_, now_);
  if (ended || mutant(Mutant::says_ended_too_early)) membership_.resources_ended(now_);
  life_over_ = true;
  for (auto& call : calls_)
    answer_error(call.client, call.id,
                 Error{ErrorCode::not_member, 0, "this node left the cluster: " + leave_reason_, ""});
  calls_.clear();
  out_.life_ended = LifeEnded{leave_reason_, stopping_};
}

void Core::handle(const TransactionAsked& e) {
  propose(e.transaction, e.cause, e.done);
}

void Core::check_invariants() const {
  membership_.check_invariants();
  updates_.check_invariants();
  failover_.check_invariants();
}

void Core::check_configured() const {
  HOLDFAST_ASSERT(configured_ == read_configured());
}

}  // namespace holdfast::core
