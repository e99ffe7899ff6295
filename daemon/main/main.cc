// holdfastd: the cluster service. One a node, started by systemd.
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/version.h"
#include "main/journal.h"
#include "main/service.h"

// The exit status tells systemd whether another start can help (RestartPreventExitStatus= of the unit file):
// EX_USAGE 64, EX_DATAERR 65 and EX_NOINPUT 66 need a person, 1 may pass by itself.
int main(int argc, char** argv) {
  using namespace holdfast;
  std::string path = default_config_path;
  bool check = false;
  for (int i = 1; i < argc; ++i) {
    std::string arg = argv[i];
    if (arg == "--version") {
      printf("holdfastd %s\n", version_text().c_str());
      return 0;
    }
    if (arg == "--config" && i + 1 < argc) {
      path = argv[++i];
    } else if (arg == "--check") {
      check = true;
    } else {
      fprintf(stderr, "usage: holdfastd [--config FILE] [--check] [--version]\n");
      return EX_USAGE;
    }
  }
  auto config = load_node_config(path);
  if (!config) {
    fprintf(stderr, "holdfastd: %s\n", config.error().text().c_str());
    if (config.error().code == ErrorCode::not_found) return EX_NOINPUT;
    return config.error().code == ErrorCode::invalid_argument ? EX_DATAERR : EXIT_FAILURE;
  }
  // Each life reads them again; a node that never had any is told apart here from one whose disk fails.
  if (auto credentials = load_credentials(config->tls_dir); !credentials) {
    fprintf(stderr, "holdfastd: %s\n", credentials.error().text().c_str());
    return credentials.error().code == ErrorCode::not_found ? EX_NOINPUT : EXIT_FAILURE;
  }
  if (check) {
    printf("%s is good\n", path.c_str());
    return 0;
  }
  set_log_level(config->log_level);
  set_log_node(config->node_name);
  for (const auto& dir : {config->state_dir, config->runtime_dir})
    if (mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST) {
      fprintf(stderr, "holdfastd: the folder %s cannot be made: %s\n", dir.c_str(), strerror(errno));
      return EXIT_FAILURE;
    }
  // A cluster service that is paged out or starved accuses the healthy and is accused itself.
  if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
    log(Priority::warning, std::string("memory cannot be locked: ") + strerror(errno) + ", ignoring");
  sched_param parameters{};
  parameters.sched_priority = 20;
  if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameters) != 0)
    log(Priority::warning, std::string("no real-time priority: ") + strerror(errno) + ", ignoring");
  log(Priority::notice, "holdfastd " + version_text() + " on node " + config->node_name);
  Service service(std::move(*config));
  return service.run();
}
