// Owners for OpenSSL objects and PEM conversions, for pki and the transport. Never include it from a public
// header.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "base/error.h"

namespace holdfast::pki {

template <auto Free>
struct OpensslDeleter {
  template <typename T>
  void operator()(T* p) const {
    Free(p);
  }
};
using BioPtr = std::unique_ptr<BIO, OpensslDeleter<BIO_free_all>>;
using EvpKeyPtr = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, OpensslDeleter<X509_free>>;
using X509ReqPtr = std::unique_ptr<X509_REQ, OpensslDeleter<X509_REQ_free>>;
using X509StorePtr = std::unique_ptr<X509_STORE, OpensslDeleter<X509_STORE_free>>;
using X509StoreCtxPtr = std::unique_ptr<X509_STORE_CTX, OpensslDeleter<X509_STORE_CTX_free>>;
using SslCtxPtr = std::unique_ptr<SSL_CTX, OpensslDeleter<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, OpensslDeleter<SSL_free>>;

// Null when the text is no such object.
X509Ptr parse_certificate(const std::string& pem);
EvpKeyPtr parse_private_key(const std::string& pem);
X509ReqPtr parse_request(const std::string& pem);

std::string certificate_to_pem(X509* certificate);
std::string private_key_to_pem(EVP_PKEY* key);
std::string fingerprint_of(X509* certificate);

std::string to_hex(const unsigned char* data, size_t size);

// The oldest error in OpenSSL's queue as text; empties the queue.
std::string openssl_error();

}  // namespace holdfast::pki
