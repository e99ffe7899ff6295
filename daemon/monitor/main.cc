// holdfast-monitor: runs resource plug-ins in a process of their own. Started by holdfastd.
//   --fd N           the inherited socket to the service
//   --sweep DIR      remove what a killed monitor left, then exit
//   --probe FILE.so  try a plug-in, print its type or what is wrong with it
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "monitor/monitor.h"
#include "monitor/plugin.h"
#include "monitor/sweep.h"

int main(int argc, char** argv) {
  using namespace holdfast::monitor;
  std::string verb = argc == 3 ? argv[1] : "";
  if (verb == "--probe") return probe_main(argv[2]);
  if (verb == "--sweep") return sweep_main(argv[2]);
  char* end = nullptr;
  long fd = argc == 3 ? strtol(argv[2], &end, 10) : -1;
  if (verb != "--fd" || fd < 3 || end == nullptr || *end != 0) {
    fprintf(stderr, "usage: holdfast-monitor --fd N | --sweep STATE_DIR | --probe PLUGIN.so\n");
    return exit_usage;
  }
  // It outlives the service on purpose (no PR_SET_PDEATHSIG): somebody must end the resources of a dead
  // service.
  setsid();
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  // Without these rights it works all the same, only later under load or memory pressure.
  if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
    perror("holdfast-monitor: cannot lock its memory, ignoring");
  if (!make_real_time()) perror("holdfast-monitor: cannot get real-time priority, ignoring");
  int status = exit_usage;
  {
    Monitor monitor(static_cast<int>(fd));
    status = monitor.run();
    _exit(status);  // threads may hang in plug-ins: no destructors
  }
}
