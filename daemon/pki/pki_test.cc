#include "pki/pki.h"

#include <gtest/gtest.h>
#include <time.h>

#include "pki/enroll_client.h"
#include "proto/transport.pb.h"

namespace holdfast::pki {
namespace {

const std::string cluster = "3f0c1f6e-6a0e-4d8e-9b53-1f6a2f1f0a11";

TEST(Pki, IssuesCertificatesThatReadBack) {
  auto authority = create_authority("payroll", cluster, 3650);
  ASSERT_TRUE(authority) << authority.error().text();
  auto node = issue_node(*authority, "alpha", NodeId{7}, cluster, 365);
  ASSERT_TRUE(node) << node.error().text();
  auto identity = read_identity(node->certificate_pem);
  ASSERT_TRUE(identity) << identity.error().text();
  EXPECT_EQ(identity->node_name, "alpha");
  EXPECT_EQ(identity->node, NodeId{7});
  EXPECT_EQ(identity->cluster_id, cluster);
  EXPECT_EQ(identity->fingerprint, fingerprint(node->certificate_pem));
  EXPECT_EQ(identity->fingerprint.size(), 64u);
  EXPECT_NEAR(static_cast<double>(identity->not_after_unix - time(nullptr)), 365 * 86400.0, 60.0);
  EXPECT_TRUE(check_signed_by(node->certificate_pem, authority->certificate_pem));
  EXPECT_TRUE(check_matches_key(node->certificate_pem, node->private_key_pem));
  EXPECT_FALSE(check_matches_key(node->certificate_pem, authority->private_key_pem));
}

TEST(Pki, AnAuthorityIsNoNode) {
  auto authority = create_authority("payroll", cluster, 3650);
  EXPECT_FALSE(read_identity(authority->certificate_pem));
  EXPECT_FALSE(read_identity("no certificate"));
  EXPECT_EQ(fingerprint("no certificate"), "");
}

TEST(Pki, AnotherAuthorityDoesNotCount) {
  auto ours = create_authority("payroll", cluster, 3650), theirs = create_authority("payroll", cluster, 3650);
  auto node = issue_node(*theirs, "alpha", NodeId{1}, cluster, 365);
  EXPECT_FALSE(check_signed_by(node->certificate_pem, ours->certificate_pem));
}

TEST(Pki, RequestGetsTheNamesOfTheSignerNotItsOwn) {
  auto authority = create_authority("payroll", cluster, 3650);
  auto key = make_private_key();
  auto request = make_csr(*key, "mallory");
  ASSERT_TRUE(request);
  auto certificate = sign_csr(*authority, *request, "beta", NodeId{2}, cluster, 30);
  ASSERT_TRUE(certificate) << certificate.error().text();
  EXPECT_EQ(read_identity(*certificate)->node_name, "beta");
  EXPECT_TRUE(check_matches_key(*certificate, *key));
  EXPECT_FALSE(sign_csr(*authority, "nonsense", "beta", NodeId{2}, cluster, 30));
  EXPECT_FALSE(sign_csr(*authority, *request, "beta", NodeId{65}, cluster, 30));
}

TEST(Enroll, AnErrorThatThisReleaseDoesNotKnowIsAnError) {
  transport::EnrollReply reply;
  reply.set_error(65536);  // 0, which is ok, in 16 bits
  reply.set_message("not today");
  auto answer = check_enroll_answer(Token{}, "", reply.SerializeAsString());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::internal);
  EXPECT_EQ(answer.error().message, "not today");
}

TEST(Token, SurvivesTheRoundTripAndFindsTypos) {
  Token token{{"192.0.2.1:7777", "[2001:db8::1]:7777"},
              std::string(64, 'a'),
              "gamma",
              random_token_secret(),
              cluster,
              NodeId{3},
              1'900'000'000};
  std::string text = encode_token(token);
  EXPECT_EQ(text.find_first_of(" \n\t'\"\\$"), std::string::npos);
  auto back = decode_token("  " + text + "\n");
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->addresses, token.addresses);
  EXPECT_EQ(back->secret, token.secret);
  EXPECT_EQ(back->node, token.node);
  EXPECT_EQ(back->expires_unix, token.expires_unix);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = damaged[i] == 'Q' ? 'R' : 'Q';
    EXPECT_FALSE(decode_token(damaged)) << i;
    EXPECT_FALSE(decode_token(text.substr(0, i))) << i;
  }
}

TEST(Random, HasTheRightShapes) {
  std::string uuid = random_uuid();
  EXPECT_EQ(uuid.size(), 36u);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_NE(uuid, random_uuid());
  EXPECT_NE(random_u64(), random_u64());
  EXPECT_EQ(hash_secret("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace holdfast::pki
