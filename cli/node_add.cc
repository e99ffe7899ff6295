// node add: a place in the database and a one-time token. The cluster keeps only the hash of the secret in
// it.
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/actions.h"
#include "cli/files.h"
#include "cli/output.h"
#include "cli/service.h"

namespace holdfast::cli {

int node_add(Context& context, const NodeAddOptions& o) {
  auto refuse = [&](Error error, int code) {
    error.message = "cannot add node '" + o.name + "': " + error.message;
    return report(context, error, code);
  };
  if (!is_plain_name(o.name))
    return refuse(
        {ErrorCode::invalid_argument, 0, "the name is not allowed", "1 to 63 letters, digits, '-', '.', '_'"},
        exit_usage);
  api::Command command;
  command.set_verb(api::Command::NODE_ADD);
  command.set_object(o.name);
  auto* addresses = command.add_properties();
  addresses->set_name("Addresses");
  addresses->set_is_list(true);
  for (const auto& text : o.addresses) {
    auto address = parse_network_address(text);
    if (!address) return refuse(address.error(), exit_usage);
    addresses->add_list(address->text());
  }
  auto config = load_node_config(context.config_path);
  if (!config) return refuse(config.error(), exit_failed);
  auto authority = read_file(config->tls_dir + "/authority.pem");
  if (!authority) return refuse(authority.error(), exit_failed);
  if (!exists(config->tls_dir + "/authority.key"))
    return refuse({ErrorCode::not_found, 0, "the authority key is not on this node",
                   "run it on the node where the cluster was created, or copy " + config->tls_dir +
                       "/authority.key here"},
                  exit_failed);

  pki::Token token;
  token.secret = pki::random_token_secret();
  token.node_name = o.name;
  token.cluster_id = config->cluster_id;
  token.authority_fingerprint = pki::fingerprint(*authority);
  token.expires_unix = context.environment.unix_time() + int64_t{60} * o.valid_minutes;
  // Only this node can sign, so only its addresses are of use.
  for (const auto& n : config->networks) token.addresses.push_back(host_port(n.address, n.port));
  auto add = [&](const char* name, const std::string& value) {
    auto* p = command.add_properties();
    p->set_name(name);
    p->set_value(value);
  };
  add("EnrollmentHash", pki::hash_secret(token.secret));
  add("EnrollmentExpires", std::to_string(token.expires_unix * 1000));  // the database counts milliseconds

  auto client = connect(context);
  if (!client) return report_service(context, client.error());
  auto response = client->command(command, service_timeout);
  if (!response) return report_service(context, response.error());
  const std::string& id = response->text();
  auto [end, bad] = std::from_chars(id.data(), id.data() + id.size(), token.node.value);
  if (bad != std::errc() || end != id.data() + id.size() || token.node.is_none())
    return refuse({ErrorCode::internal, 0, "the service answered without a node id ('" + id + "')",
                   "look whether it was added: 'holdfast node list'"},
                  exit_failed);
  std::string text = pki::encode_token(token);
  if (context.json) {
    print_json(context.out, Json{{"done", true},
                                 {"node_name", o.name},
                                 {"node_id", token.node.value},
                                 {"token", text},
                                 {"expires_unix", token.expires_unix},
                                 {"command", "holdfast cluster join " + text}});
    return exit_ok;
  }
  time_t expires = static_cast<time_t>(token.expires_unix);
  tm local{};
  localtime_r(&expires, &local);
  char when[32];
  strftime(when, sizeof when, "%F %T", &local);
  context.out << "Node '" << o.name << "' (id " << token.node.value << ") may join once, until " << when
              << ". On that host, as root:\n\n  holdfast cluster join " << text
              << "\n\nThe token is a secret until it was used.\n";
  return exit_ok;
}

}  // namespace holdfast::cli
