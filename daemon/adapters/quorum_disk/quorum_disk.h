// QuorumDisk: executes the core's LunOps on the quorum LUN, one after the other, on a thread of its own (a
// LUN that hangs must never hold the core). It repeats nothing and reconnects never by itself.
#pragma once

#include <functional>
#include <memory>

#include "config/node_config.h"
#include "core/quorum/lun_op.h"
#include "iscsi/lun.h"

namespace holdfast {

// A closed LUN for the quorum device of the configuration: an iSCSI or SAS LUN, or a local file (one node
// only).
Result<std::unique_ptr<scsi::Lun>> make_quorum_lun(const NodeConfig& config);

class QuorumDisk {
 public:
  // `completed` is called from the disk's thread.
  QuorumDisk(std::unique_ptr<scsi::Lun> lun, std::function<void(core::LunResult)> completed);
  // Waits for a running command at most `patience`; a thread stuck in the kernel is then left behind.
  ~QuorumDisk();
  QuorumDisk(const QuorumDisk&) = delete;
  QuorumDisk& operator=(const QuorumDisk&) = delete;

  void execute(core::LunOp op);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace holdfast
