// Join tokens: the text as it is typed, and any fields under a good checksum.
#include "base/crc32c.h"
#include "input.h"
#include "pki/pki.h"
#include "target.h"

using namespace holdfast;

namespace {

// Base64url as in the token, so that fields with a good checksum can be given to the decoder.
std::string token_of(std::string body) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  uint8_t checksum[4];
  put_le(checksum, crc32c(body.data(), body.size()), 4);
  body.append(reinterpret_cast<char*>(checksum), 4);
  std::string out = "hf1.";
  for (size_t i = 0; i < body.size(); i += 3) {
    const size_t have = std::min<size_t>(3, body.size() - i);
    uint8_t three[3] = {};
    memcpy(three, body.data() + i, have);
    const uint64_t bits = get_be(three, 3);
    for (size_t k = 0; k <= have; ++k) out += digits[(bits >> (18 - 6 * k)) & 63];
  }
  return out;
}

void look(const std::string& text) {
  auto token = pki::decode_token(text);
  if (!token) {
    HOLDFAST_ASSERT(token.error().code == ErrorCode::invalid_argument);
    return;
  }
  size_t memory = token->secret.size() + token->node_name.size() + token->cluster_id.size();
  for (const auto& address : token->addresses) memory += 2 + address.size();
  HOLDFAST_ASSERT(memory <= text.size());
  const std::string written = pki::encode_token(*token);
  auto again = pki::decode_token(written);
  HOLDFAST_ASSERT(again && again->addresses == token->addresses && again->secret == token->secret &&
                  again->node == token->node && again->expires_unix == token->expires_unix);
  HOLDFAST_ASSERT(pki::encode_token(*again) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const bool typed = in.flag();
  const std::string rest = in.rest();
  look(typed ? rest : token_of(rest));
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  pki::Token token;
  token.addresses = {"192.0.2.1:7420", "[2001:db8::1]:7420"};
  token.authority_fingerprint = "ab";
  token.node_name = "n2";
  token.secret = "0123";
  token.cluster_id = "c1";
  token.node = NodeId{2};
  token.expires_unix = 1'800'000'000;
  std::string body(16, '\0');
  for (const char* field : {"c1", "ab", "n2", "0123"})
    body += std::string("\2\0", 2) + std::string(field).substr(0, 2);
  body += std::string("\1\0\0\0\0\0\0\0\3\0a:1", 13);
  return {Recipe().byte(1).raw(pki::encode_token(token)).done(), Recipe().byte(0).raw(body).done(),
          Recipe().byte(1).raw(" hf1.AAAA \n").done()};
}

}  // namespace holdfast::fuzz
