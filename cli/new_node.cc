#include "cli/new_node.h"

#include <dirent.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ostream>
#include <set>

#include "cli/service.h"

namespace holdfast::cli {

Status check_host_is_free(const Context& context, const std::string& dir) {
  if (!context.environment.is_root())
    return fail(ErrorCode::permission, "this changes the host", 0, "run it as root");
  if (dir.empty() || dir[0] != '/')
    return fail(ErrorCode::invalid_argument, "'" + dir + "' is no absolute path", 0, "give --dir as /…");
  for (const char* name : {"/holdfast.toml", "/tls/node.key", "/tls/authority.key"})
    if (exists(dir + name))
      return fail(ErrorCode::already_exists,
                  "this host is configured for a cluster already: " + dir + name + " exists", 0,
                  "'holdfast cluster status' shows it; 'holdfast cluster destroy' forgets it");
  return {};
}

Status check_is_local(const Context& context, const std::string& address) {
  auto mine = context.environment.local_addresses();
  if (std::find(mine.begin(), mine.end(), address) != mine.end()) return {};
  std::string all;
  for (const auto& a : mine) all += (all.empty() ? "" : ", ") + a;
  return fail(ErrorCode::not_found, "address " + address + " is not on this host", 0,
              "configure it first, or use one of: " + (all.empty() ? "(none)" : all));
}

Result<std::vector<NetworkAddress>> check_addresses(const Context& context,
                                                    const std::vector<std::string>& given) {
  std::vector<NetworkAddress> out;
  std::set<std::string> names, addresses;
  if (given.size() > networks_max)
    return fail(ErrorCode::invalid_argument,
                std::to_string(given.size()) + " addresses, at most 8 networks are supported");
  for (const auto& text : given) {
    HOLDFAST_TRY(auto address, parse_network_address(text));
    if (!names.insert(address.network).second)
      return fail(ErrorCode::invalid_argument, "network '" + address.network + "' is given twice");
    if (!addresses.insert(address.address).second)
      return fail(ErrorCode::invalid_argument, "address " + address.address + " is given twice");
    HOLDFAST_CHECK(check_is_local(context, address.address));
    out.push_back(std::move(address));
  }
  return out;
}

Status install_files(const NodeConfig& config, const std::string& dir, const NodeFiles& files, Undo& undo) {
  auto folder = [&](const std::string& path, mode_t mode) -> Status {
    bool created = false;
    HOLDFAST_CHECK(make_dir(path, mode, &created));
    if (created)
      undo.on_failure("folder " + path, [path]() -> Status {
        if (rmdir(path.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY)
          return fail(ErrorCode::io, "cannot remove it", errno);
        return {};
      });
    return {};
  };
  auto remove_later = [&](const std::string& path) {
    undo.on_failure("file " + path, [path]() -> Status {
      if (unlink(path.c_str()) != 0 && errno != ENOENT) return fail(ErrorCode::io, "cannot remove it", errno);
      return {};
    });
  };
  HOLDFAST_CHECK(folder(dir, 0755));
  HOLDFAST_CHECK(folder(config.tls_dir, 0700));
  HOLDFAST_CHECK(folder(config.state_dir, 0700));
  struct {
    const char* name;
    const std::string& content;
    mode_t mode;
  } wanted[] = {{"authority.pem", files.authority_pem, 0644},
                {"node.pem", files.certificate_pem, 0644},
                {"node.key", files.private_key_pem, 0600},
                {"authority.key", files.authority_key_pem, 0600}};
  for (const auto& [name, content, mode] : wanted) {
    if (content.empty()) continue;
    std::string path = config.tls_dir + "/" + name;
    HOLDFAST_CHECK(write_new_file(path, content, mode));
    remove_later(path);
  }
  std::string path = dir + "/holdfast.toml";
  HOLDFAST_CHECK(save_node_config(config, path));
  remove_later(path);
  return {};
}

Result<Started> start_service(const Context& context, const std::string& dir, bool wanted, Undo* undo) {
  if (!wanted) return Started::not_wanted;
  if (dir != default_config_dir) return Started::other_dir;  // the unit reads /etc/holdfast
  if (!context.environment.has_systemd()) return Started::no_systemd;
  auto run = context.environment.run;
  if (undo)
    undo->on_failure("service holdfastd", [run]() -> Status {
      auto stopped = run({"systemctl", "disable", "--now", service_unit}, Duration::seconds(120));
      if (stopped.exit_code != 0) return fail(ErrorCode::io, "systemctl says: " + stopped.output);
      return {};
    });
  auto started = run({"systemctl", "enable", "--now", service_unit}, Duration::seconds(120));
  if (started.exit_code != 0)
    return fail(ErrorCode::io, "the service did not start: " + started.output.substr(0, 400), 0,
                "journalctl -u holdfastd -n 50");
  return Started::yes;
}

std::string how_to_start(Started started, const std::string& dir) {
  switch (started) {
    case Started::yes:
      return "";
    case Started::not_wanted:
      if (dir == default_config_dir) return "Not started. To start it: systemctl enable --now holdfastd";
      [[fallthrough]];
    case Started::other_dir:
      return "Not started. To start it: holdfastd --config " + dir + "/holdfast.toml";
    case Started::no_systemd:
      return "Not started, since systemd does not run here. To start it: holdfastd --config " + dir +
             "/holdfast.toml";
  }
  return "";
}

Status wait_until_member(const Context& context, const NodeConfig& config) {
  std::string socket = context.socket.empty() ? config.socket_path() : context.socket;
  std::string last = "the service does not answer on " + socket;
  int64_t until = context.environment.unix_time() + context.wait_seconds;
  do {
    if (auto client = client::Client::connect(socket, Duration::seconds(2), "holdfast")) {
      if (auto status = client->status(Duration::seconds(5))) {
        if (status->phase() == "member") return {};
        last = "it is " + status->phase() +
               (status->phase_reason().empty() ? "" : ": " + status->phase_reason());
      }
    }
    if (context.wait_seconds != 0) poll(nullptr, 0, 200);
  } while (context.environment.unix_time() < until);
  if (context.wait_seconds == 0) return {};
  return fail(ErrorCode::timeout,
              "node '" + config.node_name + "' is no member after " + std::to_string(context.wait_seconds) +
                  " s; " + last,
              0, "it goes on trying: 'holdfast cluster status', 'journalctl -u holdfastd -n 50'");
}

int give_up(Context& context, const std::string& doing, Error error, Undo& undo) {
  error.message = doing + ": " + error.message;
  for (const auto& line : undo.run()) error.message += "\n  " + line;
  return report(context, error, error.code == ErrorCode::timeout ? exit_timeout : exit_failed);
}

}  // namespace holdfast::cli
