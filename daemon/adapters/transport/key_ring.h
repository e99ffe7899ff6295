// KeyRing: the heartbeat keys shared with one peer, newest session last.
//
// Heartbeats must not stop because a TLS session breaks or moves, so keys outlive their session:
//   K1  a key is good for receipt from the hello on, before the peer can use it; one whose session was never
//   used
//       goes away with it.
//   K2  a key is used for sending only when the peer is known to accept it.
//   K3  older keys go when the peer uses a newer one, and all go when the peer's life or its place in the
//   cluster ends.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "adapters/transport/datagram.h"
#include "base/ids.h"

namespace holdfast::transport {

// Both directions of one session, from its exporter.
struct SessionKeys {
  SessionKeys(const uint8_t (&material)[72], bool dialer, Incarnation peer);
  static constexpr size_t material_size = 72;

  Incarnation peer_incarnation;
  SealKey send, receive;
  ReplayWindow window;
  uint64_t last_counter = 0;  // of the last genuine datagram
  bool used = false;          // its session became the one in use
};
using SessionKeysPtr = std::shared_ptr<SessionKeys>;

class KeyRing {
 public:
  void add(SessionKeysPtr keys);                 // K1
  void keep(const SessionKeysPtr& keys);         // its session is in use
  void abandon(const SessionKeysPtr& keys);      // its session ended; goes unless keep() was called
  void send_with(const SessionKeysPtr& keys);    // K2
  void heard_with(const SessionKeysPtr& keys);   // K3
  void forget_other_lives(Incarnation current);  // K3
  void clear();

  SessionKeysPtr find(uint32_t receive_id) const;
  const SessionKeysPtr& sending() const { return sending_; }

 private:
  std::vector<SessionKeysPtr> keys_;  // oldest first
  SessionKeysPtr sending_, heard_;
};

}  // namespace holdfast::transport
