// Loading of resource plug-ins. Nothing that lies in a plug-in directory may crash the monitor: a file is
// first loaded by a probe process of its own, and only a probe that comes back is followed.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "holdfast/resource.h"

namespace holdfast::monitor {

struct Plugin {
  std::string path;
  const holdfast_plugin* table = nullptr;  // stays loaded until the process ends
  bool unguarded() const { return (table->flags & HOLDFAST_UNGUARDED) != 0; }
};

// Loads and checks in this process.
Result<Plugin> load_plugin(const std::string& path);

// `holdfast-monitor --probe PATH`: prints the type or the reason; the exit status says which.
int probe_main(const std::string& path);

class PluginTable {
 public:
  explicit PluginTable(std::vector<std::string> directories) : directories_(std::move(directories)) {}
  // The plug-in if it is loaded already. Any thread.
  const Plugin* loaded(const std::string& type) const;
  // The plug-in for a type, loaded when first asked for; may take seconds. Errors: not_found (no file in any
  // directory), version, corrupt (not a plug-in; the sentence says why).
  Result<const Plugin*> find(const std::string& type);
  // Types by file name; whether one loads shows when it is used.
  std::vector<std::string> types() const;

 private:
  std::vector<std::string> directories_;
  mutable std::mutex mutex_;  // guards loaded_; its elements never change or move
  std::map<std::string, Plugin> loaded_;
};

}  // namespace holdfast::monitor
