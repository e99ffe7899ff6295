// Join tokens and random values.
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "pki/openssl.h"
#include "pki/pki.h"

namespace holdfast::pki {
namespace {

constexpr std::string_view token_prefix = "hf1.";
// base64url (RFC 4648, section 5) without padding: a token is one word in a shell, a mail and a URL.
constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string to_base64url(const std::string& in) {
  std::string out;
  uint32_t bits = 0;
  int have = 0;
  for (unsigned char c : in) {
    bits = bits << 8 | c;
    for (have += 8; have >= 6; have -= 6) out += alphabet[(bits >> (have - 6)) & 63];
  }
  if (have > 0) out += alphabet[(bits << (6 - have)) & 63];
  return out;
}

bool from_base64url(std::string_view in, std::string& out) {
  uint32_t bits = 0;
  int have = 0;
  for (char c : in) {
    const char* at = c ? strchr(alphabet, c) : nullptr;
    if (!at) return false;
    bits = bits << 6 | static_cast<uint32_t>(at - alphabet);
    have += 6;
    if (have >= 8) out += static_cast<char>(bits >> (have -= 8));
  }
  return (bits & ((1u << have) - 1)) == 0;
}

void put_string(std::string& out, const std::string& value) {
  uint8_t size[2];
  put_le(size, value.size(), 2);
  out.append(reinterpret_cast<char*>(size), 2).append(value);
}

void put_number(std::string& out, uint64_t value) {
  uint8_t bytes[8];
  put_le(bytes, value, 8);
  out.append(reinterpret_cast<char*>(bytes), 8);
}

// Reads what put_string and put_number wrote; `ok` turns false for good when something is missing.
struct Reader {
  const std::string& in;
  size_t at = 0;
  bool ok = true;

  uint64_t number(int size) {
    if (!ok || in.size() - at < static_cast<size_t>(size)) return ok = false, 0;
    uint64_t value = get_le(as_u8(in) + at, size);
    at += static_cast<size_t>(size);
    return value;
  }
  std::string string() {
    size_t size = number(2);
    if (!ok || in.size() - at < size) return ok = false, std::string();
    at += size;
    return in.substr(at - size, size);
  }
};

void fill_random(unsigned char* out, int size) {
  // Without randomness there is no key, no incarnation and no secret: going on would be worse than stopping.
  HOLDFAST_ASSERT(RAND_bytes(out, size) == 1);
}

tl::unexpected<Error> typo(const char* what) {
  return fail(ErrorCode::invalid_argument, std::string("the join token is damaged: ") + what, 0,
              "copy it again, as one word");
}

}  // namespace

std::string random_token_secret() {
  unsigned char bytes[32];
  fill_random(bytes, sizeof bytes);
  return to_hex(bytes, sizeof bytes);
}

std::string random_uuid() {
  unsigned char bytes[16];
  fill_random(bytes, sizeof bytes);
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);  // RFC 4122: version 4
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::string hex = to_hex(bytes, sizeof bytes);
  for (size_t at : {8, 13, 18, 23}) hex.insert(at, 1, '-');
  return hex;
}

uint64_t random_u64() {
  uint64_t value = 0;
  while (value == 0) fill_random(reinterpret_cast<unsigned char*>(&value), sizeof value);
  return value;
}

std::string encode_token(const Token& token) {
  std::string body;
  put_number(body, static_cast<uint64_t>(token.expires_unix));
  put_number(body, token.node.value);
  for (auto* text : {&token.cluster_id, &token.authority_fingerprint, &token.node_name, &token.secret})
    put_string(body, *text);
  put_number(body, token.addresses.size());
  for (auto& address : token.addresses) put_string(body, address);
  uint8_t checksum[4];
  put_le(checksum, crc32c(body.data(), body.size()), 4);
  body.append(reinterpret_cast<char*>(checksum), 4);
  return std::string(token_prefix) + to_base64url(body);
}

Result<Token> decode_token(std::string_view text) {
  while (!text.empty() && isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  while (!text.empty() && isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  if (text.substr(0, token_prefix.size()) != token_prefix)
    return fail(ErrorCode::invalid_argument, "this is not a join token: it does not begin with \"hf1.\"", 0,
                "'holdfast node add' prints one");
  std::string body;
  if (!from_base64url(text.substr(token_prefix.size()), body))
    return typo("it has a character too many or wrong");
  if (body.size() < 4) return typo("it is too short");
  uint64_t checksum = get_le(as_u8(body) + body.size() - 4, 4);
  body.resize(body.size() - 4);
  if (crc32c(body.data(), body.size()) != checksum) return typo("its checksum does not match");
  Reader reader{body};
  Token token;
  token.expires_unix = static_cast<int64_t>(reader.number(8));
  token.node = NodeId{reader.number(8)};
  for (auto* field : {&token.cluster_id, &token.authority_fingerprint, &token.node_name, &token.secret})
    *field = reader.string();
  for (uint64_t left = reader.number(8); reader.ok && left > 0; --left)
    token.addresses.push_back(reader.string());
  if (!reader.ok || reader.at != body.size()) return typo("its fields do not add up");
  return token;
}

std::string hash_secret(const std::string& secret) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(secret.data(), secret.size(), digest, &size, EVP_sha256(), nullptr);
  return to_hex(digest, size);
}

}  // namespace holdfast::pki
