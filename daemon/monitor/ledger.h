// The ledger: what could be active on this node because of this monitor, written to
// <state_dir>/resources.json *before* it is brought up, so that `holdfast-monitor --sweep` can remove it
// after the monitor was killed.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"

namespace holdfast::monitor {

struct LedgerEntry {
  std::string resource;
  std::string kind;  // "address", "process", "cgroup", "mount", "device"; see resource.h
  std::string key;
  std::string detail;
};

// The entries of a file; empty when there is none or it was written before the last boot (nothing survived
// that).
Result<std::vector<LedgerEntry>> read_ledger(const std::string& path);
Status write_ledger(const std::string& path, const std::vector<LedgerEntry>& entries);

// Safe from any thread.
class Ledger {
 public:
  // Keeps what an unswept file already says.
  explicit Ledger(std::string path);
  // Replaces an entry of the same resource, kind and key.
  Status record(LedgerEntry entry);
  void forget(const std::string& resource, const std::string& kind, const std::string& key);

 private:
  std::mutex mutex_;
  std::string path_;
  std::vector<LedgerEntry> entries_;
};

}  // namespace holdfast::monitor
