#include "core/cluster/tests/simulated_cluster.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/commands/initial_database.h"
#include "core/database/nodes.h"

namespace holdfast::core::testing {
namespace {
constexpr uint64_t lun_bytes = quorum_lun_bytes_min;
}

SimulatedCluster::SimulatedCluster(int nodes, uint64_t seed) : lun(lun_bytes), random(seed), count_(nodes) {
  format();
  for (int id = 1; id <= nodes; ++id) machines_[id].id = id;
}

void SimulatedCluster::format() {
  Tree tree;
  tree.apply(initial_database({"c1", "sim", 2, "n1", {"a=10.0.0.1"}, 0, "f1"}), Sequence{1});
  Edit edit;
  NodeSet configured;
  for (int id = 1; id <= count_; ++id) {
    configured.add(NodeId{static_cast<uint64_t>(id)});
    const std::string key = "nodes/" + std::to_string(id);
    edit.set(key, "Name", "n" + std::to_string(id))
        .set(key, "Addresses", std::vector<std::string>{"a=10.0.0." + std::to_string(id)});
  }
  edit.set("cluster", "NextNode", static_cast<uint64_t>(count_ + 1));
  tree.apply(edit.done(), Sequence{2});
  disk::Superblock s;
  s.set_cluster_id("c1");
  s.set_cluster_name("sim");
  s.set_epoch(1);
  s.set_holder(1);
  s.set_configured_nodes(configured.bits());
  s.set_orderly_shutdown(true);
  s.set_log_start_bytes(log_offset_bytes);
  s.set_log_size_bytes(log_ring_bytes(lun_bytes));
  s.set_checkpoint_offset_bytes(checkpoint_offset_bytes);
  s.set_checkpoint_size_bytes(checkpoint_slot_bytes);
  disk::Checkpoint c;
  c.set_sequence(2);
  c.set_last_epoch(1);
  c.set_log_previous_sequence(2);
  c.set_log_previous_epoch(1);
  c.set_generation(1);
  *c.mutable_tree() = tree.to_proto();
  for (int copy = 0; copy < 2; ++copy)
    lun.data.replace(copy * block_bytes, block_bytes, encode_superblock(s, copy));
  auto bytes = encode_checkpoint(c);
  lun.data.replace(checkpoint_offset_bytes, bytes.size(), bytes);
}

void SimulatedCluster::post(int machine, Instant at, Event event) {
  facts_.push({at, order_++, machine, machines_[machine].life, std::move(event)});
}

void SimulatedCluster::learn(Machine& m, std::set<int> known) {
  known.erase(m.id);
  std::set<int> before = std::exchange(m.known, std::move(known));
  for (auto& [other, peer] : machines_) {
    if (other == m.id || !peer.core || !peer.known.count(m.id) || !m.core) continue;
    const bool was = before.count(other), is = m.known.count(other);
    if (was == is) continue;
    const NodeId a{static_cast<uint64_t>(m.id)}, b{static_cast<uint64_t>(other)};
    if (is) {
      post(m.id, now + delay_max, PeerConnected{b, Incarnation{peer.incarnation}, "sim"});
      post(other, now + delay_max, PeerConnected{a, Incarnation{m.incarnation}, "sim"});
    } else {
      post(m.id, now + delay_max, PeerDisconnected{b, "removed"});
      post(other, now + delay_max, PeerDisconnected{a, "removed"});
    }
  }
}

namespace {
std::set<int> nodes_of(const Tree& tree) {
  std::set<int> out;
  for (const auto& node : all_nodes(tree)) out.insert(static_cast<int>(node.id.value));
  return out;
}
}  // namespace

void SimulatedCluster::start(int id, std::set<int> known) {
  Machine& m = machines_[id];
  ++m.life;
  m.incarnation = random.next() | 1;
  m.ended.reset();
  m.resources.clear();
  m.unread.clear();
  m.applied_digest.clear();
  m.paused_events.clear();
  m.paused_until = {};
  CoreConfig c;
  c.cluster_id = "c1";
  c.cluster_name = "sim";
  c.node_name = "n" + std::to_string(id);
  c.self = NodeId{static_cast<uint64_t>(id)};
  c.incarnation = Incarnation{m.incarnation};
  if (known.empty())
    for (int other = 1; other <= count_; ++other) known.insert(other);
  for (int other : known)
    if (other != id) c.peers[NodeId{static_cast<uint64_t>(other)}] = "n" + std::to_string(other);
  c.networks = {{"a", "10.0.0." + std::to_string(id)}};
  m.core = std::make_unique<Core>(std::move(c));
  deliver(m, Started{});
  if (m.core) deliver(m, MonitorStarted{});
  m.known.clear();
  if (m.core) learn(m, std::move(known));
}

void SimulatedCluster::crash(int id) {
  Machine& m = machines_[id];
  m.core.reset();
  ++m.life;
  m.resources.clear();
  m.deadline = Instant::infinite();
}

void SimulatedCluster::pause(int id, Duration d) {
  machines_[id].paused_until = now + d;
}

void SimulatedCluster::partition(const std::vector<std::set<int>>& parts) {
  cuts_.clear();
  for (const auto& a : parts)
    for (const auto& b : parts)
      if (&a != &b)
        for (int x : a)
          for (int y : b) cuts_.insert({x, y});
}

void SimulatedCluster::deliver(Machine& m, const Event& event) {
  if (!m.core) return;
  auto output = m.core->step(event, now, 1'700'000'000'000ULL + static_cast<uint64_t>(now.ns / 1'000'000));
  perform(m, output);
  if (invariants) check();
}

void SimulatedCluster::perform(Machine& m, Output& o) {
  const int from = m.id;
  for (const auto& t : o.trace) m.log.push_back(std::to_string(now.ns / 1000) + " " + t);
  for (const auto& e : o.events)
    if (e.kind() != "VALUE")
      m.log.push_back(std::to_string(now.ns / 1000) + " " + e.kind() + " " + e.object() + " " +
                      e.new_value() + " (" + e.cause() + ")");
  for (const auto& op : o.lun) {
    if (op.kind == LunOp::Kind::open && lun.reachable) m.nexus = next_nexus_++;
    LunOp first = op;  // others may come between the two halves of an operation
    first.then_read_reservation = false;
    auto result = lun.execute(m.nexus, first);
    if (op.then_read_reservation) m.unread.insert(op.token);
    Duration took =
        lun.reachable ? Duration::microseconds(50 + static_cast<int64_t>(random.below(300))) : op.deadline;
    post(from, now + took, LunCompleted{result});
  }
  for (const auto& d : o.datagrams) {
    const int to = static_cast<int>(d.to.value);
    if (!machines_.count(to) || !acquainted(from, to) || cuts_.count({from, to}) ||
        random.chance(loss_percent))
      continue;
    const int copies = random.chance(duplicate_percent) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      Instant at = now + Duration{static_cast<int64_t>(random.below(delay_max.ns) + 1)};
      post(to, at,
           DatagramReceived{NodeId{static_cast<uint64_t>(from)}, Incarnation{m.incarnation}, 0, d.payload,
                            at});
    }
  }
  for (const auto& msg : o.messages) {
    const int to = static_cast<int>(msg.to.value);
    if (!machines_.count(to) || !acquainted(from, to) || cuts_.count({from, to})) continue;
    Instant& ready = channel_ready_[{from, to}];
    ready = std::max(ready, now) + Duration{static_cast<int64_t>(random.below(delay_max.ns) + 1)};
    post(to, ready,
         MessageReceived{NodeId{static_cast<uint64_t>(from)}, Incarnation{m.incarnation}, msg.payload});
  }
  if (o.roster) {
    Tree tree;
    if (tree.load(*o.roster)) learn(m, nodes_of(tree));
  }
  if (o.nodes_changed && m.core && m.core->tree().exists("nodes")) learn(m, nodes_of(m.core->tree()));
  for (const auto& message : o.monitor) obey(m, message);
  for (auto& a : o.answers) answers[a.client] = a.response;
  for (const auto& w : o.replica)
    if (m.core) m.applied_digest[m.core->updates().committed().value] = m.core->tree().digest(), (void)w;
  m.deadline = o.next_deadline;
  if (o.life_ended) {
    m.ended = o.life_ended;
    m.core.reset();
    ++m.life;
    m.resources.clear();
    m.deadline = Instant::infinite();
  }
}

// A monitor that does at once what it is told.
void SimulatedCluster::obey(Machine& m, const monitor::ToMonitor& message) {
  if (message.has_grant()) m.monitor_lease_ns = message.grant().lease_until_boottime_ns();
  if (!message.has_order()) return;
  const auto& order = message.order();
  monitor::Report report;
  report.set_resource(order.resource());
  report.set_order(order.order());
  report.set_generation(order.generation());
  switch (order.action()) {
    case monitor::Order::ONLINE:
      m.resources[order.resource()] = monitor::ONLINE;
      report.set_state(monitor::ONLINE);
      break;
    case monitor::Order::OPEN:
    case monitor::Order::OFFLINE:
    case monitor::Order::TERMINATE:
    case monitor::Order::CLOSE:
      m.resources.erase(order.resource());
      report.set_state(monitor::OFFLINE);
      break;
    default:
      return;
  }
  monitor::FromMonitor said;
  *said.mutable_report() = report;
  post(m.id, now + Duration::microseconds(200 + static_cast<int64_t>(random.below(2000))), MonitorSaid{said});
}

void SimulatedCluster::run(Duration d) {
  const Instant end = now + d;
  while (true) {
    Instant next = end;
    if (!facts_.empty()) next = std::min(next, facts_.top().at);
    for (auto& [id, m] : machines_) {
      if (!m.core) continue;
      if (!m.paused_until.is_never())
        next = std::min(next, m.paused_until);
      else
        next = std::min(next, m.deadline);
    }
    now = std::max(now, next);
    if (now >= end) break;
    for (auto& [id, m] : machines_)
      if (m.core && !m.paused_until.is_never() && now >= m.paused_until) {
        m.paused_until = {};
        // What came meanwhile sits in the socket; the timer fires first, as in an event loop.
        auto waiting = std::move(m.paused_events);
        deliver(m, TimeReached{});
        for (auto& [life, event] : waiting)
          if (life == m.life) {
            if (auto* datagram = std::get_if<DatagramReceived>(&event)) datagram->received_at = now;
            deliver(m, event);
          }
      }
    while (!facts_.empty() && facts_.top().at <= now) {
      Fact f = facts_.top();
      facts_.pop();
      Machine& m = machines_[f.machine];
      if (!m.core || f.life != m.life) continue;
      if (auto* done = std::get_if<LunCompleted>(&f.event); done && m.unread.erase(done->result.token))
        lun.then_read_reservation(m.nexus, done->result);
      if (!m.paused_until.is_never())
        m.paused_events.emplace_back(f.life, std::move(f.event));
      else
        deliver(m, f.event);
    }
    for (auto& [id, m] : machines_)
      if (m.core && m.paused_until.is_never() && m.deadline <= now) deliver(m, TimeReached{});
    if (!failure.empty()) return;
  }
  now = end;
}

bool SimulatedCluster::run_until(const std::function<bool()>& condition, Duration limit) {
  const Instant end = now + limit;
  while (now < end && failure.empty()) {
    if (condition()) return true;
    run(Duration::milliseconds(5));
  }
  return condition();
}

bool SimulatedCluster::together(const std::set<int>& ids) {
  NodeSet wanted;
  for (int id : ids) wanted.add(NodeId{static_cast<uint64_t>(id)});
  Epoch epoch;
  for (int id : ids) {
    if (!member(id) || !(core(id)->membership().view().set() == wanted)) return false;
    if (epoch.is_none()) epoch = core(id)->membership().view().epoch;
    if (core(id)->membership().view().epoch != epoch) return false;
  }
  return true;
}

void SimulatedCluster::command(int id, api::Command command) {
  static uint64_t client = 1'000'000;
  ApiRequested r;
  r.client = ++client;
  r.may_change = true;
  r.who = "test";
  r.request.set_id(1);
  r.request.set_version_min(1);
  r.request.set_version_max(9);
  *r.request.mutable_command() = std::move(command);
  deliver(machines_[id], r);
}

void SimulatedCluster::transact(int id, Transaction transaction, uint64_t tag, std::string cause) {
  ApiRequested r;
  r.client = tag;
  r.may_change = true;
  r.request.set_id(tag);
  r.request.set_version_min(1);
  r.request.set_version_max(9);
  *r.request.mutable_transact()->mutable_transaction() = std::move(transaction);
  r.request.mutable_transact()->set_cause(std::move(cause));
  deliver(machines_[id], r);
}

void SimulatedCluster::stop(int id) {
  deliver(machines_[id], StopRequested{"test"});
}

void SimulatedCluster::check() {
  if (!failure.empty()) return;
  auto broken = [&](const std::string& what) {
    if (failure.empty()) failure = "at " + std::to_string(now.ns / 1000) + " us: " + what;
  };
  std::map<std::string, int> online;
  for (auto& [id, m] : machines_) {
    if (!m.core) continue;
    m.core->check_invariants();
    m.core->check_configured();
    // I1: one view for an epoch.
    const View& view = m.core->membership().view();
    if (view.epoch.value != 0) {
      auto [it, fresh] = view_of_epoch_.emplace(view.epoch.value, view.text());
      if (!fresh && it->second != view.text())
        broken("I1: epoch " + std::to_string(view.epoch.value) + " is " + it->second + " and " + view.text());
    }
    // I2: the same sequence gives the same tree on all nodes, at all times.
    for (const auto& [sequence, digest] : m.applied_digest) {
      auto [it, fresh] = digests_.emplace(sequence, digest);
      if (!fresh && it->second != digest)
        broken("I2: update " + std::to_string(sequence) + " left different trees, node " +
               std::to_string(id));
    }
    m.applied_digest.clear();
    // I3: a resource is online on at most one node, counting only nodes whose monitor still has its lease.
    for (const auto& [name, state] : m.resources)
      if (state == monitor::ONLINE && m.monitor_lease_ns > static_cast<uint64_t>(now.ns)) {
        if (online.count(name))
          broken("I3: " + name + " is online on nodes " + std::to_string(online[name]) + " and " +
                 std::to_string(id));
        online[name] = id;
      }
  }
}

}  // namespace holdfast::core::testing
