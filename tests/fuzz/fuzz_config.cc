// holdfast.toml: a file that is accepted is written again as one that says the same.
#include "config/node_config.h"
#include "input.h"
#include "target.h"

using namespace holdfast;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(fuzz::as_text(data, size));
  auto config = parse_node_config(text, "fuzz");
  if (!config) {
    HOLDFAST_ASSERT(config.error().code == ErrorCode::invalid_argument);
    HOLDFAST_ASSERT(config.error().message.starts_with("fuzz"));
  } else {
    HOLDFAST_ASSERT(config->node.value >= 1 && config->node.value <= nodes_max);
    HOLDFAST_ASSERT(!config->networks.empty() && config->networks.size() <= networks_max);
    const std::string written = to_toml(*config);
    auto again = parse_node_config(written, "fuzz");
    HOLDFAST_ASSERT(again && to_toml(*again) == written);
    HOLDFAST_ASSERT(again->cluster_name == config->cluster_name &&
                    again->quorum.device == config->quorum.device && again->state_dir == config->state_dir &&
                    again->peers.size() == config->peers.size());
  }
  if (auto address = parse_network_address(text)) {
    auto again = parse_network_address(address->text());
    HOLDFAST_ASSERT(again && again->text() == address->text());
  }
  (void)check_ip_address(text);
  (void)is_plain_name(text);
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  NodeConfig c;
  c.cluster_id = "6f1c2a34-9b0e-4d57-8a61-3c5f0e2b7d19";
  c.cluster_name = "demo";
  c.node_name = "n1";
  c.node = NodeId{1};
  c.networks = {{"lan", "192.0.2.1", 7420}, {"san", "2001:db8::1", 7421}};
  c.peers = {{"n2", NodeId{2}, {"192.0.2.2", "2001:db8::2"}, 7420}};
  c.quorum = {"lun", "iscsi://198.51.100.20:3260/iqn.2026-11.example:quorum/0",
              "iqn.2026-11.io.holdfast:6f1c2a34:n1"};
  return {to_toml(c), "lan=192.0.2.1", "lan=2001:db8::1", "a = [[[1]]]\n"};
}

}  // namespace holdfast::fuzz
