#include "config/node_config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace holdfast {
namespace {

const std::string good = R"([cluster]
id = "6f1c2a34-9b0e-4d57-8a61-3c5f0e2b7d19"
name = "prod"
[node]
name = "n1"
id = 1
[[network]]
name = "lan"
address = "192.0.2.11"
[[peer]]
name = "n2"
id = 2
addresses = ["192.0.2.12"]
[quorum]
kind = "lun"
device = "iscsi://198.51.100.20:3260/iqn.2026-11.example:q/0"
initiator_name = "iqn.2026-11.io.holdfast:6f1c2a34:n1"
)";

std::string with(std::string from, const std::string& to) {
  std::string text = good;
  auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

Error error_of(const std::string& text) {
  auto parsed = parse_node_config(text, "holdfast.toml");
  EXPECT_FALSE(parsed.has_value());
  return parsed ? Error{} : parsed.error();
}

TEST(NodeConfig, ReadsWhatIsGivenAndFillsInDefaults) {
  auto c = parse_node_config(good, "f");
  ASSERT_TRUE(c) << c.error().text();
  EXPECT_EQ(c->cluster_name, "prod");
  EXPECT_EQ(c->node, NodeId{1});
  ASSERT_EQ(c->networks.size(), 1u);
  EXPECT_EQ(c->networks[0].port, 7420);
  ASSERT_EQ(c->peers.size(), 1u);
  EXPECT_EQ(c->peers[0].addresses[0], "192.0.2.12");
  EXPECT_EQ(c->tls_dir, "/etc/holdfast/tls");
  EXPECT_EQ(c->log_level, "info");
  EXPECT_EQ(c->socket_path(), "/run/holdfast/holdfast.sock");
}

TEST(NodeConfig, TheSampleIsValidAndItsDefaultsAreTheRealOnes) {
  auto c = load_node_config(HOLDFAST_SAMPLE_CONFIG);
  ASSERT_TRUE(c) << c.error().text();
  NodeConfig plain;
  EXPECT_EQ(c->tls_dir, plain.tls_dir);
  EXPECT_EQ(c->state_dir, plain.state_dir);
  EXPECT_EQ(c->runtime_dir, plain.runtime_dir);
  EXPECT_EQ(c->plugin_dirs, plain.plugin_dirs);
  EXPECT_EQ(c->monitor_program, plain.monitor_program);
  EXPECT_EQ(c->log_level, plain.log_level);
  EXPECT_EQ(c->quorum.initiator_name, default_initiator_name(c->cluster_id, c->node_name));
}

TEST(NodeConfig, WhatIsWrittenIsReadBack) {
  auto c = load_node_config(HOLDFAST_SAMPLE_CONFIG);
  ASSERT_TRUE(c);
  c->state_dir = "/with \"quotes\" and \\ and \t";
  auto again = parse_node_config(to_toml(*c), "f");
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(to_toml(*again), to_toml(*c));
  EXPECT_EQ(again->state_dir, c->state_dir);
}

struct Bad {
  const char* name;
  std::string text;
  std::string message, hint;
};

class NodeConfigBad : public ::testing::TestWithParam<Bad> {};

TEST_P(NodeConfigBad, IsRefusedWithPlaceReasonAndRemedy) {
  Error e = error_of(GetParam().text);
  EXPECT_EQ(e.code, ErrorCode::invalid_argument);
  EXPECT_NE(e.message.find(GetParam().message), std::string::npos) << e.message;
  EXPECT_NE(e.hint.find(GetParam().hint), std::string::npos) << e.hint;
}

INSTANTIATE_TEST_SUITE_P(
    All, NodeConfigBad,
    ::testing::Values(
        Bad{"Syntax", with("id = 1\n", "id = \n"), "holdfast.toml:6:", "TOML"},
        Bad{"UnknownKey", with("name = \"lan\"", "nmae = \"lan\""),
            "holdfast.toml:8: unknown option 'nmae' in [network]", "did you mean 'name'?"},
        Bad{"UnknownSection", good + "[qorum]\n", "unknown section or option 'qorum'",
            "did you mean 'quorum'?"},
        Bad{"UnlikeAnything", good + "[paths]\nzzzzzzzzzzzz = 1\n", "'zzzzzzzzzzzz'", "known: tls"},
        Bad{"NoClusterId", with("id = \"6f1c2a34-9b0e-4d57-8a61-3c5f0e2b7d19\"\n", ""), "'id' is missing",
            ""},
        Bad{"BadClusterId", with("6f1c2a34-9b0e", "6f1c2a34_9b0e"), "holdfast.toml:2: '6f1c2a34_9b0e",
            "UUID"},
        Bad{"ClusterName", with("\"prod\"", "\"a b\""), "holdfast.toml:3: 'a b'", "letters"},
        Bad{"NodeIdRange", with("id = 1\n", "id = 65\n"),
            "holdfast.toml:6: 'id' must be a number from 1 to 64", ""},
        Bad{"NodeIdText", with("id = 1\n", "id = \"1\"\n"), "must be a number", ""},
        Bad{"NameIsNumber", with("name = \"n1\"", "name = 1"),
            "holdfast.toml:5: 'name' must be text in quotes", ""},
        Bad{"EmptyName", with("name = \"n1\"", "name = \"\""), "'name' is empty", ""},
        Bad{"NetworkNotRepeated", with("[[network]]", "[network]"), "[[network]]", ""},
        Bad{"HostName", with("\"192.0.2.11\"", "\"n1.example\""),
            "holdfast.toml:9: 'n1.example' is no IPv4 or IPv6 address", "DNS"},
        Bad{"Multicast", with("\"192.0.2.11\"", "\"224.0.0.1\""), "no address of a host", ""},
        Bad{"LinkLocal", with("\"192.0.2.11\"", "\"fe80::1\""), "link-local", "unique-local"},
        Bad{"Port", with("address = \"192.0.2.11\"", "address = \"192.0.2.11\"\nport = 70000"),
            "holdfast.toml:10: 'port' must be a number from 1 to 65535", ""},
        Bad{"NetworkTwice", good + "[[network]]\nname = \"lan\"\naddress = \"192.0.3.1\"\n",
            "network 'lan' is there twice", ""},
        Bad{"AddressTwice", good + "[[network]]\nname = \"x\"\naddress = \"192.0.2.11\"\n", "is there twice",
            "its own"},
        Bad{"NoNetwork", with("[[network]]\nname = \"lan\"\naddress = \"192.0.2.11\"\n", ""),
            "no [[network]]", "one to eight"},
        Bad{"PeerAddresses", with("[\"192.0.2.12\"]", "[\"192.0.2.12\", \"192.0.3.12\"]"),
            "peer 'n2' has 2 addresses, but there are 1 networks", "same order"},
        Bad{"PeerNoList", with("[\"192.0.2.12\"]", "\"192.0.2.12\""), "must be a list", ""},
        Bad{"PeerIsMe", with("id = 2\n", "id = 1\n"), "node id 1 is there twice", ""},
        Bad{"PeerName", with("name = \"n2\"", "name = \"n1\""), "node name 'n1' is there twice", ""},
        Bad{"QuorumKind", with("kind = \"lun\"", "kind = \"disk\""), "quorum kind 'disk' is not known",
            "lun, local"},
        Bad{"QuorumDevice", with("\"iscsi://198", "\"scsi://198"), "is no quorum device", "/dev/disk/by-id"},
        Bad{"QuorumLocal", with("kind = \"lun\"", "kind = \"local\""), "absolute path", ""},
        Bad{"NoInitiator", with("initiator_name = \"iqn.2026-11.io.holdfast:6f1c2a34:n1\"\n", ""),
            "'initiator_name' is missing", "iqn.2026-11.io.holdfast:6f1c2a34:n1"},
        Bad{"BadInitiator", with("\"iqn.2026-11.io", "\"io"), "no iSCSI initiator name", "iqn."},
        Bad{"NoQuorum", good.substr(0, good.find("[quorum]")), "section [quorum] is missing", ""},
        Bad{"RelativePath", good + "[paths]\nstate = \"var\"\n", "'state' must be an absolute path", ""},
        Bad{"LogLevel", good + "[log]\nlevel = \"loud\"\n", "log level 'loud'", "trace"}),
    [](const auto& info) { return info.param.name; });

TEST(NodeConfig, CharactersBeyondAsciiBelongIntoQuotesAndComments) {
  EXPECT_TRUE(parse_node_config(
      "# caf\xc3\xa9 \"\n" + good + "[paths]\nstate = \"/caf\xc3\xa9\" # \xe2\x80\x9cx\xe2\x80\x9d\n", "f"));
  EXPECT_TRUE(parse_node_config(
      good + "[paths]\nstate = \"\"\"/a\\\"\"caf\xc3\xa9\"\"\"\nruntime = '/\xc3\xa9'\n", "f"));
  auto typographic = error_of(with("\"prod\"", "\xe2\x80\x9cprod\xe2\x80\x9d"));
  EXPECT_EQ(typographic.message, "holdfast.toml:3: a character that belongs into quotes");
  EXPECT_EQ(error_of(good + "\xc7\xa2n = 0\n").message,
            "holdfast.toml:" + std::to_string(1 + std::count(good.begin(), good.end(), '\n')) +
                ": a character that belongs into quotes");
  EXPECT_EQ(error_of("lan = 2\"\xc7\xa2\"\n").message,
            "holdfast.toml:1: a character that belongs into quotes");
}

TEST(NodeConfig, NothingHidesBehindANul) {
  auto address = error_of(with("\"192.0.2.11\"", "\"192.0.2.11\\u0000x\""));
  EXPECT_NE(address.message.find("is no IPv4 or IPv6 address"), std::string::npos) << address.message;
}

// With assertions (a debug build) the parser aborted.
TEST(NodeConfig, ATableNeedsAName) {
  EXPECT_EQ(error_of("[[@a]]\n").code, ErrorCode::invalid_argument);
}

TEST(NodeConfig, NineNetworksAreTooMany) {
  std::string text = good;
  for (int i = 0; i < 8; ++i)
    text += "[[network]]\nname = \"x" + std::to_string(i) + "\"\naddress = \"10.0.0." +
            std::to_string(i + 1) + "\"\n";
  text.erase(text.find("[[peer]]"), text.find("[quorum]") - text.find("[[peer]]"));
  EXPECT_NE(error_of(text).message.find("at most 8"), std::string::npos);
}

TEST(NodeConfig, SavesAtomicallyForRootOnly) {
  char dir[] = "/tmp/holdfast-config-XXXXXX";
  ASSERT_NE(mkdtemp(dir), nullptr);
  std::string path = std::string(dir) + "/holdfast.toml";
  auto c = parse_node_config(good, "f");
  ASSERT_TRUE(c);
  std::ofstream(path + ".new") << "left by a crash";
  ASSERT_TRUE(save_node_config(*c, path));
  struct stat st {};
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_NE(access((path + ".new").c_str(), F_OK), 0);
  auto again = load_node_config(path);
  ASSERT_TRUE(again);
  // What could not be read back is not written, and the old file stays.
  c->networks.clear();
  EXPECT_FALSE(save_node_config(*c, path));
  EXPECT_TRUE(load_node_config(path));
  unlink(path.c_str());
  auto gone = load_node_config(path);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::not_found);
  EXPECT_NE(gone.error().hint.find("cluster create"), std::string::npos);
  rmdir(dir);
}

TEST(NodeConfig, NetworkAddress) {
  auto a = parse_network_address("lan=2001:db8::1");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->network, "lan");
  EXPECT_EQ(a->address, "2001:db8::1");
  EXPECT_FALSE(parse_network_address("192.0.2.1"));
  EXPECT_FALSE(parse_network_address("=192.0.2.1"));
  EXPECT_FALSE(parse_network_address("lan=nowhere"));
  EXPECT_EQ(host_port("2001:db8::1", 7420), "[2001:db8::1]:7420");
  EXPECT_EQ(host_port("192.0.2.1", 1), "192.0.2.1:1");
}

}  // namespace
}  // namespace holdfast
