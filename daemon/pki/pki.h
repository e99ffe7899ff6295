// Certificates and join tokens of a cluster.
//
// One authority per cluster (P-256, self-signed) signs one certificate per node: CN = node name, O = cluster
// id, OU = "node-<id>". A node proves who it is with it in every TLS session (adapters/transport). A join
// token carries what a new node needs to find the cluster and to recognise it: addresses, the authority's
// fingerprint, a one-time secret. Nothing here opens a socket, reads a clock of its own beyond validity
// dates, or writes a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace holdfast::pki {

struct KeyPair {
  std::string certificate_pem, private_key_pem;
};

struct NodeIdentity {
  std::string cluster_id, node_name;
  NodeId node;
  std::string fingerprint;
  int64_t not_after_unix = 0;
};

// A self-signed authority, valid from a day ago (clocks differ) for `days`; negative days make an expired
// one.
Result<KeyPair> create_authority(const std::string& cluster_name, const std::string& cluster_id, int days);

// Key and certificate of a node in one step; for `cluster create`, where the authority is at hand.
Result<KeyPair> issue_node(const KeyPair& authority, const std::string& node_name, NodeId node,
                           const std::string& cluster_id, int days);

Result<std::string> make_private_key();
Result<std::string> make_csr(const std::string& private_key_pem, const std::string& node_name);

// Signs the public key of the request. The names in the certificate are the arguments, never the request's.
Result<std::string> sign_csr(const KeyPair& authority, const std::string& csr_pem,
                             const std::string& node_name, NodeId node, const std::string& cluster_id,
                             int days);

// Error invalid_argument when it is not the certificate of a node.
Result<NodeIdentity> read_identity(const std::string& certificate_pem);

// SHA-256 of the DER form, 64 hex digits; empty when it is no certificate.
std::string fingerprint(const std::string& certificate_pem);

// Ok when `certificate_pem` was signed by the authority. Expiry is not looked at.
Status check_signed_by(const std::string& certificate_pem, const std::string& authority_pem);

// Ok when the certificate is for this private key.
Status check_matches_key(const std::string& certificate_pem, const std::string& private_key_pem);

std::string random_token_secret();  // 256 bits, 64 hex digits
std::string random_uuid();
uint64_t random_u64();  // never 0

struct Token {
  std::vector<std::string> addresses;  // "host:port" or "[v6]:port"
  std::string authority_fingerprint, node_name, secret, cluster_id;
  NodeId node;
  int64_t expires_unix = 0;
};

// One printable word, "hf1." and base64url with a checksum. Decoding tells a typo from a token of another
// version.
std::string encode_token(const Token& token);
Result<Token> decode_token(std::string_view text);

// What the database keeps instead of the secret. The secret is 256 random bits, so a plain SHA-256 is enough.
std::string hash_secret(const std::string& secret);

}  // namespace holdfast::pki
