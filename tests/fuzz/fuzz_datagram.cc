// Heartbeat datagrams: the header as it comes from the network, and sealed ones that were changed on the way.
#include "adapters/transport/key_ring.h"
#include "input.h"
#include "proto/wire.pb.h"
#include "target.h"

namespace {

using namespace holdfast;
using namespace holdfast::transport;

constexpr uint8_t material[SessionKeys::material_size] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
constexpr uint8_t other_material[SessionKeys::material_size] = {2, 2, 3, 4, 5,
                                                                6, 7, 8, 9};  // the same key ids

struct Pair {
  SessionKeys sender{material, true, Incarnation{7}};
  SessionKeys receiver{material, false, Incarnation{8}};
};

std::string sealed(Pair& pair, const std::string& payload) {
  DatagramHeader header;
  header.network = 1;
  header.cluster_tag = 0xabcd;
  header.from = NodeId{1};
  header.to = NodeId{2};
  std::string out;
  pair.sender.send.seal(header, payload, out);
  return out;
}

// As HeartbeatSocket takes a datagram.
bool take(SessionKeys& keys, const std::string& datagram, std::string& payload) {
  DatagramHeader header;
  if (decode_datagram_header(as_u8(datagram), datagram.size(), header) != DatagramCheck::ok) return false;
  HOLDFAST_ASSERT(header.from.value >= 1 && header.from.value <= nodes_max && header.network < networks_max);
  // What is accepted can be said again, in the same bytes.
  auto again = encode_datagram_header(header);
  HOLDFAST_ASSERT(memcmp(again.data(), datagram.data(), again.size()) == 0);
  if (header.key_id != keys.receive.id() || !keys.window.is_new(header.counter)) return false;
  if (!keys.receive.open(as_u8(datagram), datagram.size(), header.counter, payload)) return false;
  keys.window.mark(header.counter);
  HOLDFAST_ASSERT(!keys.window.is_new(header.counter));
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  Pair pair;
  std::string opened;
  if (in.byte() == 0) {
    // Nobody without the key makes a datagram that is taken.
    SessionKeys other{other_material, false, Incarnation{8}};
    HOLDFAST_ASSERT(!take(other, in.rest(), opened));
    return 0;
  }
  const uint64_t changes = in.below(4);
  size_t places[4];
  uint8_t bits[4];
  for (uint64_t i = 0; i < changes; ++i) places[i] = in.number(2), bits[i] = in.byte();
  const std::string payload = in.rest();
  const std::string datagram = sealed(pair, payload);
  std::string changed = datagram;
  for (uint64_t i = 0; i < changes; ++i) changed[places[i] % changed.size()] ^= static_cast<char>(bits[i]);
  const bool taken = take(pair.receiver, changed, opened);
  HOLDFAST_ASSERT(taken == (changed == datagram));
  if (!taken) return 0;
  HOLDFAST_ASSERT(opened == payload);
  HOLDFAST_ASSERT(!take(pair.receiver, datagram, opened));  // not twice
  wire::Heartbeat heartbeat, again;
  if (heartbeat.ParseFromString(payload))
    HOLDFAST_ASSERT(again.ParseFromString(heartbeat.SerializeAsString()));
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  Pair pair;
  wire::Heartbeat heartbeat;
  heartbeat.set_incarnation(7);
  heartbeat.set_epoch(3);
  heartbeat.set_phase(wire::Heartbeat::MEMBER);
  heartbeat.set_heard(7);
  heartbeat.add_rows()->set_node(1);
  heartbeat.mutable_nomination()->mutable_view()->add_members()->set_node(2);
  const std::string payload = heartbeat.SerializeAsString();
  return {Recipe().byte(0).raw(sealed(pair, payload)).done(), Recipe().byte(1).byte(0).raw(payload).done(),
          Recipe().byte(1).byte(1).number(30, 2).byte(4).raw(payload).done()};
}

}  // namespace holdfast::fuzz
