#include "monitor/ledger.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace holdfast::monitor {
namespace {

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

}  // namespace

Result<std::vector<LedgerEntry>> read_ledger(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::vector<LedgerEntry>{};
  std::stringstream text;
  text << file.rdbuf();
  auto json = nlohmann::json::parse(text.str(), nullptr, false);
  auto damaged = [&] {
    return fail(ErrorCode::corrupt, "the sweep file " + path + " is damaged: look by hand what is left");
  };
  if (!json.is_object() || !json.contains("boot_id") || !json["boot_id"].is_string() ||
      !json.contains("entries") || !json["entries"].is_array())
    return damaged();
  std::vector<LedgerEntry> out;
  if (json["boot_id"] != boot_id()) return out;
  for (const auto& item : json["entries"]) {
    LedgerEntry entry;
    for (auto [name, field] : {std::pair{"resource", &entry.resource}, std::pair{"kind", &entry.kind},
                               std::pair{"key", &entry.key}, std::pair{"detail", &entry.detail}}) {
      if (!item.is_object() || !item.contains(name) || !item[name].is_string()) return damaged();
      *field = item[name].get<std::string>();
    }
    out.push_back(std::move(entry));
  }
  return out;
}

Status write_ledger(const std::string& path, const std::vector<LedgerEntry>& entries) {
  nlohmann::json json;
  json["boot_id"] = boot_id();
  json["entries"] = nlohmann::json::array();
  for (const auto& e : entries)
    json["entries"].push_back(
        {{"resource", e.resource}, {"kind", e.kind}, {"key", e.key}, {"detail", e.detail}});
  std::string text = json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::string fresh = path + ".new";
  // No fsync: the file serves against the death of a process, not of the machine.
  int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail(ErrorCode::io, "cannot write " + fresh, errno);
  bool whole = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  int error = errno;
  close(fd);
  if (!whole) return fail(ErrorCode::io, "cannot write " + fresh, error);
  if (rename(fresh.c_str(), path.c_str()) != 0) return fail(ErrorCode::io, "cannot replace " + path, errno);
  return {};
}

Ledger::Ledger(std::string path) : path_(std::move(path)) {
  if (auto old = read_ledger(path_)) entries_ = std::move(*old);
}

Status Ledger::record(LedgerEntry entry) {
  std::lock_guard lock(mutex_);
  auto same = [&](const LedgerEntry& e) {
    return e.resource == entry.resource && e.kind == entry.kind && e.key == entry.key;
  };
  std::erase_if(entries_, same);
  entries_.push_back(std::move(entry));
  return write_ledger(path_, entries_);
}

void Ledger::forget(const std::string& resource, const std::string& kind, const std::string& key) {
  std::lock_guard lock(mutex_);
  size_t erased = std::erase_if(entries_, [&](const LedgerEntry& e) {
    return e.resource == resource && e.kind == kind && e.key == key;
  });
  // A stale entry is harmless: the sweep checks identities before it acts.
  if (erased > 0) (void)write_ledger(path_, entries_);
}

}  // namespace holdfast::monitor
