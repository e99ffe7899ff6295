// cluster join: from a token to a member. The token works once, so everything that can be checked is checked
// before it is shown to the cluster; after that, what the cluster gave is kept even when a later step fails.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/actions.h"
#include "cli/new_node.h"
#include "cli/output.h"

namespace holdfast::cli {
namespace {

Result<NodeConfig> local_config(const JoinOptions& o, const pki::Token& token, const std::string& text) {
  HOLDFAST_TRY(auto c, parse_node_config(text, "the configuration from the cluster"));
  if (c.cluster_id != token.cluster_id || c.node_name != token.node_name || c.node != token.node)
    return fail(ErrorCode::corrupt,
                "the configuration from the cluster is for another node ('" + c.node_name + "')");
  NodeConfig plain;  // paths are this host's business
  c.tls_dir = o.dir + "/tls";
  c.state_dir = o.state_dir.empty() ? plain.state_dir : o.state_dir;
  c.runtime_dir = o.runtime_dir.empty() ? plain.runtime_dir : o.runtime_dir;
  c.plugin_dirs = plain.plugin_dirs;
  c.monitor_program = plain.monitor_program;
  if (c.quorum.device.rfind("iscsi://", 0) == 0)
    c.quorum.initiator_name =
        o.initiator.empty() ? default_initiator_name(c.cluster_id, c.node_name) : o.initiator;
  return c;
}

Status check_addresses_agree(const Context& context, const NodeConfig& c,
                             const std::vector<NetworkAddress>& given) {
  for (const auto& g : given) {
    auto same = std::find_if(c.networks.begin(), c.networks.end(),
                             [&](const auto& n) { return n.name == g.network; });
    if (same == c.networks.end() || same->address != g.address)
      return fail(ErrorCode::conflict, "the cluster knows this node without " + g.text(), 0,
                  "what 'holdfast node add' was given counts: evict the node and add it again");
  }
  for (const auto& n : c.networks) HOLDFAST_CHECK(check_is_local(context, n.address));
  return {};
}

Status check_answer(const pki::Token& token, const pki::EnrollAnswer& answer, const std::string& key) {
  HOLDFAST_CHECK(pki::check_signed_by(answer.certificate_pem, answer.authority_pem));
  HOLDFAST_CHECK(pki::check_matches_key(answer.certificate_pem, key));
  HOLDFAST_TRY(auto identity, pki::read_identity(answer.certificate_pem));
  if (identity.node != token.node || identity.cluster_id != token.cluster_id)
    return fail(ErrorCode::corrupt, "the certificate is for another node ('" + identity.node_name + "')");
  if (pki::fingerprint(answer.authority_pem) != token.authority_fingerprint)
    return fail(ErrorCode::permission, "the authority is not the one that the token names");
  return {};
}

}  // namespace

int cluster_join(Context& context, const JoinOptions& o) {
  Undo undo;
  std::string doing = "cannot join";
  auto refuse = [&](const Error& error) { return give_up(context, doing, error, undo); };
  if (auto free = check_host_is_free(context, o.dir); !free) return refuse(free.error());
  auto token = pki::decode_token(o.token);
  if (!token) return refuse(token.error());
  doing = "node '" + token->node_name + "' cannot join";
  if (token->expires_unix != 0 && token->expires_unix < context.environment.unix_time())
    return refuse(
        {ErrorCode::permission, 0, "the token has expired (or the clocks differ)",
         "make a new one: 'holdfast node evict " + token->node_name + "', then 'holdfast node add'"});
  auto given = check_addresses(context, o.addresses);
  if (!given) return refuse(given.error());

  auto key = pki::make_private_key();
  if (!key) return refuse(key.error());
  auto request = pki::make_csr(*key, token->node_name);
  if (!request) return refuse(request.error());
  auto answer =
      context.environment.enroll(*token, *request, Duration::seconds(std::max(10u, context.wait_seconds)));
  if (!answer) return refuse(answer.error());

  std::string used_up = "the token is used up: 'holdfast node evict " + token->node_name +
                        "' and 'node add' there, then join again";
  auto refuse_late = [&](Error error) {
    error.hint += (error.hint.empty() ? "" : "; ") + used_up;
    return refuse(error);
  };
  if (auto good = check_answer(*token, *answer, *key); !good) return refuse_late(good.error());
  auto c = local_config(o, *token, answer->config_text);
  if (!c) return refuse_late(c.error());
  if (auto agree = check_addresses_agree(context, *c, *given); !agree) return refuse_late(agree.error());
  NodeFiles files{answer->authority_pem, answer->certificate_pem, *key, ""};
  if (auto done = install_files(*c, o.dir, files, undo); !done) return refuse_late(done.error());
  undo.keep();

  auto started = start_service(context, o.dir, !o.no_start, nullptr);
  if (!started) {
    Error error = started.error();
    error.hint += "; the configuration is complete, so: systemctl enable --now holdfastd";
    return refuse(error);
  }
  if (*started == Started::yes)
    if (auto member = wait_until_member(context, *c); !member) return refuse(member.error());
  if (context.json) {
    print_json(context.out, Json{{"done", true},
                                 {"cluster_name", c->cluster_name},
                                 {"cluster_id", c->cluster_id},
                                 {"node_name", c->node_name},
                                 {"node_id", c->node.value},
                                 {"config", o.dir + "/holdfast.toml"},
                                 {"started", *started == Started::yes}});
    return exit_ok;
  }
  context.out << "This host is node '" << c->node_name << "' of cluster '" << c->cluster_name << "'"
              << (*started == Started::yes && context.wait_seconds ? " and a member.\n" : ".\n");
  if (std::string how = how_to_start(*started, o.dir); !how.empty()) context.out << how << "\n";
  return exit_ok;
}

}  // namespace holdfast::cli
