#include "core/commands/initial_database.h"

#include <set>

#include "base/ids.h"
#include "base/version.h"
#include "core/commands/objects.h"
#include "core/properties/property.h"

namespace holdfast::core {
namespace {

using namespace objects;

tl::unexpected<Error> refuse(std::string why, std::string hint = {}) {
  return fail(ErrorCode::invalid_argument, "cannot create the cluster: " + std::move(why), 0,
              std::move(hint));
}

bool name_allowed(const std::string& name) {
  return valid_component(name) && name.size() <= object_name_bytes_max && name.find(',') == std::string::npos;
}

}  // namespace

Status check_initial_cluster(const InitialCluster& c) {
  if (c.cluster_id.empty()) return refuse("it has no id");
  if (!name_allowed(c.cluster_name))
    return refuse("the cluster name '" + c.cluster_name + "' is not allowed",
                  "1 to 64 bytes, without '/' and ','");
  if (!name_allowed(c.node_name))
    return refuse("the node name '" + c.node_name + "' is not allowed", "1 to 64 bytes, without '/' and ','");
  if (c.functional_level < functional_level_min || c.functional_level > functional_level_max)
    return refuse("functional level " + std::to_string(c.functional_level) + " is not one of this release");
  if (c.addresses.empty() || c.addresses.size() > networks_max)
    return refuse("the node needs 1 to 8 addresses", "network=address, one each network");
  std::set<std::string> networks;
  for (const auto& text : c.addresses) {
    auto equals = text.find('=');
    if (equals == std::string::npos || !valid_component(text.substr(0, equals)) ||
        !parse_ip(text.substr(equals + 1)))
      return refuse("'" + text + "' is no network=address", "for example lan=192.0.2.7 or lan=2001:db8::7");
    if (!networks.insert(text.substr(0, equals)).second)
      return refuse("network '" + text.substr(0, equals) + "' is given twice");
  }
  return {};
}

Transaction initial_database(const InitialCluster& c) {
  std::string node = node_path(NodeId{1});
  Edit edit;
  edit.require_absent("cluster").require_absent("nodes");
  edit.set("cluster", "Id", c.cluster_id)
      .set("cluster", "Name", c.cluster_name)
      .set("cluster", "FunctionalLevel", uint64_t{c.functional_level})
      .set("cluster", "NextNode", uint64_t{2});
  edit.set(node, "Name", c.node_name)
      .set(node, "Addresses", c.addresses)
      .set(node, "Fingerprint", c.fingerprint);
  if (c.port != 0) edit.set(node, "Port", uint64_t{c.port});
  for (const char* root : {"groups", "resources", "revoked", "types"}) edit.create(root);
  return edit.done();
}

}  // namespace holdfast::core
