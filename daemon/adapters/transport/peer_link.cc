#include "adapters/transport/peer_link.h"

#include <algorithm>
#include <utility>

namespace holdfast::transport {

void PeerLink::configure(PeerConfig config) {
  config_ = std::move(config);
  addresses_ = {};
  size_t count = std::min({config_.addresses.size(), context_.config.networks.size(), addresses_.size()});
  for (size_t i = 0; i < count; ++i) {
    if (config_.addresses[i].empty()) continue;
    asio::error_code error;
    auto address = asio::ip::make_address(config_.addresses[i], error);
    if (error) {
      context_.refused("bad-address", "node " + config_.name,
                       "\"" + config_.addresses[i] + "\" is no IP address");
    } else {
      addresses_[i] = address;
    }
  }
}

void PeerLink::end(const Verdict& verdict) {
  auto self = shared_from_this();
  ended_ = true;
  auto attempts = std::exchange(attempts_, {});
  for (auto& attempt : attempts) attempt->close(verdict.text);
  if (auto session = active_) session->refuse(verdict);
  keys_.clear();
  channel_.reset();
  ++channel_generation_;
  incarnation_ = {};
}

void PeerLink::revoke_if(const std::set<std::string>& fingerprints) {
  if (!fingerprints.count(fingerprint_)) return;
  keys_.clear();
  auto self = shared_from_this();
  if (auto session = active_)
    session->refuse({"revoked", "the certificate of node " + config_.name + " was revoked"});
}

Hello PeerLink::make_hello(Session& session) {
  const TransportConfig& config = context_.config;
  session.channel_generation = channel_generation_;
  Hello hello;
  hello.set_version_min(config.version_min);
  hello.set_version_max(config.version_max);
  hello.set_cluster_id(config.cluster_id);
  hello.set_node(static_cast<uint32_t>(config.self.value));
  hello.set_node_name(config.self_name);
  hello.set_incarnation(config.incarnation.value);
  hello.set_software(config.software);
  hello.set_session(session.number());
  if (channel_) {
    hello.set_known_incarnation(incarnation_.value);
    hello.set_received(channel_->received());
  }
  return hello;
}

Verdict PeerLink::judge_hello(Session& session, const Hello& hello) const {
  const TransportConfig& config = context_.config;
  if (hello.cluster_id() != config.cluster_id)
    return {"wrong-cluster",
            "it belongs to cluster " + hello.cluster_id() + ", this is " + config.cluster_id};
  if (hello.node() != config_.id.value)
    return {"wrong-node",
            "node " + config_.name + " says that it is node id " + std::to_string(hello.node())};
  if (hello.incarnation() == 0) return {"protocol", "its hello has no incarnation"};
  session.version = std::min(hello.version_max(), config.version_max);
  if (session.version < hello.version_min() || session.version < config.version_min)
    return {"version", "node " + config_.name + " speaks protocol " + std::to_string(hello.version_min()) +
                           "-" + std::to_string(hello.version_max()) + ", node " + config.self_name +
                           " speaks " + std::to_string(config.version_min) + "-" +
                           std::to_string(config.version_max)};
  return {};
}

// L2. False: the peer's hello contradicts what this side knows.
bool PeerLink::resume_or_start_life(Session& session) {
  Incarnation life{session.hello().incarnation()};
  bool known = session.hello().known_incarnation() == context_.config.incarnation.value;
  if (channel_ && life == incarnation_ && (known || !channel_confirmed_))
    return channel_->restart(known ? session.hello().received() : 0);
  if (channel_) {
    context_.count("channel-reset");
    tell_disconnected(life == incarnation_ ? "it forgot this node" : "it started anew");
  }
  channel_ = std::make_unique<Channel>(context_.epoch, context_.config.send_queue_bytes);
  channel_confirmed_ = !session.is_dialer();  // the dialer has begun to use it before it said `ready`
  ++channel_generation_;
  incarnation_ = life;
  keys_.forget_other_lives(life);
  return true;
}

bool PeerLink::adopt(Session& session) {
  auto self = shared_from_this();
  auto adopted = session.shared_from_this();
  // The list of nodes and the revocations may have changed since the handshake.
  if (ended_ || context_.revoked.count(session.identity().fingerprint)) return false;
  // What the hellos said about the channel must still be true.
  if (session.channel_generation != channel_generation_) return false;
  bool same_life = Incarnation{session.hello().incarnation()} == incarnation_;
  if (active_ && !session.is_dialer() && same_life && session.number() < active_->number())
    return false;  // L1
  auto old = std::exchange(active_, nullptr);
  if (!resume_or_start_life(session)) {
    active_ = old;
    context_.count("session-bad-order");
    session.refuse({"protocol", "it claims to have received what was never sent"});
    return true;
  }
  if (ended_ || !session.is_open()) {  // an event handler removed the peer, or stopped everything
    if (old) old->close("the peer was removed");
    return false;
  }
  active_ = adopted;
  active_since_ = now();
  fingerprint_ = session.identity().fingerprint;
  ping_open_ = false;
  ping_sent_ = confirmed_at_ = {};
  keys_.keep(session.keys());
  if (!session.is_dialer()) keys_.send_with(session.keys());  // K2: the dialer had it before it said `ready`
  if (old) {
    context_.count("session-moved");
    old->close("another session took over");
  }
  auto attempts = std::exchange(attempts_, {});
  for (auto& attempt : attempts) {
    auto& dialing = dialing_[static_cast<size_t>(attempt->network())];
    dialing.busy = false;
    if (attempt != adopted) attempt->close("another session was faster");
  }
  context_.count("session-established");
  session.begin();
  if (!std::exchange(told_connected_, true))
    context_.events.on_peer_connected(config_.id, incarnation_, session.version, session.hello().software());
  if (session.is_open()) session.pump();
  return true;
}

void PeerLink::tell_disconnected(const std::string& why) {
  if (std::exchange(told_connected_, false)) context_.events.on_peer_disconnected(config_.id, why);
}

bool PeerLink::send_message(uint64_t epoch, std::string payload) {
  if (!channel_ || !channel_->push(epoch, std::move(payload))) {
    context_.count("message-not-queued");
    return false;
  }
  context_.count("message-queued");
  if (active_) active_->pump();
  return true;
}

void PeerLink::set_epoch(uint64_t epoch) {
  if (!channel_) return;
  uint64_t before = channel_->dropped_old();
  channel_->set_epoch(epoch);
  context_.count("message-purged-old-epoch", channel_->dropped_old() - before);
  if (active_) active_->pump();
}

bool PeerLink::next_frame(Session& session, FrameHeader& header, std::string_view& body) {
  return active_.get() == &session && channel_ && channel_->next(header, body);
}

void PeerLink::handle(Session& session, const FrameHeader& header, std::string_view body) {
  if (active_.get() != &session || !channel_) return;
  channel_confirmed_ = true;
  uint64_t acknowledged = channel_->acknowledged();
  if (!channel_->acknowledge(header.ack)) {
    context_.count("session-bad-order");
    return session.refuse({"protocol", "it acknowledges what was never sent"});
  }
  if (channel_->acknowledged() != acknowledged) confirmed_at_ = now();
  FrameHeader answer;
  switch (header.type) {
    case FrameType::ready:
      keys_.send_with(session.keys());  // K2: the acceptor uses the session, so it accepts the key
      break;
    case FrameType::ping:
      answer.type = FrameType::pong;
      answer.sequence = header.sequence;
      session.send(answer);
      break;
    case FrameType::pong:
      if (!ping_open_ || header.sequence != ping_number_) break;
      ping_open_ = false;
      confirmed_at_ = now();
      break;
    case FrameType::data:
    case FrameType::skip:
      handle_data(session, header, body);
      break;
    default:
      break;
  }
}

void PeerLink::handle_data(Session& session, const FrameHeader& header, std::string_view body) {
  auto self = shared_from_this();
  std::string message;
  session.ack_due = true;
  switch (channel_->receive(header, body, message)) {
    case Channel::Receipt::message:
      context_.count("message-received");
      context_.events.on_message(config_.id, incarnation_, message);
      break;
    case Channel::Receipt::consumed:
      break;
    case Channel::Receipt::duplicate:
      context_.count("frame-duplicate");
      break;
    case Channel::Receipt::old_epoch:
      context_.count("message-dropped-old-epoch");
      break;
    case Channel::Receipt::bad_order:
      context_.count("session-bad-order");
      session.refuse({"protocol", "it sent frames that do not follow each other"});
      break;
    case Channel::Receipt::too_long:
      context_.count("session-malformed-frame");
      session.refuse({"protocol", "it sent a message that is too long"});
      break;
  }
}

void PeerLink::session_closed(Session& session, const std::string& why) {
  auto self = shared_from_this();
  keys_.abandon(session.keys());
  bool was_active = active_.get() == &session;
  if (session.is_dialer()) {
    // A session that did not live for a second counts as a failure too, or a bad pair would redial without
    // pause.
    Instant at = now();
    Dialing& dialing = dialing_[static_cast<size_t>(session.network())];
    bool good = was_active && at - active_since_ > context_.config.dial_backoff_max;
    bool tried = std::erase(attempts_, session.shared_from_this()) > 0;
    if (tried) dialing.busy = false;
    if (good) {
      dialing.backoff = {};
      dialing.next = at;
    } else if (tried || was_active) {
      dialing.backoff = std::min(std::max(dialing.backoff * 2, context_.config.dial_backoff_min),
                                 context_.config.dial_backoff_max);
      dialing.next = at + dialing.backoff;
    }
  }
  if (!was_active) return;
  context_.count("session-lost");
  active_ = nullptr;
  tell_disconnected(why);
  dial_if_needed(now());
}

}  // namespace holdfast::transport
