// World: a whole cluster in virtual time: machines, networks, targets, services, and what an administrator or
// fate does to them, said in words. The same seed and the same words give the same history, byte for byte.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "simulation/checker.h"
#include "simulation/conformance.h"
#include "simulation/machine.h"
#include "simulation/network.h"
#include "simulation/quorum_watch.h"
#include "simulation/scheduler.h"
#include "simulation/service.h"
#include "simulation/target.h"

namespace holdfast::sim {

struct WorldConfig {
  uint64_t seed = 1;
  int nodes = 3;   // machines
  int spares = 0;  // the last of them: not in the cluster before somebody adds them
  int networks = 2;
  int disks = 1;  // data LUNs
  TargetKind kind;
  bool full_log = false;  // on the quorum LUN, in the beginning
  bool gates = false;     // the kernels have write gates
  bool keep_log = false;
  bool live = false;  // and print it as it grows, for a history that does not end
  ConformanceConfig conformance;
};

class World final : private Witness, private Surroundings, private ServiceObserver {
 public:
  explicit World(const WorldConfig& config);
  ~World() override;

  // One line of the language in docs/protocols/… : "power-off 2", "partition 1,2|3", "update 1". False: no
  // such verb, or it makes no sense now; then nothing was done.
  bool act(const std::string& line);
  void run(Duration d);
  // Runs until it holds, at most for `limit`; false when it does not.
  bool run_until(const std::function<bool()>& condition, Duration limit);

  // Everything is repaired and started.
  void heal();
  // Who is in the cluster: by the database of the member that knows most, or as it was in the beginning.
  std::set<int> population() const;
  int any_member() const;  // 0 = there is none
  // The medium of the quorum LUN lost something: updates may be lost by it, or the whole cluster.
  bool damaged() const { return damaged_; }
  // All nodes are one recovered view, and every group that is wanted is online.
  bool together() const;
  bool groups_online() const;
  std::set<std::string> groups() const;  // that have something to run
  // "" = every acknowledged update is there, on every node (`members_only`: that is a member now).
  std::string missing_updates(bool members_only = false) const;

  const std::string& failure() const { return checker_.failure(); }
  void fail(const std::string& what) { checker_.broken(what); }
  Scheduler& time() { return time_; }
  Service& service(int node) { return *services_[static_cast<size_t>(node)]; }
  const Service& service(int node) const { return *services_[static_cast<size_t>(node)]; }
  Machine& machine(int node) { return *machines_[static_cast<size_t>(node)]; }
  int nodes() const { return config_.nodes; }
  Target* target(const std::string& name);  // "quorum", "1"…: a disk; null: there is none
  std::string describe() const;
  const std::vector<std::string>& log() const { return log_; }
  uint64_t digest() const { return digest_; }  // of everything that was said, in order
  uint64_t acknowledged() const { return acknowledged_; }

 private:
  struct Asked {
    std::string key;
    bool update = false;
  };
  // Witness
  void address_changed(int node, const std::string& address, bool present) override;
  void write_passed(int node) override;
  // Surroundings
  Target* find_disk(const std::string& device) override;
  bool somebody_answers_for(const std::string& address, int asking) override;
  void disk_acquired(Target& target, int node, uint64_t generation) override;
  // ServiceObserver
  void after_step(int node) override;
  void stepped(int node, const core::Event& event, const core::Output& output) override;
  void died(int node) override { conformance_.died(node); }
  void committed(int node, const core::Output::ReplicaWrite& write) override;
  void answered(uint64_t client, const api::Response& response) override;
  void monitor_died(int node) override;
  void said(int node, const std::string& text) override;

  void say(const std::string& text);
  bool act_on_node(const std::string& verb, std::istream& words);
  bool act_on_network(const std::string& verb, std::istream& words);
  bool act_on_disk(const std::string& verb, std::istream& words);
  bool act_as_administrator(const std::string& verb, std::istream& words);
  bool valid(int node) const { return node >= 1 && node <= config_.nodes; }
  void ask(int node, api::Command command);
  void ask_update(int node);
  void transact(int node, const std::string& answer_key, bool counts, core::Transaction transaction);
  bool enroll(int by, int node);
  void try_something(int node, Random& random);
  const core::Core* wisest() const;
  void tick();

  const WorldConfig config_;
  Scheduler time_;
  Random random_;
  Checker checker_;
  Conformance conformance_;
  ResourceFaults resource_faults_;
  std::unique_ptr<Target> quorum_;
  QuorumWatch quorum_watch_;
  std::vector<std::unique_ptr<Target>> disks_;
  std::unique_ptr<Network> network_;
  std::vector<std::unique_ptr<Machine>> machines_;  // by node; 0 is nobody
  std::vector<std::unique_ptr<Service>> services_;
  std::map<uint64_t, Asked> asked_;
  std::map<std::string, uint64_t> acked_;  // key -> sequence
  std::map<std::string, Asked> commands_;
  uint64_t next_client_ = 1, next_update_ = 1, acknowledged_ = 0, digest_ = 14695981039346656037ULL;
  bool damaged_ = false;
  std::vector<std::string> log_;
};

}  // namespace holdfast::sim
