// Plays the service towards a real holdfast-monitor process. Waits for conditions, never for times.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "monitor/frames.h"
#include "proto/monitor.pb.h"

namespace holdfast::monitor {

// A directory that disappears with the test.
class ScratchDir {
 public:
  ScratchDir();
  ~ScratchDir();
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string read_text(const std::string& path);
std::vector<std::string> read_lines(const std::string& path);
// Polls until the condition holds; a failure of the test after the limit.
bool eventually(const std::function<bool()>& condition, int limit_ms = 10000);

struct MonitorOptions {
  std::string state_dir;
  std::string netns;  // name of a network namespace to run in
  uint32_t silence_ms = 60000;
  uint32_t version_min = 0, version_max = 0;  // 0 = as built
  bool hello = true;
  bool grant = true;  // a lease of a minute at once
};

using Parameters = std::vector<std::pair<std::string, std::string>>;

class MonitorProcess {
 public:
  explicit MonitorProcess(MonitorOptions options);
  ~MonitorProcess();  // kills it when it still runs

  void send(const ToMonitor& message);
  void grant_for(Duration lease);
  // Sends an order; returns its number.
  uint64_t order(Order::Action action, const std::string& resource, const std::string& type = "",
                 const Parameters& parameters = {}, const std::function<void(Order&)>& edit = {});
  // The first report, among those not yet consumed, that fits; all before it are consumed too.
  std::optional<Report> wait_report(const std::function<bool(const Report&)>& fits, int limit_ms = 10000);
  // The final report of an order (not a pending state), or of an unsolicited change to this state.
  std::optional<Report> result_of(uint64_t order, int limit_ms = 10000);
  std::optional<Report> wait_state(const std::string& resource, State state, int limit_ms = 10000);
  // Orders and waits for the final report.
  Report run(Order::Action action, const std::string& resource, const std::string& type = "",
             const Parameters& parameters = {}, const std::function<void(Order&)>& edit = {});
  // open + online; fails the test when it does not come online.
  Report bring_up(const std::string& resource, const std::string& type, const Parameters& parameters);

  void close_socket();
  void signal(int number);
  // The exit status; nothing when it still runs after the limit. 128 + signal when killed.
  std::optional<int> wait_exit(int limit_ms = 15000);
  // Reads until something arrives that fits, or the other side closed.
  bool pump_until(const std::function<bool()>& condition, int limit_ms);

  pid_t pid() const { return pid_; }
  const std::string& state_dir() const { return options_.state_dir; }
  const HelloReply& hello_reply() const { return hello_; }
  bool all_terminated() const { return all_terminated_; }
  const std::vector<std::string>& log() const { return log_; }

 private:
  void receive(int wait_ms);

  MonitorOptions options_;
  std::unique_ptr<ScratchDir> own_dir_;
  std::unique_ptr<FrameSocket> socket_;
  pid_t pid_ = -1;
  std::optional<int> exit_;
  HelloReply hello_;
  bool got_hello_ = false;
  bool all_terminated_ = false;
  std::vector<Report> reports_;
  std::vector<std::string> log_;
  uint64_t next_order_ = 1;
};

// Runs `holdfast-monitor --sweep` and returns its exit status.
int run_sweep(const std::string& state_dir, const std::string& netns = "");

}  // namespace holdfast::monitor
