// Files and undoing, for the verbs that change this host.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace holdfast::cli {

bool exists(const std::string& path);
// With parents (0755); the last part gets `mode`. `created` (may be null) says whether it was not there
// before.
Status make_dir(const std::string& path, mode_t mode, bool* created = nullptr);
// A new file with exactly this mode, synced; never overwrites.
Status write_new_file(const std::string& path, const std::string& content, mode_t mode);
Result<std::string> read_file(const std::string& path);

// Steps to take back when a later one fails, last first. What was undone (or could not be) is told.
class Undo {
 public:
  void on_failure(std::string what, std::function<Status()> how) {
    steps_.push_back({std::move(what), std::move(how)});
  }
  void keep() { steps_.clear(); }
  // "undone: …" lines; empty when there was nothing to undo.
  std::vector<std::string> run();

 private:
  struct Step {
    std::string what;
    std::function<Status()> how;
  };
  std::vector<Step> steps_;
};

}  // namespace holdfast::cli
