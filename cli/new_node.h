// What 'cluster create' and 'cluster join' have in common: checks of this host, and putting its files in
// place.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/files.h"

namespace holdfast::cli {

constexpr char service_unit[] = "holdfastd.service";
constexpr int authority_days = 7300;
constexpr int node_certificate_days =
    3650;  // expiry never cuts a living member off, but a late renewal is a nuisance

// Root, and nothing configured below `dir` yet.
Status check_host_is_free(const Context& context, const std::string& dir);
// Reads the --address options: one each network, all of them addresses of this host.
Result<std::vector<NetworkAddress>> check_addresses(const Context& context,
                                                    const std::vector<std::string>& given);
Status check_is_local(const Context& context, const std::string& address);

struct NodeFiles {
  std::string authority_pem, certificate_pem, private_key_pem;
  std::string authority_key_pem;  // only where the authority lives
};
// tls (0700, keys 0600), state folder, configuration. Each step is entered into `undo`.
Status install_files(const NodeConfig& config, const std::string& dir, const NodeFiles& files, Undo& undo);

enum class Started { yes, no_systemd, not_wanted, other_dir };
// systemctl enable --now, when that is the way here.
Result<Started> start_service(const Context& context, const std::string& dir, bool wanted, Undo* undo);
// What to do when it was not started.
std::string how_to_start(Started started, const std::string& dir);
// Asks the service until this node is a member. timeout: says in which phase it is and why.
Status wait_until_member(const Context& context, const NodeConfig& config);

// Reports `error` with what was undone; returns the exit code.
int give_up(Context& context, const std::string& doing, Error error, Undo& undo);

}  // namespace holdfast::cli
