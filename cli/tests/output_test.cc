#include "cli/output.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/quorum_device.h"
#include "cli/redact.h"
#include "cli_run.h"

namespace holdfast::cli {
namespace {

using client::testing::FakeService;
using testing::CliRun;

api::Status sample() {
  api::Status s;
  s.set_cluster_name("prod");
  s.set_cluster_id("6f1c2a34-9b0e-4d57-8a61-3c5f0e2b7d19");
  s.set_node_name("n1");
  s.set_node_id(1);
  s.set_phase("member");
  s.set_epoch(42);
  s.add_warnings("quorum log is nearly full");
  for (int i = 1; i <= 2; ++i) {
    auto* n = s.add_nodes();
    n->set_id(i);
    n->set_name("n" + std::to_string(i));
    n->set_state(i == 1 ? 0 : 1);
    n->set_state_text(i == 1 ? "Up" : "Down");
    n->set_quorum_owner(i == 1);
    n->set_reaches_lun(i == 1);
    n->set_incarnation(0xfedcba9876543210);
    n->add_addresses("lan=192.0.2.1" + std::to_string(i));
  }
  auto* g = s.add_groups();
  g->set_name("web");
  g->set_state(0);
  g->set_state_text("Online");
  g->set_owner("n1");
  g->set_reason(
      "n1 is first among the preferred owners; n2 is down since 10:02 and was therefore not considered at "
      "all");
  auto* p = g->add_properties();
  p->set_name("PreferredOwners");
  p->set_is_list(true);
  p->add_list("n1");
  g->add_resources("web-ip");
  auto* r = s.add_resources();
  r->set_name("web-ip");
  r->set_type("ip-address");
  r->set_group("web");
  r->set_state(2);
  r->set_state_text("Online");
  r->set_message("line one\nline \x1b[31mtwo");
  auto* c = s.add_counters();
  c->set_name("refused_datagrams");
  c->set_value(3);
  s.mutable_quorum()->set_kind("lun");
  s.mutable_quorum()->set_device("iscsi://198.51.100.20:3260/iqn.2026-11.example:q/0");
  s.mutable_quorum()->set_state("held");
  s.mutable_quorum()->set_owner(1);
  s.mutable_quorum()->set_key(0x1234000000002a01);
  return s;
}

TEST(Output, StatusForPeopleFitsTheScreenAndTellsWhatMatters) {
  FakeService service([](const api::Request&) {
    api::Response r;
    *r.mutable_status() = sample();
    return std::vector{r};
  });
  CliRun cli;
  ASSERT_EQ(cli({"cluster", "status", "--socket", service.path()}), exit_ok);
  std::string text = cli.out.str();
  for (const char* part : {"Cluster prod, epoch 42, seen from n1 (member)", "Quorum held, owner n1",
                           "WARNING: quorum log", "web ", "n1 is first among", "web-ip", "Down"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);  // a message may not drive the terminal
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    size_t width = 0;
    for (char c : line) width += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    EXPECT_LE(width, columns_max) << line;
    EXPECT_TRUE(line.empty() || line.back() != ' ');
  }
}

TEST(Output, StatusAsJsonHasEverythingOfTheApi) {
  Json j = to_json(sample());
  // Stable names: taking one away or renaming it breaks scripts (docs/cli.md).
  std::vector<std::string> names;
  for (const auto& item : j.items()) names.push_back(item.key());
  EXPECT_EQ(names, (std::vector<std::string>{
                       "cluster_name", "cluster_id", "node_name", "node_id", "phase", "phase_reason", "epoch",
                       "maintenance", "functional_level", "software", "lease_remaining_ms", "quorum", "nodes",
                       "groups", "resources", "networks", "counters", "cluster_properties", "warnings"}));
  EXPECT_EQ(j["nodes"][0]["incarnation"], "0xfedcba9876543210");
  EXPECT_EQ(j["nodes"][1]["state_text"], "Down");
  EXPECT_EQ(j["groups"][0]["owner"], "n1");
  EXPECT_EQ(j["groups"][0]["properties"]["PreferredOwners"], Json({"n1"}));
  EXPECT_EQ(j["resources"][0]["state"], 2);
  EXPECT_EQ(j["counters"]["refused_datagrams"], 3);
  EXPECT_EQ(j["quorum"]["key"], "0x1234000000002a01");
  EXPECT_EQ(j["quorum"]["owner_name"], "n1");
  EXPECT_EQ(j["warnings"].size(), 1u);
  // An empty status has the same names.
  Json empty = to_json(api::Status());
  for (const auto& name : names) EXPECT_TRUE(empty.contains(name)) << name;
}

TEST(Output, BytesThatAreNoTextDoNotBreakJson) {
  api::Status s = sample();
  s.mutable_warnings(0)->assign("\xff\xfe");
  std::ostringstream out;
  print_json(out, to_json(s));
  EXPECT_TRUE(nlohmann::json::accept(out.str()));
}

TEST(Output, ShowAndList) {
  FakeService service([](const api::Request&) {
    api::Response r;
    *r.mutable_status() = sample();
    return std::vector{r};
  });
  CliRun cli;
  auto run = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--socket", service.path()});
    return cli(words);
  };
  EXPECT_EQ(run({"group", "show", "web"}), exit_ok);
  EXPECT_NE(cli.out.str().find("PreferredOwners  n1"), std::string::npos) << cli.out.str();
  EXPECT_EQ(run({"node", "list", "--json"}), exit_ok);
  EXPECT_EQ(Json::parse(cli.out.str()).size(), 2u);
  EXPECT_EQ(run({"resource", "show", "web-ip", "--json"}), exit_ok);
  EXPECT_EQ(Json::parse(cli.out.str())["group"], "web");
  EXPECT_EQ(run({"quorum", "status"}), exit_ok);
  EXPECT_NE(cli.out.str().find("0x1234000000002a01"), std::string::npos);
  EXPECT_EQ(run({"node", "show", "n1"}), exit_ok);
  EXPECT_EQ(run({"cluster", "show"}), exit_ok);
  EXPECT_EQ(run({"version", "--json"}), exit_ok);
  EXPECT_EQ(run({"group", "show", "nothing"}), exit_failed);
  EXPECT_NE(cli.err.str().find("there are: web"), std::string::npos);
}

TEST(Output, EventsOneALine) {
  FakeService service([](const api::Request&) {
    std::vector<api::Response> out(2);
    out[0].mutable_event()->set_kind("GROUP_STATE");
    out[0].mutable_event()->set_object("web");
    out[0].mutable_event()->set_old_value("Offline");
    out[0].mutable_event()->set_new_value("Online");
    out[0].mutable_event()->set_classic_id(1069);
    out[1].mutable_event()->set_kind("REGROUP");
    out[1].mutable_event()->set_dropped(4);
    return out;
  });
  CliRun cli;
  ASSERT_EQ(cli({"events", "--socket", service.path()}), exit_ok);
  EXPECT_NE(cli.out.str().find("GROUP_STATE web: Offline -> Online [1069]"), std::string::npos)
      << cli.out.str();
  EXPECT_NE(cli.out.str().find("4 events were lost here"), std::string::npos);
  ASSERT_EQ(cli({"events", "--json", "--socket", service.path()}), exit_ok);
  std::istringstream lines(cli.out.str());
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_TRUE(Json::accept(line));
  EXPECT_EQ(count, 2);
}

TEST(Output, CutsCharactersNotBytes) {
  EXPECT_EQ(cut("äöüß", 4), "äöüß");
  EXPECT_EQ(cut("äöüßx", 4), "äöü…");
  EXPECT_EQ(cut("abc", 0), "");
}

TEST(Output, SecretsDoNotLeave) {
  EXPECT_EQ(redact("iscsi://joe%geheim@1.2.3.4:3260/iqn.x:y/0"), "iscsi://***@1.2.3.4:3260/iqn.x:y/0");
  EXPECT_EQ(redact("a\nmount -o password=abc,ro\nb\n"), "a\nmount -o password=***,ro\nb\n");
  EXPECT_EQ(redact("join hf1.abcdefghijklmnopqrstuvwxyz"), "join hf***");
  Json j = {{"Password", "x"}, {"deep", {{"EnrollmentHash", "y"}, {"device", "iscsi://u%p@h/t/0"}}}};
  redact(j);
  EXPECT_EQ(j.dump(), R"({"Password":"***","deep":{"EnrollmentHash":"***","device":"iscsi://***@h/t/0"}})");
}

}  // namespace
}  // namespace holdfast::cli
