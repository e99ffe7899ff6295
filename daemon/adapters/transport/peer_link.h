// PeerLink: everything about one peer: its current life, its channel, its heartbeat keys, its session, and
// when and over which network to dial. The node with the lower id dials. See docs/protocols/transport.md,
// "Sessions". Invariants:
//   L1  at most one session is active; a session replaces another only with a higher number of the same
//   dialer's life. L2  the channel is reset exactly when the peer's life changes or the peer forgot this
//   life.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/transport/channel.h"
#include "adapters/transport/context.h"
#include "adapters/transport/key_ring.h"
#include "adapters/transport/session.h"

namespace holdfast::transport {

class PeerLink : public std::enable_shared_from_this<PeerLink> {
 public:
  PeerLink(Context& context, PeerConfig config) : context_(context) { configure(std::move(config)); }

  void configure(PeerConfig config);
  // None: the peer is not on this network.
  const std::optional<asio::ip::address>& address(int network) const {
    return addresses_[static_cast<size_t>(network)];
  }
  // The peer is no longer one of ours: ends sessions, keys and channel.
  void end(const Verdict& verdict);
  // This node stops: no more dialing, no more events.
  void stop() { ended_ = true, told_connected_ = false; }
  // The session's certificate no longer counts.
  void revoke_if(const std::set<std::string>& fingerprints);

  void tick(Instant now, bool was_late);
  // The next tick may wait.
  bool quiet(Instant now) const;
  bool send_message(uint64_t epoch, std::string payload);
  void set_epoch(uint64_t epoch);
  void heard(int network, Instant at) { heard_at_[static_cast<size_t>(network)] = at; }

  // Called by Session.
  Hello make_hello(Session& session);
  Verdict judge_hello(Session& session, const Hello& hello) const;
  void greeted(Session& session) { keys_.add(session.keys()); }
  // False: overtaken by another session; the caller closes it.
  bool adopt(Session& session);
  void handle(Session& session, const FrameHeader& header, std::string_view body);
  bool next_frame(Session& session, FrameHeader& header, std::string_view& body);
  void session_closed(Session& session, const std::string& why);
  void dial_if_needed(Instant now);
  uint64_t received() const { return channel_ ? channel_->received() : 0; }

  const PeerConfig& config() const { return config_; }
  KeyRing& keys() { return keys_; }
  Incarnation incarnation() const { return incarnation_; }
  const std::shared_ptr<Session>& active() const { return active_; }

 private:
  struct Dialing {
    Instant next;  // not before
    Instant tried;
    Duration backoff;  // of the last failure
    bool busy = false;
  };

  bool resume_or_start_life(Session& session);
  void tell_disconnected(const std::string& why);
  void handle_data(Session& session, const FrameHeader& header, std::string_view body);
  void watch_session(Instant now, bool was_late);
  Duration stalled_for(Instant now) const;
  std::optional<int> choose_network(Instant now, bool session_stalled) const;
  void dial(int network, Instant now);

  Context& context_;
  PeerConfig config_;
  std::array<std::optional<asio::ip::address>, networks_max> addresses_;
  bool ended_ = false;
  Incarnation incarnation_;
  std::string fingerprint_;  // of the certificate of the newest session
  KeyRing keys_;
  std::unique_ptr<Channel> channel_;
  uint64_t channel_generation_ = 0;
  bool channel_confirmed_ =
      false;  // the peer has used it: a peer that knows nothing of it must have forgotten it
  bool told_connected_ = false;

  std::shared_ptr<Session> active_;
  Instant active_since_;
  std::vector<std::shared_ptr<Session>> attempts_;  // dialer only: not active yet
  Instant last_attempt_;
  std::array<Dialing, networks_max> dialing_{};
  std::array<Instant, networks_max> heard_at_{};

  uint64_t ping_number_ = 0;
  bool ping_open_ = false;
  Instant ping_sent_, confirmed_at_;
};

}  // namespace holdfast::transport
