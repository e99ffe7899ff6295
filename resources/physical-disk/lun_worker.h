// A thread that owns the Luns of a disk, one for each path. A command that hangs in the kernel hangs this
// thread and nobody else: the caller goes on after its limit, and the next call gets a new worker.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "iscsi/lun.h"

namespace holdfast::disk {

using Luns = std::vector<std::unique_ptr<scsi::Lun>>;

class LunWorker {
 public:
  // `attachments`: the first is the path that acquires.
  explicit LunWorker(std::vector<scsi::Attachment> attachments);
  ~LunWorker();
  // Runs `work` on the worker's thread; timeout when it takes longer than `limit` (it MAY have happened).
  Status run(std::function<Status(Luns&)> work, Duration limit);
  bool stuck() const { return stuck_; }

 private:
  struct State;
  std::shared_ptr<State> state_;
  bool stuck_ = false;
};

}  // namespace holdfast::disk
