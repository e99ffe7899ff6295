#include "adapters/transport/transport.h"

#include <time.h>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <utility>

#include "adapters/transport/heartbeat_socket.h"
#include "adapters/transport/link_watch.h"
#include "adapters/transport/listener.h"
#include "adapters/transport/peer_link.h"

namespace holdfast {

using namespace transport;

namespace {

// A third of the smallest interval that something waits for (keepalive, dial back-off), so that rounding
// costs little.
constexpr Duration tick_interval = Duration::milliseconds(30);
constexpr Duration tick_quiet = Duration::milliseconds(100);  // while every session is quiet
constexpr Duration tick_late = Duration::milliseconds(100);

}  // namespace

class Transport::Impl : public std::enable_shared_from_this<Transport::Impl> {
 public:
  Impl(asio::io_context& io, TransportConfig config, TransportEvents& events)
      : context_(std::make_shared<Context>(io, std::move(config), events)),
        cluster_tag_(cluster_tag(context_->config.cluster_id)),
        tick_(io) {}

  Status start();
  void stop();
  Status open_network(int number, std::vector<asio::ip::address>& addresses);
  void schedule_tick();
  void tick(Instant at);
  void receive(int network, const uint8_t* bytes, size_t size);
  const char* open_datagram(int network, const uint8_t* bytes, size_t size, std::shared_ptr<PeerLink>& link,
                            SessionKeysPtr& keys, std::string& payload);
  void send_datagram(NodeId to, int network, std::string_view payload);
  void set_peers(std::vector<PeerConfig> peers);
  std::shared_ptr<PeerLink> find(NodeId id) const {
    auto it = context_->peers.find(id);
    return it == context_->peers.end() ? nullptr : it->second;
  }
  template <typename F>
  void for_each_peer(F f) {
    auto peers = context_->peers;  // event handlers may change the list meanwhile
    for (auto& [id, link] : peers) f(*link);
  }

  std::shared_ptr<Context> context_;

 private:
  const uint16_t cluster_tag_;
  asio::steady_timer tick_;
  Instant tick_due_;
  Duration tick_pause_;  // between the last tick and that one
  bool running_ = false;
  std::vector<std::shared_ptr<HeartbeatSocket>> sockets_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::shared_ptr<LinkWatch> watch_;
};

Status Transport::Impl::start() {
  const TransportConfig& config = context_->config;
  if (running_ || context_->stopped)
    return fail(ErrorCode::invalid_argument, "the transport was started before");
  if (config.self.value < 1 || config.self.value > nodes_max || config.incarnation.is_none())
    return fail(ErrorCode::invalid_argument, "a node needs an id in 1..64 and an incarnation");
  if (config.networks.empty() || config.networks.size() > networks_max)
    return fail(ErrorCode::invalid_argument, "a node needs 1 to 8 networks");
  HOLDFAST_TRY(pki::NodeIdentity identity, pki::read_identity(config.certificate_pem));
  if (identity.cluster_id != config.cluster_id || identity.node != config.self ||
      identity.node_name != config.self_name)
    return fail(ErrorCode::invalid_argument, "this node's certificate is for node " + identity.node_name +
                                                 " (id " + std::to_string(identity.node.value) +
                                                 ") of cluster " + identity.cluster_id);
  HOLDFAST_TRY(context_->tls,
               make_tls_context(config.authority_pem, config.certificate_pem, config.private_key_pem));
  std::vector<asio::ip::address> addresses;
  for (int i = 0; i < static_cast<int>(config.networks.size()); ++i) {
    Status opened = open_network(i, addresses);
    if (!opened) {
      stop();
      return opened;
    }
  }
  running_ = true;
  watch_ = std::make_shared<LinkWatch>(context_->io, std::move(addresses),
                                       [context = context_](int network, bool up) {
                                         if (!context->stopped) context->events.on_network_state(network, up);
                                       });
  watch_->start();
  schedule_tick();
  return {};
}

Status Transport::Impl::open_network(int number, std::vector<asio::ip::address>& addresses) {
  const NetworkConfig& network = context_->config.networks[static_cast<size_t>(number)];
  asio::error_code error;
  auto local = asio::ip::make_address(network.local_address, error);
  if (error)
    return fail(ErrorCode::invalid_argument,
                "\"" + network.local_address + "\" of network " + network.name + " is no IP address");
  addresses.push_back(local);
  sockets_.push_back(std::make_shared<HeartbeatSocket>(
      *context_, [this, number](const uint8_t* bytes, size_t size) { receive(number, bytes, size); }));
  HOLDFAST_CHECK(sockets_.back()->open(local, network.port));
  listeners_.push_back(std::make_shared<Listener>(*context_, number));
  return listeners_.back()->open(local, network.port);
}

void Transport::Impl::stop() {
  if (std::exchange(context_->stopped, true)) return;
  running_ = false;
  tick_.cancel();
  if (watch_) watch_->close();
  for (auto& socket : sockets_) socket->close();
  for (auto& listener : listeners_) listener->close();
  for_each_peer([](PeerLink& link) { link.stop(); });
  auto sessions = context_->sessions;
  for (auto& session : sessions) session->close("this node stops");
  context_->peers.clear();
}

void Transport::Impl::schedule_tick() {
  const Instant at = now();
  bool quiet = !context_->peers.empty();
  for (const auto& [id, link] : context_->peers) quiet = quiet && link->quiet(at);
  tick_pause_ = quiet ? tick_quiet : tick_interval;
  tick_.expires_after(std::chrono::nanoseconds(tick_pause_.ns));
  tick_due_ = at + tick_pause_;
  tick_.async_wait([weak = weak_from_this()](const asio::error_code& error) {
    auto self = weak.lock();
    if (self && self->running_ && !error) self->tick(now());
  });
}

void Transport::Impl::tick(Instant at) {
  bool late = at - tick_due_ > tick_late;
  if (late) context_->count("tick-late");
  for_each_peer([&](PeerLink& link) { link.tick(at, late); });
  if (running_) schedule_tick();
}

void Transport::Impl::receive(int network, const uint8_t* bytes, size_t size) {
  std::shared_ptr<PeerLink> link;
  SessionKeysPtr keys;
  std::string payload;
  if (const char* refused = open_datagram(network, bytes, size, link, keys, payload))
    return context_->count(refused);
  keys->window.mark(keys->last_counter);
  link->keys().heard_with(keys);
  Instant at = now();
  link->heard(network, at);
  context_->count("datagram-received");
  context_->events.on_datagram(link->config().id, keys->peer_incarnation, network, payload, at);
  // A tick comes along with what wakes this thread anyway: most of an idle node's cost are wakeups.
  if (running_ && at > tick_due_ - tick_pause_ / 2) tick(at);
}

// Null: it is genuine. Otherwise the counter of the reason.
const char* Transport::Impl::open_datagram(int network, const uint8_t* bytes, size_t size,
                                           std::shared_ptr<PeerLink>& link, SessionKeysPtr& keys,
                                           std::string& payload) {
  DatagramHeader header;
  switch (decode_datagram_header(bytes, size, header)) {
    case DatagramCheck::malformed:
      return "datagram-malformed";
    case DatagramCheck::version:
      return "datagram-version";
    case DatagramCheck::ok:
      break;
  }
  if (size > datagram_header_size + datagram_payload_max + datagram_tag_size) return "datagram-malformed";
  if (header.cluster_tag != cluster_tag_) return "datagram-wrong-cluster";
  if (header.to != context_->config.self) return "datagram-wrong-destination";
  if (header.network != network) return "datagram-wrong-network";
  link = find(header.from);
  if (!link) return "datagram-unknown-node";
  keys = link->keys().find(header.key_id);
  if (!keys || !keys->used) return "datagram-unknown-key";
  if (!keys->window.is_new(header.counter)) return "datagram-replayed";
  if (!keys->receive.open(bytes, size, header.counter, payload)) return "datagram-bad-tag";
  keys->last_counter = header.counter;
  return nullptr;
}

void Transport::Impl::send_datagram(NodeId to, int network, std::string_view payload) {
  auto link = find(to);
  if (!running_ || !link || network < 0 || network >= static_cast<int>(sockets_.size()) ||
      !link->address(network))
    return context_->count("datagram-not-sent-no-address");
  const SessionKeysPtr& keys = link->keys().sending();
  if (!keys) return context_->count("datagram-not-sent-no-key");
  if (payload.size() > datagram_payload_max) return context_->count("datagram-not-sent-too-long");
  DatagramHeader header;
  header.network = static_cast<uint8_t>(network);
  header.cluster_tag = cluster_tag_;
  header.from = context_->config.self;
  header.to = to;
  std::string datagram;
  keys->send.seal(header, payload, datagram);
  sockets_[static_cast<size_t>(network)]->send(*link->address(network), link->config().port, datagram);
}

void Transport::Impl::set_peers(std::vector<PeerConfig> peers) {
  if (context_->stopped) return;
  std::map<NodeId, PeerConfig> wanted;
  for (auto& peer : peers)
    if (peer.id != context_->config.self) wanted[peer.id] = std::move(peer);
  auto before = context_->peers;
  for (auto& [id, link] : before) {
    auto it = wanted.find(id);
    if (it != wanted.end() && it->second.name == link->config().name) continue;
    context_->peers.erase(id);
    link->end({"unknown-node", "node " + link->config().name +
                                   " was removed from the configuration of node " +
                                   context_->config.self_name});
  }
  for (auto& [id, config] : wanted) {
    if (auto link = find(id)) {
      link->configure(std::move(config));
    } else if (!context_->stopped) {
      context_->peers[id] = std::make_shared<PeerLink>(*context_, std::move(config));
    }
  }
  if (running_) for_each_peer([](PeerLink& link) { link.dial_if_needed(now()); });
}

Transport::Transport(asio::io_context& io, TransportConfig config, TransportEvents& events)
    : impl_(std::make_shared<Impl>(io, std::move(config), events)) {}
Transport::~Transport() {
  impl_->stop();
}

Status Transport::start() {
  return impl_->start();
}
void Transport::stop() {
  impl_->stop();
}
void Transport::set_peers(std::vector<PeerConfig> peers) {
  impl_->set_peers(std::move(peers));
}

void Transport::set_revoked(std::set<std::string> fingerprints) {
  impl_->context_->revoked = fingerprints;
  impl_->for_each_peer([&](PeerLink& link) { link.revoke_if(fingerprints); });
}

Status Transport::set_certificate(std::string certificate_pem, std::string private_key_pem) {
  HOLDFAST_TRY(TlsContext tls,
               make_tls_context(impl_->context_->config.authority_pem, certificate_pem, private_key_pem));
  impl_->context_->tls = std::move(tls);
  impl_->context_->config.certificate_pem = std::move(certificate_pem);
  impl_->context_->config.private_key_pem = std::move(private_key_pem);
  return {};
}

void Transport::set_enrollment(EnrollHandler handler) {
  set_enrollment_async(
      [handler = std::move(handler)](const pki::EnrollAsk& ask, EnrollDone reply) { reply(handler(ask)); });
}
void Transport::set_enrollment_async(AsyncEnrollHandler handler) {
  impl_->context_->enrollment = std::move(handler);
}

void Transport::send_datagram(NodeId to, int network, std::string_view payload) {
  impl_->send_datagram(to, network, payload);
}

bool Transport::send_message(NodeId to, uint64_t epoch, std::string payload) {
  auto link = impl_->find(to);
  return link && link->send_message(epoch, std::move(payload));
}

void Transport::set_epoch(uint64_t epoch) {
  if (epoch <= impl_->context_->epoch) return;
  impl_->context_->epoch = epoch;
  impl_->for_each_peer([&](PeerLink& link) { link.set_epoch(epoch); });
}

bool Transport::connected(NodeId peer) const {
  auto link = impl_->find(peer);
  return link && link->active();
}

uint32_t Transport::version(NodeId peer) const {
  auto link = impl_->find(peer);
  return link && link->active() ? link->active()->version : 0;
}

int Transport::session_network(NodeId peer) const {
  auto link = impl_->find(peer);
  return link && link->active() ? link->active()->network() : -1;
}

std::map<std::string, uint64_t> Transport::counters() const {
  return {impl_->context_->counters.begin(), impl_->context_->counters.end()};
}

}  // namespace holdfast
