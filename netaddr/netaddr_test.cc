#include "netaddr/netlink.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "base/clock.h"
#include "netaddr/arp.h"

namespace holdfast::netaddr {
namespace {

TEST(Address, ParsesAndCompares) {
  EXPECT_FALSE(Address::parse("10.0.0"));
  EXPECT_FALSE(Address::parse(""));
  EXPECT_FALSE(Address::parse(std::string("10.1.2.3\0x", 10)));
  EXPECT_EQ(Address::parse("fe80::1")->to_string(), "fe80::1");
  auto a = *Address::parse("10.1.2.3");
  EXPECT_TRUE(a.same_subnet(*Address::parse("10.1.3.4"), 23));
  EXPECT_FALSE(a.same_subnet(*Address::parse("10.1.3.4"), 24));
  EXPECT_FALSE(a.same_subnet(*Address::parse("fe80::1"), 8));
  EXPECT_TRUE(a.same_subnet(*Address::parse("200.1.1.1"), 0));
}

TEST(Address, MasksBecomePrefixes) {
  EXPECT_EQ(*prefix_of_mask("255.255.255.0"), 24u);
  EXPECT_EQ(*prefix_of_mask("255.255.255.255"), 32u);
  EXPECT_EQ(*prefix_of_mask("0.0.0.0"), 0u);
  EXPECT_FALSE(prefix_of_mask("255.0.255.0"));
  EXPECT_FALSE(prefix_of_mask("24"));
  EXPECT_FALSE(prefix_of_mask(std::string("255.0.0.0\0x", 11)));
}

// Tests below run in a network namespace of their own, on a thread that never comes back to the first one.
class Netns : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root for a network namespace";
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    ASSERT_EQ(system("ip link add va type veth peer name vb && ip link set va up && ip link set vb up &&"
                     " ip addr add 10.9.0.1/24 dev va"),
              0);
  }
};

bool has(const Address& address) {
  auto all = list_addresses();
  for (const auto& item : *all)
    if (item.address == address) return true;
  return false;
}

TEST_F(Netns, PutsFindsDeletes) {
  auto address = *Address::parse("10.9.0.77");
  auto interface = find_interface_of_subnet(address, 24);
  ASSERT_TRUE(interface) << interface.error().text();
  EXPECT_EQ(interface->name, "va");
  EXPECT_TRUE(interface->carrier);
  EXPECT_FALSE(find_interface_of_subnet(*Address::parse("10.8.0.1"), 24));
  EXPECT_EQ(find_interface("nosuch0").error().code, ErrorCode::not_found);
  ASSERT_TRUE(put_address(*interface, address, 24, 100));
  ASSERT_TRUE(put_address(*interface, address, 24, 50)) << "again renews";
  EXPECT_TRUE(has(address));
  EXPECT_TRUE(announce(*interface, address));
  ASSERT_TRUE(delete_address("va", address, 24));
  EXPECT_FALSE(has(address));
  EXPECT_TRUE(delete_address("va", address, 24)) << "absent is fine";
  EXPECT_TRUE(delete_address("nosuch0", address, 24));
}

TEST_F(Netns, Ipv6IsUsableAtOnce) {
  auto address = *Address::parse("fd00::77");
  auto interface = *find_interface("va");
  ASSERT_TRUE(put_address(interface, address, 64, 100));
  EXPECT_TRUE(has(address));
  auto announced = announce(interface, address);
  EXPECT_TRUE(announced) << announced.error().text();
  EXPECT_TRUE(delete_address("va", address, 64));
}

TEST_F(Netns, TheKernelExpiresAnAddress) {
  auto address = *Address::parse("10.9.0.78");
  auto interface = *find_interface("va");
  Instant begin = boottime_now();
  ASSERT_TRUE(put_address(interface, address, 24, 1));
  while (has(address)) {
    ASSERT_LT((boottime_now() - begin).ms(), 3000);
    usleep(20000);
  }
  EXPECT_GE((boottime_now() - begin).ms(), 900);
}

TEST_F(Netns, ProbeFindsTheOwner) {
  auto va = *find_interface("va"), vb = *find_interface("vb");
  // Without an owner: quiet, and bounded.
  auto address = *Address::parse("10.9.0.200");
  Instant begin = boottime_now();
  auto free = arp_probe(vb, address, {3, Duration::milliseconds(20)});
  ASSERT_TRUE(free) << free.error().text();
  EXPECT_FALSE(free->has_value());
  EXPECT_LT((boottime_now() - begin).ms(), 500);
  // With one: `va` answers a probe that arrives over the cable.
  ASSERT_TRUE(put_address(va, address, 24, 100));
  auto owned = arp_probe(vb, address, {3, Duration::milliseconds(50)});
  ASSERT_TRUE(owned);
  EXPECT_TRUE(owned->has_value());
}

TEST_F(Netns, WatcherSeesCarrierLoss) {
  auto watcher = Watcher::open();
  ASSERT_TRUE(watcher);
  std::thread([] { ASSERT_EQ(system("ip link set vb down"), 0); }).join();
  while (find_interface("va")->carrier) usleep(1000);
  (*watcher)->drain();
}

}  // namespace
}  // namespace holdfast::netaddr
