// A small cluster of Transports on loopback, driven by one io_context: tests wait for conditions, never for
// times.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/udp.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/transport/transport.h"
#include "pki/pki.h"

namespace holdfast::testing {

struct Datagram {
  NodeId from;
  Incarnation incarnation;
  int network;
  std::string payload;
};

// Records everything that a Transport says.
class Recorder : public TransportEvents {
 public:
  void on_datagram(NodeId from, Incarnation life, int network, const std::string& payload, Instant) override {
    datagrams.push_back({from, life, network, payload});
  }
  void on_message(NodeId, Incarnation, const std::string& payload) override {
    messages.push_back(payload);
    if (message_hook) message_hook(payload);
  }
  void on_peer_connected(NodeId, Incarnation life, uint32_t v, const std::string& s) override {
    ++connects;
    peer_life = life;
    version = v;
    software = s;
  }
  void on_peer_disconnected(NodeId, const std::string& why) override {
    ++disconnects;
    last_disconnect = why;
  }
  void on_peer_refused(const std::string& who, const std::string& why) override {
    refusals.push_back(who + ": " + why);
  }
  void on_network_state(int network, bool up) override { network_up[network] = up; }
  bool refused_with(const std::string& part) const {
    for (auto& text : refusals)
      if (text.find(part) != std::string::npos) return true;
    return false;
  }

  std::vector<Datagram> datagrams;
  std::vector<std::string> messages, refusals;
  std::function<void(const std::string&)> message_hook;
  int connects = 0, disconnects = 0;
  Incarnation peer_life;
  uint32_t version = 0;
  std::string software, last_disconnect;
  std::map<int, bool> network_up;
};

// Forwards TCP and UDP from `listen` to the same address at another port, until told not to.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  Relay(asio::io_context& io, const std::string& address, uint16_t listen_port, uint16_t target_port);
  void start();
  void stop();
  void cut();  // resets every connection; new ones work
  void set_hole(bool hole) {
    hole_ = hole;
    if (!hole) resume();
  }  // swallows everything, silently
  void set_udp_hole(bool hole) { udp_hole_ = hole; }
  int connections() const { return connections_; }
  std::vector<std::string> seen_udp;  // newest last, some hundred

 private:
  struct Pair;
  void accept();
  void forward(const std::shared_ptr<Pair>& pair, int direction);
  void receive();
  void resume();

  asio::io_context& io_;
  asio::ip::tcp::acceptor acceptor_;
  asio::ip::udp::socket udp_;
  asio::ip::tcp::endpoint target_;
  std::vector<std::shared_ptr<Pair>> pairs_;
  std::array<char, 65536> datagram_;
  bool hole_ = false, udp_hole_ = false, stopped_ = false;
  int connections_ = 0;
};

struct Node {
  TransportConfig config;
  Recorder events;
  std::unique_ptr<Transport> transport;
  uint64_t count(const std::string& name) const {
    auto all = transport->counters();
    auto it = all.find(name);
    return it == all.end() ? 0 : it->second;
  }
};

class Cluster {
 public:
  explicit Cluster(std::vector<std::string> networks = {"127.0.0.1"});
  ~Cluster();

  // Prepares node `id` (name "n<id>") with a certificate; change node.config before start().
  Node& add(uint64_t id, int certificate_days = 30);
  void start(Node& node);
  // A new life of the node, with a new incarnation.
  void restart(Node& node);
  // Tells all nodes about all nodes. `relay_port` is where others reach node `relayed`.
  void connect_all(uint64_t relayed = 0, uint16_t relay_port = 0);
  std::vector<PeerConfig> peer_list(uint64_t relayed = 0, uint16_t relay_port = 0);
  // Runs the loop until `done`; false after `seconds`.
  bool run_until(const std::function<bool()>& done, int seconds = 20);
  void run_for(int milliseconds);

  asio::io_context io;
  std::string id;
  pki::KeyPair authority;
  std::vector<std::string> networks;
  std::deque<Node> nodes;  // references stay valid
};

// A port that is free for TCP and UDP on these addresses.
uint16_t free_port(const std::vector<std::string>& addresses);

#define ASSERT_SOON(cluster, condition) \
  ASSERT_TRUE((cluster).run_until([&] { return (condition); })) << #condition

}  // namespace holdfast::testing
