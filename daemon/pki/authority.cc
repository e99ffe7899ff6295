// Making certificates: the authority, the nodes, requests.
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "pki/openssl.h"
#include "pki/pki.h"

namespace holdfast::pki {
namespace {

constexpr long seconds_a_day = 86400;
// Clocks of nodes may differ, and a battery-less clock may be behind: certificates are valid from a day ago.
constexpr long backdate_seconds = seconds_a_day;

tl::unexpected<Error> openssl_failure(const std::string& what) {
  return fail(ErrorCode::internal, what + ": " + openssl_error());
}

EvpKeyPtr make_key() {
  return EvpKeyPtr(EVP_EC_gen("P-256"));
}

bool add_name(X509_NAME* name, const char* field, const std::string& value) {
  return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(value.data()),
                                    static_cast<int>(value.size()), -1, 0) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  if (!extension) return false;
  bool ok = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return ok;
}

bool set_serial(X509* certificate) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
  bytes[0] &= 0x7f;  // RFC 5280: positive
  BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
  bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
  BN_free(number);
  return ok;
}

// A certificate without extensions, or null.
X509Ptr make_certificate(EVP_PKEY* public_key, X509_NAME* issuer, int days) {
  X509Ptr certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1) return nullptr;
  if (!set_serial(certificate.get())) return nullptr;
  long end = days * seconds_a_day;
  long start = days > 0 ? -backdate_seconds : end - backdate_seconds;
  if (!X509_gmtime_adj(X509_getm_notBefore(certificate.get()), start)) return nullptr;
  if (!X509_gmtime_adj(X509_getm_notAfter(certificate.get()), end)) return nullptr;
  if (issuer && X509_set_issuer_name(certificate.get(), issuer) != 1) return nullptr;
  return X509_set_pubkey(certificate.get(), public_key) == 1 ? std::move(certificate) : nullptr;
}

Result<std::string> sign_node(const KeyPair& authority, EVP_PKEY* public_key, const std::string& node_name,
                              NodeId node, const std::string& cluster_id, int days) {
  if (node.value < 1 || node.value > nodes_max)
    return fail(ErrorCode::invalid_argument, "node id " + std::to_string(node.value) + " is not in 1..64");
  if (node_name.empty() || node_name.size() > 64 || cluster_id.empty() || cluster_id.size() > 64)
    return fail(ErrorCode::invalid_argument, "node name and cluster id must have 1 to 64 characters");
  X509Ptr issuer = parse_certificate(authority.certificate_pem);
  EvpKeyPtr issuer_key = parse_private_key(authority.private_key_pem);
  if (!issuer || !issuer_key)
    return fail(ErrorCode::invalid_argument, "the authority's certificate or key cannot be read");
  if (X509_check_private_key(issuer.get(), issuer_key.get()) != 1)
    return fail(ErrorCode::invalid_argument, "the authority's key does not belong to its certificate");
  X509Ptr leaf = make_certificate(public_key, X509_get_subject_name(issuer.get()), days);
  if (!leaf) return openssl_failure("cannot make a certificate for " + node_name);
  X509_NAME* subject = X509_get_subject_name(leaf.get());
  bool ok = add_name(subject, "CN", node_name) && add_name(subject, "O", cluster_id) &&
            add_name(subject, "OU", "node-" + std::to_string(node.value)) &&
            add_extension(leaf.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE") &&
            add_extension(leaf.get(), issuer.get(), NID_key_usage, "critical,digitalSignature") &&
            add_extension(leaf.get(), issuer.get(), NID_ext_key_usage, "serverAuth,clientAuth") &&
            add_extension(leaf.get(), issuer.get(), NID_authority_key_identifier, "keyid:always") &&
            X509_sign(leaf.get(), issuer_key.get(), EVP_sha256()) > 0;
  if (!ok) return openssl_failure("cannot sign the certificate of " + node_name);
  return certificate_to_pem(leaf.get());
}

}  // namespace

Result<KeyPair> create_authority(const std::string& cluster_name, const std::string& cluster_id, int days) {
  if (cluster_name.empty() || cluster_name.size() > 64 || cluster_id.empty() || cluster_id.size() > 64)
    return fail(ErrorCode::invalid_argument, "cluster name and id must have 1 to 64 characters");
  EvpKeyPtr key = make_key();
  if (!key) return openssl_failure("cannot make a key");
  X509Ptr root = make_certificate(key.get(), nullptr, days);
  if (!root) return openssl_failure("cannot make the authority's certificate");
  X509_NAME* name = X509_get_subject_name(root.get());
  bool ok = add_name(name, "CN", cluster_name) && add_name(name, "O", cluster_id) &&
            add_name(name, "OU", "authority") && X509_set_issuer_name(root.get(), name) == 1 &&
            add_extension(root.get(), root.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
            add_extension(root.get(), root.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
            add_extension(root.get(), root.get(), NID_subject_key_identifier, "hash") &&
            X509_sign(root.get(), key.get(), EVP_sha256()) > 0;
  if (!ok) return openssl_failure("cannot sign the authority's certificate");
  return KeyPair{certificate_to_pem(root.get()), private_key_to_pem(key.get())};
}

Result<KeyPair> issue_node(const KeyPair& authority, const std::string& node_name, NodeId node,
                           const std::string& cluster_id, int days) {
  EvpKeyPtr key = make_key();
  if (!key) return openssl_failure("cannot make a key");
  HOLDFAST_TRY(std::string certificate, sign_node(authority, key.get(), node_name, node, cluster_id, days));
  return KeyPair{std::move(certificate), private_key_to_pem(key.get())};
}

Result<std::string> make_private_key() {
  EvpKeyPtr key = make_key();
  if (!key) return openssl_failure("cannot make a key");
  return private_key_to_pem(key.get());
}

Result<std::string> make_csr(const std::string& private_key_pem, const std::string& node_name) {
  EvpKeyPtr key = parse_private_key(private_key_pem);
  if (!key) return fail(ErrorCode::invalid_argument, "the private key cannot be read");
  X509ReqPtr request(X509_REQ_new());
  bool ok = request && add_name(X509_REQ_get_subject_name(request.get()), "CN", node_name) &&
            X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
            X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0;
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (!ok || !bio || PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
    return openssl_failure("cannot make a certificate request for " + node_name);
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

Result<std::string> sign_csr(const KeyPair& authority, const std::string& csr_pem,
                             const std::string& node_name, NodeId node, const std::string& cluster_id,
                             int days) {
  X509ReqPtr request = parse_request(csr_pem);
  EVP_PKEY* key = request ? X509_REQ_get0_pubkey(request.get()) : nullptr;
  if (!key) return fail(ErrorCode::invalid_argument, "the certificate request cannot be read");
  // Proof that the asker holds the private key, and a bound on what the authority puts its name under.
  if (X509_REQ_verify(request.get(), key) != 1)
    return fail(ErrorCode::invalid_argument, "the certificate request is not signed by its own key");
  if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_bits(key) != 256)
    return fail(ErrorCode::invalid_argument, "the certificate request must have a P-256 key");
  return sign_node(authority, key, node_name, node, cluster_id, days);
}

}  // namespace holdfast::pki
