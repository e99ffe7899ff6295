// QuorumWatch: judges every write that lands on the quorum LUN. Superblocks follow each other with rising
// epochs, and everything else comes from the very life of the node that the newest superblock names (I2: what
// was acknowledged is not overwritten by somebody who lost the quorum).
#pragma once

#include <cstdint>
#include <string>

#include "simulation/scsi_lun.h"

namespace holdfast::sim {

class QuorumWatch {
 public:
  // "" = it is legal.
  std::string landed(const ScsiLun::Write& write);
  // How a write is signed: by which life of which node.
  static std::string signature(int node, uint64_t incarnation);

 private:
  uint64_t epoch_ = 1;
  std::string owner_;  // signature; "" = nobody since the LUN was formatted
};

}  // namespace holdfast::sim
