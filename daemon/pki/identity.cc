// Reading certificates.
#include <openssl/err.h>

#include <charconv>

#include "pki/openssl.h"
#include "pki/pki.h"

namespace holdfast::pki {
namespace {

// The only entry of this kind, or empty: a name with two would be read differently by different readers.
std::string only_entry(X509_NAME* name, int nid) {
  int index = X509_NAME_get_index_by_NID(name, nid, -1);
  if (index < 0 || X509_NAME_get_index_by_NID(name, nid, index) >= 0) return {};
  unsigned char* utf8 = nullptr;
  int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
  if (size < 0) return {};
  std::string out(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return out.find('\0') == std::string::npos ? out : std::string();
}

int64_t to_unix(const ASN1_TIME* time) {
  tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<int64_t>(timegm(&parts)) : 0;
}

}  // namespace

Result<NodeIdentity> read_identity(const std::string& certificate_pem) {
  X509Ptr certificate = parse_certificate(certificate_pem);
  if (!certificate) return fail(ErrorCode::invalid_argument, "this is not a certificate");
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  NodeIdentity out;
  out.cluster_id = only_entry(subject, NID_organizationName);
  out.node_name = only_entry(subject, NID_commonName);
  out.fingerprint = fingerprint_of(certificate.get());
  out.not_after_unix = to_unix(X509_get0_notAfter(certificate.get()));
  std::string unit = only_entry(subject, NID_organizationalUnitName);
  static constexpr std::string_view prefix = "node-";
  if (unit.compare(0, prefix.size(), prefix) == 0) {
    const char* end = unit.data() + unit.size();
    auto [rest, error] = std::from_chars(unit.data() + prefix.size(), end, out.node.value);
    if (error != std::errc{} || rest != end || out.node.value > nodes_max) out.node = {};
  }
  if (out.cluster_id.empty() || out.node_name.empty() || out.node.is_none())
    return fail(ErrorCode::invalid_argument, "this is not the certificate of a Holdfast node");
  return out;
}

std::string fingerprint(const std::string& certificate_pem) {
  X509Ptr certificate = parse_certificate(certificate_pem);
  return certificate ? fingerprint_of(certificate.get()) : std::string();
}

Status check_signed_by(const std::string& certificate_pem, const std::string& authority_pem) {
  X509Ptr leaf = parse_certificate(certificate_pem), root = parse_certificate(authority_pem);
  if (!leaf || !root) return fail(ErrorCode::invalid_argument, "this is not a certificate");
  X509StorePtr store(X509_STORE_new());
  X509StoreCtxPtr context(X509_STORE_CTX_new());
  if (!store || !context || X509_STORE_add_cert(store.get(), root.get()) != 1 ||
      X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr) != 1)
    return fail(ErrorCode::internal, "cannot check the certificate: " + openssl_error());
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_NO_CHECK_TIME);
  if (X509_verify_cert(context.get()) == 1) return {};
  int why = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  return fail(ErrorCode::permission, std::string("the certificate was not issued by this authority: ") +
                                         X509_verify_cert_error_string(why));
}

Status check_matches_key(const std::string& certificate_pem, const std::string& private_key_pem) {
  X509Ptr leaf = parse_certificate(certificate_pem);
  EvpKeyPtr key = parse_private_key(private_key_pem);
  bool ok = leaf && key && X509_check_private_key(leaf.get(), key.get()) == 1;
  ERR_clear_error();
  if (!ok)
    return fail(ErrorCode::invalid_argument, "the certificate and the private key do not belong together");
  return {};
}

}  // namespace holdfast::pki
