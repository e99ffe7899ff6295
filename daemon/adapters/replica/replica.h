// Replica: this node's copy of the cluster database in SQLite (WAL, synchronous=FULL), for diagnosis,
// disaster recovery and for the addresses of the others before the cluster was joined. It is not on the path
// of updates: writes run on a thread of its own, in order; a full or broken disk costs the copy, never the
// cluster.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "core/database/tree.h"

namespace holdfast {

class Replica {
 public:
  // `trouble` is called from the replica's thread, once for each kind of failure that lasts.
  Replica(std::string path, std::function<void(const std::string&)> trouble);
  ~Replica();  // writes what is queued

  // Keys changed by an update; the values are taken from the tree by the caller's thread.
  void write_keys(const core::Tree& tree, const std::vector<std::string>& keys, Sequence sequence);
  void write_all(const core::Tree& tree, Sequence sequence);

  // What an earlier life stored. not_found: nothing yet.
  static Result<core::Tree> load(const std::string& path);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace holdfast
