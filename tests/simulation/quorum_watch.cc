#include "simulation/quorum_watch.h"

#include "core/log/layout.h"

namespace holdfast::sim {

std::string QuorumWatch::signature(int node, uint64_t incarnation) {
  return std::to_string(node) + " " + std::to_string(incarnation);
}

std::string QuorumWatch::landed(const ScsiLun::Write& write) {
  const std::string who = "node " + write.by.substr(0, write.by.find(' '));
  if (write.offset_bytes >= core::beacon_offset_bytes) {
    if (write.by == owner_) return "";
    return "I2: " + who + " wrote at " + std::to_string(write.offset_bytes) + " of the quorum LUN, which " +
           (owner_.empty() ? "nobody" : "node " + owner_.substr(0, owner_.find(' '))) + " owns";
  }
  if (write.data.size() < core::block_bytes) return "";  // torn
  auto superblock = core::decode_superblock(write.data.data());
  if (!superblock) return "";  // it went astray
  const bool continues = write.by == owner_;
  if (superblock->epoch() < epoch_ || (superblock->epoch() == epoch_ && !continues))
    return "I1: " + who + " wrote the superblock of epoch " + std::to_string(superblock->epoch()) +
           " after that of epoch " + std::to_string(epoch_);
  epoch_ = superblock->epoch();
  owner_ = write.by;
  return "";
}

}  // namespace holdfast::sim
