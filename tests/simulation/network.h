// Network: datagrams and sessions between the services of all nodes, over several networks whose every
// direction can be cut, clogged, lossy and slow by itself. Sessions behave as docs/protocols/transport.md
// says: one a pair, messages arrive at most once and in order between two lives, what an older epoch sent is
// dropped, and whoever is cut off learns of it after a second.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "adapters/transport/datagram.h"
#include "base/tests/random.h"
#include "simulation/scheduler.h"

namespace holdfast::sim {

// A service as the network sees it. Called at the world's time; a stopped process reads it later.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual void on_datagram(int from, uint64_t incarnation, int network, const std::string& payload) = 0;
  virtual void on_connected(int peer, uint64_t incarnation) = 0;
  virtual void on_disconnected(int peer, const std::string& why) = 0;
  virtual void on_message(int from, uint64_t incarnation, const std::string& payload) = 0;
  virtual bool responsive() const = 0;  // neither stopped nor starved
};

// One direction of one network between two nodes.
struct Line {
  bool cut = false;
  Duration delay_min = Duration::microseconds(50), delay_max = Duration::microseconds(500);
  int loss_percent = 0, duplicate_percent = 0;
  int late_percent = 0;  // datagrams that arrive up to `late_max` later, out of order
  Duration late_max = Duration::milliseconds(500);
  Instant clogged_until;  // nothing arrives before that
};

class Network {
 public:
  Network(Scheduler& time, uint64_t seed, int nodes, int networks);

  int networks() const { return networks_; }
  Line& line(int from, int to, int network) { return lines_[index(from, to, network)]; }

  // A life of a service begins or ends. Without power nobody says goodbye.
  void attach(int node, uint64_t incarnation, Endpoint* endpoint);
  void detach(int node);
  void know(int node, std::set<int> peers);
  void set_epoch(int node, uint64_t epoch);

  void send_datagram(int from, int to, const std::string& payload);
  void send_message(int from, int to, uint64_t epoch, const std::string& payload);
  // A session breaks for no reason; messages under way arrive over the next one.
  void break_session(int a, int b);
  // Somebody recorded what `from` sent to `to` and sends it again, over every network.
  void replay(int from, int to);
  void tick();

 private:
  struct Node {
    uint64_t incarnation = 0, epoch = 0;
    Endpoint* endpoint = nullptr;
    std::set<int> known;
  };
  // One direction between two lives: what its keys have sealed, and what the receiver has seen of it.
  struct Recorded {
    uint64_t incarnation, keys, counter;
    std::shared_ptr<const std::string> payload;
  };
  struct Stream {
    uint64_t counter = 0;
    transport::ReplayWindow window;
    std::deque<Recorded> recorded;
  };
  struct Frame {
    uint64_t epoch;
    std::string payload;
  };
  struct Pair {
    bool connected = false;
    uint64_t life[2] = {0, 0};  // incarnations that the channel belongs to, by side
    uint64_t session = 0, keys = 0;
    Instant last_heard, next_try;
    Stream stream[2];            // to side 0 and to side 1
    std::deque<Frame> queue[2];  // to side 0 and to side 1
    bool moving[2] = {false, false};
  };
  size_t index(int from, int to, int network) const {
    return (static_cast<size_t>(from) * static_cast<size_t>(nodes_ + 1) + static_cast<size_t>(to)) *
               static_cast<size_t>(networks_) +
           static_cast<size_t>(network);
  }
  Pair& pair(int a, int b) { return pairs_[{std::min(a, b), std::max(a, b)}]; }
  Duration delay(const Line& line);
  int way(int a, int b) const;  // a network that works in both directions; -1 = none
  void tick_pair(int low, int high, Pair& p);
  void disconnect(int low, int high, Pair& p, const char* why);
  void connect(int low, int high, Pair& p, int network);
  void pump(int low, int high, int side);
  void deliver(int low, int high, int side, uint64_t session);
  void arrive(int from, int to, int network, const Recorded& datagram);

  Scheduler& time_;
  Random random_;
  const int nodes_, networks_;
  std::vector<Node> node_;
  std::vector<Line> lines_;
  std::map<std::pair<int, int>, Pair> pairs_;
};

}  // namespace holdfast::sim
