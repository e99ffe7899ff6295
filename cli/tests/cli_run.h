// CliRun: one host with the holdfast command, for tests: own folder, played environment, captured output.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <sstream>

#include "cli/context.h"
#include "cli/files.h"
#include "fake_service.h"

namespace holdfast::cli::testing {

struct CliRun {
  CliRun() {
    char name[] = "/tmp/holdfast-cli-XXXXXX";
    folder = mkdtemp(name);
    context.config_path = folder + "/etc/holdfast.toml";
    context.socket = folder + "/no-service";
    auto& e = context.environment;
    e.is_root = [] { return true; };
    e.local_addresses = [] {
      return std::vector<std::string>{"192.0.2.11", "198.51.100.11", "2001:db8::11"};
    };
    e.has_systemd = [] { return false; };
    e.run = [this](const std::vector<std::string>& argv, Duration) {
      programs.push_back(argv);
      return ProgramResult{};
    };
    e.inspect_quorum = [](const NodeConfig&) -> Result<QuorumContent> {
      QuorumContent c;
      c.blank = true;
      return c;
    };
    e.format_quorum = [this](const NodeConfig&, const FormatOptions& o) -> Status {
      formatted.push_back(o);
      return {};
    };
    e.wipe_quorum = [this](const NodeConfig&) -> Status {
      ++wiped;
      return {};
    };
    e.enroll = [](const pki::Token&, const std::string&, Duration) -> Result<pki::EnrollAnswer> {
      return fail(ErrorCode::unreachable, "no cluster in this test");
    };
    e.unix_time = [] { return int64_t{1'790'000'000}; };
  }
  ~CliRun() { std::filesystem::remove_all(folder); }
  CliRun(const CliRun&) = delete;

  int operator()(std::vector<std::string> arguments) {
    out.str("");
    err.str("");
    context.json = context.yes = false;
    context.wait_seconds = 60;
    context.socket = folder + "/no-service";
    return run_cli(std::move(arguments), context);
  }
  int create(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {
        "cluster",        "create",          "--name", "prod",          "--node",      "n1",
        "--address",      "lan=192.0.2.11",  "--dir",  folder + "/etc", "--state-dir", folder + "/var/lib",
        "--local-quorum", folder + "/quorum"};
    words.insert(words.end(), more.begin(), more.end());
    return (*this)(words);
  }

  std::string folder;
  std::ostringstream out, err;
  std::istringstream in;
  Context context{.out = out, .err = err, .in = in};
  std::vector<std::vector<std::string>> programs;
  std::vector<FormatOptions> formatted;
  int wiped = 0;
};

}  // namespace holdfast::cli::testing
