// Sessions, datagrams and the ordered channel between nodes that have nothing against each other.
#include "adapters/transport/tests/harness.h"

namespace holdfast::testing {
namespace {

struct Pair : Cluster {
  explicit Pair(std::vector<std::string> addresses = {"127.0.0.1"})
      : Cluster(std::move(addresses)), a(add(1)), b(add(2)) {
    start(a);
    start(b);
  }
  bool both_connected() { return a.transport->connected(NodeId{2}) && b.transport->connected(NodeId{1}); }
  // Both sides have agreed on heartbeat keys.
  bool datagrams_flow() {
    a.transport->send_datagram(NodeId{2}, 0, "x");
    b.transport->send_datagram(NodeId{1}, 0, "x");
    return !a.events.datagrams.empty() && !b.events.datagrams.empty();
  }
  Node &a, &b;
};

TEST(Session, ConnectsAndExchangesBothWays) {
  Pair pair;
  EXPECT_FALSE(pair.a.transport->send_message(NodeId{2}, 0, "too early"));
  pair.connect_all();
  ASSERT_SOON(pair, pair.both_connected());
  EXPECT_EQ(pair.a.events.peer_life, pair.b.config.incarnation);
  EXPECT_EQ(pair.b.events.peer_life, pair.a.config.incarnation);
  EXPECT_EQ(pair.b.events.software, "test of n1");
  EXPECT_EQ(pair.b.events.version, 2u);
  EXPECT_TRUE(pair.a.transport->send_message(NodeId{2}, 7, "hello"));
  EXPECT_TRUE(pair.b.transport->send_message(NodeId{1}, 7, ""));
  ASSERT_SOON(pair, pair.b.events.messages.size() == 1 && pair.a.events.messages.size() == 1);
  EXPECT_EQ(pair.b.events.messages[0], "hello");
  EXPECT_EQ(pair.a.events.messages[0], "");
  ASSERT_SOON(pair, pair.datagrams_flow());
  EXPECT_EQ(pair.b.events.datagrams[0].from, NodeId{1});
  EXPECT_EQ(pair.b.events.datagrams[0].incarnation, pair.a.config.incarnation);
  EXPECT_TRUE(pair.a.events.network_up[0]);
  EXPECT_TRUE(pair.a.events.refusals.empty());
}

TEST(Session, LargeDatagramsFit) {
  Pair pair;
  pair.connect_all();
  ASSERT_SOON(pair, pair.both_connected() && pair.datagrams_flow());
  std::string large(datagram_payload_max, 'L');
  pair.a.transport->send_datagram(NodeId{2}, 0, large);
  ASSERT_SOON(pair, pair.b.events.datagrams.back().payload == large);
  pair.a.transport->send_datagram(NodeId{2}, 0, large + "!");
  EXPECT_EQ(pair.a.count("datagram-not-sent-too-long"), 1u);
}

TEST(Session, CarriesLargeMessagesInOrder) {
  Pair pair;
  pair.connect_all();
  ASSERT_SOON(pair, pair.both_connected());
  std::string large(message_payload_max, 'x');
  for (size_t i = 0; i < large.size(); i += 4096) large[i] = static_cast<char>(i >> 12);
  ASSERT_TRUE(pair.a.transport->send_message(NodeId{2}, 0, "before"));
  ASSERT_TRUE(pair.a.transport->send_message(NodeId{2}, 0, large));
  EXPECT_FALSE(pair.a.transport->send_message(NodeId{2}, 0, large)) << "the queue is full";
  ASSERT_TRUE(pair.run_until([&] { return pair.b.events.messages.size() == 2; }, 60));
  EXPECT_EQ(pair.b.events.messages[0], "before");
  EXPECT_TRUE(pair.b.events.messages[1] == large);
  EXPECT_FALSE(pair.a.transport->send_message(NodeId{2}, 0, large + "!")) << "too long";
}

TEST(Session, WorksOverIpv6) {
  Pair pair({"::1"});
  pair.connect_all();
  ASSERT_SOON(pair, pair.both_connected() && pair.datagrams_flow());
  ASSERT_TRUE(pair.b.transport->send_message(NodeId{1}, 0, "six"));
  ASSERT_SOON(pair, pair.a.events.messages.size() == 1);
}

TEST(Session, RestartOfAPeerIsANewLife) {
  Pair pair;
  pair.connect_all();
  ASSERT_SOON(pair, pair.both_connected() && pair.datagrams_flow());
  auto old_life = pair.b.config.incarnation;
  pair.b.transport.reset();
  ASSERT_SOON(pair, !pair.a.transport->connected(NodeId{2}));
  EXPECT_TRUE(pair.a.transport->send_message(NodeId{2}, 0, "for the old life"))
      << "it might only be a broken session";
  pair.b.events = {};
  pair.restart(pair.b);
  pair.connect_all();
  ASSERT_SOON(pair, pair.both_connected());
  EXPECT_NE(pair.a.events.peer_life, old_life);
  EXPECT_EQ(pair.a.events.connects, 2);
  ASSERT_TRUE(pair.a.transport->send_message(NodeId{2}, 0, "for the new life"));
  ASSERT_SOON(pair, !pair.b.events.messages.empty());
  EXPECT_EQ(pair.b.events.messages[0], "for the new life");
  pair.a.events.datagrams.clear();
  ASSERT_SOON(pair, pair.datagrams_flow());
  EXPECT_EQ(pair.a.events.datagrams[0].incarnation, pair.b.config.incarnation);
}

TEST(Session, OldEpochsAreNeitherSentNorDelivered) {
  Pair pair;
  pair.connect_all();
  ASSERT_SOON(pair, pair.both_connected());
  pair.b.transport->set_epoch(5);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(pair.a.transport->send_message(NodeId{2}, 4, "old"));
  ASSERT_TRUE(pair.a.transport->send_message(NodeId{2}, 0, "timeless"));
  ASSERT_TRUE(pair.a.transport->send_message(NodeId{2}, 5, "current"));
  ASSERT_SOON(pair, pair.b.events.messages.size() == 2);
  EXPECT_EQ(pair.b.events.messages[0], "timeless");
  EXPECT_EQ(pair.b.count("message-dropped-old-epoch"), 10u);
  pair.a.transport->set_epoch(5);
  EXPECT_FALSE(pair.a.transport->send_message(NodeId{2}, 4, "old"));
  ASSERT_TRUE(pair.a.transport->send_message(NodeId{2}, 5, "after"));
  ASSERT_SOON(pair, pair.b.events.messages.size() == 3);
}

TEST(Session, PurgesTheQueueOfAnOldEpoch) {
  Pair pair;
  pair.connect_all();
  ASSERT_SOON(pair, pair.both_connected());
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(pair.a.transport->send_message(NodeId{2}, 4, std::string(1 << 20, 'o')));
  pair.a.transport->set_epoch(5);
  ASSERT_TRUE(pair.a.transport->send_message(NodeId{2}, 5, "current"));
  ASSERT_SOON(pair, !pair.b.events.messages.empty() && pair.b.events.messages.back() == "current");
  EXPECT_LT(pair.b.events.messages.size(), 5u);
  EXPECT_GT(pair.a.count("message-purged-old-epoch"), 15u);
  EXPECT_EQ(pair.b.count("session-bad-order"), 0u);
}

TEST(Session, ThreeNodesFindEachOther) {
  Cluster cluster({"127.0.0.1", "127.0.0.2"});
  for (uint64_t i = 1; i <= 3; ++i) cluster.start(cluster.add(i));
  cluster.connect_all();
  ASSERT_SOON(cluster, [&] {
    for (auto& x : cluster.nodes)
      for (auto& y : cluster.nodes)
        if (&x != &y && !x.transport->connected(y.config.self)) return false;
    return true;
  }());
}

TEST(Session, AnAddressThatIsMissingIsNoError) {
  Cluster cluster({"127.0.0.1", "127.0.0.2"});
  Node& node = cluster.add(1);
  node.config.networks[1].local_address = "192.0.2.77";
  cluster.start(node);
  ASSERT_SOON(cluster, node.events.network_up.size() == 2);
  EXPECT_TRUE(node.events.network_up[0]);
  EXPECT_FALSE(node.events.network_up[1]);
}

TEST(Session, EventHandlersMayChangeThePeers) {
  Pair pair;
  pair.connect_all();
  ASSERT_SOON(pair, pair.both_connected());
  pair.b.events.message_hook = [&](const std::string&) { pair.b.transport->set_peers({}); };
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(pair.a.transport->send_message(NodeId{2}, 0, "go"));
  ASSERT_SOON(pair, pair.a.events.disconnects > 0);
  EXPECT_EQ(pair.b.events.messages.size(), 1u);
  pair.b.events.message_hook = [&](const std::string&) { pair.b.transport->stop(); };
  pair.b.transport->set_peers(pair.peer_list());
  ASSERT_SOON(pair, pair.both_connected());
  // The channel began anew, because this side forgot the other.
  ASSERT_TRUE(pair.a.transport->send_message(NodeId{2}, 0, "stop"));
  ASSERT_SOON(pair, !pair.b.transport->connected(NodeId{1}));
  EXPECT_EQ(pair.b.events.messages.back(), "stop");
}

}  // namespace
}  // namespace holdfast::testing
