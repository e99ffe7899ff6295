// Which command a line becomes, and which exit code an answer becomes.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli_run.h"

namespace holdfast::cli {
namespace {

using client::testing::FakeService;
using testing::CliRun;
using C = api::Command;

struct Line {
  std::string name;
  std::vector<std::string> words;
  std::string command;  // api::Command as written by `text`
};

std::string text(const api::Command& c) {
  std::string out = std::to_string(c.verb()) + " " + c.object() + " >" + c.target();
  if (c.force()) out += " force";
  if (c.wait_ms()) out += " wait" + std::to_string(c.wait_ms());
  for (const auto& p : c.properties()) {
    out += " " + p.name() + (p.unset() ? "-" : "=" + p.value());
    for (const auto& item : p.list()) out += item + ";";
  }
  return out;
}

class VerbLines : public ::testing::TestWithParam<Line> {};

TEST_P(VerbLines, BecomeThisCommand) {
  FakeService service([](const api::Request&) { return std::vector<api::Response>(1); });
  CliRun cli;
  auto words = GetParam().words;
  words.insert(words.end(), {"--socket", service.path(), "--json"});
  ASSERT_EQ(cli(words), exit_ok) << cli.err.str();
  ASSERT_EQ(service.requests().size(), 1u);
  EXPECT_EQ(text(service.requests()[0].command()), GetParam().command);
  EXPECT_EQ(service.requests()[0].client(), "holdfast");
  EXPECT_EQ(nlohmann::json::parse(cli.out.str())["done"], true);
}

INSTANTIATE_TEST_SUITE_P(
    All, VerbLines,
    ::testing::Values(
        Line{"ClusterSet",
             {"cluster", "set", "HeartbeatTimeoutMs=1500", "--unset", "LeaseMarginMs"},
             "1  > HeartbeatTimeoutMs=1500 LeaseMarginMs-"},
        Line{"Maintenance", {"cluster", "maintenance"}, "2  > Maintenance=1"},
        Line{"MaintenanceOff",
             {"cluster", "maintenance", "group:web", "--off"},
             "2 group:web > Maintenance=0"},
        Line{"Shutdown", {"cluster", "shutdown", "--yes", "--wait", "5"}, "3  > wait5000"},
        Line{"Pause", {"node", "pause", "n1"}, "11 n1 > Drain=0"},
        Line{"Drain", {"node", "pause", "n1", "--drain"}, "11 n1 > wait60000 Drain=1"},
        Line{"Resume", {"node", "resume", "n1"}, "12 n1 >"},
        Line{"Stop", {"node", "stop", "n1", "--force"}, "13 n1 > force wait60000"},
        Line{"Evict", {"-y", "node", "evict", "n1"}, "14 n1 >"},
        Line{"GroupCreate",
             {"group", "create", "web", "PreferredOwners=n1,n2"},
             "20 web > PreferredOwners=n1,n2"},
        Line{"GroupDelete", {"group", "delete", "web", "--force", "--yes"}, "21 web > force"},
        Line{"GroupSet", {"group", "set", "web", "Description=a=b c"}, "22 web > Description=a=b c"},
        Line{"GroupSetEmpty", {"group", "set", "web", "Description="}, "22 web > Description="},
        Line{"GroupOnline", {"group", "online", "web", "--node", "n2"}, "23 web >n2 wait60000"},
        Line{"GroupOffline", {"group", "offline", "web", "--wait", "0"}, "24 web >"},
        Line{"GroupMove", {"group", "move", "web"}, "25 web > wait60000"},
        Line{"GroupMoveTo", {"group", "move", "web", "n2", "--wait", "7"}, "25 web >n2 wait7000"},
        Line{"ResourceCreate",
             {"resource", "create", "ip", "--group", "web", "--type", "ip-address", "Address=192.0.2.80"},
             "40 ip > Group=web Type=ip-address Address=192.0.2.80"},
        Line{"ResourceDelete", {"resource", "delete", "ip"}, "41 ip >"},
        Line{"ResourceSet",
             {"resource", "set", "app", "CommandLine=/bin/app --port 80,81"},
             "42 app > CommandLine=/bin/app --port 80,81"},
        Line{"ResourceOnline", {"resource", "online", "ip"}, "43 ip > wait60000"},
        Line{"ResourceOffline", {"resource", "offline", "ip"}, "44 ip > wait60000"},
        Line{"ResourceMove", {"resource", "move", "ip", "db"}, "45 ip >db wait60000"},
        Line{"ResourceFail", {"resource", "fail", "ip"}, "46 ip >"},
        Line{"QuorumMove", {"quorum", "move", "n2"}, "60  >n2 wait60000"}),
    [](const auto& info) { return info.param.name; });

TEST(Verbs, WrongLinesAreUsageErrors) {
  CliRun cli;
  std::vector<std::vector<std::string>> lines = {
      {},
      {"group"},
      {"group", "move"},
      {"group", "create", "web", "NoValue"},
      {"group", "set", "web"},
      {"cluster", "status", "--nonsense"},
      {"cluster", "maintenance", "web"},
      {"resource", "create", "ip", "--group", "web"},
      {"group", "online", "web", "--wait", "soon"},
      {"node", "add", "bad name", "--address", "lan=192.0.2.12"},
      {"node", "add", "n2", "--address", "192.0.2.12"},
      {"cluster", "create", "--name", "a", "--node", "n", "--address", "l=192.0.2.11", "--quorum", "/dev/x",
       "--local-quorum", "/y"},
  };
  for (auto& line : lines) {
    EXPECT_EQ(cli(line), exit_usage) << (line.empty() ? "" : line.back());
    EXPECT_NE(cli.err.str().find("holdfast: "), std::string::npos);
    EXPECT_NE(cli.err.str().find("next: "), std::string::npos) << cli.err.str();
  }
  EXPECT_EQ(cli({"cluster", "statsu"}), exit_usage);
  EXPECT_NE(cli.err.str().find("did you mean 'status'?"), std::string::npos) << cli.err.str();
}

TEST(Verbs, EveryVerbTeachesWithAnExample) {
  CliRun cli;
  for (std::vector<std::string> verb : std::vector<std::vector<std::string>>{{"cluster", "create"},
                                                                             {"cluster", "join"},
                                                                             {"cluster", "status"},
                                                                             {"cluster", "destroy"},
                                                                             {"node", "add"},
                                                                             {"group", "set"},
                                                                             {"resource", "create"},
                                                                             {"quorum", "status"},
                                                                             {"disk", "probe"},
                                                                             {"disk", "release"},
                                                                             {"events"},
                                                                             {"report"}}) {
    verb.push_back("--help");
    EXPECT_EQ(cli(verb), exit_ok);
    EXPECT_NE(cli.out.str().find("Examples:\n  holdfast " + verb[0]), std::string::npos) << cli.out.str();
  }
}

TEST(Verbs, DangerousOnesAsk) {
  FakeService service([](const api::Request&) { return std::vector<api::Response>(1); });
  CliRun cli;
  std::vector<std::string> line = {"node", "evict", "n1", "--socket", service.path()};
  EXPECT_EQ(cli(line), exit_usage);  // nobody to ask
  cli.context.interactive = true;
  cli.in.str("n\n");
  EXPECT_EQ(cli(line), exit_failed);
  EXPECT_TRUE(service.requests().empty());
  cli.in.clear();
  cli.in.str("y\n");
  EXPECT_EQ(cli(line), exit_ok);
  EXPECT_EQ(service.requests().size(), 1u);
}

TEST(Verbs, ExitCodesTellWhatHappened) {
  ErrorCode code = ErrorCode::busy;
  FakeService service([&](const api::Request&) {
    api::Response r;
    r.set_error(static_cast<uint32_t>(code));
    r.set_message("cannot move group 'web': no node can take it");
    r.set_hint("look at 'holdfast node list'");
    return std::vector{r};
  });
  CliRun cli;
  std::vector<std::string> line = {"group", "move", "web", "--socket", service.path()};
  EXPECT_EQ(cli(line), exit_failed);
  EXPECT_EQ(cli.err.str(),
            "holdfast: cannot move group 'web': no node can take it\n  next: look at 'holdfast node list'\n");
  code = ErrorCode::unreachable;  // of a LUN, say: the service did answer
  EXPECT_EQ(cli(line), exit_failed);
  code = ErrorCode::timeout;
  EXPECT_EQ(cli(line), exit_timeout);
  line.push_back("--json");
  code = ErrorCode::busy;
  EXPECT_EQ(cli(line), exit_failed);
  auto error = nlohmann::json::parse(cli.err.str());
  EXPECT_EQ(error["error"], "busy");
  EXPECT_EQ(error["exit_code"], 1);
  EXPECT_EQ(cli({"cluster", "status"}), exit_unreachable);
}

}  // namespace
}  // namespace holdfast::cli
