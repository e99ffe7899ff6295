// FakeCluster: several failover managers over one shared ordered log, with fake resource monitors, in virtual
// time. Everything around the managers is simplified, but as unkind as the real thing may be: updates reach
// nodes at different times, proposals survive a change of view, resources are slow, fail and hang. After
// every step it checks that no group runs on two nodes (I3) and that orders obey the dependencies.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/tests/random.h"
#include "core/failover/failover_manager.h"

namespace holdfast::core::testing {

// How the fake monitors treat a resource.
struct Behaviour {
  Duration online = Duration::milliseconds(5);
  Duration offline = Duration::milliseconds(5);
  bool online_fails = false;
  std::set<uint64_t> online_fails_on;  // on these nodes
  bool online_hangs = false;           // until it is terminated
  bool offline_hangs = false;
  int terminate_fails = 0;  // so many times
};

class FakeCluster;

class FakeNode : public FailoverHost {
 public:
  struct Resource {
    monitor::State state = monitor::OFFLINE;
    bool live = false;    // something of it may be up
    bool fenced = false;  // a new owner preempted it
    uint64_t generation = 0;
    uint64_t order = 0;  // of the operation under way; a later order makes its end void
    std::string type;
    monitor::Order last_online;
  };
  struct Request {
    Transaction transaction;
    std::string cause;
    std::function<void(const Status&)> done;
    bool ordered = false;
  };

  FakeNode(FakeCluster& cluster, NodeId id) : cluster_(cluster), id_(id) {}

  const Tree& database() const override { return tree; }
  NodeId self() const override { return id_; }
  NodeSet members() const override;
  bool is_locker() const override;
  bool ready() const override { return ready_now; }
  uint64_t wall_time_ms() const override;
  Instant guard_until() const override { return guard; }
  uint16_t cluster_tag() const override { return 7; }
  Load load_of(NodeId) const override { return {}; }
  void propose(const Transaction& transaction, std::string cause,
               std::function<void(const Status&)> done) override;
  void order(monitor::Order order) override;
  void event(std::string, std::string, std::string, std::string, std::string) override {}

  std::unique_ptr<FailoverManager> manager;  // none: the node is down
  uint64_t life = 0;
  uint64_t monitor_life = 0;
  bool lost = false;  // removed from the view, ends its resources
  bool ready_now = false;
  bool lease_lapsed = false;
  Instant guard;
  Tree tree;
  size_t applied = 0;
  std::map<uint64_t, Request> requests;
  uint64_t next_request = 1;
  std::map<std::string, Resource> resources;

 private:
  FakeCluster& cluster_;
  NodeId id_;
};

class FakeCluster {
 public:
  FakeCluster(int nodes, uint64_t seed);

  // Faults and administrators.
  void start(int id);
  void kill(int id);     // with everything that it runs
  void cut_off(int id);  // alive, but removed: ends its resources, then its life
  void regroup();        // the same members, perhaps another locker
  void kill_monitor(int id);
  void fail(const std::string& resource);
  void command(Edit edit);  // as an administrator: no preconditions but those given

  void run(Duration d);
  bool run_until(const std::function<bool()>& condition, Duration limit);

  // Shorthand for what tests look at.
  const Tree& tip() const { return tip_; }
  NodeId owner(const std::string& group) const { return NodeId{tip_.number("groups/" + group, "Owner")}; }
  bool online(const std::string& group) const;  // in the database and in truth
  bool up(int id) const { return members_.contains(NodeId{static_cast<uint64_t>(id)}); }
  std::string text() const;

  std::map<int, FakeNode> nodes;
  std::map<std::string, Behaviour> behaviours;
  Random random;
  Instant now{1'000'000'000};
  Duration delay_max = Duration::milliseconds(2);
  Duration lease = Duration::milliseconds(300);
  size_t updates = 0;   // ordered so far
  std::string failure;  // the first broken property
  std::vector<std::string> log;
  void note(const std::string& line);

 private:
  friend class FakeNode;
  struct Fact {
    Instant at;
    uint64_t number;
    std::function<void()> what;
    bool operator<(const Fact& o) const { return at != o.at ? at > o.at : number > o.number; }
  };
  struct Update {
    Transaction transaction;
    uint64_t origin, life, request;
  };
  void after(Duration d, std::function<void()> what) {
    facts_.push({now + d, next_fact_++, std::move(what)});
  }
  Duration delay() {
    return Duration{static_cast<int64_t>(random.below(static_cast<uint64_t>(delay_max.ns) + 1))};
  }
  void install(NodeSet members);
  void dispatch(int id, uint64_t request);
  void order_update(int id, uint64_t life, uint64_t request);
  void apply(FakeNode& node, size_t through);
  void finish(FakeNode& node, const std::string& resource, uint64_t order, monitor::State state,
              uint32_t error);
  void report(FakeNode& node, monitor::Report report);
  void end_life(FakeNode& node);
  void settle();
  void check();
  void broken(const std::string& what);

  std::priority_queue<Fact> facts_;
  uint64_t next_fact_ = 0;
  uint64_t view_ = 0;
  NodeSet members_, previous_ready_;
  NodeId locker_;
  Instant guard_;
  Tree tip_;
  std::vector<Update> log_;
};

// Groups g1, g2 ... of a disk, a file system on it, an address, and a program that needs both.
void make_groups(FakeCluster& cluster, int count, bool with_disk = true);

}  // namespace holdfast::core::testing
