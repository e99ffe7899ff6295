#include <iostream>

#include "base/version.h"
#include "cli/verbs.h"

namespace holdfast::cli {

int run_cli(std::vector<std::string> arguments, Context& context) {
  CLI::App app{"holdfast: groups of disks, addresses and programs that move between nodes"};
  app.name("holdfast");
  app.require_subcommand(1);
  app.fallthrough();  // --json and the like may stand anywhere in the line
  app.set_version_flag("--version", "holdfast " + version_text());
  app.add_flag("--json", context.json, "JSON with stable field names (docs/cli.md)");
  app.add_flag("-y,--yes", context.yes, "do not ask");
  app.add_option("--wait", context.wait_seconds, "seconds to wait for online, offline, move, stop, join; 0: only order it")
      ->capture_default_str()
      ->check(CLI::Range(0, 86400));
  app.add_option("--socket", context.socket, "socket of the service; default $HOLDFAST_SOCKET or the configured one");
  app.add_option("--config", context.config_path, "configuration of this node")->capture_default_str();
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 service not reachable, 4 not done in time (may still happen).\n"
      "Start with 'holdfast cluster create --help' or 'holdfast cluster status'. Manual: holdfast(8).");
  Registry registry{context, {}};
  add_cluster_verbs(&app, registry);
  add_node_verbs(&app, registry);
  add_group_verbs(&app, registry);
  add_resource_verbs(&app, registry);
  add_other_verbs(&app, registry);
  std::reverse(arguments.begin(), arguments.end());  // the order CLI11 wants
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    // Help and version arrive here too, with exit code 0.
    if (error.get_exit_code() == 0) {
      app.exit(error, context.out, context.err);
      return exit_ok;
    }
    return report(context, {ErrorCode::invalid_argument, 0, error.what(), "add --help to see what it takes"}, exit_usage);
  }
  return registry.chosen();
}

}  // namespace holdfast::cli
