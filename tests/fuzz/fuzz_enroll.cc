// Enrollment: what the server reads from somebody without a certificate, and what the new node makes of the
// answer. It must never take a certificate for another key, or one of another authority than its token names.
#include "input.h"
#include "pki/enroll_client.h"
#include "proto/transport.pb.h"
#include "target.h"

using namespace holdfast;

namespace {

struct Cluster {
  pki::KeyPair authority = *pki::create_authority("demo", "c1", 365);
  std::string key = *pki::make_private_key();
  std::string request = *pki::make_csr(key, "n2");
  std::string certificate = *pki::sign_csr(authority, request, "n2", NodeId{2}, "c1", 30);
  pki::KeyPair others_authority = *pki::create_authority("demo", "c1", 365);
  std::string others = *pki::sign_csr(others_authority, request, "n2", NodeId{2}, "c1", 30);
  std::string for_another_key = pki::issue_node(authority, "n2", NodeId{2}, "c1", 30)->certificate_pem;
  pki::Token token;
  Cluster() { token.authority_fingerprint = pki::fingerprint(authority.certificate_pem); }
};
const Cluster& cluster() {
  static const Cluster the_one;
  return the_one;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t kind = in.byte();
  if (kind % 4 == 0) {
    const std::string bytes = in.rest();
    transport::EnrollRequest request, again;
    if (request.ParseFromString(bytes)) HOLDFAST_ASSERT(again.ParseFromString(request.SerializeAsString()));
    HOLDFAST_ASSERT(!pki::check_enroll_answer(cluster().token, cluster().request, bytes));
    return 0;
  }
  transport::EnrollReply reply;
  const std::string* certificates[] = {&cluster().certificate, &cluster().others, &cluster().for_another_key,
                                       &cluster().authority.certificate_pem};
  const uint64_t which = in.below(4);
  std::string certificate = *certificates[which];
  std::string root =
      in.below(8) == 7 ? cluster().others_authority.certificate_pem : cluster().authority.certificate_pem;
  for (uint64_t changes = in.below(3); changes > 0; --changes) {
    std::string& text = in.flag() ? certificate : root;
    text[in.number(2) % text.size()] ^= static_cast<char>(in.byte());
  }
  for (std::string* text : {&certificate, &root})  // a message carries no other text
    for (char& c : *text) c = static_cast<char>(c & 0x7f);
  reply.set_certificate_pem(certificate);
  reply.set_authority_pem(root);
  if (in.flag()) reply.set_error(static_cast<uint32_t>(in.any()));
  reply.set_config_text("x");
  std::string body = reply.SerializeAsString();
  if (in.flag()) body += in.rest();
  auto answer = pki::check_enroll_answer(cluster().token, cluster().request, body);
  if (!answer) {
    HOLDFAST_ASSERT(answer.error().code != ErrorCode::ok && !to_string(answer.error().code).empty());
    return 0;
  }
  HOLDFAST_ASSERT(pki::check_matches_key(answer->certificate_pem, cluster().key));
  HOLDFAST_ASSERT(pki::check_signed_by(answer->certificate_pem, cluster().authority.certificate_pem));
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  transport::EnrollRequest request;
  request.set_node_name("n2");
  request.set_node(2);
  request.set_secret("0123");
  request.set_csr_pem(cluster().request);
  std::vector<std::string> out = {Recipe().byte(0).raw(request.SerializeAsString()).done()};
  for (uint64_t which = 0; which < 4; ++which)
    out.push_back(Recipe().byte(1).byte(which).byte(0).byte(0).done());
  out.push_back(Recipe().byte(1).byte(0).byte(7).done());
  out.push_back(Recipe().byte(1).byte(0).byte(0).byte(1).byte(1).number(90, 2).byte(3).done());
  out.push_back(Recipe().byte(1).byte(0).byte(0).byte(0).byte(1).any(65536).done());
  return out;
}

}  // namespace holdfast::fuzz
