// The monitor's side of `holdfast_host`: what a plug-in may call, from any thread, on behalf of one resource.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "holdfast/resource.h"
#include "monitor/ledger.h"
#include "monitor/threads.h"

namespace holdfast::monitor {

struct GlueSinks {  // called on plug-in threads; they post into the main loop
  std::function<void(std::string)> progress;
  std::function<void(std::string)> failed;
  std::function<void(int, std::string)> log;
};

class HostGlue {
 public:
  HostGlue(std::string resource, Ledger& ledger, const Lease& lease, GlueSinks sinks);
  HostGlue(const HostGlue&) = delete;
  HostGlue& operator=(const HostGlue&) = delete;

  const holdfast_host* host() const { return &host_; }
  // Blocks the lane until the plug-in called complete, or terminate was asked for and `grace` has passed
  // since.
  int wait_completion(std::string* text);
  void set_cancelled(bool cancelled);
  std::map<std::string, std::string> published() const;
  void clear_published();

 private:
  static HostGlue& of(const holdfast_host* host) { return *static_cast<HostGlue*>(host->opaque); }

  holdfast_host host_{};
  std::string resource_;
  Ledger& ledger_;
  const Lease& lease_;
  GlueSinks sinks_;
  std::atomic<bool> cancelled_{false};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<std::pair<int, std::string>> completion_;
  std::map<std::string, std::string> published_;
};

}  // namespace holdfast::monitor
