// ip-address on a pair of virtual interfaces in network namespaces of their own.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "harness.h"
#include "netaddr/netlink.h"

namespace holdfast::monitor {
namespace {

// Two namespaces joined by a cable: `node` has 10.7.0.1/24 on c0, `peer` has 10.7.0.2/24 on c0.
class Address : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root for network namespaces";
    static int count = 0;
    std::string id = std::to_string(getpid()) + "-" + std::to_string(++count);
    node_ = "hfn" + id;
    peer_ = "hfp" + id;
    run("ip netns add " + node_ + " && ip netns add " + peer_ + " && ip -n " + node_ +
        " link add c0 type veth peer name c0 netns " + peer_);
    for (const auto& [name, address] : {std::pair{node_, "10.7.0.1/24"}, std::pair{peer_, "10.7.0.2/24"}})
      run("ip -n " + name + " addr add " + address + " dev c0 && ip -n " + name +
          " link set c0 up && ip -n " + name + " link set lo up");
    ASSERT_TRUE(eventually(
        [&] { return output("ip -n " + node_ + " link show c0").find("LOWER_UP") != std::string::npos; }));
  }
  void TearDown() override {
    for (const auto& name : {node_, peer_})
      if (!name.empty()) run("ip netns del " + name);
  }
  static void run(const std::string& command) { EXPECT_EQ(system(command.c_str()), 0) << command; }
  static std::string output(const std::string& command) {
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    std::string out;
    char chunk[512];
    while (fgets(chunk, sizeof chunk, pipe) != nullptr) out += chunk;
    pclose(pipe);
    return out;
  }
  bool has(const std::string& netns, const std::string& address) {
    return output("ip -n " + netns + " addr show dev c0").find(address + "/") != std::string::npos;
  }
  bool peer_reaches(const std::string& address) {
    return system(("ip netns exec " + peer_ + " ping -c1 -W1 -q " + address + " >/dev/null 2>&1").c_str()) ==
           0;
  }
  MonitorOptions options() {
    MonitorOptions o;
    o.netns = node_;
    return o;
  }
  std::string node_, peer_;
};

const Parameters vip = {{"Address", "10.7.0.77"}, {"SubnetMask", "255.255.255.0"}};

TEST_F(Address, ComesAndGoesQuickly) {
  MonitorProcess m(options());
  m.run(Order::OPEN, "ip", "ip-address", vip);
  Instant begin = boottime_now();
  auto online = m.run(Order::ONLINE, "ip", "", vip);
  int64_t took_ms = (boottime_now() - begin).ms();
  ASSERT_EQ(online.state(), State::ONLINE) << online.message();
  RecordProperty("online_ms", static_cast<int>(took_ms));
  EXPECT_LT(took_ms, 500) << "three probes of 30 ms, and a loaded machine";
  EXPECT_TRUE(has(node_, "10.7.0.77"));
  EXPECT_TRUE(peer_reaches("10.7.0.77"));
  EXPECT_EQ(m.run(Order::OFFLINE, "ip").state(), State::OFFLINE);
  EXPECT_FALSE(has(node_, "10.7.0.77"));
}

TEST_F(Address, IsRefreshedBeyondItsLifetime) {
  MonitorProcess m(options());
  auto p = vip;
  p.push_back({"ValidLifetime", "1"});
  m.bring_up("ip", "ip-address", p);
  Instant until = boottime_now() + Duration::milliseconds(3500);
  while (boottime_now() < until) {
    ASSERT_TRUE(has(node_, "10.7.0.77"));
    usleep(50000);
  }
}

TEST_F(Address, TheKernelRemovesItFromAStoppedMonitor) {
  MonitorProcess m(options());
  m.bring_up("ip", "ip-address", vip);
  m.signal(SIGSTOP);
  Instant begin = boottime_now();
  EXPECT_TRUE(eventually([&] { return !has(node_, "10.7.0.77"); }, 6000));
  EXPECT_LT((boottime_now() - begin).ms(), 3500);
  m.signal(SIGCONT);
}

TEST_F(Address, IsWithheldWhenTheLeaseLapsesAndComesBack) {
  auto o = options();
  o.grant = false;
  MonitorProcess m(o);
  m.grant_for(Duration::milliseconds(1000));
  m.bring_up("ip", "ip-address", vip);
  ASSERT_TRUE(m.wait_report([](const Report& r) { return r.held(); }));
  EXPECT_FALSE(has(node_, "10.7.0.77")) << "at once, not when the kernel expires it";
  m.grant_for(Duration::seconds(60));
  ASSERT_TRUE(m.wait_report([](const Report& r) { return !r.held(); }));
  EXPECT_TRUE(has(node_, "10.7.0.77"));
  EXPECT_EQ(m.run(Order::OFFLINE, "ip").state(), State::OFFLINE);
  EXPECT_FALSE(has(node_, "10.7.0.77"));
}

TEST_F(Address, AwaitsAnOwnerThatStillAnswers) {
  run("ip -n " + peer_ + " addr add 10.7.0.77/24 dev c0 valid_lft 2 preferred_lft 2");
  MonitorProcess m(options());
  m.run(Order::OPEN, "ip", "ip-address", vip);
  uint64_t order = m.order(Order::ONLINE, "ip", "", vip);
  auto waiting = m.wait_report(
      [](const Report& r) { return r.message().find("still answered for by") != std::string::npos; });
  ASSERT_TRUE(waiting);
  EXPECT_FALSE(has(node_, "10.7.0.77"));
  auto online = m.result_of(order);
  ASSERT_TRUE(online);
  EXPECT_EQ(online->state(), State::ONLINE);
  EXPECT_FALSE(has(peer_, "10.7.0.77")) << "it was given up first";
}

TEST_F(Address, TakesItFromOneThatNeverGivesUp) {
  run("ip -n " + peer_ + " addr add 10.7.0.77/24 dev c0");
  MonitorProcess m(options());
  auto p = vip;
  p.push_back({"AwaitConflict", "200"});
  auto online = m.bring_up("ip", "ip-address", p);
  EXPECT_NE(online.message().find("it was taken"), std::string::npos) << online.message();
  EXPECT_TRUE(has(node_, "10.7.0.77"));
}

TEST_F(Address, CarrierLossIsAFailureAtOnce) {
  MonitorProcess m(options());
  m.bring_up("ip", "ip-address", vip);
  run("ip -n " + peer_ + " link set c0 down");
  auto failed = m.wait_state("ip", State::FAILED);
  ASSERT_TRUE(failed);
  EXPECT_NE(failed->message().find("lost its carrier"), std::string::npos) << failed->message();
  EXPECT_FALSE(has(node_, "10.7.0.77"));
  auto again = m.run(Order::ONLINE, "ip", "", vip);
  EXPECT_EQ(again.state(), State::FAILED);
  EXPECT_NE(again.message().find("no carrier"), std::string::npos) << again.message();
}

TEST_F(Address, AnnouncesItself) {
  // The peer remembers another MAC for the address; an announcement corrects it.
  run("ip -n " + peer_ + " neigh replace 10.7.0.77 lladdr 02:00:00:00:00:99 nud stale dev c0");
  MonitorProcess m(options());
  m.bring_up("ip", "ip-address", vip);
  EXPECT_TRUE(eventually([&] {
    return output("ip -n " + peer_ + " neigh show 10.7.0.77").find("02:00:00:00:00:99") == std::string::npos;
  }));
}

TEST_F(Address, WrongPropertiesAreExplained) {
  MonitorProcess m(options());
  auto message = [&](const Parameters& p) {
    auto opened = m.run(Order::OPEN, "ip", "ip-address", p);
    return opened.error() != 0 ? opened.message() : m.run(Order::ONLINE, "ip", "", p).message();
  };
  EXPECT_NE(message({}).find("Address"), std::string::npos);
  EXPECT_NE(message({{"Address", "10.7.0"}}).find("not an IPv4 or IPv6"), std::string::npos);
  EXPECT_NE(message({{"Address", "10.7.0.9"}, {"SubnetMask", "255.0.255.0"}}).find("holes"),
            std::string::npos);
  EXPECT_NE(message({{"Address", "10.99.0.9"}}).find("no interface has an address in the subnet"),
            std::string::npos);
  EXPECT_NE(message({{"Address", "10.7.0.9"}, {"Network", "nosuch0"}}).find("nosuch0"), std::string::npos);
  EXPECT_NE(message({{"Address", "10.7.0.1"}, {"Network", "c0"}}).find("without Holdfast"),
            std::string::npos);
}

TEST_F(Address, TheSweepRemovesWhatAKilledMonitorLeft) {
  ScratchDir state;
  auto o = options();
  o.state_dir = state.path();
  auto p = vip;
  p.push_back({"ValidLifetime", "600"});
  {
    MonitorProcess m(o);
    m.bring_up("ip", "ip-address", p);
    m.signal(SIGKILL);
    m.wait_exit();
  }
  EXPECT_TRUE(has(node_, "10.7.0.77"));
  EXPECT_EQ(run_sweep(state.path(), node_), 0);
  EXPECT_FALSE(has(node_, "10.7.0.77"));
}

TEST_F(Address, Ipv6Works) {
  MonitorProcess m(options());
  Parameters p = {{"Address", "fd07::77"}, {"PrefixLength", "64"}, {"Network", "c0"}};
  m.bring_up("ip", "ip-address", p);
  EXPECT_TRUE(has(node_, "fd07::77"));
  EXPECT_EQ(m.run(Order::OFFLINE, "ip").state(), State::OFFLINE);
  EXPECT_FALSE(has(node_, "fd07::77"));
}

}  // namespace
}  // namespace holdfast::monitor
