// SimulatedCluster: several Cores on one virtual network and one fake LUN, in virtual time, from a seed. For
// tests of the whole core; a history is the same for the same seed, byte for byte.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/tests/random.h"
#include "core/cluster/core.h"
#include "core/quorum/fake_lun.h"

namespace holdfast::core::testing {

class SimulatedCluster {
 public:
  struct Machine {
    int id = 0;
    std::unique_ptr<Core> core;  // none while it is down
    uint64_t life = 0;           // counts starts; facts of an earlier life are dropped
    uint64_t incarnation = 0;
    int nexus = 0;              // of its current session
    std::set<uint64_t> unread;  // tokens whose second half, reading the reservation, is still to come
    Instant deadline = Instant::infinite();
    Instant paused_until;  // the process stands still, its socket fills
    std::vector<std::pair<uint64_t, Event>> paused_events;
    std::optional<LifeEnded> ended;
    std::set<int> known;  // whom its transport talks to; a pair talks when both know each other
    std::map<std::string, monitor::State> resources;  // what the fake monitor runs
    uint64_t monitor_lease_ns = 0;
    std::map<uint64_t, uint32_t> applied_digest;  // by sequence, of this life
    std::vector<std::string> log;
  };

  SimulatedCluster(int nodes, uint64_t seed);

  void start(int id) { start(id, {}); }
  // A service that knows only these nodes from its files (none: all).
  void start(int id, std::set<int> known);
  void crash(int id);
  void pause(int id, Duration d);
  void cut(int a, int b, bool on) { on ? (void)cuts_.insert({a, b}) : (void)cuts_.erase({a, b}); }  // a -> b
  void partition(const std::vector<std::set<int>>& parts);
  void heal() { cuts_.clear(); }
  void run(Duration d);
  bool run_until(const std::function<bool()>& condition, Duration limit);

  Machine& machine(int id) { return machines_[id]; }
  Core* core(int id) { return machines_[id].core.get(); }
  bool member(int id) {
    return core(id) && core(id)->membership().phase() == Phase::member && core(id)->updates().ready();
  }
  // Exactly these are one recovered view.
  bool together(const std::set<int>& ids);
  // Sends a command as an administrator at node `id`; the answer comes to `answers`.
  void command(int id, api::Command command);
  void transact(int id, Transaction transaction, uint64_t tag, std::string cause = {});
  void stop(int id);

  FakeLun lun;
  Random random;
  Instant now{1'000'000'000'000};
  int loss_percent = 0;
  int duplicate_percent = 0;
  Duration delay_max = Duration::milliseconds(2);
  std::map<uint64_t, api::Response> answers;
  bool invariants = true;
  std::string failure;  // the first broken property
  void check();

 private:
  struct Fact {
    Instant at;
    uint64_t order;
    int machine;
    uint64_t life;
    Event event;
    bool operator<(const Fact& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  void post(int machine, Instant at, Event event);
  void deliver(Machine& m, const Event& event);
  void perform(Machine& m, Output& output);
  bool acquainted(int a, int b) { return machines_[a].known.count(b) && machines_[b].known.count(a); }
  void learn(Machine& m, std::set<int> known);
  void obey(Machine& m, const monitor::ToMonitor& message);
  void format();

  std::map<int, Machine> machines_;
  std::priority_queue<Fact> facts_;
  std::set<std::pair<int, int>> cuts_;
  uint64_t order_ = 0;
  int count_;
  int next_nexus_ = 1;
  std::map<std::pair<int, int>, Instant> channel_ready_;  // ordered channel: nothing overtakes
  std::map<uint64_t, uint32_t> digests_;  // of the committed tree, by sequence, of the whole cluster
  std::map<uint64_t, std::string> view_of_epoch_;
};

}  // namespace holdfast::core::testing
