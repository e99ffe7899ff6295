// Strong identifiers. None converts implicitly into another or into a number.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace holdfast {

template <typename Tag>
struct StrongId {
  uint64_t value = 0;
  constexpr auto operator<=>(const StrongId&) const = default;
  constexpr bool is_none() const { return value == 0; }
};

using NodeId = StrongId<struct NodeIdTag>;            // 1..64; 0 = none. Never reused while a cluster lives.
using Epoch = StrongId<struct EpochTag>;              // names a view; 40 bits are used
using Incarnation = StrongId<struct IncarnationTag>;  // one life of the service process, random, never 0
using Sequence = StrongId<struct SequenceTag>;        // position in the order of all updates, from 1

constexpr uint64_t nodes_max = 64;
constexpr uint64_t networks_max = 8;

// A set of nodes as a bitmap: bit (id - 1).
class NodeSet {
 public:
  constexpr NodeSet() = default;
  constexpr explicit NodeSet(uint64_t bits) : bits_(bits) {}
  static constexpr NodeSet of(NodeId id) { return NodeSet(bit(id)); }
  constexpr bool contains(NodeId id) const { return (bits_ & bit(id)) != 0; }
  constexpr bool contains_all(NodeSet other) const { return (bits_ & other.bits_) == other.bits_; }
  constexpr void add(NodeId id) { bits_ |= bit(id); }
  constexpr void remove(NodeId id) { bits_ &= ~bit(id); }
  constexpr int size() const { return std::popcount(bits_); }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr NodeId lowest() const {
    return empty() ? NodeId{0} : NodeId{static_cast<uint64_t>(std::countr_zero(bits_)) + 1};
  }
  constexpr uint64_t bits() const { return bits_; }
  constexpr NodeSet operator&(NodeSet o) const { return NodeSet(bits_ & o.bits_); }
  constexpr NodeSet operator|(NodeSet o) const { return NodeSet(bits_ | o.bits_); }
  constexpr NodeSet operator-(NodeSet o) const { return NodeSet(bits_ & ~o.bits_); }
  constexpr bool operator==(const NodeSet&) const = default;

  // Iterates in ascending node id: for (NodeId id : set).
  struct Iterator {
    uint64_t rest;
    constexpr NodeId operator*() const { return NodeId{static_cast<uint64_t>(std::countr_zero(rest)) + 1}; }
    constexpr Iterator& operator++() {
      rest &= rest - 1;
      return *this;
    }
    constexpr bool operator!=(const Iterator& o) const { return rest != o.rest; }
  };
  constexpr Iterator begin() const { return {bits_}; }
  constexpr Iterator end() const { return {0}; }

 private:
  static constexpr uint64_t bit(NodeId id) {
    return id.value >= 1 && id.value <= nodes_max ? uint64_t{1} << (id.value - 1) : 0;
  }
  uint64_t bits_ = 0;
};

// "{1,2,5}".
std::string to_string(NodeSet set);

// A SCSI-3 persistent reservation key of Holdfast: [tag:16][counter:40][node:8], big-endian on the wire.
// On the quorum LUN the counter is the epoch, on a data LUN the ownership generation. Never 0 for a valid
// node.
struct ReservationKey {
  uint64_t value = 0;
  constexpr auto operator<=>(const ReservationKey&) const = default;
  constexpr bool is_none() const { return value == 0; }
  constexpr uint16_t tag() const { return static_cast<uint16_t>(value >> 48); }
  constexpr uint64_t counter() const { return (value >> 8) & 0xff'ffff'ffffULL; }
  constexpr NodeId node() const { return NodeId{value & 0xff}; }
  static constexpr ReservationKey make(uint16_t tag, uint64_t counter, NodeId node) {
    return {(uint64_t{tag} << 48) | ((counter & 0xff'ffff'ffffULL) << 8) | (node.value & 0xff)};
  }
};
// "0xTTTTCCCCCCCCCCNN" as sg_persist prints keys.
std::string to_string(ReservationKey key);

// The tag of a cluster: 16 bits of its id (CRC32C folded), never 0.
uint16_t cluster_tag(const std::string& cluster_id);

}  // namespace holdfast
