// Life: one life of the service, from a new incarnation until it leaves the cluster. It owns the core and its
// adapters and wires them: facts in, orders out. A process never resumes what an earlier life held; it begins
// another Life.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include <asio.hpp>

#include "adapters/api_socket/api_socket.h"
#include "adapters/monitor_link/monitor_link.h"
#include "adapters/quorum_disk/quorum_disk.h"
#include "adapters/replica/replica.h"
#include "adapters/transport/transport.h"
#include "config/node_config.h"
#include "core/cluster/core.h"
#include "host/output_runner.h"
#include "main/load.h"
#include "pki/pki.h"

namespace holdfast {

struct Credentials {
  std::string authority_pem, certificate_pem, private_key_pem;
  std::string authority_key_pem;  // only where the authority lives
};
Result<Credentials> load_credentials(const std::string& tls_dir);

class Life : private TransportEvents, private OutputPorts {
 public:
  struct Ended {
    std::string reason;
    bool stop = false;
  };
  Life(asio::io_context& io, const NodeConfig& config, const Credentials& credentials,
       std::function<void(Ended)> ended);
  ~Life() override;

  // Errors: certificates, addresses or ports that cannot be used.
  Status start();
  void request_stop(const std::string& why);
  bool is_member() const { return core_->membership().phase() == core::Phase::member; }
  std::string status_line() const;
  // The core ran within the last `limit`: the systemd watchdog may be petted.
  bool healthy(Instant now) const;

 private:
  void deliver(core::Event event);
  void load_replica();
  void refresh_peers();
  void finish();
  void sample_load();
  void warn_about_certificate();

  // TransportEvents
  void on_datagram(NodeId from, Incarnation incarnation, int network, const std::string& payload,
                   Instant received_at) override;
  void on_message(NodeId from, Incarnation incarnation, const std::string& payload) override;
  void on_peer_connected(NodeId peer, Incarnation incarnation, uint32_t version,
                         const std::string& software) override;
  void on_peer_disconnected(NodeId peer, const std::string& why) override;
  void on_peer_refused(const std::string& who, const std::string& why) override;
  void on_network_state(int network, bool carrier_up) override;
  // OutputPorts
  void set_gates(const core::GateLease&) override {
  }  // no kernel gate in this release; see docs/ARCHITECTURE.md
  void life_ended(const core::LifeEnded& end) override;
  void execute(const core::LunOp& op) override;
  void set_epoch(uint64_t epoch) override;
  void send_datagram(NodeId to, const std::string& payload) override;
  void send_message(NodeId to, uint64_t epoch, const std::string& payload) override;
  void tell_monitor(const monitor::ToMonitor& message) override;
  void answer(uint64_t client, api::Response response) override;
  void publish(const api::Event& event) override;
  void write_replica(const core::Output::ReplicaWrite& write) override;
  void learn_roster(const tree::Tree& roster) override;
  void nodes_changed() override { peers_stale_ = true; }
  void arm(Instant deadline) override;
  void trace(const std::string& text) override;

  asio::io_context& io_;
  NodeConfig config_;
  Credentials credentials_;
  std::function<void(Ended)> ended_;
  Incarnation incarnation_;
  core::Tree known_tree_;  // the nodes before the cluster was joined: of the replica, then of a roster
  std::unique_ptr<core::Core> core_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<QuorumDisk> disk_;
  std::unique_ptr<MonitorLink> monitor_;
  std::unique_ptr<ApiSocket> api_;
  std::unique_ptr<Replica> replica_;
  std::optional<Instant> armed_;  // what timer_ waits for
  asio::steady_timer timer_, load_timer_, end_timer_;
  LoadSampler load_;
  std::deque<core::Event> queue_;
  bool stepping_ = false;
  bool peers_stale_ = false;
  bool over_ = false;
  std::optional<Ended> verdict_;
  Instant last_step_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

Instant boot_now();

}  // namespace holdfast
