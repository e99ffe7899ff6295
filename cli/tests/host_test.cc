// Verbs that change this host: everything is done, or nothing is left.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "cli_run.h"

namespace holdfast::cli {
namespace {

using client::testing::FakeService;
using testing::CliRun;

int mode_of(const std::string& path) {
  struct stat st {};
  return stat(path.c_str(), &st) == 0 ? static_cast<int>(st.st_mode & 0777) : -1;
}

TEST(Create, MakesAuthorityCertificateConfigurationAndQuorum) {
  CliRun cli;
  ASSERT_EQ(cli.create(), exit_ok) << cli.err.str();
  std::string tls = cli.folder + "/etc/tls";
  EXPECT_EQ(mode_of(tls), 0700);
  EXPECT_EQ(mode_of(tls + "/node.key"), 0600);
  EXPECT_EQ(mode_of(tls + "/authority.key"), 0600);
  EXPECT_EQ(mode_of(cli.context.config_path), 0600);
  auto config = load_node_config(cli.context.config_path);
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->cluster_name, "prod");
  EXPECT_EQ(config->quorum.kind, "local");
  EXPECT_EQ(config->tls_dir, tls);
  auto certificate = read_file(tls + "/node.pem"), authority = read_file(tls + "/authority.pem");
  ASSERT_TRUE(certificate && authority);
  EXPECT_TRUE(pki::check_signed_by(*certificate, *authority));
  EXPECT_EQ(pki::read_identity(*certificate)->node, NodeId{1});
  ASSERT_EQ(cli.formatted.size(), 1u);
  EXPECT_EQ(cli.formatted[0].node_addresses, std::vector<std::string>{"lan=192.0.2.11"});
  EXPECT_EQ(cli.formatted[0].fingerprint, pki::fingerprint(*certificate));
  EXPECT_EQ(cli.formatted[0].cluster_id, config->cluster_id);
  EXPECT_NE(cli.out.str().find("holdfastd --config"), std::string::npos) << cli.out.str();
  // Not twice.
  EXPECT_EQ(cli.create(), exit_failed);
  EXPECT_NE(cli.err.str().find("configured for a cluster already"), std::string::npos);
  EXPECT_TRUE(exists(cli.context.config_path));
}

TEST(Create, ChecksBeforeItChangesAnything) {
  CliRun cli;
  auto refused = [&](const char* why, std::vector<std::string> more = {}) {
    EXPECT_EQ(cli.create(more), exit_failed);
    EXPECT_NE(cli.err.str().find(why), std::string::npos) << cli.err.str();
    EXPECT_FALSE(exists(cli.folder + "/etc"));
    EXPECT_TRUE(cli.formatted.empty());
  };
  refused("203.0.113.9 is not on this host", {"--address", "san=203.0.113.9"});
  refused("'lan' is given twice", {"--address", "lan=198.51.100.11"});
  refused("is no iSCSI initiator name", {"--initiator", "me"});
  cli.context.environment.is_root = [] { return false; };
  refused("changes the host");
  cli.context.environment.is_root = [] { return true; };
  QuorumContent content;
  content.foreign = "an ext4 file system";
  cli.context.environment.inspect_quorum = [&](const NodeConfig&) -> Result<QuorumContent> {
    return content;
  };
  refused("holds an ext4 file system");
  content = {};
  content.cluster_id = "x", content.cluster_name = "other";
  refused("belongs to cluster 'other'");
  content.alive = true;
  refused("living cluster 'other'", {"--force", "--yes"});  // not even by force
  content.alive = false;
  EXPECT_EQ(cli.create({"--force"}), exit_usage);  // asks
  EXPECT_EQ(cli.create({"--force", "--yes"}), exit_ok) << cli.err.str();
  EXPECT_TRUE(cli.formatted.at(0).force);
}

TEST(Create, TakesEverythingBackWhenAStepFails) {
  CliRun cli;
  cli.context.environment.format_quorum = [](const NodeConfig&, const FormatOptions&) -> Status {
    return fail(ErrorCode::unreachable, "the LUN does not answer", 0, "look at the target");
  };
  EXPECT_EQ(cli.create(), exit_failed);
  EXPECT_NE(cli.err.str().find("cannot create cluster 'prod': the LUN does not answer"), std::string::npos);
  EXPECT_NE(cli.err.str().find("undone: file"), std::string::npos);
  EXPECT_NE(cli.err.str().find("next: look at the target"), std::string::npos);
  EXPECT_FALSE(exists(cli.folder + "/etc"));
  EXPECT_EQ(cli.wiped, 0);
}

TEST(Create, JsonNamesWhatWasMade) {
  CliRun cli;
  ASSERT_EQ(cli.create({"--json"}), exit_ok);
  auto j = nlohmann::json::parse(cli.out.str());
  EXPECT_EQ(j["node_id"], 1);
  EXPECT_EQ(j["started"], false);
  EXPECT_EQ(j["cluster_id"].get<std::string>().size(), 36u);
}

// One cluster, a second host, and an enrollment server that is played by the real functions of pki.
struct TwoHosts {
  CliRun first, second;
  std::string token, hash;
  std::string address = "198.51.100.11";
  pki::KeyPair authority;
  std::unique_ptr<FakeService> service;

  TwoHosts() {
    EXPECT_EQ(first.create(), exit_ok) << first.err.str();
    authority = {*read_file(first.folder + "/etc/tls/authority.pem"),
                 *read_file(first.folder + "/etc/tls/authority.key")};
    service = std::make_unique<FakeService>([](const api::Request&) {
      api::Response r;
      r.set_text("2");
      return std::vector{r};
    });
    EXPECT_EQ(
        first({"node", "add", "n2", "--address", "lan=" + address, "--json", "--socket", service->path()}),
        exit_ok)
        << first.err.str();
    auto j = nlohmann::json::parse(first.out.str());
    token = j["token"];
    auto requests = service->requests();
    for (const auto& p : requests.at(0).command().properties())
      if (p.name() == "EnrollmentHash") hash = p.value();
    second.context.environment.enroll = [this](const pki::Token& t, const std::string& csr, Duration) {
      return enroll(t, csr);
    };
  }

  Result<pki::EnrollAnswer> enroll(const pki::Token& t, const std::string& csr) {
    if (pki::hash_secret(t.secret) != hash) return fail(ErrorCode::permission, "the secret is wrong");
    HOLDFAST_TRY(auto certificate, pki::sign_csr(authority, csr, "n2", NodeId{2}, t.cluster_id, 10));
    HOLDFAST_TRY(auto config, load_node_config(first.context.config_path));
    config.peers = {{"n1", NodeId{1}, {"192.0.2.11"}, 7420}};
    config.node_name = "n2";
    config.node = NodeId{2};
    config.networks[0].address = address;
    return pki::EnrollAnswer{certificate, authority.certificate_pem, to_toml(config)};
  }
  int join(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {
        "cluster", "join", token, "--dir", second.folder + "/etc", "--state-dir", second.folder + "/var/lib"};
    words.insert(words.end(), more.begin(), more.end());
    return second(words);
  }
};

TEST(Join, ATokenMakesANode) {
  TwoHosts hosts;
  auto command = hosts.service->requests().at(0).command();
  EXPECT_EQ(command.verb(), api::Command::NODE_ADD);
  EXPECT_EQ(command.properties(0).list(0), "lan=198.51.100.11");
  auto token = pki::decode_token(hosts.token);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->node, NodeId{2});
  EXPECT_EQ(token->addresses, std::vector<std::string>{"192.0.2.11:7420"});
  EXPECT_EQ(token->expires_unix, 1'790'000'000 + 3600);

  ASSERT_EQ(hosts.join({"--address", "lan=198.51.100.11"}), exit_ok) << hosts.second.err.str();
  auto config = load_node_config(hosts.second.context.config_path);
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->node, NodeId{2});
  EXPECT_EQ(config->peers.at(0).name, "n1");
  EXPECT_EQ(config->tls_dir, hosts.second.folder + "/etc/tls");
  auto certificate = read_file(config->tls_dir + "/node.pem"), key = read_file(config->tls_dir + "/node.key");
  ASSERT_TRUE(certificate && key);
  EXPECT_TRUE(pki::check_matches_key(*certificate, *key));
  EXPECT_FALSE(exists(config->tls_dir + "/authority.key"));
  EXPECT_EQ(mode_of(config->tls_dir + "/node.key"), 0600);
}

TEST(Join, RefusesAndLeavesNothing) {
  TwoHosts hosts;
  auto refused = [&](const char* why, std::vector<std::string> more = {}) {
    EXPECT_EQ(hosts.join(more), exit_failed);
    EXPECT_NE(hosts.second.err.str().find(why), std::string::npos) << hosts.second.err.str();
    EXPECT_FALSE(exists(hosts.second.folder + "/etc"));
  };
  std::string good = hosts.token;
  hosts.token[good.size() / 2] = good[good.size() / 2] == 'A' ? 'B' : 'A';
  refused("cannot join: ");
  hosts.token = good;
  refused("203.0.113.9 is not on this host", {"--address", "lan=203.0.113.9"});
  refused("without lan=2001:db8::11", {"--address", "lan=2001:db8::11"});
  EXPECT_NE(hosts.second.err.str().find("the token is used up"), std::string::npos);
  hosts.address = "203.0.113.7";
  refused("203.0.113.7 is not on this host");
  hosts.address = "198.51.100.11";
  auto other = pki::create_authority("other", pki::random_uuid(), 10);
  ASSERT_TRUE(other);
  auto mine = hosts.authority;
  hosts.authority = *other;
  refused("the authority is not the one");
  hosts.authority = mine;
  hosts.hash = "x";
  refused("the secret is wrong");
  hosts.second.context.environment.unix_time = [] { return int64_t{1'790'010'000}; };
  refused("the token has expired");
}

TEST(NodeAdd, NeedsTheAuthorityKey) {
  CliRun cli;
  ASSERT_EQ(cli.create(), exit_ok);
  std::filesystem::remove(cli.folder + "/etc/tls/authority.key");
  EXPECT_EQ(cli({"node", "add", "n2", "--address", "lan=192.0.2.12"}), exit_failed);
  EXPECT_NE(cli.err.str().find("the authority key is not on this node"), std::string::npos);
}

TEST(Destroy, ForgetsTheClusterHere) {
  CliRun cli;
  ASSERT_EQ(cli.create(), exit_ok);
  ASSERT_TRUE(write_new_file(cli.folder + "/var/lib/replica.db", "x", 0600));
  EXPECT_EQ(cli({"cluster", "destroy"}), exit_usage);  // asks
  EXPECT_TRUE(exists(cli.context.config_path));
  ASSERT_EQ(cli({"cluster", "destroy", "--wipe-quorum", "--yes"}), exit_ok) << cli.err.str();
  EXPECT_EQ(cli.wiped, 1);
  EXPECT_FALSE(exists(cli.context.config_path));
  EXPECT_FALSE(exists(cli.folder + "/etc/tls"));
  EXPECT_FALSE(exists(cli.folder + "/var/lib"));
  EXPECT_EQ(cli({"cluster", "destroy", "--yes"}), exit_failed);
  ASSERT_EQ(cli.create(), exit_ok) << cli.err.str();  // the host is free again
}

TEST(Destroy, LeavesEverythingWhenTheQuorumIsInUse) {
  CliRun cli;
  ASSERT_EQ(cli.create(), exit_ok);
  cli.context.environment.wipe_quorum = [](const NodeConfig&) -> Status {
    return fail(ErrorCode::busy, "its beacon moves");
  };
  EXPECT_EQ(cli({"cluster", "destroy", "--wipe-quorum", "--yes"}), exit_failed);
  EXPECT_TRUE(exists(cli.context.config_path));
}

TEST(Report, WorksWithoutAServiceAndSaysWhatIsMissing) {
  CliRun cli;
  ASSERT_EQ(cli.create(), exit_ok);
  auto real = real_environment();
  cli.context.environment.run = [&](const std::vector<std::string>& argv, Duration limit) {
    if (argv[0] == "tar" || argv[0] == "uname") return real.run(argv, limit);
    return ProgramResult{127, ""};
  };
  std::string file = cli.folder + "/r.tar.gz";
  ASSERT_EQ(cli({"report", "-o", file, "--json"}), exit_ok) << cli.err.str();
  EXPECT_EQ(mode_of(file), 0600);
  auto j = nlohmann::json::parse(cli.out.str());
  auto parts = j["parts"].get<std::vector<std::string>>();
  for (const char* part : {"holdfast.toml", "quorum.json", "uname.txt", "CONTENTS.txt"})
    EXPECT_NE(std::find(parts.begin(), parts.end(), part), parts.end()) << part;
  bool told = false;
  for (const auto& m : j["missing"]) told = told || m["part"] == "status.json";
  EXPECT_TRUE(told);
  auto listing = real.run({"tar", "-tzf", file}, Duration::seconds(10));
  EXPECT_EQ(listing.output.find(".key"), std::string::npos);
  EXPECT_EQ(cli({"report", "-o", file}), exit_failed);  // never overwrites
}

TEST(Programs, HaveADeadline) {
  auto e = real_environment();
  EXPECT_EQ(e.run({"sh", "-c", "echo hello; exit 3"}, Duration::seconds(5)).exit_code, 3);
  EXPECT_EQ(e.run({"sh", "-c", "echo hello"}, Duration::seconds(5)).output, "hello\n");
  EXPECT_EQ(e.run({"holdfast-no-such-program"}, Duration::seconds(5)).exit_code, 127);
  EXPECT_EQ(e.run({"sleep", "30"}, Duration::milliseconds(50)).exit_code, 137);
}

}  // namespace
}  // namespace holdfast::cli
