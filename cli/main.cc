// holdfast: the command for administrators. Everything it does is in run_cli; see docs/cli.md.
#include <signal.h>
#include <unistd.h>

#include <iostream>

#include "cli/context.h"

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);  // "holdfast events | head" ends by a failed write
  holdfast::cli::Context context{.out = std::cout, .err = std::cerr, .in = std::cin};
  context.interactive = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
  context.environment = holdfast::cli::real_environment();
  return holdfast::cli::run_cli(std::vector<std::string>(argv + 1, argv + argc), context);
}
