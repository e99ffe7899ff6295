#include "main/enrollment.h"

#include "base/error.h"
#include "core/database/nodes.h"

namespace holdfast {
namespace {

constexpr int certificate_days = 825;

// Comparison whose time does not tell how much of a guess was right.
bool same_secret(const std::string& a, const std::string& b) {
  if (a.size() != b.size() || a.empty()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

// Addresses of a node in the order of `networks`.
std::vector<std::string> ordered_addresses(const core::Tree& tree, const std::string& key,
                                           const std::vector<NodeConfig::Network>& networks) {
  std::vector<std::string> out;
  for (const auto& network : networks) {
    out.emplace_back();
    for (const auto& text : tree.list(key, "Addresses"))
      if (text.rfind(network.name + "=", 0) == 0) out.back() = text.substr(network.name.size() + 1);
  }
  return out;
}

}  // namespace

Result<EnrollmentPlan> plan_enrollment(const pki::EnrollAsk& ask, const core::Tree& tree,
                                       const NodeConfig& own, const pki::KeyPair& authority,
                                       int64_t now_unix) {
  const std::string key = "nodes/" + std::to_string(ask.node.value);
  const std::string hash = tree.text(key, "EnrollmentHash");
  // One answer for all wrong tokens: whoever guesses learns nothing.
  if (!tree.exists(key) || tree.text(key, "Name") != ask.node_name ||
      !same_secret(hash, pki::hash_secret(ask.secret)))
    return fail(ErrorCode::permission,
                "the token is not valid: unknown, used already, or replaced by a newer one", 0,
                "make a new one with 'holdfast node add'");
  if (static_cast<int64_t>(tree.number(key, "EnrollmentExpires")) < now_unix * 1000)
    return fail(ErrorCode::permission, "the token for node '" + ask.node_name + "' has expired", 0,
                "make a new one with 'holdfast node add'");

  EnrollmentPlan plan;
  HOLDFAST_TRY(plan.answer.certificate_pem, pki::sign_csr(authority, ask.csr_pem, ask.node_name, ask.node,
                                                          own.cluster_id, certificate_days));
  plan.answer.authority_pem = authority.certificate_pem;

  NodeConfig config = own;
  config.node_name = ask.node_name;
  config.node = ask.node;
  config.peers.clear();
  auto addresses = ordered_addresses(tree, key, own.networks);
  for (size_t i = 0; i < config.networks.size(); ++i) {
    config.networks[i].address = addresses[i];
    if (uint64_t port = tree.number(key, "Port"); port != 0)
      config.networks[i].port = static_cast<uint16_t>(port);
  }
  for (const auto& node : core::all_nodes(tree)) {
    if (node.id == ask.node) continue;
    NodeConfig::Peer peer;
    peer.name = node.name;
    peer.node = node.id;
    peer.addresses = ordered_addresses(tree, node.key, own.networks);
    peer.port = static_cast<uint16_t>(tree.number(node.key, "Port", default_port));
    config.peers.push_back(std::move(peer));
  }
  if (config.quorum.kind == "lun" && config.quorum.device.rfind("iscsi://", 0) == 0)
    config.quorum.initiator_name = default_initiator_name(own.cluster_id, ask.node_name);
  if (config.quorum.kind == "local")
    return fail(ErrorCode::unsupported, "this cluster has a local quorum: it serves one node only", 0,
                "create the cluster on a shared LUN");
  plan.answer.config_text = to_toml(config);

  plan.transaction = core::Edit()
                         .require_equal(key, "EnrollmentHash", core::text_value(hash))
                         .unset(key, "EnrollmentHash")
                         .unset(key, "EnrollmentExpires")
                         .set(key, "Fingerprint", pki::fingerprint(plan.answer.certificate_pem))
                         .done();
  return plan;
}

}  // namespace holdfast
