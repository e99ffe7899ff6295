// A node without a certificate gets one.
#include <atomic>
#include <thread>

#include "adapters/transport/tests/harness.h"
#include "pki/enroll_client.h"

namespace holdfast::testing {
namespace {

struct Enrolling : Cluster {
  Enrolling() : server(add(1)) {
    start(server);
    server.transport->set_enrollment([this](const pki::EnrollAsk& ask) -> Result<pki::EnrollAnswer> {
      asks.push_back(ask);
      if (pki::hash_secret(ask.secret) != pki::hash_secret(secret))
        return fail(ErrorCode::permission, "the token was used before, or is not one of this cluster");
      auto certificate = pki::sign_csr(authority, ask.csr_pem, ask.node_name, ask.node, id, 30);
      if (!certificate) return fail(certificate.error());
      return pki::EnrollAnswer{*certificate, authority.certificate_pem, "name = \"" + ask.node_name + "\"\n"};
    });
    token.addresses = {"127.0.0.1:" + std::to_string(server.config.networks[0].port)};
    token.authority_fingerprint = pki::fingerprint(authority.certificate_pem);
    token.node_name = "n2";
    token.node = NodeId{2};
    token.secret = secret;
    token.cluster_id = id;
    key = *pki::make_private_key();
  }
  // enroll() blocks, so it runs beside the loop.
  Result<pki::EnrollAnswer> enroll() {
    Result<pki::EnrollAnswer> result = fail(ErrorCode::internal, "not finished");
    std::atomic<bool> done = false;
    std::thread thread([&] {
      result = pki::enroll(token, *pki::make_csr(key, "n2"), Duration::seconds(10));
      done = true;
    });
    run_until([&] { return done.load(); }, 30);
    thread.join();
    return result;
  }

  std::string secret = pki::random_token_secret(), key;
  std::vector<pki::EnrollAsk> asks;
  Node& server;
  pki::Token token;
};

TEST(Enroll, ANewNodeGetsACertificateAndConnects) {
  Enrolling cluster;
  auto answer = cluster.enroll();
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->config_text, "name = \"n2\"\n");
  EXPECT_EQ(cluster.asks[0].peer_addresses[0].substr(0, 10), "127.0.0.1:");
  Node& node = cluster.add(2);
  node.config.certificate_pem = answer->certificate_pem;
  node.config.private_key_pem = cluster.key;
  cluster.start(node);
  cluster.connect_all();
  ASSERT_SOON(cluster,
              node.transport->connected(NodeId{1}) && cluster.server.transport->connected(NodeId{2}));
}

TEST(Enroll, ABadSecretIsRefusedWithTheReason) {
  Enrolling cluster;
  cluster.token.secret = pki::random_token_secret();
  auto answer = cluster.enroll();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::permission);
  EXPECT_NE(answer.error().message.find("token was used before"), std::string::npos);
  EXPECT_EQ(cluster.server.count("refused-enrollment"), 1u);
}

TEST(Enroll, TheSecretIsNotSentToAnotherCluster) {
  Enrolling cluster;
  auto other = *pki::create_authority("other", cluster.id, 30);
  cluster.token.authority_fingerprint = pki::fingerprint(other.certificate_pem);
  auto answer = cluster.enroll();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::permission);
  EXPECT_TRUE(cluster.asks.empty());
}

TEST(Enroll, GoesOnToTheNextAddress) {
  Enrolling cluster;
  cluster.token.addresses.insert(cluster.token.addresses.begin(), "127.0.0.1:1");
  auto answer = cluster.enroll();
  ASSERT_TRUE(answer) << answer.error().text();
}

TEST(Enroll, AnAnswerMayTakeItsTime) {
  Enrolling cluster;
  EnrollDone later;
  cluster.server.transport->set_enrollment_async(
      [&](const pki::EnrollAsk&, EnrollDone reply) { later = std::move(reply); });
  Result<pki::EnrollAnswer> result = fail(ErrorCode::internal, "not finished");
  std::atomic<bool> done = false;
  std::thread thread([&] {
    result = pki::enroll(cluster.token, *pki::make_csr(cluster.key, "n2"), Duration::seconds(10));
    done = true;
  });
  cluster.run_until([&] { return later != nullptr; });
  if (later) later(fail(ErrorCode::no_quorum, "no quorum now"));
  cluster.run_until([&] { return done.load(); });
  thread.join();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::no_quorum);
}

TEST(Enroll, WithoutAHandlerNobodyGetsIn) {
  Enrolling cluster;
  cluster.server.transport->set_enrollment_async(nullptr);
  auto answer = cluster.enroll();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace holdfast::testing
