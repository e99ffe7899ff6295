// Checker: what must hold after every step of every history (I1 to I3 of docs/ARCHITECTURE.md), told as the
// first thing that did not.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "core/cluster/core.h"
#include "simulation/scheduler.h"

namespace holdfast::sim {

class Checker {
 public:
  Checker(const Scheduler& time, int nodes);

  uint64_t newest_epoch() const { return epoch_; }  // that any node was in a view of
  const std::string& failure() const { return failure_; }
  const bool& failed() const { return failed_; }
  void broken(const std::string& what);

  // What the superblock on the quorum LUN says; asked when a view is new somewhere.
  std::function<uint64_t()> epoch_on_lun;

  // I1: one view for an epoch, and none that the superblock does not name, or has named; and every manager's
  // own invariants.
  void after_step(int node, const core::Core& core);
  // I2: the same sequence is the same update everywhere, and leaves the same tree. What an older view ordered
  // never follows on what a newer one ordered.
  void committed(int node, const core::Core& core, const core::Output::ReplicaWrite& write);
  // I3: an address is served by one node.
  void address(const std::string& address, int node, bool present, bool excused);
  // I3: no write lands that is older than the present owner. A kernel that owned the disk without a break may
  // still write for its earlier generations: it mounts a device again only after the writes of the mount
  // before.
  void acquired(const void* disk, int node, uint64_t kernel, uint64_t generation);
  void landed(const void* disk, int node, uint64_t generation);
  // What nothing guards before the kernel's part exists. The monitor of a node is dead or stopped: an address
  // that it served lives on in the kernel until its lifetime ends. A target forgot who may write: its disk is
  // nobody's until it is acquired again.
  void nobody_withdraws_addresses(int node);
  void nobody_guards(const void* disk);
  // The medium of the quorum LUN lost something: what it loses by that may be decided again, in a later view.
  void history_may_end() { damaged_ = true; }

 private:
  struct Owner {
    int node = 0;
    uint64_t generation = 0;
    bool guarded = true;
    uint64_t kernel = 0;  // counts the boots of the node
    uint64_t since = 0;   // the generation from which on this kernel owned the disk
  };
  const Scheduler& time_;
  std::string failure_;
  bool failed_ = false, damaged_ = false;
  uint64_t epoch_ = 0;  // the highest
  std::vector<uint64_t> epoch_of_node_;
  std::map<uint64_t, std::string> views_;
  std::map<uint64_t, uint64_t> updates_;  // sequence -> hash of what it does
  std::string bytes_;                     // of the update at hand
  std::map<uint64_t, uint32_t> trees_;    // sequence -> digest
  struct Newest {
    uint64_t sequence = 0, epoch = 0;
  };
  std::vector<Newest> newest_;  // update, by node
  struct Serving {
    std::set<int> nodes, excused;
  };
  std::map<std::string, Serving> addresses_;
  std::map<const void*, Owner> owners_;
};

}  // namespace holdfast::sim
