// The working lease: what no reservation guards is held when it lapses, and released by a newer grant.
#include "harness.h"

namespace holdfast::monitor {
namespace {

TEST(Lease, HoldsWhenItLapsesAndReleasesOnTheNextGrant) {
  ScratchDir dir;
  MonitorProcess m({.grant = false});
  m.grant_for(Duration::milliseconds(700));
  Instant lapses = boottime_now() + Duration::milliseconds(700);
  Parameters p = {{"Trace", dir.file("trace")}};
  m.bring_up("disk", "actor", p);
  m.bring_up("address", "floating", p);
  auto held = m.wait_report([](const Report& r) { return r.held(); });
  ASSERT_TRUE(held);
  EXPECT_EQ(held->resource(), "address");
  EXPECT_EQ(held->state(), State::ONLINE) << "held is reversible, not a failure";
  int64_t late_ms = (boottime_now() - lapses).ms();
  EXPECT_GE(late_ms, -1);
  m.grant_for(Duration::seconds(60));
  auto released = m.wait_report([](const Report& r) { return r.resource() == "address" && !r.held(); });
  ASSERT_TRUE(released);
  EXPECT_EQ(released->state(), State::ONLINE);
  EXPECT_EQ(read_lines(dir.file("trace")),
            (std::vector<std::string>{"open disk", "online disk", "open address", "online address",
                                      "hold address", "release address"}));
}

TEST(Lease, AnOlderGrantReleasesNothing) {
  MonitorProcess m({.grant = false});
  m.grant_for(Duration::milliseconds(500));
  m.bring_up("r", "floating", {});
  ASSERT_TRUE(m.wait_report([](const Report& r) { return r.held(); }));
  m.grant_for(Duration::milliseconds(-100));
  EXPECT_EQ(m.run(Order::CONTROL, "r", "", {}, [](Order& o) { o.set_control("x"); }).held(), true);
}

TEST(Lease, NothingUnguardedComesOnlineWithoutOne) {
  MonitorProcess m({.grant = false});
  m.run(Order::OPEN, "r", "floating");
  auto refused = m.run(Order::ONLINE, "r");
  EXPECT_EQ(refused.error(), static_cast<uint32_t>(ErrorCode::not_member));
  EXPECT_EQ(refused.state(), State::OFFLINE);
  EXPECT_EQ(m.bring_up("disk", "actor", {}).state(), State::ONLINE) << "reservations guard this one";
  m.grant_for(Duration::seconds(60));
  EXPECT_EQ(m.run(Order::ONLINE, "r").state(), State::ONLINE);
}

TEST(Lease, HeldThingsEndByForce) {
  ScratchDir dir;
  MonitorProcess m({.grant = false});
  m.grant_for(Duration::milliseconds(500));
  m.bring_up("r", "floating", {{"Trace", dir.file("trace")}});
  ASSERT_TRUE(m.wait_report([](const Report& r) { return r.held(); }));
  auto off = m.run(Order::OFFLINE, "r");
  EXPECT_EQ(off.state(), State::OFFLINE);
  EXPECT_FALSE(off.held());
  EXPECT_EQ(read_lines(dir.file("trace")).back(), "terminate r");
}

TEST(Lease, WhatCannotBeHeldIsTerminated) {
  MonitorProcess m({.grant = false});
  m.grant_for(Duration::milliseconds(500));
  m.bring_up("r", "floating", {{"Hold", "fail"}});
  auto failed = m.wait_state("r", State::FAILED);
  ASSERT_TRUE(failed);
  EXPECT_NE(failed->message().find("could not be held"), std::string::npos) << failed->message();
}

TEST(Lease, RenewalsKeepEverythingAsItIs) {
  ScratchDir dir;
  MonitorProcess m({.grant = false});
  m.grant_for(Duration::seconds(1));
  m.bring_up("r", "floating", {{"Trace", dir.file("trace")}});
  Instant until = boottime_now() + Duration::milliseconds(1500);
  m.pump_until(
      [&] {
        m.grant_for(Duration::seconds(1));
        return boottime_now() > until;
      },
      10000);
  EXPECT_EQ(read_lines(dir.file("trace")).size(), 2u);
}

}  // namespace
}  // namespace holdfast::monitor
