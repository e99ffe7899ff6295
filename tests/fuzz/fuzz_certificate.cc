// Certificates, requests and keys: as PEM text, and as DER that is wrapped into it, so that mutations reach
// the fields.
#include <openssl/pem.h>

#include "input.h"
#include "pki/openssl.h"
#include "pki/pki.h"
#include "target.h"

using namespace holdfast;

namespace {

const pki::KeyPair& authority() {
  static const pki::KeyPair the_one = *pki::create_authority("demo", "c1", 365);
  return the_one;
}

std::string as_pem(const char* label, const std::string& der) {
  pki::BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio(bio.get(), label, "", as_u8(der), static_cast<long>(der.size())) <= 0) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

void look_at_certificate(const std::string& pem) {
  const auto identity = pki::read_identity(pem);
  const std::string print = pki::fingerprint(pem);
  if (!identity) {
    HOLDFAST_ASSERT(identity.error().code == ErrorCode::invalid_argument);
  } else {
    HOLDFAST_ASSERT(identity->node.value >= 1 && identity->node.value <= nodes_max);
    HOLDFAST_ASSERT(!identity->node_name.empty() && !identity->cluster_id.empty());
    HOLDFAST_ASSERT(identity->node_name.find('\0') == std::string::npos);
    HOLDFAST_ASSERT(identity->fingerprint == print && print.size() == 64);
  }
  (void)pki::check_signed_by(pem, authority().certificate_pem);
  HOLDFAST_ASSERT(!pki::check_matches_key(pem, "no key"));
}

void look_at_request(const std::string& pem) {
  auto signed_one = pki::sign_csr(authority(), pem, "beta", NodeId{2}, "c1", 30);
  if (!signed_one) {
    HOLDFAST_ASSERT(signed_one.error().code == ErrorCode::invalid_argument);
    return;
  }
  const auto identity = pki::read_identity(*signed_one);
  HOLDFAST_ASSERT(identity && identity->node_name == "beta" && identity->node == NodeId{2});
  HOLDFAST_ASSERT(pki::check_signed_by(*signed_one, authority().certificate_pem));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t kind = in.byte();
  const std::string rest = in.rest();
  switch (kind % 4) {
    case 0:
      look_at_certificate(as_pem("CERTIFICATE", rest));
      break;
    case 1:
      look_at_request(as_pem("CERTIFICATE REQUEST", rest));
      break;
    case 2:
      look_at_certificate(rest);
      look_at_request(rest);
      break;
    case 3:
      (void)pki::make_csr(as_pem("EC PRIVATE KEY", rest), "n1");
      break;
  }
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  auto der = [](auto* object, auto encode) {
    unsigned char* bytes = nullptr;
    const int size = encode(object, &bytes);
    std::string out(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
    OPENSSL_free(bytes);
    return out;
  };
  const auto node = pki::issue_node(authority(), "n1", NodeId{1}, "c1", 30);
  const std::string request_pem = *pki::make_csr(node->private_key_pem, "n1");
  auto certificate = pki::parse_certificate(node->certificate_pem);
  auto request = pki::parse_request(request_pem);
  auto key = pki::parse_private_key(node->private_key_pem);
  return {Recipe().byte(0).raw(der(certificate.get(), i2d_X509)).done(),
          Recipe().byte(1).raw(der(request.get(), i2d_X509_REQ)).done(),
          Recipe().byte(2).raw(node->certificate_pem).done(), Recipe().byte(2).raw(request_pem).done(),
          Recipe().byte(3).raw(der(key.get(), i2d_PrivateKey)).done()};
}

}  // namespace holdfast::fuzz
