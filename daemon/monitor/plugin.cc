#include "monitor/plugin.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <set>

#include "base/process.h"

namespace holdfast::monitor {
namespace {

Status check(const std::string& path, const holdfast_plugin* table) {
  auto refuse = [&](ErrorCode code, const std::string& why) {
    return fail(code, "the plug-in " + path + " " + why);
  };
  if (table->abi != HOLDFAST_RESOURCE_ABI)
    return refuse(ErrorCode::version, "has interface version " + std::to_string(table->abi) +
                                          ", this monitor has " + std::to_string(HOLDFAST_RESOURCE_ABI) +
                                          ": build it anew");
  if (table->size < sizeof(holdfast_plugin))
    return refuse(ErrorCode::corrupt, "has a table that is too short");
  if (table->type == nullptr || table->open == nullptr || table->close == nullptr ||
      table->online == nullptr || table->offline == nullptr || table->terminate == nullptr ||
      table->looks_alive == nullptr || table->is_alive == nullptr)
    return refuse(ErrorCode::corrupt, "lacks a mandatory entry point");
  if ((table->flags & HOLDFAST_UNGUARDED) != 0 && (table->hold == nullptr || table->release == nullptr))
    return refuse(ErrorCode::corrupt, "is of an unguarded type but has no hold and release");
  return {};
}

}  // namespace

Result<Plugin> load_plugin(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return fail(ErrorCode::corrupt, "cannot load the plug-in " + path + ": " + dlerror());
  auto* table = static_cast<const holdfast_plugin*>(dlsym(library, HOLDFAST_PLUGIN_SYMBOL));
  if (table == nullptr) {
    dlclose(library);
    return fail(ErrorCode::corrupt, "the plug-in " + path + " does not export " HOLDFAST_PLUGIN_SYMBOL);
  }
  HOLDFAST_CHECK(check(path, table));
  return Plugin{path, table};
}

int probe_main(const std::string& path) {
  auto plugin = load_plugin(path);
  std::string text = plugin ? plugin->table->type : plugin.error().text();
  printf("%s", text.c_str());
  fflush(stdout);
  // Neither destructors of the plug-in nor of this program are of interest.
  _exit(plugin ? 0 : plugin.error().code == ErrorCode::version ? 3 : 2);
}

const Plugin* PluginTable::loaded(const std::string& type) const {
  std::lock_guard lock(mutex_);
  auto it = loaded_.find(type);
  return it == loaded_.end() ? nullptr : &it->second;
}

Result<const Plugin*> PluginTable::find(const std::string& type) {
  if (const Plugin* known = loaded(type)) return known;
  std::string looked;
  for (const auto& directory : directories_) {
    std::string path = directory + "/" + type + ".so";
    looked += (looked.empty() ? "" : ", ") + directory;
    if (type.find('/') != std::string::npos || access(path.c_str(), F_OK) != 0) continue;
    auto probe = run_program({"/proc/self/exe", "--probe", path}, Duration::seconds(5));
    if (!probe)
      return fail(probe.error().code, "the plug-in " + path + " cannot be tried: " + probe.error().text());
    if (probe->exit_code != 0) {
      bool told = probe->exit_code == 2 || probe->exit_code == 3;
      return fail(probe->exit_code == 3 ? ErrorCode::version : ErrorCode::corrupt,
                  told ? probe->output
                       : "the plug-in " + path + " crashes when it is loaded (exit status " +
                             std::to_string(probe->exit_code) + ")");
    }
    HOLDFAST_TRY(Plugin plugin, load_plugin(path));
    if (plugin.table->type != type)
      return fail(ErrorCode::corrupt,
                  "the plug-in " + path + " is of type '" + plugin.table->type + "', not '" + type + "'");
    std::lock_guard lock(mutex_);
    return &loaded_.emplace(type, plugin).first->second;
  }
  return fail(ErrorCode::not_found, "there is no plug-in for resource type '" + type + "' in " +
                                        (looked.empty() ? "any directory (none was given)" : looked));
}

std::vector<std::string> PluginTable::types() const {
  std::set<std::string> out;
  for (const auto& directory : directories_) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory, ignored))
      if (entry.path().extension() == ".so") out.insert(entry.path().stem());
  }
  return {out.begin(), out.end()};
}

}  // namespace holdfast::monitor
