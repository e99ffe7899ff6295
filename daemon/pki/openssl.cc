#include "pki/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

namespace holdfast::pki {
namespace {

BioPtr reader(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

template <typename Write>
std::string written(Write write) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || write(bio.get()) != 1) return {};
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

// Without this an encrypted key would make OpenSSL ask on the terminal.
int no_password(char*, int, int, void*) {
  return -1;
}

}  // namespace

X509Ptr parse_certificate(const std::string& pem) {
  X509Ptr out(PEM_read_bio_X509(reader(pem).get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return out;
}

EvpKeyPtr parse_private_key(const std::string& pem) {
  EvpKeyPtr out(PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return out;
}

X509ReqPtr parse_request(const std::string& pem) {
  X509ReqPtr out(PEM_read_bio_X509_REQ(reader(pem).get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return out;
}

std::string certificate_to_pem(X509* certificate) {
  return written([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

std::string private_key_to_pem(EVP_PKEY* key) {
  return written(
      [&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

std::string fingerprint_of(X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return {};
  return to_hex(digest, size);
}

std::string to_hex(const unsigned char* data, size_t size) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(size * 2);
  for (size_t i = 0; i < size; ++i) {
    out += digits[data[i] >> 4];
    out += digits[data[i] & 15];
  }
  return out;
}

std::string openssl_error() {
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown OpenSSL error";
  const char* reason = ERR_reason_error_string(code);
  return reason ? reason : "OpenSSL error " + std::to_string(code);
}

}  // namespace holdfast::pki
