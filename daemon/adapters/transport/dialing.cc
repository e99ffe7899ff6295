// PeerLink: watching the session, and when and where to dial.
#include <algorithm>

#include "adapters/transport/peer_link.h"

namespace holdfast::transport {
namespace {

// A network that carried a heartbeat so recently is tried before the others.
constexpr Duration fresh = Duration::milliseconds(500);

}  // namespace

void PeerLink::tick(Instant now, bool was_late) {
  watch_session(now, was_late);
  dial_if_needed(now);
}

Duration PeerLink::stalled_for(Instant now) const {
  return ping_open_ ? now - std::max(ping_sent_, confirmed_at_) : Duration{};
}

// Nothing waits for an acknowledgement, and heartbeats arrive over the session's network: pings would tell
// nothing new.
bool PeerLink::quiet(Instant now) const {
  if (!active_ || ping_open_ || !channel_ || channel_->queued_bytes() != 0) return false;
  Instant heard = heard_at_[static_cast<size_t>(active_->network())];
  return !heard.is_never() && now - heard < context_.config.stall_timeout;
}

void PeerLink::watch_session(Instant now, bool was_late) {
  if (!active_) return;
  // When this thread did not run, answers wait unread: do not blame the peer.
  if (was_late && ping_open_) ping_sent_ = now;
  if (stalled_for(now) > context_.config.tcp_user_timeout) {
    context_.count("session-timeout");
    auto session = active_;
    return session->close("it confirmed nothing for " + std::to_string(stalled_for(now).ms()) + " ms");
  }
  const Duration pause = quiet(now) ? context_.config.quiet_interval : context_.config.keepalive_interval;
  if (ping_open_ || now - ping_sent_ < pause) return;
  ping_open_ = true;
  ping_sent_ = now;
  FrameHeader ping;
  ping.type = FrameType::ping;
  ping.sequence = ++ping_number_;
  active_->send(ping);
}

void PeerLink::dial_if_needed(Instant now) {
  if (ended_ || context_.config.self >= config_.id) return;
  bool stalled = active_ && stalled_for(now) > context_.config.stall_timeout;
  if (active_ && !stalled) return;
  if (!attempts_.empty() && now - last_attempt_ < context_.config.dial_spread) return;
  if (auto network = choose_network(now, stalled)) dial(*network, now);
}

std::optional<int> PeerLink::choose_network(Instant now, bool session_stalled) const {
  std::optional<int> best;
  auto rank = [&](int i) {
    auto index = static_cast<size_t>(i);
    bool is_fresh = !heard_at_[index].is_never() && now - heard_at_[index] < fresh;
    return std::make_pair(!is_fresh, dialing_[index].tried);
  };
  for (int i = 0; i < static_cast<int>(networks_max); ++i) {
    const Dialing& dialing = dialing_[static_cast<size_t>(i)];
    if (!address(i) || dialing.busy || dialing.next > now) continue;
    if (session_stalled && active_->network() == i) continue;  // the same network again would help nobody
    if (!best || rank(i) < rank(*best)) best = i;
  }
  return best;
}

void PeerLink::dial(int network, Instant now) {
  auto index = static_cast<size_t>(network);
  asio::error_code error;
  auto local = asio::ip::make_address(context_.config.networks[index].local_address, error);
  auto remote = *address(network);
  Dialing& dialing = dialing_[index];
  dialing.tried = now;
  if (error || local.is_v4() != remote.is_v4()) {
    context_.refused("bad-address", "node " + config_.name,
                     "its address " + remote.to_string() + " does not fit the network " +
                         context_.config.networks[index].name);
    dialing.next = now + context_.config.dial_backoff_max;
    return;
  }
  dialing.busy = true;
  last_attempt_ = now;
  context_.count("dial");
  auto stream = make_stream(context_, asio::ip::tcp::socket(context_.io));
  auto session = std::make_shared<Session>(context_, std::move(stream), network);
  attempts_.push_back(session);
  session->dial(shared_from_this(), {local, 0}, {remote, config_.port}, ++context_.last_session_number);
}

}  // namespace holdfast::transport
