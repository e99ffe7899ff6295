#include "adapters/transport/tls.h"

#include <openssl/err.h>

#include <asio/ssl/context.hpp>
#include <asio/ssl/error.hpp>

#include "pki/enroll.h"

namespace holdfast::transport {
namespace {

using namespace pki;

constexpr unsigned char peer_protocol[] = "\x0aholdfast/1";
static_assert(peer_protocol[0] == sizeof peer_alpn - 1);
constexpr char exporter_label[] = "holdfast heartbeat";

bool equals(const unsigned char* data, size_t size, std::string_view text) {
  return std::string_view(reinterpret_cast<const char*>(data), size) == text;
}

// Runs before the server decides whether to ask for a certificate, so enrollment can do without one.
int choose_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned int in_size, void*) {
  for (unsigned int at = 0; at < in_size && at + 1 + in[at] <= in_size; at += 1 + in[at]) {
    bool enrollment = equals(in + at + 1, in[at], enroll_alpn);
    if (!enrollment && !equals(in + at + 1, in[at], peer_alpn)) continue;
    if (enrollment) SSL_set_verify(ssl, SSL_VERIFY_NONE, nullptr);
    *out = in + at + 1;
    *out_size = in[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int expired_mark() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int tolerate_expiry(int ok, X509_STORE_CTX* store) {
  if (ok == 1 || X509_STORE_CTX_get_error(store) != X509_V_ERR_CERT_HAS_EXPIRED) return ok;
  auto ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  SSL_set_ex_data(ssl, expired_mark(), ssl);  // any pointer: it marks
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

tl::unexpected<Error> unusable(const std::string& what) {
  return fail(ErrorCode::invalid_argument, what, 0, "see 'holdfast certificate show'");
}

}  // namespace

Result<TlsContext> make_tls_context(const std::string& authority_pem, const std::string& certificate_pem,
                                    const std::string& private_key_pem) {
  X509Ptr authority = parse_certificate(authority_pem), certificate = parse_certificate(certificate_pem);
  EvpKeyPtr key = parse_private_key(private_key_pem);
  if (!authority) return unusable("the authority's certificate cannot be read");
  if (!certificate || !key) return unusable("this node's certificate or private key cannot be read");
  HOLDFAST_CHECK(check_signed_by(certificate_pem, authority_pem));
  HOLDFAST_CHECK(check_matches_key(certificate_pem, private_key_pem));
  SslCtxPtr context(SSL_CTX_new(TLS_method()));
  SSL_CTX* raw = context.get();
  bool ok =
      raw && SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) == 1 &&
      SSL_CTX_use_certificate(raw, certificate.get()) == 1 && SSL_CTX_use_PrivateKey(raw, key.get()) == 1 &&
      // An enrolling node knows the authority by fingerprint only: it must be in the chain that is shown.
      SSL_CTX_add1_chain_cert(raw, authority.get()) == 1 &&
      X509_STORE_add_cert(SSL_CTX_get_cert_store(raw), authority.get()) == 1 &&
      SSL_CTX_set_num_tickets(raw, 0) == 1;
  if (!ok) return unusable("TLS refuses this node's certificate: " + openssl_error());
  // No resumption: every session shows its certificate, so that a revocation counts at once.
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, tolerate_expiry);
  SSL_CTX_set_alpn_select_cb(raw, choose_alpn, nullptr);
  return std::make_shared<asio::ssl::context>(context.release());
}

void offer_peer_alpn(SSL* ssl) {
  SSL_set_alpn_protos(ssl, peer_protocol, sizeof peer_protocol - 1);
}

namespace {
bool chosen(SSL* ssl, std::string_view protocol) {
  const unsigned char* data = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl, &data, &size);
  return equals(data, size, protocol);
}
}  // namespace

bool is_peer_session(SSL* ssl) {
  return chosen(ssl, peer_alpn) && SSL_get0_peer_certificate(ssl) && SSL_get_verify_result(ssl) == X509_V_OK;
}

bool is_enrollment(SSL* ssl) {
  return chosen(ssl, enroll_alpn);
}

Result<NodeIdentity> peer_identity(SSL* ssl) {
  return read_identity(certificate_to_pem(SSL_get0_peer_certificate(ssl)));
}

bool peer_expired(SSL* ssl) {
  return SSL_get_ex_data(ssl, expired_mark()) != nullptr;
}

bool export_key_material(SSL* ssl, unsigned char* out, size_t size) {
  return SSL_export_keying_material(ssl, out, size, exporter_label, sizeof exporter_label - 1, nullptr, 0,
                                    0) == 1;
}

std::string handshake_failure(SSL* ssl, const asio::error_code& error) {
  long verdict = SSL_get_verify_result(ssl);
  if (verdict != X509_V_OK)
    return std::string("its certificate does not count here: ") + X509_verify_cert_error_string(verdict);
  if (error.category() != asio::error::get_ssl_category()) return {};
  const char* reason = ERR_reason_error_string(static_cast<unsigned long>(error.value()));
  return std::string("the TLS handshake failed: ") + (reason ? reason : error.message().c_str());
}

}  // namespace holdfast::transport
