// TLS 1.3 with mutual certificates: one context for both roles, and what a session has to know about its
// peer. The cluster's authority is the only trust root. An expired certificate is accepted and counted, so
// that a date alone never cuts a living member off; everything else that is wrong with a certificate ends the
// handshake.
#pragma once

#include <asio/error_code.hpp>
#include <memory>
#include <string>

#include "base/error.h"
#include "pki/openssl.h"
#include "pki/pki.h"

namespace asio::ssl {
class context;
}

namespace holdfast::transport {

using TlsContext = std::shared_ptr<asio::ssl::context>;

// Errors: invalid_argument, when certificate, key and authority do not fit together.
Result<TlsContext> make_tls_context(const std::string& authority_pem, const std::string& certificate_pem,
                                    const std::string& private_key_pem);

// Before the handshake of a dialer.
void offer_peer_alpn(SSL* ssl);

// After the handshake.
bool is_peer_session(SSL* ssl);
bool is_enrollment(SSL* ssl);
Result<pki::NodeIdentity> peer_identity(SSL* ssl);
bool peer_expired(SSL* ssl);  // its certificate, or the authority
bool export_key_material(SSL* ssl, unsigned char* out, size_t size);

// Why the handshake failed, for people. Empty: no TLS reason, the connection just ended.
std::string handshake_failure(SSL* ssl, const asio::error_code& error);

}  // namespace holdfast::transport
