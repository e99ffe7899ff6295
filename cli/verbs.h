// The verbs of the holdfast command. Each registrar adds its part of the command line; what was chosen runs
// after the whole line was understood.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "cli/context.h"

namespace holdfast::cli {

struct Registry {
  Context& context;
  std::function<int()> chosen;

  // A verb that runs `action` with its own options, which live as long as the registry's parser.
  // `examples`: lines shown below the help; help should teach.
  template <typename Options>
  CLI::App* verb(CLI::App* parent, const char* name, const char* help, const char* examples,
                 std::shared_ptr<Options> options, int (*action)(Context&, const Options&)) {
    CLI::App* app = parent->add_subcommand(name, help);
    app->footer(std::string("Examples:\n") + examples);
    app->callback(
        [this, options, action] { chosen = [this, options, action] { return action(context, *options); }; });
    return app;
  }
  // A word with verbs below it.
  CLI::App* noun(CLI::App* parent, const char* name, const char* help) {
    CLI::App* app = parent->add_subcommand(name, help);
    app->require_subcommand(1);
    return app;
  }
};

void add_cluster_verbs(CLI::App* root, Registry& registry);
void add_node_verbs(CLI::App* root, Registry& registry);
void add_group_verbs(CLI::App* root, Registry& registry);
void add_resource_verbs(CLI::App* root, Registry& registry);
void add_other_verbs(CLI::App* root, Registry& registry);  // quorum, disk, events, report, version

}  // namespace holdfast::cli
