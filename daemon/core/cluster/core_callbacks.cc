// What the managers tell each other, through the core.
#include "core/cluster/core.h"

namespace holdfast::core {

// --- quorum ---

void Core::on_arbitrated(const ArbitrationResult& result) {
  static constexpr const char* names[] = {"won", "lost", "unreachable"};
  const char* outcome = names[static_cast<int>(result.outcome)];
  std::string cause = result.reason.empty()
                          ? "arbitration took " + std::to_string(result.contest.us()) + " us"
                          : result.reason;
  if (result.retries > 0)
    cause +=
        "; tried again " + std::to_string(result.retries) + " times, last because: " + result.retry_reason;
  event("QUORUM_STATE", "epoch " + std::to_string(result.epoch.value), "", outcome, cause);
  membership_.on_arbitrated(result, now_);
}
void Core::on_rekey_needed(const std::string& reason) {
  event("QUORUM_STATE", "quorum", "held", "re-key", reason);
}
void Core::on_superseded(const std::string& reason) {
  on_must_leave("quorum lost: " + reason);
}

// --- membership ---

void Core::send_heartbeat(NodeId to, const wire::Heartbeat& hb) {
  out_.datagrams.push_back({to, hb.SerializeAsString()});
}

void Core::on_regroup_begun(RegroupCause cause, const std::string& detail) {
  regroup_at_ = now_;
  updates_.pause();
  membership_.set_ready(false);
  event("REGROUP", "epoch " + std::to_string(membership_.view().epoch.value), "stable", to_string(cause),
        detail);
}

void Core::on_view_installed(const View& previous, const View& now, NodeSet removed) {
  out_.new_epoch = now.epoch.value;
  event("VIEW", now.text(), previous.text(), now.text(),
        "regroup took " + std::to_string(membership_.last_regroup().us()) + " us");
  for (NodeId id : removed) event("NODE_REMOVED", node_name(id), "Up", "Down", phase_text());
  for (NodeId id : now.set() - previous.set())
    if (id != config_.self) event("NODE_STATE", node_name(id), "Down", "Up", "joined");
  last_grant_ = {};  // the monitor may wait for the lease of this view
  failover_.on_view(previous.set() - removed, now.set(), now_);
  const auto& seen = quorum_.observation();
  disk::Superblock superblock = seen ? seen->head.superblock : disk::Superblock{};
  updates_.on_view(now, now.owner == config_.self ? &superblock : nullptr, now_);
}

NodeSet Core::read_configured() const {
  NodeSet set = NodeSet::of(config_.self) | node_ids(tree());
  if (tree().exists("nodes")) return set;
  for (const auto& [id, name] : config_.peers) set.add(id);
  return set;
}

std::string Core::node_name(NodeId id) const {
  std::string name = tree().text("nodes/" + std::to_string(id.value), "Name");
  if (!name.empty()) return name;
  auto it = config_.peers.find(id);
  return it != config_.peers.end() ? it->second
         : id == config_.self      ? config_.node_name
                                   : "node " + std::to_string(id.value);
}

// --- updates ---

void Core::send_peer(NodeId to, const wire::Peer& message) {
  wire::Peer m = message;
  m.set_epoch(membership_.view().epoch.value);
  out_.messages.push_back({to, m.epoch(), m.SerializeAsString()});
}

void Core::on_committed_update(const wire::Update& update, const std::vector<ChangeNotice>& notices) {
  membership_.set_applied(Sequence{update.sequence()});
  out_.replica.push_back({update, false});
  tree_changed_ = true;
  obey_timing();
  for (const auto& n : notices) {
    if (n.name == "Stopping" && n.key == "nodes/" + std::to_string(config_.self.value))
      stale_stopping_ = false;
    if (n.key.rfind("nodes", 0) == 0 || n.key.rfind("revoked", 0) == 0) out_.nodes_changed = true;
    if (n.kind == ChangeNotice::Kind::value_set || n.kind == ChangeNotice::Kind::value_deleted)
      event("VALUE", n.key + ":" + n.name, display(n.old_value), display(n.new_value), update.cause());
    else
      event(n.kind == ChangeNotice::Kind::key_created ? "KEY_CREATED" : "KEY_DELETED", n.key, "", "",
            update.cause());
  }
  if (out_.nodes_changed) {
    configured_ = read_configured();
    offer_roster(connected_);
  }
  if (!leaving_) failover_.on_committed(notices, now_);
}

void Core::on_tree_replaced() {
  out_.replica.push_back({std::nullopt, true});
  out_.nodes_changed = true;
  configured_ = read_configured();
  tree_changed_ = true;
  obey_timing();
}

void Core::on_recovered(Instant now) {
  membership_.set_ready(true);
  out_.nodes_changed = true;
  tree_changed_ = true;
  event("CLUSTER_STATE", membership_.view().text(), "", "ready",
        regroup_at_.is_never()
            ? "recovered"
            : "ready " + std::to_string((now - regroup_at_).us()) + " us after the regroup began");
  // A node that was stopped and is here again no longer stops.
  const std::string own = "nodes/" + std::to_string(config_.self.value);
  if (!recovered_once_ && !stopping_ && tree().number(own, "Stopping") == 1) {
    stale_stopping_ = true;
    propose(Edit().unset(own, "Stopping").require_key(own).done(), "node " + config_.node_name + " is back",
            {});
  }
  recovered_once_ = true;
  offer_roster(connected_);
  failover_.on_ready(now);
}

void Core::on_members_late(NodeSet late) {
  membership_.accuse(late, now_);
}

void Core::on_log_trouble(const std::string& reason) {
  out_.trace.push_back("quorum log: " + reason);
  quorum_.on_io_failed(reason);
}

void Core::on_replica_broken(const std::string& reason) {
  on_must_leave("the replica of this node cannot go on: " + reason);
}

// --- failover ---

Load Core::load_of(NodeId node) const {
  if (node == config_.self) return load_;
  auto it = membership_.peers().find(node);
  if (it == membership_.peers().end()) return {};
  return Load{it->second.load.cpu_percent(), it->second.load.memory_percent()};
}

void Core::propose(const Transaction& transaction, std::string cause,
                   std::function<void(const Status&)> done) {
  updates_.submit(transaction, std::move(cause), now_,
                  [done = std::move(done)](const Status& status, Sequence) {
                    if (done) done(status);
                  });
}

void Core::order(monitor::Order order) {
  monitor::ToMonitor m;
  *m.mutable_order() = std::move(order);
  out_.monitor.push_back(std::move(m));
}

void Core::event(std::string kind, std::string object, std::string old_value, std::string new_value,
                 std::string cause) {
  const auto& e = events_.emit(std::move(kind), std::move(object), std::move(old_value), std::move(new_value),
                               std::move(cause), now_, wall_ms_);
  out_.events.push_back(e);
  for (uint64_t client : events_.subscribers()) {
    api::Response response;
    *response.mutable_event() = e;
    out_.answers.push_back({client, std::move(response)});
  }
}

}  // namespace holdfast::core
