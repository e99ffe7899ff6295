#include "adapters/transport/tests/harness.h"

#include <asio/steady_timer.hpp>
#include <asio/write.hpp>

namespace holdfast::testing {

namespace ip = asio::ip;

struct Relay::Pair {
  explicit Pair(asio::io_context& io) : side{ip::tcp::socket(io), ip::tcp::socket(io)} {}
  void close() {
    asio::error_code ignored;
    for (auto& socket : side) {
      socket.set_option(asio::socket_base::linger(true, 0), ignored);
      socket.close(ignored);
    }
  }
  ip::tcp::socket side[2];
  std::array<char, 16384> bytes[2];
  bool paused[2] = {false, false};
};

Relay::Relay(asio::io_context& io, const std::string& address, uint16_t listen_port, uint16_t target_port)
    : io_(io),
      acceptor_(io, ip::tcp::endpoint(ip::make_address(address), listen_port)),
      udp_(io, ip::udp::endpoint(ip::make_address(address), listen_port)),
      target_(ip::make_address(address), target_port) {}

void Relay::start() {
  accept();
  receive();
}

void Relay::stop() {
  stopped_ = true;
  asio::error_code ignored;
  acceptor_.close(ignored);
  udp_.close(ignored);
  cut();
}

void Relay::cut() {
  for (auto& pair : pairs_) pair->close();
  pairs_.clear();
}

void Relay::accept() {
  acceptor_.async_accept([self = shared_from_this()](const asio::error_code& error, ip::tcp::socket socket) {
    if (self->stopped_ || error) return;
    auto pair = std::make_shared<Pair>(self->io_);
    pair->side[0] = std::move(socket);
    ++self->connections_;
    self->pairs_.push_back(pair);
    pair->side[1].async_connect(self->target_, [self, pair](const asio::error_code& failed) {
      if (failed) return pair->close();
      self->forward(pair, 0);
      self->forward(pair, 1);
    });
    self->accept();
  });
}

void Relay::forward(const std::shared_ptr<Pair>& pair, int direction) {
  if (hole_) {
    pair->paused[direction] = true;
    return;
  }
  auto self = shared_from_this();
  pair->side[direction].async_read_some(
      asio::buffer(pair->bytes[direction]),
      [self, pair, direction](const asio::error_code& error, size_t size) {
        if (error) return pair->close();
        if (self->hole_) {
          pair->paused[direction] = true;
          return;  // these bytes are gone, as in a network that lost its route
        }
        asio::async_write(pair->side[1 - direction], asio::buffer(pair->bytes[direction], size),
                          [self, pair, direction](const asio::error_code& failed, size_t) {
                            if (failed) return pair->close();
                            self->forward(pair, direction);
                          });
      });
}

// TCP would retransmit what the hole swallowed; this relay cannot, so what was stuck is reset.
void Relay::resume() {
  for (auto& pair : pairs_)
    if (pair->paused[0] || pair->paused[1]) pair->close();
}

void Relay::receive() {
  udp_.async_receive(
      asio::buffer(datagram_), [self = shared_from_this()](const asio::error_code& error, size_t size) {
        if (self->stopped_) return;
        if (!error) {
          if (self->seen_udp.size() > 500) self->seen_udp.erase(self->seen_udp.begin());
          self->seen_udp.emplace_back(self->datagram_.data(), size);
          asio::error_code ignored;
          if (!self->hole_ && !self->udp_hole_)
            self->udp_.send_to(asio::buffer(self->datagram_, size),
                               ip::udp::endpoint(self->target_.address(), self->target_.port()), 0, ignored);
        }
        self->receive();
      });
}

uint16_t free_port(const std::vector<std::string>& addresses) {
  asio::io_context io;
  for (;;) {
    // Below the ephemeral range, so that no outgoing connection of another test takes it meanwhile.
    auto port = static_cast<uint16_t>(10000 + pki::random_u64() % 20000);
    bool free = true;
    for (auto& text : addresses) {
      auto address = ip::make_address(text);
      asio::error_code error;
      ip::tcp::acceptor tcp(io);
      tcp.open(address.is_v4() ? ip::tcp::v4() : ip::tcp::v6());
      tcp.bind({address, port}, error);
      ip::udp::socket udp(io);
      udp.open(address.is_v4() ? ip::udp::v4() : ip::udp::v6());
      if (!error) udp.bind({address, port}, error);
      free = free && !error;
    }
    if (free) return port;
  }
}

Cluster::Cluster(std::vector<std::string> addresses)
    : id(pki::random_uuid()),
      authority(*pki::create_authority("test", id, 3650)),
      networks(std::move(addresses)) {}

Cluster::~Cluster() {
  for (auto& node : nodes) node.transport.reset();
  io.poll();
}

Node& Cluster::add(uint64_t number, int certificate_days) {
  Node& node = nodes.emplace_back();
  TransportConfig& config = node.config;
  config.cluster_id = id;
  config.self = NodeId{number};
  config.self_name = "n" + std::to_string(number);
  config.incarnation = Incarnation{pki::random_u64()};
  uint16_t port = free_port(networks);
  for (size_t i = 0; i < networks.size(); ++i)
    config.networks.push_back({"net" + std::to_string(i), networks[i], port});
  auto pair = *pki::issue_node(authority, config.self_name, config.self, id, certificate_days);
  config.authority_pem = authority.certificate_pem;
  config.certificate_pem = pair.certificate_pem;
  config.private_key_pem = pair.private_key_pem;
  config.version_min = 1;
  config.version_max = 2;
  config.software = "test of n" + std::to_string(number);
  return node;
}

void Cluster::start(Node& node) {
  node.transport = std::make_unique<Transport>(io, node.config, node.events);
  Status started = node.transport->start();
  ASSERT_TRUE(started) << started.error().text();
}

void Cluster::restart(Node& node) {
  node.transport.reset();
  io.poll();
  node.config.incarnation = Incarnation{pki::random_u64()};
  start(node);
}

std::vector<PeerConfig> Cluster::peer_list(uint64_t relayed, uint16_t relay_port) {
  std::vector<PeerConfig> peers;
  for (auto& node : nodes) {
    uint16_t port = node.config.self.value == relayed ? relay_port : node.config.networks[0].port;
    peers.push_back({node.config.self, node.config.self_name, networks, port});
  }
  return peers;
}

void Cluster::connect_all(uint64_t relayed, uint16_t relay_port) {
  for (auto& node : nodes)
    if (node.transport) node.transport->set_peers(peer_list(relayed, relay_port));
}

bool Cluster::run_until(const std::function<bool()>& done, int seconds) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    io.restart();
    io.run_one_for(std::chrono::milliseconds(10));
  }
  return true;
}

void Cluster::run_for(int milliseconds) {
  io.restart();
  io.run_for(std::chrono::milliseconds(milliseconds));
}

}  // namespace holdfast::testing
