// cluster create: everything is checked before anything is changed; a step that fails takes the earlier ones
// back.
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/actions.h"
#include "cli/new_node.h"
#include "cli/output.h"
#include "cli/redact.h"

namespace holdfast::cli {
namespace {

Result<NodeConfig> plan(const Context& context, const CreateOptions& o) {
  HOLDFAST_CHECK(check_host_is_free(context, o.dir));
  HOLDFAST_TRY(auto addresses, check_addresses(context, o.addresses));
  NodeConfig c;
  c.cluster_id = pki::random_uuid();
  c.cluster_name = o.name;
  c.node_name = o.node;
  c.node = NodeId{1};
  for (auto& a : addresses) c.networks.push_back({a.network, a.address, o.port});
  c.quorum.kind = o.local_quorum.empty() ? "lun" : "local";
  c.quorum.device = o.local_quorum.empty() ? o.quorum : o.local_quorum;
  if (c.quorum.device.empty())
    return fail(ErrorCode::invalid_argument, "no quorum device is given", 0,
                "--quorum iscsi://… or /dev/disk/by-id/…, or --local-quorum FILE for one node");
  c.quorum.initiator_name = o.initiator;
  if (o.initiator.empty() && c.quorum.device.rfind("iscsi://", 0) == 0)
    c.quorum.initiator_name = default_initiator_name(c.cluster_id, o.node);
  c.tls_dir = o.dir + "/tls";
  if (!o.state_dir.empty()) c.state_dir = o.state_dir;
  if (!o.runtime_dir.empty()) c.runtime_dir = o.runtime_dir;
  // The same judgement as for a file that somebody wrote.
  HOLDFAST_CHECK(parse_node_config(to_toml(c), "the new configuration"));
  return c;
}

Status check_quorum(const Context& context, const NodeConfig& c, bool force, QuorumContent* content) {
  HOLDFAST_TRY(*content, context.environment.inspect_quorum(c));
  std::string device = "quorum device " + redact(c.quorum.device);
  if (content->alive)
    return fail(ErrorCode::conflict,
                device + " is in use by the living cluster '" + content->cluster_name + "'", 0,
                "join that cluster with a token from 'holdfast node add', or choose another device");
  if (force) return {};
  std::string hint = "if its content may be lost: repeat with --force";
  if (!content->cluster_id.empty())
    return fail(ErrorCode::foreign,
                device + " belongs to cluster '" + content->cluster_name + "' (" + content->cluster_id + ")",
                0, hint);
  if (!content->foreign.empty())
    return fail(ErrorCode::foreign, device + " holds " + content->foreign, 0, hint);
  if (!content->reservation.empty())
    return fail(ErrorCode::conflict, device + " is reserved by somebody: " + content->reservation, 0, hint);
  return {};
}

Status build(Context& context, const CreateOptions& o, const NodeConfig& c, const QuorumContent& content,
             Undo& undo, Started* started) {
  HOLDFAST_TRY(auto authority, pki::create_authority(c.cluster_name, c.cluster_id, authority_days));
  HOLDFAST_TRY(auto node,
               pki::issue_node(authority, c.node_name, c.node, c.cluster_id, node_certificate_days));
  NodeFiles files{authority.certificate_pem, node.certificate_pem, node.private_key_pem,
                  authority.private_key_pem};
  HOLDFAST_CHECK(install_files(c, o.dir, files, undo));
  FormatOptions format;
  format.force = o.force;
  format.cluster_id = c.cluster_id;
  format.cluster_name = c.cluster_name;
  format.node_name = c.node_name;
  for (const auto& n : c.networks) format.node_addresses.push_back(n.name + "=" + n.address);
  format.fingerprint = pki::fingerprint(node.certificate_pem);
  format.port = o.port;
  HOLDFAST_CHECK(context.environment.format_quorum(c, format));
  auto wipe = context.environment.wipe_quorum;
  undo.on_failure(
      "quorum device " + redact(c.quorum.device) + (content.blank ? "" : " (what was on it before is lost)"),
      [wipe, c] { return wipe(c); });
  HOLDFAST_TRY(*started, start_service(context, o.dir, !o.no_start, &undo));
  if (*started == Started::yes) HOLDFAST_CHECK(wait_until_member(context, c));
  undo.keep();
  return {};
}

}  // namespace

int cluster_create(Context& context, const CreateOptions& o) {
  Undo undo;
  std::string doing = "cannot create cluster '" + o.name + "'";
  auto c = plan(context, o);
  if (!c) return give_up(context, doing, c.error(), undo);
  QuorumContent content;
  if (auto fit = check_quorum(context, *c, o.force, &content); !fit)
    return give_up(context, doing, fit.error(), undo);
  if (!content.blank && o.force) {
    std::string what = !content.foreign.empty()      ? content.foreign
                       : !content.cluster_id.empty() ? "cluster '" + content.cluster_name + "'"
                                                     : "what is there";
    if (int no = confirm(context, "This overwrites " + what + " on " + redact(c->quorum.device))) return no;
  }
  Started started = Started::not_wanted;
  if (auto built = build(context, o, *c, content, undo, &started); !built)
    return give_up(context, doing, built.error(), undo);
  if (context.json) {
    print_json(context.out, Json{{"done", true},
                                 {"cluster_name", c->cluster_name},
                                 {"cluster_id", c->cluster_id},
                                 {"node_name", c->node_name},
                                 {"node_id", c->node.value},
                                 {"config", o.dir + "/holdfast.toml"},
                                 {"started", started == Started::yes}});
    return exit_ok;
  }
  context.out << "Cluster '" << c->cluster_name << "' made, node '" << c->node_name << "' is its first.\n";
  if (std::string how = how_to_start(started, o.dir); !how.empty()) context.out << how << "\n";
  context.out << "The authority key " << c->tls_dir
              << "/authority.key is needed to add nodes: keep a copy in a safe place.\n"
              << "Next: holdfast node add NAME --address NETWORK=ADDRESS\n";
  return exit_ok;
}

}  // namespace holdfast::cli
