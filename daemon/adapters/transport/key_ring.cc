#include "adapters/transport/key_ring.h"

#include <algorithm>

#include "base/bytes.h"

namespace holdfast::transport {
namespace {

// Sessions that broke before either side used their key; far more than a flapping network makes in a second.
constexpr size_t keys_max = 16;

// Material: [key dialer to acceptor:32][key acceptor to dialer:32][id:4][id:4].
SealKey direction(const uint8_t (&material)[72], bool first, bool sealing) {
  uint8_t key[32];
  memcpy(key, material + (first ? 0 : 32), sizeof key);
  return SealKey(key, static_cast<uint32_t>(get_le(material + (first ? 64 : 68), 4)), sealing);
}

}  // namespace

SessionKeys::SessionKeys(const uint8_t (&material)[72], bool dialer, Incarnation peer)
    : peer_incarnation(peer),
      send(direction(material, dialer, true)),
      receive(direction(material, !dialer, false)) {}

void KeyRing::add(SessionKeysPtr keys) {
  keys_.push_back(std::move(keys));
  if (keys_.size() <= keys_max) return;
  auto spare =
      std::find_if(keys_.begin(), keys_.end(), [&](auto& k) { return k != heard_ && k != sending_; });
  keys_.erase(spare);
}

void KeyRing::keep(const SessionKeysPtr& keys) {
  keys->used = true;
  std::erase(keys_, keys);  // attempts race: what counts as newest is the order of use, not of the hellos
  keys_.push_back(keys);
}

void KeyRing::abandon(const SessionKeysPtr& keys) {
  if (keys && !keys->used) std::erase(keys_, keys);
}

void KeyRing::send_with(const SessionKeysPtr& keys) {
  sending_ = keys;
}

void KeyRing::heard_with(const SessionKeysPtr& keys) {
  if (heard_ == keys) return;
  heard_ = keys;
  auto it = std::find(keys_.begin(), keys_.end(), keys);
  if (it != keys_.end()) keys_.erase(keys_.begin(), it);
}

void KeyRing::forget_other_lives(Incarnation current) {
  auto other = [&](const SessionKeysPtr& keys) { return keys && keys->peer_incarnation != current; };
  std::erase_if(keys_, other);
  if (other(sending_)) sending_.reset();
  if (other(heard_)) heard_.reset();
}

void KeyRing::clear() {
  keys_.clear();
  sending_.reset();
  heard_.reset();
}

SessionKeysPtr KeyRing::find(uint32_t receive_id) const {
  for (auto it = keys_.rbegin(); it != keys_.rend(); ++it)
    if ((*it)->receive.id() == receive_id) return *it;
  return nullptr;
}

}  // namespace holdfast::transport
