// Who is turned away, with which reason on which side.
#include "adapters/transport/tests/harness.h"

namespace holdfast::testing {
namespace {

struct TwoNodes : Cluster {
  TwoNodes() : a(add(1)), b(add(2)) {}
  void go() {
    start(a);
    start(b);
    connect_all();
  }
  bool both_connected() { return a.transport->connected(NodeId{2}) && b.transport->connected(NodeId{1}); }
  bool nobody_connected() { return a.events.connects == 0 && b.events.connects == 0; }
  // Replaces the certificate of `node`.
  void certify(Node& node, const pki::KeyPair& by, const std::string& name, NodeId number,
               const std::string& cluster, int days = 30) {
    auto pair = *pki::issue_node(by, name, number, cluster, days);
    node.config.certificate_pem = pair.certificate_pem;
    node.config.private_key_pem = pair.private_key_pem;
  }
  Node &a, &b;
};

TEST(Refusal, AnotherAuthority) {
  TwoNodes two;
  auto other = *pki::create_authority("other", two.id, 30);
  two.b.config.authority_pem = other.certificate_pem;
  two.certify(two.b, other, "n2", NodeId{2}, two.id);
  two.go();
  ASSERT_SOON(two, two.a.events.refused_with("certificate does not count here"));
  EXPECT_TRUE(two.nobody_connected());
  EXPECT_GT(two.a.count("refused-tls"), 0u);
}

TEST(Refusal, AnotherClusterOfTheSameAuthority) {
  TwoNodes two;
  two.b.config.cluster_id = pki::random_uuid();
  two.certify(two.b, two.authority, "n2", NodeId{2}, two.b.config.cluster_id);
  two.go();
  ASSERT_SOON(two, two.a.events.refused_with("its certificate is of cluster"));
  ASSERT_SOON(two, !two.b.events.refusals.empty());
  EXPECT_TRUE(two.nobody_connected());
}

TEST(Refusal, UnknownNode) {
  TwoNodes two;
  two.start(two.a);
  two.start(two.b);
  two.a.transport->set_peers(two.peer_list());
  ASSERT_SOON(two, two.b.events.refused_with("node n1 (id 1) is not in the configuration of node n2"));
  ASSERT_SOON(two,
              two.a.events.refused_with("it refuses this node: node n1 (id 1) is not in the configuration"));
  EXPECT_TRUE(two.nobody_connected());
  EXPECT_GT(two.b.count("refused-unknown-node"), 0u);
  two.b.transport->set_peers(two.peer_list());
  ASSERT_SOON(two, two.both_connected());
}

TEST(Refusal, RefusalsAreToldOnce) {
  TwoNodes two;
  two.start(two.a);
  two.start(two.b);
  two.a.transport->set_peers(two.peer_list());
  ASSERT_SOON(two, two.b.count("refused-unknown-node") >= 4);
  EXPECT_EQ(two.b.events.refusals.size(), 1u);
}

TEST(Refusal, AnotherNodeAtTheAddress) {
  TwoNodes two;
  Node& c = two.add(3);
  two.start(two.a);
  two.start(c);
  two.a.transport->set_peers(two.peer_list(2, c.config.networks[0].port));
  c.transport->set_peers(two.peer_list());
  ASSERT_SOON(two, two.a.events.refused_with("node n3 answers at the address of node n2"));
  EXPECT_FALSE(two.a.transport->connected(NodeId{2}));
}

TEST(Refusal, RevokedBeforeAndLive) {
  TwoNodes two;
  two.go();
  ASSERT_SOON(two, two.both_connected());
  std::string print = pki::fingerprint(two.b.config.certificate_pem);
  two.a.transport->set_revoked({print});
  EXPECT_FALSE(two.a.transport->connected(NodeId{2}));
  ASSERT_SOON(two, two.b.events.refused_with("the certificate of node n2 was revoked"));
  two.a.transport->send_datagram(NodeId{2}, 0, "x");
  EXPECT_EQ(two.a.count("datagram-not-sent-no-key"), 1u) << "heartbeats end with the certificate";
  ASSERT_SOON(two, two.a.count("refused-revoked") >= 3);  // it tries again, in vain
  EXPECT_EQ(two.a.events.connects, 1);
  two.certify(two.b, two.authority, "n2", NodeId{2}, two.id);
  ASSERT_TRUE(two.b.transport->set_certificate(two.b.config.certificate_pem, two.b.config.private_key_pem));
  ASSERT_SOON(two, two.both_connected());
}

TEST(Refusal, AnExpiredCertificateOnlyWarns) {
  TwoNodes two;
  two.certify(two.b, two.authority, "n2", NodeId{2}, two.id, -1);
  two.go();
  ASSERT_SOON(two, two.both_connected());
  EXPECT_GT(two.a.count("certificate-expired"), 0u);
  EXPECT_EQ(two.b.count("certificate-expired"), 0u);
}

TEST(Refusal, NoCommonVersionIsSaidOnBothSides) {
  TwoNodes two;
  two.b.config.version_min = 3;
  two.b.config.version_max = 4;
  two.go();
  ASSERT_SOON(two, two.b.events.refused_with("node n1 speaks protocol 1-2, node n2 speaks 3-4"));
  ASSERT_SOON(two, two.a.events.refused_with("speaks 3-4"));
  EXPECT_TRUE(two.nobody_connected());
  EXPECT_GT(two.b.count("refused-version"), 0u);
}

TEST(Refusal, NeighbouringVersionsAgreeOnTheLower) {
  TwoNodes two;
  two.b.config.version_min = 2;
  two.b.config.version_max = 3;
  two.go();
  ASSERT_SOON(two, two.both_connected());
  EXPECT_EQ(two.a.transport->version(NodeId{2}), 2u);
  EXPECT_EQ(two.b.transport->version(NodeId{1}), 2u);
}

TEST(Refusal, OwnCertificateMustFit) {
  TwoNodes two;
  two.b.config.self_name = "n3";
  Transport wrong_name(two.io, two.b.config, two.b.events);
  EXPECT_FALSE(wrong_name.start());
  two.b.config.self_name = "n2";
  two.b.config.private_key_pem = two.a.config.private_key_pem;
  Transport wrong_key(two.io, two.b.config, two.b.events);
  EXPECT_FALSE(wrong_key.start());
}

TEST(Refusal, ATakenPortIsSaid) {
  TwoNodes two;
  two.start(two.a);
  two.b.config.networks[0].port = two.a.config.networks[0].port;
  Transport second(two.io, two.b.config, two.b.events);
  Status status = second.start();
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().text().find("Address already in use"), std::string::npos) << status.error().text();
}

}  // namespace
}  // namespace holdfast::testing
