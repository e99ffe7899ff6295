// Transport: how this node talks to the others. Heartbeats are sealed UDP datagrams on every network;
// everything else goes through one ordered, acknowledged, resending channel a peer, over one TLS 1.3 session
// that moves to another network when its own goes silent. Payloads are opaque here. See
// docs/protocols/transport.md.
//
// Everything runs on the caller's io_context, which one thread runs; no call blocks, none throws. Events are
// delivered from that thread and may call back into the Transport, but must not destroy it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"
#include "pki/enroll.h"

namespace asio {
class io_context;
}

namespace holdfast {

// The index in TransportConfig::networks is the network's number, the same on all nodes of the cluster.
struct NetworkConfig {
  std::string name;
  std::string local_address;  // IPv4 or IPv6 literal
  uint16_t port = 0;          // UDP and TCP
};

struct PeerConfig {
  NodeId id;
  std::string name;
  std::vector<std::string> addresses;  // one per network; "" = not on it
  uint16_t port = 0;
};

struct TransportConfig {
  std::string cluster_id;
  NodeId self;
  std::string self_name;
  Incarnation incarnation;
  std::vector<NetworkConfig> networks;
  std::string authority_pem, certificate_pem, private_key_pem;
  uint32_t version_min = 0, version_max = 0;
  std::string software;  // shown to people at the other end

  // Below: each bounds what a dead network or peer may cost. Heartbeats at 100 ms and a regroup at 1 s set
  // the scale.
  Duration connect_timeout = Duration::seconds(1);    // TCP connection
  Duration handshake_timeout = Duration::seconds(3);  // from there to the end of the hello
  Duration tcp_user_timeout = Duration::seconds(1);   // a session that confirms nothing for so long is closed
  Duration stall_timeout = Duration::milliseconds(300);  // ... and for so long: try another network beside it
  Duration keepalive_interval = Duration::milliseconds(100);
  Duration quiet_interval = Duration::seconds(5);      // instead, while heartbeats prove the network
  Duration dial_spread = Duration::milliseconds(150);  // head start of one network before the next is tried
  Duration dial_backoff_min = Duration::milliseconds(100);
  Duration dial_backoff_max = Duration::seconds(1);
  uint64_t send_queue_bytes = 64 << 20;  // a peer; a message is taken while less is queued
};

constexpr size_t datagram_payload_max = 8 << 10;
constexpr size_t message_payload_max = 64 << 20;

class TransportEvents {
 public:
  virtual ~TransportEvents() = default;
  virtual void on_datagram(NodeId from, Incarnation, int network, const std::string& payload,
                           Instant received_at) = 0;
  virtual void on_message(NodeId from, Incarnation, const std::string& payload) = 0;
  virtual void on_peer_connected(NodeId, Incarnation, uint32_t version, const std::string& software) = 0;
  // No TLS session over any network. Heartbeats may go on, and messages stay queued for this life of the
  // peer.
  virtual void on_peer_disconnected(NodeId, const std::string& why) = 0;
  // Somebody was turned away, or turned us away. The same `who` and `why` is repeated at most every 10
  // seconds.
  virtual void on_peer_refused(const std::string& who, const std::string& why) = 0;
  // Once for every network after start(), then at each change of its interface or address.
  virtual void on_network_state(int network, bool carrier_up) = 0;
};

using EnrollHandler = std::function<Result<pki::EnrollAnswer>(const pki::EnrollAsk&)>;
// Like EnrollHandler, for an answer that first has to be committed: call `reply` once, later, on the same
// thread.
using EnrollDone = std::function<void(Result<pki::EnrollAnswer>)>;
using AsyncEnrollHandler = std::function<void(const pki::EnrollAsk&, EnrollDone reply)>;

class Transport {
 public:
  Transport(asio::io_context& io, TransportConfig config, TransportEvents& events);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Opens the sockets. Errors: invalid_argument (addresses, certificates), io (a port is taken).
  // An address that this node does not have (yet) is no error: its network is reported down.
  Status start();
  void stop();

  // Replaces the list of nodes that may talk to this one. Sessions and keys of those that are gone end at
  // once.
  void set_peers(std::vector<PeerConfig> peers);
  // Certificates that no longer count, by fingerprint. Their sessions and keys end at once.
  void set_revoked(std::set<std::string> fingerprints);
  // Replaces this node's certificate for new sessions; running ones go on.
  Status set_certificate(std::string certificate_pem, std::string private_key_pem);
  void set_enrollment(EnrollHandler handler);
  void set_enrollment_async(AsyncEnrollHandler handler);

  // Best effort: what cannot be sent now is counted and forgotten.
  void send_datagram(NodeId to, int network, std::string_view payload);

  // Queues a message for the current life of the peer. False: this life is not known yet (never connected),
  // the queue is full, the payload is too long, or the epoch is already an old one. epoch 0 = of no epoch.
  bool send_message(NodeId to, uint64_t epoch, std::string payload);

  // From now on messages of an older epoch (other than 0) are neither sent nor delivered.
  void set_epoch(uint64_t epoch);

  bool connected(NodeId peer) const;
  // Version agreed with the peer; 0 when not connected.
  uint32_t version(NodeId peer) const;
  // Number of the network that the peer's session uses; -1 when not connected.
  int session_network(NodeId peer) const;
  std::map<std::string, uint64_t> counters() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdfast
