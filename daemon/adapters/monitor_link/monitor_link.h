// MonitorLink: the resource monitor process as seen from the service: starts it on a socketpair, speaks its
// frames, notices its end, sweeps what it left, and starts it again. Runs on the caller's io_context.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "proto/monitor.pb.h"

namespace asio {
class io_context;
}

namespace holdfast {

struct MonitorLinkConfig {
  std::string program;
  std::string state_dir;
  monitor::Hello hello;
};

class MonitorLink {
 public:
  struct Handlers {
    std::function<void()> on_started;                     // the handshake is done
    std::function<void(const std::string& why)> on_died;  // and everything it held is swept
    std::function<void(const monitor::FromMonitor&)> on_message;
    std::function<void(const std::string&)> trace;
  };
  MonitorLink(asio::io_context& io, MonitorLinkConfig config, Handlers handlers);
  // Ends the link; a monitor that still runs terminates its resources by itself when its socket closes.
  ~MonitorLink();

  // Starts the monitor; it is started again after each death, with a back-off.
  void start();
  void send(const monitor::ToMonitor& message);
  // Orderly: every resource is terminated, then `done` (at most after `patience`, then the monitor is killed
  // and swept).
  void shutdown(std::function<void()> done);

  // Waits for the monitor of an earlier life to end (it holds a lock), then removes what it may have left.
  // Blocking, at most about 20 s. Errors say what is left.
  static Status sweep(const std::string& program, const std::string& state_dir);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdfast
