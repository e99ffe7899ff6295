// The main loop of a resource monitor: one socket to the service, the lease, and the resources.
//
// It ends everything by itself when the service is gone (socket closed) or silent. See
// docs/protocols/monitor.md.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "monitor/frames.h"
#include "monitor/resource.h"

namespace holdfast::monitor {

// Exit statuses, so that the service's log says why a monitor ended.
enum Exit : int {
  exit_orderly = 0,
  exit_usage = 2,
  exit_socket_closed = 10,
  exit_silence = 11,
  exit_protocol = 12,
  exit_signal = 13,
  exit_incomplete = 20,  // something could not be ended; the sweep file names it
};

class Monitor {
 public:
  explicit Monitor(int socket_fd);
  ~Monitor();
  // Returns the exit status. The caller leaves by _exit: lanes may hang in plug-ins.
  int run();

 private:
  void receive(Instant now);
  void handle(const ToMonitor& message, Instant now);
  void hello(const Hello& hello, Instant now);
  void grant(const Grant& grant, Instant now);
  void order(const Order& order, Instant now);
  void load(const std::string& resource, const std::string& type);
  void refuse(const Order& order, uint32_t error, const std::string& why);
  void check_time(Instant now);
  void begin_ending(Exit status, const std::string& why, Instant now);
  void pump_ending(Instant now);
  Instant next_deadline() const;
  void arm_timer(Instant at);
  void wait_for_events();
  void send(const FromMonitor& message);
  void log(uint32_t priority, const std::string& resource, const std::string& text);

  FrameSocket socket_;
  int timer_fd_;
  int signal_fd_;
  int lock_fd_ = -1;
  Inbox inbox_;
  Lease lease_;
  Identity identity_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<PluginTable> plugins_;
  std::unique_ptr<Surroundings> around_;
  std::map<std::string, std::shared_ptr<Resource>> resources_;
  // Orders of resources whose plug-in is being loaded: a plug-in that hangs then must not stop this loop.
  std::map<std::string, std::vector<Order>> loading_;
  std::unique_ptr<Lane> loader_;

  bool connected_ = true;
  bool lapsed_ = true;  // no lease yet: nothing to hold
  Duration silence_;
  Instant last_frame_;
  Instant reap_at_;

  struct Ending {
    Exit status;
    std::string why;
    Instant started, stage_started;
    std::string stage;  // resource being waited for
  };
  std::optional<Ending> ending_;
  std::optional<int> result_;
};

}  // namespace holdfast::monitor
