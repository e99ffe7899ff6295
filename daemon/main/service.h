// Service: the process around the lives: signals, systemd, priorities, and the back-off between two lives.
#pragma once

#include <memory>

#include "main/life.h"

namespace holdfast {

class Service {
 public:
  explicit Service(NodeConfig config);
  // Runs until the service was asked to stop. Returns the exit status.
  int run();

 private:
  void begin_life();
  void life_over(Life::Ended end);
  void wait_for_signal();
  void pet_watchdog();
  void notify_state();

  NodeConfig config_;
  asio::io_context io_{1};
  asio::signal_set signals_;
  asio::steady_timer restart_, watchdog_;
  std::unique_ptr<Life> life_;
  bool stopping_ = false;
  int lives_failed_ = 0;
  int exit_status_ = 0;
  uint64_t watchdog_us_ = 0;
  std::string last_status_;
};

}  // namespace holdfast
