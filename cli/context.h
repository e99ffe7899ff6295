// Context: what every verb of the holdfast command gets: options common to all, where to print, and the
// outside world behind functions, so that tests can play it.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "adapters/quorum_disk/quorum_format.h"
#include "base/error.h"
#include "base/time.h"
#include "config/node_config.h"
#include "pki/enroll_client.h"

namespace holdfast::cli {

// Part of the interface: docs/cli.md.
enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_usage = 2,
  exit_unreachable = 3,  // no service to talk to
  exit_timeout = 4,      // it may still happen
};

struct ProgramResult {
  int exit_code = 0;   // 127: there is no such program; 128 + n: killed by signal n
  std::string output;  // stdout and stderr
};

// What is known about a quorum device without touching its content.
struct QuorumContent {
  bool blank = false;
  std::string foreign;                   // "an ext4 file system"; empty when blank or ours
  std::string cluster_id, cluster_name;  // a Holdfast superblock is there
  uint64_t epoch = 0;
  bool alive = false;       // its beacon moves: a cluster lives on it
  bool orderly = false;     // the last view ended on purpose
  std::string reservation;  // "0x… type Write Exclusive", empty: none
  std::vector<std::string> registered_keys;
  std::string device;           // vendor, product, size
  std::string superblock_text;  // for reports
};

struct Environment {
  std::function<bool()> is_root;
  std::function<std::vector<std::string>()> local_addresses;
  std::function<bool()> has_systemd;
  std::function<ProgramResult(const std::vector<std::string>& argv, Duration limit)> run;
  std::function<Result<QuorumContent>(const NodeConfig&)> inspect_quorum;
  std::function<Status(const NodeConfig&, const FormatOptions&)> format_quorum;
  std::function<Status(const NodeConfig&)> wipe_quorum;  // only when it is of config.cluster_id, and dead
  std::function<Result<pki::EnrollAnswer>(const pki::Token&, const std::string& csr, Duration)> enroll;
  std::function<int64_t()> unix_time;
};
Environment real_environment();

struct Context {
  std::string socket;
  std::string config_path = default_config_path;
  bool json = false;
  bool yes = false;
  uint32_t wait_seconds = 60;
  std::ostream& out;
  std::ostream& err;
  std::istream& in;
  bool interactive = false;  // a person can answer questions
  Environment environment;
};

// Parses and runs. `arguments` without the program's name.
int run_cli(std::vector<std::string> arguments, Context& context);

// Prints "holdfast: MESSAGE" and what to do next to `err` (one JSON object with --json); returns the exit
// code.
int report(Context& context, const Error& error, int exit_code = exit_failed);
// Asks unless --yes. An exit code other than ok means: do not.
int confirm(Context& context, const std::string& question);

}  // namespace holdfast::cli
