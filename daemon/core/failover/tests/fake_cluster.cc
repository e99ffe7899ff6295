#include "core/failover/tests/fake_cluster.h"

#include <algorithm>

#include "core/failover/group_state.h"

namespace holdfast::core::testing {

NodeSet FakeNode::members() const {
  return cluster_.members_;
}
bool FakeNode::is_locker() const {
  return cluster_.locker_ == id_;
}
uint64_t FakeNode::wall_time_ms() const {
  return 1'700'000'000'000 + static_cast<uint64_t>(cluster_.now.ns / 1'000'000);
}

void FakeNode::propose(const Transaction& transaction, std::string cause,
                       std::function<void(const Status&)> done) {
  uint64_t request = next_request++;
  cluster_.note("n" + std::to_string(id_.value) + " proposes: " + cause);
  requests[request] = {transaction, std::move(cause), std::move(done), false};
  if (ready_now) cluster_.dispatch(static_cast<int>(id_.value), request);
}

void FakeNode::order(monitor::Order order) {
  const auto action = order.action();
  Resource& r = resources[order.resource()];
  if (!order.type().empty()) r.type = order.type();
  const std::string who =
      "n" + std::to_string(id_.value) + " " + monitor::Order::Action_Name(action) + " " + order.resource();
  cluster_.note(who);
  if (action == monitor::Order::OPEN || action == monitor::Order::CLOSE) return;
  const Behaviour& b = cluster_.behaviours[order.resource()];
  r.order = order.order();
  const auto finish = [&](Duration d, monitor::State state, uint32_t error) {
    const uint64_t monitor = monitor_life, mine = life;
    cluster_.after(d,
                   [this, resource = order.resource(), number = order.order(), state, error, monitor, mine] {
                     if (mine == life && monitor == monitor_life)
                       cluster_.finish(*this, resource, number, state, error);
                   });
  };
  switch (action) {
    case monitor::Order::ONLINE: {
      const std::string group = "groups/" + tree.text("resources/" + order.resource(), "Group");
      if (tree.number(group, "Owner") != id_.value || tree.number(group, "Generation") != order.generation())
        cluster_.broken(who + " without committed ownership");
      for (const auto& provider : tree.list("resources/" + order.resource(), "Dependencies"))
        if (resources[provider].state != monitor::ONLINE &&
            resources[provider].state != monitor::FAILED)  // its report may be under way
          cluster_.broken(who + " before its provider " + provider);
      r.live = true;
      r.fenced = false;
      r.generation = order.generation();
      r.state = monitor::ONLINE_PENDING;
      r.last_online = order;
      if (r.type == "physical-disk")  // preempts whoever has it
        for (auto& [id, other] : cluster_.nodes)
          if (&other != this)
            for (auto& [name, theirs] : other.resources)
              if (cluster_.tip_.text("resources/" + name, "Group") ==
                      cluster_.tip_.text("resources/" + order.resource(), "Group") &&
                  (theirs.type == "physical-disk" || theirs.type == "filesystem"))
                theirs.fenced = other.lost;
      if (!b.online_hangs)
        finish(b.online + cluster_.delay(),
               b.online_fails || b.online_fails_on.count(id_.value) ? monitor::FAILED : monitor::ONLINE, 0);
      break;
    }
    case monitor::Order::OFFLINE:
      for (auto& [name, other] : resources) {
        auto needs = tree.list("resources/" + name, "Dependencies");
        if (other.live && std::find(needs.begin(), needs.end(), order.resource()) != needs.end())
          cluster_.broken(who + " before its dependent " + name);
      }
      r.state = monitor::OFFLINE_PENDING;
      if (!b.offline_hangs) finish(b.offline + cluster_.delay(), monitor::OFFLINE, 0);
      break;
    default:
      r.state = monitor::OFFLINE_PENDING;
      if (b.terminate_fails > 0) {
        --cluster_.behaviours[order.resource()].terminate_fails;
        finish(Duration::milliseconds(2), monitor::FAILED, 18);
      } else {
        finish(Duration::milliseconds(2) + cluster_.delay(), monitor::OFFLINE, 0);
      }
      break;
  }
}

FakeCluster::FakeCluster(int count, uint64_t seed) : random(seed) {
  Edit edit;
  edit.create("cluster").create("groups").create("resources");
  for (int id = 1; id <= count; ++id) {
    nodes.try_emplace(id, *this, NodeId{static_cast<uint64_t>(id)});
    edit.set("nodes/" + std::to_string(id), "Name", "n" + std::to_string(id));
  }
  log_.push_back({edit.done(), 0, 0, 0});
  tip_.apply(edit.done(), Sequence{1});
}

void FakeCluster::note(const std::string& line) {
  log.push_back(std::to_string(now.ns / 1'000'000 % 1'000'000) + " " + line);
  if (log.size() > 20000) log.erase(log.begin(), log.begin() + 10000);
}

void FakeCluster::broken(const std::string& what) {
  note("BROKEN " + what);
  if (failure.empty()) failure = what;
}

void FakeCluster::start(int id) {
  FakeNode& n = nodes.at(id);
  if (n.manager) return;
  note("start n" + std::to_string(id));
  ++n.life;
  ++n.monitor_life;
  n.resources.clear();
  n.requests.clear();
  n.lost = n.lease_lapsed = n.ready_now = false;
  n.guard = guard_;  // a node that forms alone waits for the last view's lease
  n.tree = Tree();
  n.applied = 0;
  n.manager = std::make_unique<FailoverManager>(n);
  after(delay(), [this, &n, life = n.life] {
    if (n.life == life && n.manager) n.manager->on_monitor_ready(now);
  });
  NodeSet next = members_;
  next.add(NodeId{static_cast<uint64_t>(id)});
  install(next);
}

void FakeCluster::end_life(FakeNode& n) {
  n.manager.reset();
  ++n.life;
  ++n.monitor_life;
  n.resources.clear();
  n.requests.clear();
  n.ready_now = false;
}

void FakeCluster::kill(int id) {
  FakeNode& n = nodes.at(id);
  if (!n.manager) return;
  note("kill n" + std::to_string(id));
  end_life(n);
  NodeSet next = members_;
  next.remove(NodeId{static_cast<uint64_t>(id)});
  if (next != members_) install(next);
}

void FakeCluster::cut_off(int id) {
  FakeNode& n = nodes.at(id);
  NodeId node{static_cast<uint64_t>(id)};
  if (!n.manager || n.lost || !members_.contains(node) || members_.size() == 1) return;
  note("cut off n" + std::to_string(id));
  n.lost = true;
  n.ready_now = false;
  const uint64_t life = n.life;
  // It notices somewhere within its lease; at its end the monitor holds what no reservation guards.
  after(Duration{static_cast<int64_t>(random.below(static_cast<uint64_t>(lease.ns)))}, [this, &n, life] {
    if (n.life == life) n.manager->on_lost_membership(now);
  });
  after(lease, [&n, life] {
    if (n.life == life) n.lease_lapsed = true;
  });
  after(Duration::seconds(2), [this, &n, life] {
    if (n.life == life) end_life(n);  // the rest is ended by force
  });
  NodeSet next = members_;
  next.remove(node);
  guard_ = now + lease + Duration{1};
  install(next);
  for (NodeId other : next) nodes.at(static_cast<int>(other.value)).guard = guard_;
}

void FakeCluster::regroup() {
  if (!members_.empty()) install(members_);
}

void FakeCluster::install(NodeSet next) {
  const uint64_t view = ++view_;
  const NodeSet previous = members_;
  members_ = next;
  locker_ = {};
  for (auto& [id, n] : nodes) n.ready_now = false;
  if (next.empty()) return;
  std::vector<NodeId> ids;
  for (NodeId id : next) ids.push_back(id);
  const NodeId locker = ids[random.below(ids.size())];
  note("view " + to_string(next) + " locker n" + std::to_string(locker.value));
  const auto each = [this, view](const std::function<void(FakeNode&)>& what) {
    if (view != view_) return;
    for (NodeId id : members_) {
      FakeNode& n = nodes.at(static_cast<int>(id.value));
      if (n.manager && !n.lost) what(n);
    }
  };
  after(Duration::milliseconds(5), [this, each, view, previous, locker] {
    if (view != view_) return;
    locker_ = locker;
    each([&](FakeNode& n) {
      if (n.applied == 0) n.tree = tip_, n.applied = log_.size();  // a joining node gets a snapshot
      n.manager->on_view(previous_ready_.empty() ? previous : previous_ready_, members_, now);
    });
  });
  after(Duration::milliseconds(10), [this, each, view] {
    if (view != view_) return;
    previous_ready_ = members_;
    each([&](FakeNode& n) { apply(n, log_.size()); });
    each([&](FakeNode& n) {
      n.ready_now = true;
      n.manager->on_ready(now);
    });
    for (NodeId id : members_) {
      std::vector<uint64_t> open;
      for (auto& [request, r] : nodes.at(static_cast<int>(id.value)).requests)
        if (!r.ordered) open.push_back(request);
      for (uint64_t request : open) dispatch(static_cast<int>(id.value), request);
    }
  });
}

void FakeCluster::dispatch(int id, uint64_t request) {
  const uint64_t view = view_, life = nodes.at(id).life;
  after(delay(), [this, id, request, view, life] {
    if (view == view_) order_update(id, life, request);  // else it is sent again in the next view
  });
}

void FakeCluster::order_update(int id, uint64_t life, uint64_t request) {
  FakeNode& n = nodes.at(id);
  if (n.life != life || locker_.is_none()) return;
  auto it = n.requests.find(request);
  if (it == n.requests.end() || it->second.ordered) return;
  if (!nodes.at(static_cast<int>(locker_.value)).ready_now) return;
  Status status = tip_.check(it->second.transaction);
  if (!status) {
    note("refused to n" + std::to_string(id) + ": " + status.error().message);
    after(delay(), [&n, life, request, status] {
      if (n.life != life) return;
      auto r = n.requests.find(request);
      if (r == n.requests.end()) return;
      auto done = std::move(r->second.done);
      n.requests.erase(r);
      if (done) done(status);
    });
    return;
  }
  it->second.ordered = true;
  log_.push_back({it->second.transaction, static_cast<uint64_t>(id), life, request});
  ++updates;
  tip_.apply(it->second.transaction, Sequence{log_.size()});
  const size_t through = log_.size();
  const uint64_t view = view_;
  for (NodeId member : members_) {
    FakeNode& m = nodes.at(static_cast<int>(member.value));
    after(delay() + Duration::microseconds(200), [this, &m, through, view] {
      if (view == view_ && m.manager && !m.lost) apply(m, through);
    });
  }
}

void FakeCluster::apply(FakeNode& n, size_t through) {
  while (n.applied < through && n.manager) {
    const Update& u = log_[n.applied++];
    auto notices = n.tree.apply(u.transaction, Sequence{n.applied});
    n.manager->on_committed(notices, now);
    if (u.origin == n.self().value && u.life == n.life) {
      auto r = n.requests.find(u.request);
      if (r == n.requests.end()) continue;
      auto done = std::move(r->second.done);
      n.requests.erase(r);
      if (done) done({});
    }
  }
}

void FakeCluster::report(FakeNode& n, monitor::Report r) {
  const uint64_t life = n.life, monitor = n.monitor_life;
  after(delay(), [this, &n, r, life, monitor] {
    if (n.life == life && n.monitor_life == monitor && n.manager) n.manager->on_report(r, now);
  });
}

void FakeCluster::finish(FakeNode& n, const std::string& name, uint64_t order, monitor::State state,
                         uint32_t error) {
  auto& r = n.resources[name];
  if (r.order != order) return;
  note("n" + std::to_string(n.self().value) + " " + name + " is " + monitor::State_Name(state));
  r.state = state;
  r.live = state == monitor::ONLINE || error != 0;
  monitor::Report out;
  out.set_resource(name);
  out.set_order(order);
  out.set_state(state);
  out.set_error(error);
  if (state == monitor::FAILED) out.set_message("scripted failure");
  if (state == monitor::ONLINE && r.type == "physical-disk") {
    auto* p = out.add_published();
    p->set_name("Device");
    p->set_value("/dev/" + name);
  }
  report(n, std::move(out));
}

void FakeCluster::fail(const std::string& name) {
  for (auto& [id, n] : nodes) {
    auto it = n.resources.find(name);
    if (!n.manager || it == n.resources.end() || it->second.state != monitor::ONLINE) continue;
    note("n" + std::to_string(id) + " " + name + " fails");
    it->second.state = monitor::FAILED;
    it->second.live = false;
    monitor::Report r;
    r.set_resource(name);
    r.set_state(monitor::OFFLINE_PENDING);
    report(n, r);
    r.set_state(monitor::FAILED);
    r.set_error(18);
    r.set_message("it failed");
    // In order after the first.
    const uint64_t life = n.life, monitor = n.monitor_life;
    after(delay_max + Duration::milliseconds(1), [this, &n, r, life, monitor] {
      if (n.life == life && n.monitor_life == monitor && n.manager) n.manager->on_report(r, now);
    });
  }
}

void FakeCluster::kill_monitor(int id) {
  FakeNode& n = nodes.at(id);
  if (!n.manager || n.lost) return;
  note("monitor of n" + std::to_string(id) + " dies");
  ++n.monitor_life;
  n.resources.clear();
  n.manager->on_monitor_died(now);
  after(Duration::milliseconds(20), [this, &n, life = n.life, monitor = n.monitor_life] {
    if (n.life == life && n.monitor_life == monitor && n.manager) n.manager->on_monitor_ready(now);
  });
}

void FakeCluster::command(Edit edit) {
  Status status = tip_.check(edit.done());
  if (!status) return;
  for (NodeId id : members_) {
    FakeNode& n = nodes.at(static_cast<int>(id.value));
    if (!n.manager || n.lost) continue;
    n.propose(edit.done(), "command", [](const Status&) {});
    settle();
    return;
  }
}

void FakeCluster::settle() {
  for (auto& [id, n] : nodes) {
    int turns = 0;
    while (n.manager && !n.lost && n.manager->next_deadline() <= now) {
      n.manager->on_time(now);
      if (++turns > 20) {
        broken("n" + std::to_string(id) + " spins");
        return;
      }
    }
    if (n.manager) n.manager->check_invariants();
  }
  check();
}

void FakeCluster::check() {
  // Of a removed node what a reservation guards may overlap with what does not: the new owner's disk stops it
  // at the target at once, its addresses and programs end with the lease.
  std::map<std::string, NodeSet> live;
  for (auto& [id, n] : nodes)
    for (auto& [name, r] : n.resources) {
      const bool guarded = r.type == "physical-disk" || r.type == "filesystem";
      if (!r.live || r.fenced || (n.lease_lapsed && !guarded)) continue;
      const std::string group = tip_.text("resources/" + name, "Group");
      live[group + (guarded ? "/guarded" : "/unguarded")].add(n.self());
      if (!n.lost) live[group].add(n.self());
    }
  for (auto& [group, set] : live)
    if (set.size() > 1) broken("I3: group " + group + " runs on " + to_string(set));
}

void FakeCluster::run(Duration d) {
  const Instant end = now + d;
  settle();
  while (failure.empty()) {
    Instant next = facts_.empty() ? Instant::infinite() : facts_.top().at;
    for (auto& [id, n] : nodes)
      if (n.manager && !n.lost) next = std::min(next, std::max(now, n.manager->next_deadline()));
    if (next > end) break;
    now = std::max(now, next);
    if (!facts_.empty() && facts_.top().at <= now) {
      auto what = facts_.top().what;
      facts_.pop();
      what();
    }
    settle();
  }
  now = end;
}

bool FakeCluster::run_until(const std::function<bool()>& condition, Duration limit) {
  const Instant end = now + limit;
  while (now < end && failure.empty()) {
    if (condition()) return true;
    run(Duration::milliseconds(1));
  }
  return failure.empty() && condition();
}

bool FakeCluster::online(const std::string& group) const {
  if (derive_group_state(tip_, group, members_) != GroupState::online) return false;
  auto it = nodes.find(static_cast<int>(owner(group).value));
  if (it == nodes.end()) return false;
  for (const auto& name : tip_.children("resources")) {
    if (tip_.text("resources/" + name, "Group") != group) continue;
    auto r = it->second.resources.find(name);
    if (r == it->second.resources.end() || r->second.state != monitor::ONLINE) return false;
  }
  return true;
}

std::string FakeCluster::text() const {
  std::string out = failure + "\n";
  for (size_t i = log.size() > 120 ? log.size() - 120 : 0; i < log.size(); ++i) out += log[i] + "\n";
  for (const auto& path : tip_.subtree("")) {
    if (path.find('/') == std::string::npos) continue;
    out += path + ":";
    for (const auto& [name, value] : tip_.find(path)->values) out += " " + name + "=" + display(value);
    out += "\n";
  }
  return out;
}

void make_groups(FakeCluster& cluster, int count, bool with_disk) {
  for (int i = 1; i <= count; ++i) {
    const std::string n = std::to_string(i), group = "g" + n;
    Edit edit;
    edit.set("groups/" + group, "Owner", uint64_t{0}).set("groups/" + group, "PersistentState", uint64_t{1});
    const auto resource = [&](const std::string& name, const std::string& type,
                              std::vector<std::string> needs) {
      const std::string path = "resources/" + name + n;
      edit.set(path, "Group", group).set(path, "Type", type);
      for (auto& need : needs) need += n;
      if (!needs.empty()) edit.set(path, "Dependencies", needs);
    };
    if (with_disk) {
      resource("disk", "physical-disk", {});
      resource("fs", "filesystem", {"disk"});
      resource("ip", "ip-address", {});
      resource("app", "generic-program", {"fs", "ip"});
    } else {
      resource("ip", "ip-address", {});
    }
    cluster.command(std::move(edit));
  }
}

}  // namespace holdfast::core::testing
