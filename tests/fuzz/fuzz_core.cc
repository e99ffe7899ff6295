// The whole core of one node, fed by any sequence of events with time going forward. It must never abort,
// break an invariant, say something unreadable, ask to be woken in the past, or grow without bound: a broken
// peer, a broken target or a broken monitor may cost this node its membership, and nothing else.
#include "core_world.h"
#include "target.h"
#include "tree_words.h"

namespace {

using namespace holdfast;
using namespace holdfast::core;
using fuzz::CoreWorld;
using fuzz::Input;
using fuzz::message_text;

constexpr int events_max = 128;
constexpr int steps_max = 1000;  // a run is to take milliseconds

NodeId peer(Input& in) {
  const uint8_t byte = in.byte();
  return NodeId{byte < 192 ? byte % 4 + uint64_t{1} : byte % nodes_max + 1};
}
// Numbers near what the core knows reach further than any others.
uint64_t epoch(Input& in, CoreWorld& w) {
  const uint64_t now = w.core().membership().view().epoch.value;
  const uint8_t kind = in.byte();
  return kind < 128 ? now + kind % 4 : kind < 160 ? now - std::min<uint64_t>(now, kind % 4) : in.any();
}
uint64_t sequence(Input& in, CoreWorld& w) {
  const uint64_t now = w.core().updates().committed().value;
  const uint8_t kind = in.byte();
  return kind < 192 ? now + kind % 8 : in.any();
}
uint64_t time_ns(Input& in, CoreWorld& w) {
  const uint8_t kind = in.byte();
  return kind < 192 ? static_cast<uint64_t>(w.now().ns) - kind * 1'000'000ULL : in.any();
}
uint64_t incarnation(Input& in, CoreWorld& w, NodeId id) {
  const uint8_t kind = in.byte();
  if (kind >= 224) return in.any();
  return id == w.self() ? w.core().membership().incarnation().value
                        : w.incarnation_of(id).value + (kind >= 208 ? 1 : 0);
}
uint64_t bitmap(Input& in) {
  const uint8_t kind = in.byte();
  return kind < 224 ? kind & 15 : in.any();
}

void fill_view(Input& in, CoreWorld& w, wire::View* view) {
  view->set_epoch(epoch(in, w));
  view->set_owner(static_cast<uint32_t>(peer(in).value));
  for (uint64_t members = in.below(5); members > 0; --members) {
    const NodeId id = peer(in);
    auto* member = view->add_members();
    member->set_node(in.below(16) == 15 ? static_cast<uint32_t>(in.any()) : static_cast<uint32_t>(id.value));
    member->set_incarnation(incarnation(in, w, id));
  }
}

wire::Heartbeat heartbeat(Input& in, CoreWorld& w, NodeId from) {
  wire::Heartbeat hb;
  hb.set_incarnation(incarnation(in, w, from));
  hb.set_epoch(epoch(in, w));
  hb.set_phase(static_cast<wire::Heartbeat::Phase>(in.below(7)));
  hb.set_sent_at_ns(time_ns(in, w));
  hb.set_echo_ns(time_ns(in, w));
  hb.set_echo_incarnation(incarnation(in, w, w.self()));
  hb.set_heard(bitmap(in));
  const uint8_t flags = in.byte();
  hb.set_reaches_lun((flags & 1) != 0);
  hb.set_going((flags & 2) != 0);
  hb.set_resources_ended((flags & 4) != 0);
  hb.set_version_min((flags & 8) ? static_cast<uint32_t>(in.any()) : 1);
  hb.set_version_max((flags & 8) ? static_cast<uint32_t>(in.any()) : 9);
  if (flags & 16) {
    hb.set_lease_ms(static_cast<uint32_t>(in.any()));
    hb.set_lease_left_ms(static_cast<uint32_t>(in.any()));
    hb.set_core_late_ms(static_cast<uint32_t>(in.any()));
    hb.set_disk_epoch(epoch(in, w));
    hb.set_applied_sequence(sequence(in, w));
    hb.set_node_name(message_text(in));
  }
  if (flags & 32) {
    hb.set_regroup_base(epoch(in, w));
    hb.set_regroup_cause(static_cast<uint32_t>(in.any()));
    hb.set_accepted(epoch(in, w));
    hb.set_lost(in.flag() ? epoch(in, w) : 0);
    hb.set_suspects(bitmap(in));
    for (uint64_t rows = in.below(5); rows > 0; --rows) {
      auto* row = hb.add_rows();
      const NodeId id = peer(in);
      row->set_node(in.below(16) == 15 ? static_cast<uint32_t>(in.any()) : static_cast<uint32_t>(id.value));
      row->set_incarnation(incarnation(in, w, id));
      row->set_version(static_cast<uint32_t>(in.any()));
      row->set_heard(bitmap(in));
      const uint8_t more = in.byte();
      row->set_settled((more & 1) != 0);
      row->set_reaches_lun((more & 2) != 0);
      for (int promises = (more >> 2) & 3; promises > 0; --promises) {
        auto* promise = row->add_promises();
        promise->set_epoch(epoch(in, w));
        promise->set_owner(static_cast<uint32_t>(peer(in).value));
      }
    }
  }
  if (flags & 64) {
    auto* nomination = hb.mutable_nomination();
    fill_view(in, w, nomination->mutable_view());
    nomination->set_coordinator(static_cast<uint32_t>(peer(in).value));
    nomination->set_base_epoch(epoch(in, w));
    for (uint64_t n = in.below(3); n > 0; --n) {
      auto* predecessor = nomination->add_predecessors();
      predecessor->set_epoch(epoch(in, w));
      predecessor->set_owner(static_cast<uint32_t>(peer(in).value));
    }
  }
  if (flags & 128) {
    const uint8_t more = in.byte();
    if (more & 1) fill_view(in, w, hb.mutable_won());
    for (int joins = (more >> 1) & 3; joins > 0; --joins) {
      const NodeId id = peer(in);
      auto* join = hb.add_join();
      join->set_node(static_cast<uint32_t>(id.value));
      join->set_incarnation(incarnation(in, w, id));
    }
  }
  return hb;
}

void fill_update(Input& in, CoreWorld& w, wire::Update* update) {
  update->set_sequence(sequence(in, w));
  update->set_epoch(epoch(in, w));
  const NodeId origin = peer(in);
  update->set_origin(static_cast<uint32_t>(origin.value));
  update->set_origin_incarnation(incarnation(in, w, origin));
  update->set_request(in.any());
  fuzz::fill_transaction(in, update->mutable_transaction());
  update->set_cause(message_text(in));
}

wire::Peer message(Input& in, CoreWorld& w) {
  wire::Peer m;
  m.set_epoch(in.below(8) == 7 ? in.any() : w.core().membership().view().epoch.value);
  switch (in.below(11)) {
    case 0:
      m.mutable_update_request()->set_request(in.any());
      fuzz::fill_transaction(in, m.mutable_update_request()->mutable_transaction());
      break;
    case 1:
      m.mutable_update_reply()->set_request(in.any());
      m.mutable_update_reply()->set_error(static_cast<uint32_t>(in.any()));
      m.mutable_update_reply()->set_sequence(sequence(in, w));
      break;
    case 2:
      fill_update(in, w, m.mutable_update_order()->mutable_update());
      m.mutable_update_order()->set_committed(sequence(in, w));
      break;
    case 3:
      m.mutable_update_ack()->set_sequence(sequence(in, w));
      break;
    case 4:
      m.mutable_committed()->set_sequence(sequence(in, w));
      break;
    case 5: {
      auto* report = m.mutable_recovery_report();
      report->set_received_sequence(sequence(in, w));
      report->set_received_epoch(epoch(in, w));
      report->set_committed_sequence(sequence(in, w));
      for (uint64_t n = in.below(3); n > 0; --n) fill_update(in, w, report->add_pending());
      break;
    }
    case 6: {
      auto* snapshot = m.mutable_recovery_snapshot();
      snapshot->set_sequence(sequence(in, w));
      snapshot->set_last_epoch(epoch(in, w));
      *snapshot->mutable_tree() = w.core().tree().to_proto();
      for (uint64_t n = in.below(3); n > 0; --n) {
        auto* key = snapshot->mutable_tree()->add_keys();
        key->set_path(message_text(in));
        key->set_changed_at(in.any());
        fuzz::fill_value(in, &(*key->mutable_values())[message_text(in)]);
      }
      break;
    }
    case 7:
      m.mutable_recovery_done()->set_sequence(sequence(in, w));
      break;
    case 8:
      m.mutable_recovery_done_ack()->set_sequence(sequence(in, w));
      break;
    case 9: {
      auto* roster = m.mutable_roster();
      roster->set_sequence(sequence(in, w));
      roster->set_functional_level(static_cast<uint32_t>(in.any()));
      for (uint64_t n = in.below(4); n > 0; --n) {
        auto* key = roster->mutable_tree()->add_keys();
        key->set_path(in.flag() ? "nodes/" + std::to_string(in.byte()) : message_text(in));
        (*key->mutable_values())["Name"].set_text(message_text(in));
      }
      break;
    }
    default:
      break;
  }
  return m;
}

ErrorCode trouble(Input& in) {
  static constexpr ErrorCode codes[] = {ErrorCode::conflict,
                                        ErrorCode::timeout,
                                        ErrorCode::connection_lost,
                                        ErrorCode::unit_attention,
                                        ErrorCode::unreachable,
                                        ErrorCode::busy,
                                        ErrorCode::io,
                                        ErrorCode::unsupported,
                                        ErrorCode::permission,
                                        ErrorCode::cancelled,
                                        ErrorCode::not_found,
                                        ErrorCode::full,
                                        ErrorCode::invalid_argument};
  return codes[in.below(std::size(codes))];
}

// A target that lies: the command in flight is answered with anything of the right kind.
LunResult lie(Input& in, CoreWorld& w) {
  LunResult r;
  if (w.lun_orders().empty()) {
    r.token = in.any();
  } else {
    const LunOp op = w.lun_orders().front();
    w.lun_orders().pop_front();
    r.token = op.token;
    r.data.assign(op.kind == LunOp::Kind::read ? std::min<uint64_t>(op.size_bytes, 1 << 20) : 0, '\0');
  }
  if (in.flag()) r.data.resize(std::min<size_t>(r.data.size(), in.number(2)));
  const std::string bytes = in.text();
  const size_t at = r.data.size() < 4096 ? 0 : in.number(2) % (r.data.size() - 300);
  r.data.replace(at, std::min(bytes.size(), r.data.size() - at), bytes.substr(0, r.data.size() - at));
  auto key = [&] {
    if (in.flag()) return ReservationKey{in.any()};
    const uint64_t counter = epoch(in, w);
    return ReservationKey::make(cluster_tag("c0ffee"), counter, peer(in));
  };
  r.holder = key();
  r.write_exclusive = in.flag();
  r.holder_known = in.flag();
  for (uint64_t n = in.below(4); n > 0; --n) r.keys.push_back(key());
  r.lun_bytes = in.flag() ? quorum_lun_bytes_min : in.any();
  r.preempt_and_abort = in.flag();
  return r;
}

void ask(Input& in, CoreWorld& w) {
  ApiRequested r;
  r.client = in.below(4) + 1;
  r.may_change = in.below(8) != 7;
  r.who = "root via fuzz";
  r.request.set_id(in.byte());
  r.request.set_version_min(1);
  r.request.set_version_max(in.below(8) == 7 ? 0 : 9);
  switch (in.below(8)) {
    case 0:
      r.request.mutable_status();
      break;
    case 1:
      r.request.mutable_read_tree()->set_prefix(message_text(in));
      break;
    case 2:
      r.request.mutable_subscribe()->set_history(in.flag());
      break;
    case 3:
      fuzz::fill_transaction(in, r.request.mutable_transact()->mutable_transaction());
      break;
    case 4:
      break;
    default:
      fuzz::fill_command(in, r.request.mutable_command());
      break;
  }
  w.step(r);
}

void one_event(Input& in, CoreWorld& w) {
  switch (in.below(20)) {
    case 0:
      for (uint64_t n = in.below(8) + 1; n > 0; --n) w.to_deadline();
      break;
    case 1:
      w.later(Duration{static_cast<int64_t>(in.any() & 0xff'ffff'ffffULL)});
      break;
    case 2:
      for (uint64_t n = in.below(8) + 1; n > 0; --n) w.complete_lun();
      break;
    case 3:
      w.complete_lun(trouble(in));
      break;
    case 4:
      w.step(LunCompleted{lie(in, w)});
      break;
    case 5: {
      const NodeId from = peer(in);
      if (from == w.self()) break;
      w.step(DatagramReceived{from, Incarnation{incarnation(in, w, from)},
                              static_cast<int>(in.below(networks_max)), in.text(), w.now()});
      break;
    }
    case 6: {
      const NodeId from = peer(in);
      if (from == w.self()) break;
      const Incarnation life{incarnation(in, w, from)};
      wire::Heartbeat hb = heartbeat(in, w, from);
      if (in.below(8) != 7) hb.set_incarnation(life.value);
      w.step(DatagramReceived{from, life, static_cast<int>(in.below(networks_max)), hb.SerializeAsString(),
                              w.now() - Duration::milliseconds(in.byte())});
      break;
    }
    case 7: {
      const NodeId from = peer(in);
      if (from != w.self()) w.step(MessageReceived{from, Incarnation{incarnation(in, w, from)}, in.text()});
      break;
    }
    case 8:
    case 9: {
      const NodeId from = peer(in);
      if (from == w.self()) break;
      const Incarnation life{incarnation(in, w, from)};
      w.step(MessageReceived{from, life, message(in, w).SerializeAsString()});
      break;
    }
    case 10: {
      const NodeId other = peer(in);
      if (other == w.self()) break;
      if (in.flag())
        w.step(PeerConnected{other, Incarnation{incarnation(in, w, other)}, message_text(in)});
      else
        w.step(PeerDisconnected{other, "it closed the session"});
      break;
    }
    case 11:
      if (in.flag())
        w.step(NetworkChanged{static_cast<int>(in.below(networks_max)), in.flag()});
      else
        w.step(LoadSampled{static_cast<uint32_t>(in.any()), static_cast<uint32_t>(in.any())});
      break;
    case 12:
      if (in.below(4) == 3)
        w.step(MonitorDied{"signal 11"});
      else
        w.step(MonitorStarted{});
      break;
    case 13: {
      static constexpr monitor::State states[] = {monitor::ONLINE,          monitor::OFFLINE,
                                                  monitor::FAILED,          monitor::ONLINE_PENDING,
                                                  monitor::OFFLINE_PENDING, monitor::INITIALIZING};
      const uint64_t which = in.below(8);
      w.answer_monitor(which < std::size(states) ? std::optional(states[which]) : std::nullopt);
      break;
    }
    case 14: {
      MonitorSaid said;
      if (in.below(4) == 3) {
        said.message.ParseFromString(in.text());
      } else {
        auto* report = said.message.mutable_report();
        report->set_resource(message_text(in));
        report->set_order(in.any());
        report->set_state(static_cast<monitor::State>(in.byte()));
        report->set_message(message_text(in));
        const uint8_t flags = in.byte();
        report->set_held((flags & 1) != 0);
        report->set_dirty((flags & 2) != 0);
        if (flags & 4) report->add_published()->set_name(message_text(in));
      }
      w.step(said);
      break;
    }
    case 15:
    case 16:
      ask(in, w);
      break;
    case 17:
      if (in.flag()) {
        w.step(ApiClosed{in.below(4) + 1});
      } else {
        TransactionAsked asked;
        fuzz::fill_transaction(in, &asked.transaction);
        asked.cause = "enrollment";
        if (in.flag()) asked.done = [](const Status&) {};
        w.step(asked);
      }
      break;
    case 18:
      if (in.below(8) == 7) w.step(StopRequested{"SIGTERM"});
      w.peers_follow();
      break;
    case 19:
      w.settle(static_cast<int>(in.below(16)) + 1);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  const uint8_t shape = in.byte();
  CoreWorld w(shape % fuzz::world_nodes + 1, (shape & 64) != 0 && shape % fuzz::world_nodes == 0,
              (shape & 128) == 0);
  for (int events = 0; !in.done() && w.alive() && events < events_max && w.steps() < steps_max; ++events)
    one_event(in, w);
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  auto settle = [](Recipe& r, int times) -> Recipe& {
    for (int i = 0; i < times; ++i) r.byte(19).byte(15);
    return r;
  };
  auto command = [](Recipe& r, uint64_t verb, std::string_view object, std::string_view target) {
    r.byte(15)
        .byte(0)
        .byte(0)
        .byte(1)
        .byte(0)
        .byte(5)
        .byte(verb)
        .byte(word_number(object))
        .byte(word_number(target))
        .byte(0);
  };
  std::vector<std::string> out;
  for (uint64_t shape : {64, 0, 1, 2, 128}) {
    Recipe r;
    r.byte(shape).byte(12).byte(0);
    for (uint64_t other = 0; other < 3; ++other) r.byte(10).byte(other).byte(1).byte(0).byte(0);
    settle(r, 4);
    out.push_back(r.done());
    command(r, 15, "web", "n1");  // move
    settle(r, 1);
    command(r, 14, "db", "");  // offline
    settle(r, 1);
    command(r, 13, "db", "");  // online
    settle(r, 2);
    r.byte(15).byte(0).byte(0).byte(1).byte(0).byte(0);  // status
    r.byte(13).byte(2).byte(13).byte(2);                 // failures
    settle(r, 2);
    out.push_back(r.done());
    r.byte(3).byte(1).byte(0).byte(7).byte(3).byte(2);  // the LUN does not answer
    settle(r, 2);
    r.byte(12).byte(3).byte(12).byte(0);  // the monitor dies and is started again
    settle(r, 2);
    r.byte(18).byte(7);  // stop
    settle(r, 4);
    out.push_back(r.done());
  }
  return out;
}

}  // namespace holdfast::fuzz
