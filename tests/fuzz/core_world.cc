#include "core_world.h"

#include <algorithm>

#include "core/commands/test_cluster.h"
#include "core/log/layout.h"
#include "target.h"

namespace holdfast::fuzz {
namespace {

using namespace holdfast::core;

constexpr uint64_t lun_bytes = quorum_lun_bytes_min;
constexpr size_t datagram_bytes_max = 8192;  // what the transport takes (docs/protocols/transport.md)
constexpr size_t output_bytes_max = 64 * 1024 * 1024;  // of one step: a snapshot for every peer is below it
constexpr size_t waiting_max = 4096;                   // messages and orders that nobody has answered
const std::string cluster_id = "c0ffee";

Tree tree_of(bool alone) {
  if (!alone) return testing_cluster::small_cluster();
  Tree tree = testing_cluster::small_cluster();
  using C = api::Command;
  for (const char* node : {"n2", "n3"})
    HOLDFAST_ASSERT(
        testing_cluster::run(tree, testing_cluster::Asked(C::NODE_EVICT, node).force(), NodeSet(1)));
  return tree;
}

// A formatted LUN with that cluster on it.
std::string image_of(bool alone, bool orderly) {
  const Tree tree = tree_of(alone);
  const uint64_t sequence = testing_cluster::next_sequence(tree) - 1;
  disk::Superblock s;
  s.set_cluster_id(cluster_id);
  s.set_cluster_name("demo");
  s.set_epoch(1);
  s.set_holder(1);
  s.set_configured_nodes(alone ? 1 : 7);
  s.set_orderly_shutdown(orderly);
  s.set_log_start_bytes(log_offset_bytes);
  s.set_log_size_bytes(log_ring_bytes(lun_bytes));
  s.set_checkpoint_offset_bytes(checkpoint_offset_bytes);
  s.set_checkpoint_size_bytes(checkpoint_slot_bytes);
  disk::Checkpoint c;
  c.set_sequence(sequence);
  c.set_last_epoch(1);
  c.set_log_previous_sequence(sequence);
  c.set_log_previous_epoch(1);
  c.set_generation(1);
  *c.mutable_tree() = tree.to_proto();
  std::string out(lun_bytes, '\0');
  for (int copy = 0; copy < 2; ++copy)
    out.replace(copy * block_bytes, block_bytes, encode_superblock(s, copy));
  const std::string checkpoint = encode_checkpoint(c);
  return out.replace(checkpoint_offset_bytes, checkpoint.size(), checkpoint);
}

// 32 MiB are not copied for each run: one LUN, and what a run wrote is taken back.
struct Lun {
  bool alone = false, orderly = false;
  std::string image;
  testing::FakeLun lun{0};
};
Lun& shared_lun() {
  static Lun& the_one = *new Lun;
  return the_one;
}

testing::FakeLun& lun_for(bool alone, bool orderly) {
  Lun& shared = shared_lun();
  if (shared.image.empty() || shared.alone != alone || shared.orderly != orderly) {
    shared.alone = alone;
    shared.orderly = orderly;
    shared.image = shared.lun.data = image_of(alone, orderly);
  }
  shared.lun.keys.clear();
  shared.lun.shaken.clear();
  shared.lun.holder = 0;
  return shared.lun;
}

CoreConfig config_of(uint64_t self, bool alone) {
  CoreConfig c;
  c.cluster_id = cluster_id;
  c.cluster_name = "demo";
  c.node_name = "n" + std::to_string(self);
  c.self = NodeId{self};
  c.incarnation = Incarnation{7};
  for (uint64_t other = 1; other <= world_nodes && !alone; ++other)
    if (other != self) c.peers[NodeId{other}] = "n" + std::to_string(other);
  c.networks = {{"lan", "192.0.2.1"}, {"san", "198.51.100.1"}};
  c.quorum_kind = "lun";
  return c;
}

template <typename Message>
size_t readable(const Message& message) {
  Message again;
  const std::string bytes = message.SerializeAsString();
  HOLDFAST_ASSERT(again.ParseFromString(bytes));
  return bytes.size();
}

}  // namespace

CoreWorld::CoreWorld(uint64_t self, bool alone, bool orderly)
    : self_{self}, alone_(alone), core_(config_of(self, alone)) {
  lun_for(alone, orderly);
  step(Started{});
}

CoreWorld::~CoreWorld() {
  Lun& shared = shared_lun();
  for (const auto& [offset, size] : written_blocks_)
    shared.lun.data.replace(offset, size, shared.image, offset, size);
}

void CoreWorld::step(const Event& event) {
  if (!alive_) return;
  ++steps_;
  take(core_.step(event, now_, 1'700'000'000'000 + static_cast<uint64_t>(now_.ns / 1'000'000)));
  core_.check_invariants();
  core_.tree().check_invariants();
}

void CoreWorld::to_deadline() {
  if (deadline_ != Instant::infinite()) now_ = std::max(now_, deadline_);
  step(TimeReached{});
}

void CoreWorld::later(Duration d) {
  now_ = now_ + std::max(d, Duration{1});
  step(TimeReached{});
}

void CoreWorld::take(Output output) {
  size_t bytes = 0;
  for (auto& op : output.lun) {
    if (op.kind == LunOp::Kind::write) {
      HOLDFAST_ASSERT(op.offset_bytes % block_bytes == 0 && op.data.size() % block_bytes == 0);
      HOLDFAST_ASSERT(op.data.size() <= lun_bytes && op.offset_bytes <= lun_bytes - op.data.size());
    }
    bytes += op.data.size();
    lun_orders_.push_back(std::move(op));
  }
  HOLDFAST_ASSERT(lun_orders_.size() <= 1);  // one command after the other on the nexus
  for (const auto& d : output.datagrams) {
    wire::Heartbeat heartbeat;
    HOLDFAST_ASSERT(d.to != self_ && heartbeat.ParseFromString(d.payload));
    HOLDFAST_ASSERT(d.payload.size() <= datagram_bytes_max);
    bytes += d.payload.size();
    last_heartbeat_[d.to] = std::move(heartbeat);
  }
  for (const auto& m : output.messages) {
    wire::Peer peer;
    HOLDFAST_ASSERT(m.to != self_ && peer.ParseFromString(m.payload));
    bytes += m.payload.size();
    messages_.emplace_back(m.to, std::move(peer));
    if (messages_.size() > waiting_max) messages_.pop_front();
  }
  for (const auto& m : output.monitor) {
    bytes += readable(m);
    if (m.has_order()) monitor_orders_.push_back(m.order());
    if (monitor_orders_.size() > waiting_max) monitor_orders_.pop_front();
  }
  for (const auto& a : output.answers) bytes += readable(a.response);
  for (const auto& e : output.events) bytes += readable(e);
  HOLDFAST_ASSERT(bytes <= output_bytes_max);
  HOLDFAST_ASSERT(output.next_deadline > now_);
  deadline_ = output.next_deadline;
  if (output.life_ended) alive_ = false;
}

void CoreWorld::complete_lun(ErrorCode code) {
  if (lun_orders_.empty()) return;
  const LunOp op = std::move(lun_orders_.front());
  lun_orders_.pop_front();
  LunResult result;
  if (code != ErrorCode::ok) {
    result.token = op.token;
    result.code = code;
    result.message = "the target says no";
  } else {
    if (op.kind == LunOp::Kind::open) ++nexus_;
    if (op.kind == LunOp::Kind::write) written_blocks_.emplace_back(op.offset_bytes, op.data.size());
    result = shared_lun().lun.execute(nexus_, op);
  }
  now_ = now_ + Duration::microseconds(100);
  step(LunCompleted{std::move(result)});
}

void CoreWorld::answer_monitor(std::optional<monitor::State> state) {
  if (monitor_orders_.empty()) return;
  const monitor::Order order = std::move(monitor_orders_.front());
  monitor_orders_.pop_front();
  MonitorSaid said;
  auto* report = said.message.mutable_report();
  report->set_resource(order.resource());
  report->set_order(order.order());
  report->set_generation(order.generation());
  report->set_state(state                                      ? *state
                    : order.action() == monitor::Order::ONLINE ? monitor::ONLINE
                                                               : monitor::OFFLINE);
  report->set_message(state ? "as the input says" : "");
  step(said);
}

// Says what it heard back, with itself in it.
void CoreWorld::follow(NodeId peer, const wire::Heartbeat& said) {
  wire::Heartbeat hb = said;
  hb.set_incarnation(incarnation_of(peer).value);
  hb.set_sent_at_ns(static_cast<uint64_t>(now_.ns));
  hb.set_echo_ns(said.sent_at_ns());
  hb.set_echo_incarnation(said.incarnation());
  hb.set_heard(said.heard() | 7);
  hb.set_reaches_lun(true);
  hb.set_node_name("n" + std::to_string(peer.value));
  hb.set_going(false);
  for (int i = 0; i < said.rows_size(); ++i) {
    if (said.rows(i).node() != self_.value) continue;
    wire::RegroupRow* row = nullptr;
    for (auto& other : *hb.mutable_rows())
      if (other.node() == peer.value) row = &other;
    if (!row) row = hb.add_rows();
    row->set_node(static_cast<uint32_t>(peer.value));
    row->set_incarnation(incarnation_of(peer).value);
    row->set_version(row->version() + 1);
    row->set_heard(said.rows(i).heard() | NodeSet::of(peer).bits());
    row->set_settled(true);
    row->set_reaches_lun(true);
  }
  if (said.has_nomination()) hb.set_accepted(said.nomination().view().epoch());
  step(DatagramReceived{peer, incarnation_of(peer), 0, hb.SerializeAsString(), now_});
}

void CoreWorld::acknowledge(NodeId peer, const wire::Peer& message) {
  wire::Peer answer;
  answer.set_epoch(message.epoch());
  switch (message.body_case()) {
    case wire::Peer::kUpdateOrder:
      answer.mutable_update_ack()->set_sequence(message.update_order().update().sequence());
      break;
    case wire::Peer::kUpdateRequest:
      answer.mutable_update_reply()->set_request(message.update_request().request());
      answer.mutable_update_reply()->set_error(static_cast<uint32_t>(ErrorCode::busy));
      break;
    case wire::Peer::kRecoveryDone:
      answer.mutable_recovery_done_ack()->set_sequence(message.recovery_done().sequence());
      break;
    case wire::Peer::kRecoverySnapshot:
      answer.mutable_update_ack()->set_sequence(message.recovery_snapshot().sequence());
      break;
    default:
      return;
  }
  step(MessageReceived{peer, incarnation_of(peer), answer.SerializeAsString()});
}

void CoreWorld::peers_follow() {
  if (alone_) return;
  const auto heartbeats = last_heartbeat_;
  for (const auto& [peer, heartbeat] : heartbeats) follow(peer, heartbeat);
  // A member whose view is new to it reports where it stands; the core's own messages are acknowledged.
  const View view = core_.membership().view();
  for (const auto& [peer, incarnation] : view.members)
    if (peer != self_ && view.owner == self_ && !core_.updates().ready()) {
      wire::Peer report;
      report.set_epoch(view.epoch.value);
      report.mutable_recovery_report();
      step(MessageReceived{peer, incarnation, report.SerializeAsString()});
    }
  for (size_t left = messages_.size(); left > 0 && !messages_.empty(); --left) {
    const auto [peer, message] = std::move(messages_.front());
    messages_.pop_front();
    acknowledge(peer, message);
  }
}

void CoreWorld::settle(int rounds) {
  for (int round = 0; round < rounds && alive_; ++round) {
    for (int i = 0; i < 8 && !lun_orders_.empty(); ++i) complete_lun();
    while (alive_ && !monitor_orders_.empty()) answer_monitor();
    peers_follow();
    to_deadline();
  }
}

}  // namespace holdfast::fuzz
