// cluster destroy: forget the cluster on this host. The quorum is wiped first, while it is still known where
// it is.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/actions.h"
#include "cli/files.h"
#include "cli/new_node.h"
#include "cli/output.h"
#include "cli/redact.h"
#include "cli/service.h"

namespace holdfast::cli {
namespace {

Status stop_service(const Context& context, const NodeConfig& c, bool force) {
  if (context.environment.has_systemd() && context.config_path == default_config_path) {
    auto stopped =
        context.environment.run({"systemctl", "disable", "--now", service_unit}, Duration::seconds(600));
    if (stopped.exit_code != 0 && !force)
      return fail(ErrorCode::busy, "the service did not stop: " + stopped.output.substr(0, 400), 0,
                  "journalctl -u holdfastd -n 50; --force goes on all the same");
  }
  std::string socket = context.socket.empty() ? c.socket_path() : context.socket;
  if (!force && client::Client::connect(socket, Duration::seconds(2), "holdfast"))
    return fail(ErrorCode::busy, "the service still runs", 0, "stop it: 'systemctl stop holdfastd'");
  return {};
}

// A mistake in the configuration must not delete a system folder.
bool safe_to_remove(const std::string& path) {
  return path.rfind("/", 0) == 0 && path.find("..") == std::string::npos &&
         std::count(path.begin(), path.end(), '/') >= 3 && path.back() != '/';
}

void remove_tree(const std::string& path, std::vector<std::string>* removed, std::vector<std::string>* left) {
  std::error_code error;
  if (!exists(path)) return;
  if (!safe_to_remove(path)) {
    left->push_back(path + " (remove it yourself)");
    return;
  }
  std::filesystem::remove_all(path, error);
  error ? left->push_back(path + " (" + error.message() + ")") : removed->push_back(path);
}

}  // namespace

int cluster_destroy(Context& context, const DestroyOptions& o) {
  auto refuse = [&](Error error) {
    error.message = "cannot destroy the cluster on this host: " + error.message;
    return report(context, error);
  };
  if (!context.environment.is_root())
    return refuse({ErrorCode::permission, 0, "this changes the host", "run it as root"});
  auto c = load_node_config(context.config_path);
  if (!c) return refuse(c.error());
  std::string question = "This stops node '" + c->node_name + "' of cluster '" + c->cluster_name +
                         "' and deletes its configuration, keys and local database";
  if (o.wipe_quorum) question += ", and wipes the quorum device " + redact(c->quorum.device);
  if (int no = confirm(context, question)) return no;
  if (auto stopped = stop_service(context, *c, o.force); !stopped) return refuse(stopped.error());
  if (o.wipe_quorum)
    if (auto wiped = context.environment.wipe_quorum(*c); !wiped) return refuse(wiped.error());

  std::vector<std::string> removed, left;
  for (const char* name : {"authority.pem", "node.pem", "node.key", "authority.key"}) {
    std::string path = c->tls_dir + "/" + name;
    if (!exists(path)) continue;
    unlink(path.c_str()) == 0 ? removed.push_back(path) : left.push_back(path);
  }
  rmdir(c->tls_dir.c_str());
  remove_tree(c->state_dir, &removed, &left);
  unlink(context.config_path.c_str()) == 0 ? removed.push_back(context.config_path)
                                           : left.push_back(context.config_path);
  if (context.json) {
    print_json(
        context.out,
        Json{{"done", left.empty()}, {"removed", removed}, {"left", left}, {"quorum_wiped", o.wipe_quorum}});
  } else {
    for (const auto& path : removed) context.out << "removed " << path << "\n";
    for (const auto& path : left) context.err << "holdfast: not removed: " << path << "\n";
    if (o.wipe_quorum)
      context.out << "wiped   " << redact(c->quorum.device) << "\n";
    else
      context.out << "The other nodes still know '" << c->node_name << "': 'holdfast node evict "
                  << c->node_name << "' there.\n";
  }
  return left.empty() ? exit_ok : exit_failed;
}

}  // namespace holdfast::cli
