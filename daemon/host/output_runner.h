// OutputRunner: executes the lanes of an Output in their one order. The simulator and the service use the
// same runner; what a lane does is behind OutputPorts.
#pragma once

#include "core/cluster/output.h"

namespace holdfast {

class OutputPorts {
 public:
  virtual ~OutputPorts() = default;
  virtual void set_gates(const core::GateLease& lease) = 0;
  virtual void life_ended(const core::LifeEnded& end) = 0;
  virtual void execute(const core::LunOp& op) = 0;
  virtual void set_epoch(uint64_t epoch) = 0;
  virtual void send_datagram(NodeId to, const std::string& payload) = 0;
  virtual void send_message(NodeId to, uint64_t epoch, const std::string& payload) = 0;
  virtual void tell_monitor(const monitor::ToMonitor& message) = 0;
  virtual void answer(uint64_t client, api::Response response) = 0;
  virtual void publish(const api::Event& event) = 0;
  virtual void write_replica(const core::Output::ReplicaWrite& write) = 0;
  virtual void learn_roster(const tree::Tree& roster) = 0;
  virtual void nodes_changed() = 0;
  virtual void arm(Instant deadline) = 0;
  virtual void trace(const std::string& text) = 0;
};

void run_output(core::Output& output, OutputPorts& ports);

}  // namespace holdfast
