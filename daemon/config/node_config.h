// NodeConfig: what one node must know before it can reach its cluster: who it is, its addresses, where the
// quorum is, whom to ask. Everything else is in the cluster database. File: /etc/holdfast/holdfast.toml;
// every option is explained in packaging/holdfast.toml. A file that is not understood completely is refused:
// a misspelt option must not silently become its default.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace holdfast {

constexpr uint16_t default_port = 7420;
constexpr char default_config_dir[] = "/etc/holdfast";
constexpr char default_config_path[] = "/etc/holdfast/holdfast.toml";

struct NodeConfig {
  std::string cluster_id, cluster_name, node_name;
  NodeId node;

  struct Network {
    std::string name, address;
    uint16_t port = default_port;
  };
  std::vector<Network> networks;  // 1..8

  // Seeds for the first contact; once joined, the database is the truth.
  struct Peer {
    std::string name;
    NodeId node;
    std::vector<std::string> addresses;  // one a network, in the order of `networks`
    uint16_t port = default_port;
  };
  std::vector<Peer> peers;

  struct Quorum {
    std::string kind;    // "lun" or "local"
    std::string device;  // lun: iscsi://… or /dev/…; local: path of a file
    std::string
        initiator_name;  // iSCSI only; differs between nodes, never changes (registrations belong to it)
  } quorum;

  std::string tls_dir = "/etc/holdfast/tls";  // authority.pem node.pem node.key; authority.key on one node
  std::string state_dir = "/var/lib/holdfast";
  std::string runtime_dir = "/run/holdfast";
  std::vector<std::string> plugin_dirs = {"/usr/lib/holdfast/resources"};
  std::string monitor_program = "/usr/lib/holdfast/holdfast-monitor";
  std::string log_level = "info";  // trace, debug, info, warning, error

  std::string socket_path() const { return runtime_dir + "/holdfast.sock"; }
};

// Errors: not_found, permission (the file), invalid_argument ("FILE:LINE: what is wrong", hint: what to do).
Result<NodeConfig> load_node_config(const std::string& path);
Result<NodeConfig> parse_node_config(std::string_view text, const std::string& name_for_errors);

// parse_node_config(to_toml(c)) gives c again.
std::string to_toml(const NodeConfig& config);
// Written beside and renamed over, mode 0600, fsynced with its directory: after a power cut there is the old
// file or the new one. Refuses what parse_node_config would refuse.
Status save_node_config(const NodeConfig& config, const std::string& path);

// "iqn.2026-11.io.holdfast:<first 8 of the cluster id>:<node name>": unique to the node and constant.
std::string default_initiator_name(const std::string& cluster_id, const std::string& node_name);

// "network=address", as in `--address` and in the database.
struct NetworkAddress {
  std::string network, address;
  std::string text() const { return network + "=" + address; }
};
Result<NetworkAddress> parse_network_address(std::string_view text);
// Ok for an IPv4 or IPv6 address that other hosts can be told. The error says what is wrong with it.
Status check_ip_address(const std::string& address);
// "192.0.2.1:7420", "[2001:db8::1]:7420".
std::string host_port(const std::string& address, uint16_t port);
// Names of nodes and networks: 1 to 63 letters, digits, '-', '.', '_', starting with a letter or digit.
bool is_plain_name(std::string_view name);

// The known word most like `word`, empty when none is similar.
std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

}  // namespace holdfast
