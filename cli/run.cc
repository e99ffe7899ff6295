#include <algorithm>
#include <iostream>

#include "base/version.h"
#include "cli/verbs.h"

namespace holdfast::cli {
namespace {

// CLI11 only says that a verb is missing; the word that was meant to be one is worth more.
std::string unknown_verb(const CLI::App* app, const std::vector<std::string>& words) {
  for (const auto& word : words) {
    if (word.empty() || word[0] == '-') continue;
    auto verbs = app->get_subcommands([](const CLI::App*) { return true; });
    if (verbs.empty()) return "";
    std::vector<std::string> known;
    for (auto* verb : verbs) known.push_back(verb->get_name());
    auto found = std::find(known.begin(), known.end(), word);
    if (found != known.end()) {
      app = verbs[static_cast<size_t>(found - known.begin())];
      continue;
    }
    std::string like = nearest_word(word, known), all;
    for (const auto& k : known) all += (all.empty() ? "" : ", ") + k;
    return "there is no '" + word + "' here" + (like.empty() ? "" : ", did you mean '" + like + "'?") + " (" +
           all + ")";
  }
  return "";
}

}  // namespace

int run_cli(std::vector<std::string> arguments, Context& context) {
  CLI::App app{"holdfast: groups of disks, addresses and programs that move between nodes"};
  app.name("holdfast");
  app.require_subcommand(1);
  app.fallthrough();  // --json and the like may stand anywhere in the line
  app.set_version_flag("--version", "holdfast " + version_text());
  app.add_flag("--json", context.json, "JSON with stable field names (docs/cli.md)");
  app.add_flag("-y,--yes", context.yes, "do not ask");
  app.add_option("--wait", context.wait_seconds,
                 "seconds to wait for online, offline, move, stop, join; 0: only order it")
      ->capture_default_str()
      ->check(CLI::Range(0, 86400));
  app.add_option("--socket", context.socket,
                 "socket of the service; default $HOLDFAST_SOCKET or the configured one");
  app.add_option("--config", context.config_path, "configuration of this node")->capture_default_str();
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 service not reachable, 4 not done in time (may still "
      "happen).\n"
      "Start with 'holdfast cluster create --help' or 'holdfast cluster status'. Manual: holdfast(8).");
  Registry registry{context, {}};
  add_cluster_verbs(&app, registry);
  add_node_verbs(&app, registry);
  add_group_verbs(&app, registry);
  add_resource_verbs(&app, registry);
  add_other_verbs(&app, registry);
  auto words = arguments;
  std::reverse(arguments.begin(), arguments.end());  // the order CLI11 wants
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    // Help and version arrive here too, with exit code 0.
    if (error.get_exit_code() == 0) {
      app.exit(error, context.out, context.err);
      return exit_ok;
    }
    std::string what = unknown_verb(&app, words);
    return report(context,
                  {ErrorCode::invalid_argument, 0, what.empty() ? error.what() : what,
                   "add --help to see what it takes"},
                  exit_usage);
  }
  return registry.chosen();
}

}  // namespace holdfast::cli
