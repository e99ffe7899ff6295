#include "simulation/network.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace holdfast::sim {
namespace {
constexpr Duration silence_max = Duration::milliseconds(1000);
constexpr size_t recorded_max = 64;  // datagrams of one direction
constexpr Duration back_off_max = Duration::milliseconds(600);
}  // namespace

Network::Network(Scheduler& time, uint64_t seed, int nodes, int networks)
    : time_(time),
      random_(seed),
      nodes_(nodes),
      networks_(networks),
      node_(static_cast<size_t>(nodes) + 1),
      lines_(static_cast<size_t>(nodes + 1) * static_cast<size_t>(nodes + 1) *
             static_cast<size_t>(networks)) {}

Duration Network::delay(const Line& line) {
  Duration d = line.delay_min + Duration{static_cast<int64_t>(random_.below(
                                    static_cast<uint64_t>((line.delay_max - line.delay_min).ns) + 1))};
  if (line.clogged_until > time_.now()) d = d + (line.clogged_until - time_.now());
  return d;
}

void Network::attach(int node, uint64_t incarnation, Endpoint* endpoint) {
  Node& n = node_[static_cast<size_t>(node)];
  n.incarnation = incarnation;
  n.endpoint = endpoint;
  n.epoch = 0;
}

void Network::detach(int node) {
  Node& n = node_[static_cast<size_t>(node)];
  n.endpoint = nullptr;
  n.known.clear();
}

void Network::know(int node, std::set<int> peers) {
  peers.erase(node);
  node_[static_cast<size_t>(node)].known = std::move(peers);
}

void Network::set_epoch(int node, uint64_t epoch) {
  node_[static_cast<size_t>(node)].epoch = epoch;
  for (auto& [ids, p] : pairs_) {
    if (ids.first != node && ids.second != node) continue;
    auto& queue = p.queue[ids.first == node ? 1 : 0];
    std::erase_if(queue, [&](const Frame& f) { return f.epoch != 0 && f.epoch < epoch; });
  }
}

void Network::send_datagram(int from, int to, const std::string& payload) {
  if (to < 1 || to > nodes_ || !node_[static_cast<size_t>(from)].known.count(to)) return;
  // The keys of datagrams come from a session: two that never had one cannot read each other.
  Pair& p = pair(from, to);
  const uint64_t life = node_[static_cast<size_t>(from)].incarnation;
  if (p.life[from < to ? 0 : 1] != life) return;
  const auto shared = std::make_shared<const std::string>(payload);
  for (int network = 0; network < networks_; ++network) {
    const Line& l = line(from, to, network);
    if (l.cut || random_.chance(static_cast<uint64_t>(l.loss_percent))) continue;
    Stream& stream = p.stream[to < from ? 0 : 1];
    const Recorded datagram{life, p.keys, ++stream.counter, shared};
    stream.recorded.push_back(datagram);
    if (stream.recorded.size() > recorded_max) stream.recorded.pop_front();
    auto post = [&](Duration d) {
      time_.after(d, [this, from, to, network, datagram] { arrive(from, to, network, datagram); });
    };
    Duration d = delay(l);
    if (l.late_percent > 0 && random_.chance(static_cast<uint64_t>(l.late_percent)))
      d = d + Duration{static_cast<int64_t>(random_.below(static_cast<uint64_t>(l.late_max.ns)))};
    post(d);
    if (l.duplicate_percent > 0 && random_.chance(static_cast<uint64_t>(l.duplicate_percent)))
      post(d + delay(l) + Duration::milliseconds(static_cast<int64_t>(random_.below(300))));
  }
}

void Network::replay(int from, int to) {
  const Stream& stream = pair(from, to).stream[to < from ? 0 : 1];
  for (const auto& datagram : stream.recorded)
    for (int network = 0; network < networks_; ++network)
      time_.after(delay(line(from, to, network)),
                  [this, from, to, network, datagram] { arrive(from, to, network, datagram); });
}

void Network::arrive(int from, int to, int network, const Recorded& datagram) {
  Node& n = node_[static_cast<size_t>(to)];
  if (n.endpoint == nullptr || !n.known.count(from)) return;
  Pair& p = pair(from, to);
  if (p.life[to < from ? 0 : 1] != n.incarnation || p.life[from < to ? 0 : 1] != datagram.incarnation ||
      p.keys != datagram.keys)
    return;
  transport::ReplayWindow& window = p.stream[to < from ? 0 : 1].window;
  if (!window.is_new(datagram.counter)) return;
  window.mark(datagram.counter);
  n.endpoint->on_datagram(from, datagram.incarnation, network, *datagram.payload);
}

int Network::way(int a, int b) const {
  for (int network = 0; network < networks_; ++network) {
    const Line& there = lines_[index(a, b, network)];
    const Line& back = lines_[index(b, a, network)];
    if (!there.cut && !back.cut && there.clogged_until <= time_.now() && back.clogged_until <= time_.now())
      return network;
  }
  return -1;
}

void Network::tick() {
  for (int low = 1; low < nodes_; ++low)
    for (int high = low + 1; high <= nodes_; ++high) tick_pair(low, high, pairs_[{low, high}]);
}

void Network::tick_pair(int low, int high, Pair& p) {
  const Node& a = node_[static_cast<size_t>(low)];
  const Node& b = node_[static_cast<size_t>(high)];
  const bool both = a.endpoint && b.endpoint;
  const bool acquainted = both && a.known.count(high) && b.known.count(low);
  const int network =
      acquainted && a.endpoint->responsive() && b.endpoint->responsive() ? way(low, high) : -1;
  if (p.connected) {
    if (!both || p.life[0] != a.incarnation || p.life[1] != b.incarnation)
      return disconnect(low, high, p, "the other side is gone");
    if (!acquainted) return disconnect(low, high, p, "removed");
    if (network >= 0)
      p.last_heard = time_.now();
    else if (time_.now() - p.last_heard > silence_max)
      disconnect(low, high, p, "silence");
    return;
  }
  if (network < 0 || time_.now() < p.next_try) return;
  connect(low, high, p, network);
}

void Network::disconnect(int low, int high, Pair& p, const char* why) {
  p.connected = false;
  ++p.session;
  p.moving[0] = p.moving[1] = false;
  p.next_try =
      time_.now() + Duration{static_cast<int64_t>(random_.below(static_cast<uint64_t>(back_off_max.ns)))};
  const int ids[2] = {low, high};
  for (int side = 0; side < 2; ++side) {
    Node& n = node_[static_cast<size_t>(ids[side])];
    if (n.endpoint && n.incarnation == p.life[side]) n.endpoint->on_disconnected(ids[1 - side], why);
  }
}

void Network::connect(int low, int high, Pair& p, int network) {
  const int ids[2] = {low, high};
  Node& a = node_[static_cast<size_t>(low)];
  Node& b = node_[static_cast<size_t>(high)];
  if (p.life[0] != a.incarnation || p.life[1] != b.incarnation) {
    ++p.keys;
    for (int side = 0; side < 2; ++side) {
      p.queue[side].clear();  // what was recorded stays recorded
      p.stream[side].counter = 0;
      p.stream[side].window = {};
    }
  }
  p.life[0] = a.incarnation;
  p.life[1] = b.incarnation;
  p.connected = true;
  p.last_heard = time_.now();
  const uint64_t session = ++p.session;
  for (int side = 0; side < 2; ++side) {
    const int self = ids[side], peer = ids[1 - side];
    time_.after(delay(line(peer, self, network)), [this, low, high, side, self, peer, session] {
      Pair& now = pair(low, high);
      Node& n = node_[static_cast<size_t>(self)];
      if (now.session != session || !n.endpoint || n.incarnation != now.life[side]) return;
      n.endpoint->on_connected(peer, now.life[1 - side]);
      pump(low, high, side);
    });
  }
}

void Network::break_session(int a, int b) {
  Pair& p = pair(a, b);
  if (p.connected) disconnect(std::min(a, b), std::max(a, b), p, "connection reset");
}

void Network::send_message(int from, int to, uint64_t epoch, const std::string& payload) {
  if (to < 1 || to > nodes_) return;
  const Node& n = node_[static_cast<size_t>(from)];
  Pair& p = pair(from, to);
  const int side = to < from ? 0 : 1;
  if (!n.known.count(to) || p.life[1 - side] != n.incarnation || (epoch != 0 && epoch < n.epoch)) return;
  p.queue[side].push_back({epoch, payload});
  pump(std::min(from, to), std::max(from, to), side);
}

void Network::pump(int low, int high, int side) {
  Pair& p = pair(low, high);
  if (!p.connected || p.moving[side] || p.queue[side].empty()) return;
  const int to = side == 0 ? low : high, from = side == 0 ? high : low;
  const int network = way(low, high);
  p.moving[side] = true;
  Duration d = network < 0 ? Duration::milliseconds(200) : delay(line(from, to, network));
  if (network >= 0 && random_.chance(static_cast<uint64_t>(line(from, to, network).loss_percent)))
    d = d + Duration::milliseconds(200);  // a retransmission
  time_.after(d, [this, low, high, side, session = p.session] { deliver(low, high, side, session); });
}

void Network::deliver(int low, int high, int side, uint64_t session) {
  Pair& p = pair(low, high);
  if (p.session != session || !p.connected) return;
  p.moving[side] = false;
  const int to = side == 0 ? low : high, from = side == 0 ? high : low;
  Node& n = node_[static_cast<size_t>(to)];
  if (way(low, high) < 0 || !n.endpoint || n.incarnation != p.life[side] || p.queue[side].empty())
    return pump(low, high, side);
  // What one wake-up finds in the socket.
  std::deque<Frame> frames;
  std::swap(frames, p.queue[side]);
  const uint64_t life = p.life[1 - side];
  for (auto& f : frames) {
    if (!n.endpoint || n.incarnation != p.life[side]) break;
    if (f.epoch != 0 && f.epoch < n.epoch) continue;
    n.endpoint->on_message(from, life, f.payload);
  }
  pump(low, high, side);
}

}  // namespace holdfast::sim
