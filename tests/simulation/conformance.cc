#include "simulation/conformance.h"

#include <algorithm>
#include <utility>

#include "core/log/layout.h"

namespace holdfast::sim {
namespace {

using core::Predecessor;
using disk::Superblock;

bool names(const std::vector<Predecessor>& list, uint64_t epoch, uint64_t holder) {
  return std::any_of(list.begin(), list.end(), [&](const Predecessor& p) {
    return p.epoch.value == epoch && p.holder.value == holder;
  });
}

bool has(const auto& members, int node, uint64_t incarnation) {
  return std::any_of(members.begin(), members.end(), [&](const auto& m) {
    return m.node() == static_cast<uint32_t>(node) && m.incarnation() == incarnation;
  });
}

bool is_head(const core::LunOp& op) {
  return op.kind == core::LunOp::Kind::read && op.offset_bytes == 0 && op.size_bytes == core::head_bytes;
}

// The last sequence of a log record (core/log/record.cc).
uint64_t last_sequence(const std::string& record) {
  uint64_t out = 0;
  for (size_t i = 0; i < 8; ++i) out |= uint64_t{static_cast<unsigned char>(record[32 + i])} << (8 * i);
  return out;
}

uint64_t epoch_in(const std::string& object) {  // "epoch 7"
  return object.rfind("epoch ", 0) == 0 ? std::stoull(object.substr(6)) : 0;
}

const char* kind_name(core::LunOp::Kind kind) {
  static constexpr const char* kinds[] = {
      "open",    "close",     "register_key",     "register_ignore", "reserve", "release",
      "preempt", "read_keys", "read_reservation", "lun_reset",       "read",    "write"};
  return kinds[static_cast<int>(kind)];
}

}  // namespace

Conformance::Conformance(const ConformanceConfig& config, std::function<void(const std::string&)> refuse)
    : config_(config), refuse_(std::move(refuse)) {}

bool Conformance::forge(Forgery f, bool again) {
  if (config_.forgery != f || (forged_ && !again)) return false;
  forged_ = true;
  if (config_.forged != nullptr) *config_.forged = true;
  return true;
}

void Conformance::take(Step step) {
  if (config_.taken != nullptr) ++(*config_.taken)[static_cast<size_t>(step)];
}

void Conformance::refuse(int node, const std::string& why) {
  refuse_("not a step of the model: node " + std::to_string(node) + " " + why);
}

ReservationKey Conformance::key_of(const Node& n, int node, uint64_t epoch) const {
  return ReservationKey::make(n.tag, epoch, NodeId{static_cast<uint64_t>(node)});
}

void Conformance::died(int node) {
  if (!config_.on) return;
  if (nodes_[node].incarnation != 0) take(Step::crash);
  nodes_[node] = {};
}

void Conformance::stepped(int node, const core::Event& event, const core::Output& output,
                          const core::Core& core) {
  if (!config_.on) return;
  const uint64_t incarnation = core.membership().incarnation().value;
  if (nodes_[node].incarnation != incarnation) {
    nodes_[node] = {};
    nodes_[node].incarnation = incarnation;
    nodes_[node].tag = cluster_tag("c1");
    take(Step::restart);
  }
  Node& n = nodes_[node];
  if (const auto* completed = std::get_if<core::LunCompleted>(&event)) done(node, n, completed->result);
  for (const auto& e : output.events)
    if (e.kind() == "QUORUM_STATE" && epoch_in(e.object()) != 0)
      outcome(node, n, epoch_in(e.object()), e.new_value());
  views(node, n, core);
  // The same to everybody, but for the echo.
  for (const auto& d : output.datagrams) {
    wire::Heartbeat hb;
    if (d.to != output.datagrams.front().to || !hb.ParseFromString(d.payload)) continue;
    if (n.promised != 0 && hb.accepted() > n.promised && forge(Forgery::accepted_twice)) {
      hb.set_accepted(n.promised);
      hb.mutable_nomination()->mutable_view()->set_epoch(n.promised);
    }
    heartbeat(node, n, hb);
  }
  for (const auto& text : output.trace) {
    if (text.rfind("contests the quorum", 0) == 0) contest(node, n, false);
    if (text.rfind("forms epoch", 0) == 0) contest(node, n, true);
  }
  updates(node, n, event, output, core);
  for (Op op : output.lun) {
    const bool log = op.kind == Kind::write && op.offset_bytes >= core::log_offset_bytes;
    if (log && nodes_.size() > 1 && forge(Forgery::log_elsewhere)) {
      const auto other =
          std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& o) { return o.first != node; });
      other->second.order.reset();
      ordered(other->first, other->second, op);
    }
    if (n.at == At::read_holder && forge(Forgery::log_in_contest)) {
      op.kind = Kind::write;
      op.offset_bytes = core::log_offset_bytes;
    }
    if (!dropped(n, op)) ordered(node, n, op);
  }
  if (output.life_ended) take(Step::leave);
}

// Forged histories lack a command.
bool Conformance::dropped(const Node& n, const Op& op) {
  switch (n.at) {
    case At::act:
      return (op.kind == Kind::preempt && n.act == Step::seize && forge(Forgery::no_preempt)) ||
             (op.kind == Kind::lun_reset && forge(Forgery::no_reset));
    case At::back:
      return forge(Forgery::no_read_back);
    case At::write:
      return n.copies == 1 && forge(Forgery::no_second_copy);
    case At::check:
      return forge(Forgery::win_without_check, true);
    default:
      return false;
  }
}

// --- regroup.pml ---

void Conformance::heartbeat(int node, Node& n, const wire::Heartbeat& hb) {
  if (hb.phase() != wire::Heartbeat::REGROUP || hb.regroup_base() != n.regroup) {
    n.regroup = hb.phase() == wire::Heartbeat::REGROUP ? hb.regroup_base() : 0;
    n.accepted = n.nominated = 0;
    n.promises.clear();
    n.nomination.reset();
  }
  if (n.regroup == 0) return;
  if (hb.has_nomination()) {
    const auto& nomination = hb.nomination();
    const uint64_t epoch = nomination.view().epoch();
    if (nomination.coordinator() == static_cast<uint32_t>(node) && epoch > n.nominated) {
      take(Step::nominate);
      n.nominated = epoch;
      std::vector<Predecessor> list;
      for (const auto& p : nomination.predecessors()) list.push_back({Epoch{p.epoch()}, NodeId{p.owner()}});
      if (epoch <= n.promised || epoch <= n.view)
        refuse(node, "nominates an epoch that it has promised away");
      if (list.empty() || list.front().epoch.value != n.view || nomination.base_epoch() != n.view)
        refuse(node, "nominates for another view than its own");
      // Of two nominees for one epoch it keeps one, as the model does.
      for (const auto& [promised, nominee] : n.promises)
        if (std::none_of(list.begin(), list.end(),
                         [&](const Predecessor& p) { return p.epoch.value == promised; }))
          refuse(node, "leaves an epoch that it accepted out of the predecessors");
    }
    if (hb.accepted() == epoch) n.nomination = nomination;
  }
  if (hb.accepted() == n.accepted || hb.accepted() == 0) return;
  const uint64_t epoch = hb.accepted();
  const bool nominee = hb.nomination().view().owner() == static_cast<uint32_t>(node);
  if (!nominee && forge(Forgery::installed_unaccepted, true)) {
    n.promised = epoch;
    said_accepted_.insert({epoch, n.incarnation});
    return;
  }
  take(Step::accept);
  if (epoch <= n.promised) refuse(node, "accepts epoch " + std::to_string(epoch) + " below its promise");
  if (!n.nomination || n.nomination->view().epoch() != hb.accepted() ||
      !has(n.nomination->view().members(), node, n.incarnation) || n.nomination->base_epoch() != n.regroup)
    refuse(node, "accepts what was not nominated to it");
  else
    n.promises[epoch] = n.nomination->view().owner();
  n.promised = n.accepted = epoch;
  if (nominee || !forge(Forgery::contest_unaccepted, true)) said_accepted_.insert({epoch, n.incarnation});
}

void Conformance::views(int node, Node& n, const core::Core& core) {
  const core::View& view = core.membership().view();
  if (view.epoch.value == n.view) return;
  take(Step::install);
  auto won = won_.find(view.epoch.value);
  if (won == won_.end() || won->second != view.text())
    refuse(node, "installs " + view.text() + ", which nobody won");
  if (view.epoch.value <= n.view || view.epoch.value < n.promised) refuse(node, "installs an older view");
  if (n.won != view.epoch.value && n.accepted != view.epoch.value)
    refuse(node, "installs " + view.text() + " without having accepted it");
  n.view = view.epoch.value;
  n.promised = std::max(n.promised, n.view);
  n.accepted = n.nominated = n.regroup = 0;
  n.promises.clear();
  n.nomination.reset();
  n.ready = false;
  n.acked.clear();
}

// --- contest.pml ---

void Conformance::contest(int node, Node& n, bool forming) {
  if (n.at != At::idle) return;  // the core does not begin a second one either
  n.wanted = {};
  n.predecessors.clear();
  n.abandoned = {};
  n.forming = forming;
  n.begun = n.used_abandoned = false;
  if (forming) {
    take(Step::form);
    if (!n.seen) return refuse(node, "forms without having seen the superblock");
    const Predecessor last{Epoch{n.seen->epoch()}, NodeId{n.seen->holder()}};
    if (n.found_over == last) n.abandoned = n.found;
    n.found = {};
    n.found_over = last;
    const uint64_t epoch = std::max({n.seen->epoch(), n.promised, n.abandoned.counter()}) + 1;
    n.wanted.set_epoch(epoch);
    n.wanted.set_owner(static_cast<uint32_t>(node));
    auto* self = n.wanted.add_members();
    self->set_node(static_cast<uint32_t>(node));
    self->set_incarnation(n.incarnation);
    n.predecessors.push_back(last);
    n.promised = epoch;
  } else {
    take(Step::contest);
    if (!n.nomination || n.accepted != n.nomination->view().epoch() ||
        n.nomination->view().owner() != static_cast<uint32_t>(node))
      return refuse(node, "contests without an accepted nomination of its own");
    n.wanted = n.nomination->view();
    for (const auto& p : n.nomination->predecessors())
      n.predecessors.push_back({Epoch{p.epoch()}, NodeId{p.owner()}});
    for (const auto& m : n.wanted.members())
      if (!said_accepted_.count({n.wanted.epoch(), m.incarnation()}))
        refuse(node, "contests before node " + std::to_string(m.node()) + " accepted");
  }
  again(n);
}

void Conformance::again(Node& n) {
  n.at = At::read_head;
  n.commands.clear();
  n.judged = n.used_abandoned = false;
  n.copies = 0;
}

bool Conformance::loses_by(int node, const Node& n, const Superblock& s) const {
  const bool ours = s.epoch() == n.wanted.epoch() && s.holder() == static_cast<uint32_t>(node);
  if (!ours && !names(n.predecessors, s.epoch(), s.holder()) &&
      s.epoch() >= n.predecessors.back().epoch.value)
    return true;
  return !ours && s.epoch() > n.predecessors.front().epoch.value && !has(s.members(), node, n.incarnation);
}

void Conformance::read_head(int node, Node& n, const core::LunResult& result) {
  take(Step::read_head);
  const auto head = core::decode_superblocks(result.data);
  if (!head.valid || loses_by(node, n, head.superblock)) {
    n.at = At::must_lose;
    return;
  }
  const Superblock& s = head.superblock;
  n.judged = (s.epoch() == n.wanted.epoch() && s.holder() == static_cast<uint32_t>(node)) ||
             names(n.predecessors, s.epoch(), s.holder());
  n.at = At::read_holder;
}

void Conformance::read_holder(int node, Node& n, ReservationKey holder) {
  take(Step::read_holder);
  const ReservationKey own = key_of(n, node, n.wanted.epoch());
  const bool here = n.open && n.key_session == n.session && !n.key.is_none();
  const bool expected = holder.tag() == n.tag && names(n.predecessors, holder.counter(), holder.node().value);
  const bool abandoned = !expected && n.judged && !n.abandoned.is_none() && holder == n.abandoned;
  const bool stale = holder.tag() == n.tag && n.judged && n.seen && holder.counter() < n.seen->epoch();
  const Command enter{Kind::register_ignore, own, {}};
  if (holder == own) {
    n.act = Step::own_key;
    n.commands = {enter, {Kind::preempt, own, own, false}, {Kind::lun_reset, {}, {}}};
  } else if (holder.is_none() && n.judged) {
    n.act = Step::reserve;
    n.commands = {enter, {Kind::reserve, own, {}}, {Kind::lun_reset, {}, {}}};
  } else if (!holder.is_none() && expected && here && holder == n.key) {
    n.act = Step::defend;
    n.commands = {{Kind::preempt, holder, holder, false}, {Kind::register_key, holder, own}};
  } else if (!holder.is_none() && (expected || abandoned || stale)) {
    n.act = Step::seize;
    n.commands = {enter, {Kind::preempt, own, holder}};
    if (!n.abort_known) n.commands.push_back({Kind::lun_reset, {}, {}});
    n.used_abandoned = abandoned;
  } else {
    if (n.forming && n.judged && holder.tag() == n.tag && !holder.is_none()) n.found_now = holder;
    n.at = At::must_lose;
    return;
  }
  n.at = At::act;
}

void Conformance::outcome(int node, Node& n, uint64_t epoch, const std::string& what) {
  if (n.at == At::idle) return refuse(node, "ends a contest that it has not begun");
  if (epoch != n.wanted.epoch()) refuse(node, "ends the contest for another epoch");
  std::string said = what;
  if (said == "won" && forge(Forgery::lost_for_nothing)) said = "lost";
  if (said == "won") {
    take(Step::won);
    if (n.at != At::must_win) refuse(node, "says that it won epoch " + std::to_string(epoch) + " too early");
    // The assertions of declare_won.
    if (won_.count(epoch)) refuse(node, "wins epoch " + std::to_string(epoch) + ", which is won");
    if (epoch <= newest_won_)
      refuse(node, "wins epoch " + std::to_string(epoch) + " after " + std::to_string(newest_won_));
    if (recovered_ > n.predecessors.front().epoch.value)
      refuse(node,
             "supersedes epoch " + std::to_string(recovered_) + ", which went to work, from an older view");
    won_[epoch] = core::View::from(n.wanted).text();
    newest_won_ = std::max(newest_won_, epoch);
    n.won = epoch;
  } else if (said == "lost") {
    take(Step::lost);
    if (n.at != At::must_lose) refuse(node, "gives up epoch " + std::to_string(epoch) + " without reason");
    if (n.forming) n.found = n.found_now;
  } else {
    take(Step::unreachable);
    if (n.at != At::read_head) refuse(node, "gives up in the middle of a round");
  }
  n.found_now = {};
  n.at = At::idle;
}

// --- commands ---

void Conformance::ordered(int node, Node& n, const Op& op) {
  if (n.order) refuse(node, "orders two commands at once");
  n.order = op;
  // What changes nothing, and what an earlier job of the lane had still to do.
  const bool harmless = op.kind == Kind::open || op.kind == Kind::close || op.kind == Kind::read_keys ||
                        (op.kind == Kind::read && !is_head(op));
  if (n.at == At::idle || (!n.begun && !is_head(op)))
    ordered_idle(node, n, op);
  else if (!harmless)
    ordered_in_contest(node, n, op);
}

void Conformance::ordered_in_contest(int node, Node& n, const Op& op) {
  auto wrong = [&](const char* wanted) {
    refuse(node,
           std::string("orders ") + kind_name(op.kind) + " in its contest, where the model has " + wanted);
  };
  n.begun = n.begun || is_head(op);
  if (op.kind == Kind::write && op.offset_bytes >= core::checkpoint_offset_bytes)
    return wrong("no log write");
  switch (n.at) {
    case At::read_head:
      // Between two rounds patience may end: what was registered goes.
      if (op.kind == Kind::register_key && op.own == n.key && op.other.is_none()) return;
      if (!is_head(op)) wrong("read_head");
      return;
    case At::read_holder:
      if (is_head(op))
        n.at = At::read_head;  // the first look, when nothing was known of the LUN
      else if (op.kind != Kind::read_reservation)
        wrong("read_holder");
      return;
    case At::act: {
      const Command& c = n.commands.front();
      ReservationKey other = op.other;
      if (op.kind == Kind::preempt && forge(Forgery::another_victim)) other.value ^= 0x100;
      if (op.kind != c.kind || (op.kind != Kind::lun_reset && op.own != c.own) || other != c.other)
        wrong(step_names[static_cast<size_t>(n.act)]);
      return;
    }
    case At::back:
      if (op.kind != Kind::read_reservation) wrong("read_back");
      return;
    case At::look:
      if (!is_head(op)) wrong("read_back");
      return;
    case At::write: {
      auto s = op.kind == Kind::write && op.data.size() == core::block_bytes
                   ? core::decode_superblock(op.data.data())
                   : Result<Superblock>(fail(ErrorCode::corrupt, ""));
      if (!s || op.offset_bytes !=
                    core::superblock_offset_bytes + static_cast<uint64_t>(n.copies) * core::block_bytes)
        return wrong("write_superblock");
      if (forge(Forgery::older_superblock)) s->set_epoch(s->epoch() - 1);
      bool same = s->epoch() == n.wanted.epoch() && s->holder() == static_cast<uint32_t>(node) &&
                  s->members_size() == n.wanted.members_size();
      for (const auto& m : n.wanted.members())
        same = same && has(s->members(), static_cast<int>(m.node()), m.incarnation());
      if (!same) wrong("the view that was nominated");
      return;
    }
    case At::check:
      if (!is_head(op)) wrong("check");
      return;
    case At::check_holder:
      if (op.kind != Kind::read_reservation) wrong("check");
      return;
    case At::must_lose:
      if (is_head(op))
        n.at = At::read_head;
      else if (op.kind != Kind::register_key || op.own != n.key || !op.other.is_none())
        wrong("lost");
      return;
    case At::must_win:
    case At::idle:
      wrong("won");
  }
}

void Conformance::ordered_idle(int node, Node& n, const Op& op) {
  const bool holds = n.won != 0 && n.open && n.key_session == n.session && n.key == key_of(n, node, n.won);
  auto wrong = [&](const char* why) {
    refuse(node, std::string("orders ") + kind_name(op.kind) + " at " + std::to_string(op.offset_bytes) +
                     " and " + why);
  };
  switch (op.kind) {
    case Kind::open:
    case Kind::close:
    case Kind::read:
    case Kind::read_keys:
    case Kind::read_reservation:
      return;
    case Kind::write: {
      if (!holds) return wrong("does not hold the quorum over this session");
      if (op.offset_bytes >= core::checkpoint_offset_bytes) {
        take(Step::write_log);
        if (n.view != n.won) wrong("is in another view");
        return;
      }
      if (op.offset_bytes == core::beacon_offset_bytes) return;
      take(Step::resign);
      auto s = core::decode_superblock(op.data.data());
      if (!s || s->epoch() != n.won || !s->orderly_shutdown()) wrong("does not mark its own superblock");
      return;
    }
    case Kind::release:
      return;
    case Kind::register_key:
      if (!op.other.is_none()) wrong("contests nothing");
      return;
    case Kind::preempt:  // of those that lost
      if (!holds || op.own != n.key || op.other.counter() >= n.key.counter())
        wrong("has not won against that key");
      return;
    default:
      wrong("contests nothing");
  }
}

void Conformance::done(int node, Node& n, const core::LunResult& result) {
  if (!n.order || n.order->token != result.token) return;
  const Op op = *std::exchange(n.order, std::nullopt);
  if (op.kind == Kind::open) {
    n.open = result.ok();
    if (n.open) {
      ++n.session;
      n.abort_known = result.preempt_and_abort;
    }
  } else if (result.session_lost() || op.kind == Kind::close) {
    n.open = false;
  }
  if (result.ok() && op.kind == Kind::register_key) n.key = op.other, n.key_session = n.session;
  if (result.ok() && op.kind == Kind::register_ignore) n.key = op.own, n.key_session = n.session;
  if (is_head(op) && result.ok()) {
    const auto head = core::decode_superblocks(result.data);
    if (head.valid) n.seen = head.superblock;
  }
  if (op.kind == Kind::write && op.offset_bytes >= core::log_offset_bytes && result.ok()) {
    const uint64_t sequence = last_sequence(op.data);
    if (!(n.ready && sequence > n.durable && forge(Forgery::committed_early)))
      n.durable = std::max(n.durable, sequence);
  }
  if (op.kind == Kind::register_key && op.other.is_none()) n.key = {};
  if (n.at != At::idle && n.begun) advance(node, n, op, result);
}

void Conformance::advance(int node, Node& n, const Op& op, const core::LunResult& result) {
  if (op.kind == Kind::register_key && op.other.is_none()) return;  // the outcome follows
  const bool harmless = op.kind == Kind::open || op.kind == Kind::close || op.kind == Kind::read_keys ||
                        (op.kind == Kind::read && !is_head(op));
  if (harmless) return;
  auto repeat = [&] {
    take(Step::next_round);
    again(n);
  };
  const ReservationKey own = key_of(n, node, n.wanted.epoch());
  switch (n.at) {
    case At::read_head:
      return result.ok() ? read_head(node, n, result) : repeat();
    case At::read_holder:
      if (!result.ok()) return repeat();
      return read_holder(node, n, result.holder);
    case At::act: {
      const Command c = n.commands.front();
      if (!result.ok() && c.must) {
        if (c.kind == Kind::register_key) n.key = {};
        return repeat();
      }
      n.commands.erase(n.commands.begin());
      if (n.commands.empty()) {
        take(n.act);
        n.at = At::back;
      }
      return;
    }
    case At::back:
      if (!result.ok() || result.holder != own || !result.write_exclusive) return repeat();
      n.at = At::look;
      return;
    case At::look: {
      take(Step::read_back);
      const auto head = result.ok() ? core::decode_superblocks(result.data) : core::HeadView{};
      if (!head.valid) return repeat();
      const auto& s = head.superblock;
      const bool won_after_all = n.used_abandoned && !names(n.predecessors, s.epoch(), s.holder());
      n.at = loses_by(node, n, s) || won_after_all ? At::must_lose : At::write;
      return;
    }
    case At::write:
      if (!result.ok()) return repeat();
      if (++n.copies < 2) return;
      take(Step::write_superblock);
      n.at = At::check;
      return;
    case At::check:
      if (!result.ok()) return repeat();
      n.judged = false;
      if (const auto head = core::decode_superblocks(result.data); head.valid)
        n.judged = head.superblock.epoch() == n.wanted.epoch() &&
                   head.superblock.holder() == static_cast<uint32_t>(node);
      n.at = At::check_holder;
      return;
    case At::check_holder:
      if (!result.ok() || !n.judged || result.holder != own) return repeat();
      take(Step::check);
      n.at = At::must_win;
      return;
    case At::must_lose:
    case At::must_win:
    case At::idle:
      return;
  }
}

// --- update.pml ---

void Conformance::updates(int node, Node& n, const core::Event& event, const core::Output& output,
                          const core::Core& core) {
  const auto& view = core.membership().view();
  const bool owner = n.view != 0 && view.owner.value == static_cast<uint64_t>(node);
  const auto& u = core.updates();
  if (const auto* heard = std::get_if<core::MessageReceived>(&event)) {
    wire::Peer peer;
    if (peer.ParseFromString(heard->payload) && peer.has_update_ack()) {
      uint64_t& acked = n.acked[heard->from.value];
      acked = std::max(acked, peer.update_ack().sequence());
    }
  }
  for (const auto& m : output.messages) {
    wire::Peer peer;
    if (!peer.ParseFromString(m.payload) || !peer.has_update_ack()) continue;
    take(Step::acknowledge);
    if (m.to != view.owner || m.epoch != n.view) refuse(node, "acknowledges to another than its owner");
  }
  if (owner && u.ready() && (!n.ready || n.ready_in != n.view)) {
    take(Step::recovered);
    recovered_ = std::max(recovered_, n.view);
    n.ready = true;
    n.ready_in = n.view;
    // Recovery has its own reports; everything up to here is at every member and in the log.
    n.durable = std::max(n.durable, u.committed().value);
    for (const auto& [id, incarnation] : view.members)
      n.acked[id.value] = std::max(n.acked[id.value], u.committed().value);
  } else if (owner && n.ready && u.committed().value > n.committed) {
    take(Step::commit);
    const uint64_t sequence = u.committed().value;
    if (n.durable < sequence)
      refuse(node, "commits update " + std::to_string(sequence) + ", which its log does not hold");
    for (const auto& [id, incarnation] : view.members)
      if (id.value != static_cast<uint64_t>(node) && n.acked[id.value] < sequence)
        refuse(node,
               "commits update " + std::to_string(sequence) + " without node " + std::to_string(id.value));
  }
  n.committed = u.committed().value;
  if (u.ordered_total() > n.ordered) {
    take(Step::order);
    if (!owner || !n.ready) refuse(node, "gives a sequence before it has recovered");
  }
  n.ordered = u.ordered_total();
}

}  // namespace holdfast::sim
