// QuorumPath: one node's way to the quorum LUN, as the adapter in daemon/adapters/quorum_disk behaves: orders
// run one after the other on one nexus, attentions are repeated except for writes that may have lost their
// reservation, and whatever has no answer ends the session.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/quorum/lun_op.h"
#include "core/quorum/task.h"
#include "simulation/target.h"

namespace holdfast::sim {

class QuorumPath {
 public:
  QuorumPath(Target& target, int node, std::string signature, std::function<void(core::LunResult)> completed)
      : session_(target, node), signature_(std::move(signature)), completed_(std::move(completed)) {}

  void execute(core::LunOp op);

 private:
  core::Task<void> work();
  core::Task<core::LunResult> run(core::LunOp op);
  core::Task<void> run_once(const core::LunOp& op, core::LunResult& result);
  core::Task<void> read_reservation(const core::LunOp& op, core::LunResult& result);
  core::Task<void> put(const core::LunOp& op, core::LunResult& result);
  void judge(Reply reply, core::LunResult& result);

  Session session_;
  const std::string signature_;  // of what it writes
  std::function<void(core::LunResult)> completed_;
  std::deque<core::LunOp> queue_;
  std::optional<core::Task<void>> running_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
  bool working_ = false;
  bool shaken_ = false;  // an attention told that the reservation may be gone
};

}  // namespace holdfast::sim
