// What strangers and damaged networks send.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "adapters/transport/tests/harness.h"
#include "base/bytes.h"

namespace holdfast::testing {
namespace {

// Node 1's datagrams to node 2 pass a relay, which shows what they look like.
struct Watched : Cluster {
  Watched() : a(add(1)), b(add(2)) {
    uint16_t port = free_port(networks);
    relay = std::make_shared<Relay>(io, "127.0.0.1", port, b.config.networks[0].port);
    relay->start();
    start(a);
    start(b);
    connect_all(2, port);
    EXPECT_TRUE(
        run_until([&] { return a.transport->connected(NodeId{2}) && b.transport->connected(NodeId{1}); }));
    EXPECT_TRUE(run_until([&] {
      a.transport->send_datagram(NodeId{2}, 0, "genuine");
      return !b.events.datagrams.empty();
    }));
    raw = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  }
  ~Watched() {
    close(raw);
    relay->stop();
    io.poll();
  }
  void inject(const std::string& bytes) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(b.config.networks[0].port);
    sendto(raw, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
  uint64_t refused() {
    uint64_t sum = 0;
    for (auto& [name, value] : b.transport->counters())
      if (name.rfind("datagram-", 0) == 0 && name != "datagram-received" && name != "datagram-sent")
        sum += value;
    return sum;
  }
  // A genuine datagram that node 2 has not seen yet.
  std::string hold_back_one() {
    auto all_passed = [&] { return relay->seen_udp.size() == a.count("datagram-sent"); };
    EXPECT_TRUE(run_until(
        [&] { return all_passed() && b.events.datagrams.size() + refused() == relay->seen_udp.size(); }));
    relay->set_udp_hole(true);
    a.transport->send_datagram(NodeId{2}, 0, "held back");
    EXPECT_TRUE(run_until(all_passed));
    relay->set_udp_hole(false);
    return relay->seen_udp.back();
  }
  Node &a, &b;
  std::shared_ptr<Relay> relay;
  int raw = -1;
};

TEST(Flood, AReplayIsRefused) {
  Watched net;
  std::string datagram = net.hold_back_one();
  size_t before = net.b.events.datagrams.size();
  net.inject(datagram);
  ASSERT_SOON(net, net.b.events.datagrams.size() == before + 1);
  for (int i = 0; i < 5; ++i) net.inject(datagram);
  ASSERT_SOON(net, net.b.count("datagram-replayed") == 5);
  EXPECT_EQ(net.b.events.datagrams.size(), before + 1);
}

TEST(Flood, EachRefusalHasItsCounter) {
  Watched net;
  std::string datagram = net.hold_back_one();
  size_t before = net.b.events.datagrams.size();
  struct {
    size_t at;
    char flip;
    const char* counter;
  } cases[] = {{0, 1, "datagram-malformed"},
               {4, 2, "datagram-version"},
               {5, 1, "datagram-wrong-network"},
               {6, 1, "datagram-wrong-cluster"},
               {9, 1, "datagram-wrong-destination"},
               {8, 4, "datagram-unknown-node"},
               {10, 1, "datagram-malformed"},
               {12, 1, "datagram-unknown-key"},
               {17, 1, "datagram-bad-tag"},
               {24, 1, "datagram-bad-tag"},
               {datagram.size() - 1, 1, "datagram-bad-tag"}};
  for (auto& c : cases) {
    std::string damaged = datagram;
    damaged[c.at] = static_cast<char>(damaged[c.at] ^ c.flip);
    uint64_t was = net.b.count(c.counter);
    net.inject(damaged);
    ASSERT_SOON(net, net.b.count(c.counter) == was + 1) << c.counter << " at " << c.at;
  }
  EXPECT_EQ(net.b.events.datagrams.size(), before);
  net.inject(datagram);  // none of that spoilt the genuine one
  ASSERT_SOON(net, net.b.events.datagrams.size() == before + 1);
}

TEST(Flood, AHundredThousandForgeriesDoNoHarm) {
  Watched net;
  std::string genuine = net.hold_back_one();
  size_t heard = net.b.events.datagrams.size();
  std::atomic<bool> done = false;
  std::atomic<uint64_t> refused = 0;
  constexpr uint64_t total = 100'000;
  std::thread sender([&] {
    uint64_t state = 42, sent = 0;
    auto random = [&] { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 33; };
    while (sent < total) {
      std::string bytes = genuine;
      if (random() % 2) {
        bytes.resize(random() % 1400);
        for (auto& c : bytes) c = static_cast<char>(random());
        if (random() % 2 && bytes.size() > 24) memcpy(bytes.data(), genuine.data(), 8 + random() % 17);
      } else {
        for (uint64_t flips = 1 + random() % 8; flips > 0; --flips) {
          size_t bit = random() % (bytes.size() * 8);
          bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
        }
        if (bytes == genuine) continue;
        if (random() % 4 == 0) bytes.resize(random() % bytes.size());
      }
      net.inject(bytes);
      // The kernel drops what does not fit its buffer: keep within it, so that all can be counted.
      for (++sent; sent > refused.load() + 500 && !done; std::this_thread::yield()) {
      }
    }
  });
  int round = 0;
  bool all = net.run_until(
      [&] {
        refused = net.refused();
        // The others get their turn meanwhile.
        if (++round % 64 == 0) net.a.transport->send_datagram(NodeId{2}, 0, "in the flood");
        return refused >= total;
      },
      120);
  done = true;
  sender.join();
  ASSERT_TRUE(all) << refused;
  EXPECT_EQ(net.refused(), total);
  EXPECT_GT(net.b.events.datagrams.size(), heard);
  for (auto& datagram : net.b.events.datagrams) EXPECT_NE(datagram.payload, "held back");
  ASSERT_TRUE(net.a.transport->send_message(NodeId{2}, 0, "alive"));
  ASSERT_SOON(net, !net.b.events.messages.empty());
  EXPECT_EQ(net.b.events.disconnects, 0);
}

TEST(Flood, GarbageOnTheTcpPortIsCounted) {
  Watched net;
  asio::ip::tcp::endpoint target(asio::ip::make_address("127.0.0.1"), net.b.config.networks[0].port);
  std::vector<asio::ip::tcp::socket> strangers;
  for (int i = 0; i < 20; ++i) {
    strangers.emplace_back(net.io);
    strangers.back().connect(target);
    std::string bytes(100 + 10 * static_cast<size_t>(i), static_cast<char>(i * 13));
    asio::error_code ignored;
    strangers.back().write_some(asio::buffer(bytes), ignored);
  }
  ASSERT_SOON(net, net.b.count("refused-tls") >= 20);
  EXPECT_LE(net.b.events.refusals.size(), 3u);
  EXPECT_TRUE(net.b.transport->connected(NodeId{1}));
}

}  // namespace
}  // namespace holdfast::testing
