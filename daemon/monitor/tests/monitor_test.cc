// Orders, serialisation, time limits, polls and reports.
#include <fstream>

#include "harness.h"

namespace holdfast::monitor {
namespace {

using Code = ErrorCode;
uint32_t number(Code code) {
  return static_cast<uint32_t>(code);
}

TEST(Monitor, SaysHelloWithItsTypes) {
  MonitorProcess m({});
  EXPECT_GE(m.hello_reply().version(), 1u);
  EXPECT_EQ(m.hello_reply().pid(), static_cast<uint32_t>(m.pid()));
  auto types = m.hello_reply().types();
  EXPECT_NE(std::find(types.begin(), types.end(), "actor"), types.end());
}

TEST(Monitor, RefusesAServiceOfAnotherTime) {
  MonitorProcess m({.version_min = 90, .version_max = 91});
  EXPECT_EQ(m.hello_reply().version(), 0u);
  EXPECT_NE(m.hello_reply().text().find("no protocol version in common"), std::string::npos);
  EXPECT_EQ(m.wait_exit(), 12);
}

TEST(Monitor, RefusesOrdersBeforeHello) {
  MonitorProcess m({.hello = false, .grant = false});
  m.order(Order::OPEN, "r", "actor");
  EXPECT_EQ(m.wait_exit(), 12);
}

TEST(Monitor, OneLifetimeOfAResource) {
  ScratchDir dir;
  MonitorProcess m({});
  Parameters p = {{"Trace", dir.file("trace")}};
  auto online = m.bring_up("r", "actor", p);
  EXPECT_EQ(online.published_size(), 1);
  EXPECT_EQ(online.published(0).value(), "n1");
  EXPECT_EQ(m.run(Order::ONLINE, "r").message(), "It is online already.");
  auto offline = m.run(Order::OFFLINE, "r");
  EXPECT_EQ(offline.state(), State::OFFLINE);
  EXPECT_EQ(offline.published_size(), 0) << "what it published is withdrawn";
  EXPECT_EQ(m.run(Order::OFFLINE, "r").error(), 0u) << "again is fine";
  EXPECT_EQ(m.run(Order::CLOSE, "r").state(), State::OFFLINE);
  EXPECT_EQ(m.run(Order::TERMINATE, "r").error(), 0u) << "what is not open is ended";
  EXPECT_EQ(m.run(Order::ONLINE, "r").error(), number(Code::not_found));
  EXPECT_EQ(read_lines(dir.file("trace")),
            (std::vector<std::string>{"open r", "online r", "offline r", "close r"}));
}

// The service could not read a message with it, and would end the monitor with everything that it runs.
TEST(Monitor, WhatAPluginSaysIsTextAtLast) {
  MonitorProcess m({});
  auto online = m.bring_up("r", "actor", {{"Online", "mumble"}});
  EXPECT_EQ(online.message(), "cut in a character: ??");
  ASSERT_EQ(online.published_size(), 1);
  EXPECT_EQ(online.published(0).value(), "n?");
  EXPECT_TRUE(eventually([&] {
    m.pump_until([] { return false; }, 10);
    return std::find(m.log().begin(), m.log().end(), "r: caf?") != m.log().end();
  }));
}

TEST(Monitor, HandsOverWhatProvidersPublished) {
  MonitorProcess m({});
  m.run(Order::OPEN, "r", "actor");
  auto r = m.run(Order::ONLINE, "r", "", {}, [](Order& o) {
    auto* p = o.add_providers();
    p->set_name("disk");
    p->set_value("physical-disk");
    p->add_list("Device=/dev/sdq");
  });
  ASSERT_EQ(r.published_size(), 2);
  EXPECT_EQ(r.published(1).value(), "/dev/sdq");
}

TEST(Monitor, RefusesExpiredAndOlderOrders) {
  ScratchDir dir;
  MonitorProcess m({});
  Parameters p = {{"Trace", dir.file("trace")}};
  m.run(Order::OPEN, "r", "actor", p);
  auto late = m.run(Order::ONLINE, "r", "", p, [](Order& o) { o.set_expires_boottime_ns(1); });
  EXPECT_EQ(late.error(), number(Code::cancelled));
  EXPECT_NE(late.message().find("expired"), std::string::npos) << late.message();
  EXPECT_EQ(late.state(), State::OFFLINE);
  EXPECT_EQ(m.run(Order::ONLINE, "r", "", p, [](Order& o) { o.set_generation(7); }).state(), State::ONLINE);
  auto old = m.run(Order::OFFLINE, "r", "", {}, [](Order& o) { o.set_generation(6); });
  EXPECT_EQ(old.error(), number(Code::conflict));
  EXPECT_EQ(old.state(), State::ONLINE);
  EXPECT_EQ(old.generation(), 7u);
  EXPECT_EQ(read_lines(dir.file("trace")), (std::vector<std::string>{"open r", "online r"}));
}

TEST(Monitor, AnOrderThatExpiresWhileItWaitsIsRefused) {
  MonitorProcess m({});
  m.run(Order::OPEN, "r", "actor", {{"Online", "hang"}});
  uint64_t online = m.order(Order::ONLINE, "r", "", {{"Online", "hang"}});
  auto waiting = m.run(Order::OFFLINE, "r", "", {}, [](Order& o) {
    o.set_expires_boottime_ns(static_cast<uint64_t>((boottime_now() + Duration::milliseconds(50)).ns));
  });
  EXPECT_EQ(waiting.error(), number(Code::cancelled));
  uint64_t terminate = m.order(Order::TERMINATE, "r");
  EXPECT_EQ(m.result_of(terminate)->state(), State::OFFLINE);
  (void)online;
}

TEST(Monitor, OrdersOfOneResourceAreSerialOthersDoNotWait) {
  MonitorProcess m({});
  m.run(Order::OPEN, "slow", "actor");
  m.run(Order::OPEN, "quick", "actor");
  uint64_t slow = m.order(Order::ONLINE, "slow", "", {{"Online", "slow"}, {"Delay", "300"}});
  uint64_t then = m.order(Order::OFFLINE, "slow");
  EXPECT_EQ(m.run(Order::ONLINE, "quick").state(), State::ONLINE);
  auto first = m.result_of(slow);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->state(), State::ONLINE);
  EXPECT_EQ(m.result_of(then)->state(), State::OFFLINE);
}

TEST(Monitor, ProgressKeepsAPendingOnlineAlive) {
  MonitorProcess m({});
  m.run(Order::OPEN, "r", "actor");
  uint64_t order = m.order(Order::ONLINE, "r", "", {{"Online", "slow"}, {"Delay", "1500"}},
                           [](Order& o) { o.set_pending_timeout_ms(700); });
  auto progress = m.wait_report([](const Report& r) { return r.progress() >= 3; });
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->state(), State::ONLINE_PENDING);
  EXPECT_EQ(progress->message(), "still at it");
  EXPECT_EQ(m.result_of(order)->state(), State::ONLINE);
}

TEST(Monitor, AsynchronousCompletion) {
  MonitorProcess m({});
  auto r = m.bring_up("r", "actor", {{"Online", "async"}, {"Delay", "30"}});
  EXPECT_EQ(r.message(), "came up in the background");
}

TEST(Monitor, PendingTimeoutOfOnlineTerminatesAndFails) {
  ScratchDir dir;
  MonitorProcess m({});
  Parameters p = {{"Online", "hang"}, {"Trace", dir.file("trace")}};
  m.run(Order::OPEN, "r", "actor", p);
  auto r = m.run(Order::ONLINE, "r", "", p, [](Order& o) { o.set_pending_timeout_ms(100); });
  EXPECT_EQ(r.state(), State::FAILED);
  EXPECT_EQ(r.error(), number(Code::timeout));
  EXPECT_NE(r.message().find("PendingTimeout"), std::string::npos) << r.message();
  EXPECT_EQ(read_lines(dir.file("trace")).back(), "terminate r");
}

TEST(Monitor, PendingTimeoutOfOfflineTerminates) {
  MonitorProcess m({});
  m.run(Order::OPEN, "r", "actor", {{"Offline", "hang"}});
  m.run(Order::ONLINE, "r", "", {{"Offline", "hang"}}, [](Order& o) { o.set_pending_timeout_ms(100); });
  auto r = m.run(Order::OFFLINE, "r");
  EXPECT_EQ(r.state(), State::OFFLINE);
  EXPECT_TRUE(r.dirty()) << "its offline call still hangs in the plug-in";
  // The lane is occupied, so the next order waits, and others go on.
  EXPECT_EQ(m.bring_up("other", "actor", {}).state(), State::ONLINE);
}

TEST(Monitor, FailedOfflineIsForced) {
  MonitorProcess m({});
  m.bring_up("r", "actor", {{"Offline", "fail"}});
  auto r = m.run(Order::OFFLINE, "r");
  EXPECT_EQ(r.state(), State::OFFLINE);
  EXPECT_NE(r.message().find("ended by force"), std::string::npos) << r.message();
}

TEST(Monitor, FailedOnlineIsReportedWithItsSentence) {
  MonitorProcess m({});
  m.run(Order::OPEN, "r", "actor");
  auto r = m.run(Order::ONLINE, "r", "", {{"Online", "fail"}});
  EXPECT_EQ(r.state(), State::FAILED);
  EXPECT_EQ(r.error(), number(Code::not_found));
  EXPECT_NE(r.message().find("it was told to fail"), std::string::npos);
  EXPECT_EQ(m.run(Order::ONLINE, "r", "", {{"Online", "ok"}}).state(), State::ONLINE) << "may be tried again";
}

TEST(Monitor, TerminateOvertakesAHangingOnline) {
  MonitorProcess m({});
  m.run(Order::OPEN, "r", "actor");
  m.order(Order::ONLINE, "r", "", {{"Online", "hang"}});
  ASSERT_TRUE(m.wait_state("r", State::ONLINE_PENDING));
  uint64_t waiting = m.order(Order::OFFLINE, "r");
  uint64_t terminate = m.order(Order::TERMINATE, "r");
  EXPECT_EQ(m.result_of(waiting)->error(), number(Code::cancelled));
  auto r = m.result_of(terminate);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->state(), State::OFFLINE);
  EXPECT_FALSE(r->dirty());
}

TEST(Monitor, WhatComesUpAfterTerminateIsEndedAgain) {
  ScratchDir dir;
  MonitorProcess m({});
  Parameters p = {{"Online", "deaf"}, {"Delay", "900"}, {"Trace", dir.file("trace")}};
  m.run(Order::OPEN, "r", "actor", p);
  m.order(Order::ONLINE, "r", "", p);
  ASSERT_TRUE(eventually([&] {
    return !read_lines(dir.file("trace")).empty() && read_lines(dir.file("trace")).back() == "online r";
  }));
  auto r = m.run(Order::TERMINATE, "r");
  EXPECT_TRUE(r.dirty()) << "the online call had not returned";
  EXPECT_TRUE(eventually([&] {
    auto lines = read_lines(dir.file("trace"));
    return std::count(lines.begin(), lines.end(), "terminate r") == 2;
  }));
}

TEST(Monitor, ATerminateThatFailsIsSaid) {
  MonitorProcess m({});
  m.bring_up("r", "actor", {{"Terminate", "fail"}});
  auto r = m.run(Order::TERMINATE, "r");
  EXPECT_EQ(r.state(), State::FAILED);
  EXPECT_TRUE(r.dirty());
}

TEST(Monitor, FailuresAreReportedAtOnce) {
  for (std::string how : {"fail-now", "fail-event"}) {
    MonitorProcess m({});
    m.bring_up("r", "actor", {{"Event", "1"}});
    Instant begin = boottime_now();
    m.order(Order::CONTROL, "r", "", {}, [&](Order& o) { o.set_control(how); });
    auto pending = m.wait_state("r", State::OFFLINE_PENDING);
    ASSERT_TRUE(pending) << how;
    EXPECT_EQ(pending->order(), 0u);
    auto failed = m.wait_state("r", State::FAILED);
    ASSERT_TRUE(failed) << how;
    EXPECT_NE(failed->message().find("it was told"), std::string::npos) << failed->message();
    EXPECT_LT((boottime_now() - begin).ms(), 5000) << "long before any poll";
    EXPECT_EQ(m.run(Order::ONLINE, "r").state(), State::ONLINE) << "and can come back";
  }
}

TEST(Monitor, ChecksArePolled) {
  for (bool looks : {true, false}) {
    MonitorProcess m({});
    m.run(Order::OPEN, "r", "actor");
    m.run(Order::ONLINE, "r", "", {},
          [&](Order& o) { (looks ? o.set_looks_alive_ms(20) : o.set_is_alive_ms(20)); });
    auto did = m.run(Order::CONTROL, "r", "", {}, [](Order& o) { o.set_control("fail-check"); });
    EXPECT_EQ(did.message(), "did fail-check");
    auto failed = m.wait_state("r", State::FAILED);
    ASSERT_TRUE(failed);
    EXPECT_NE(failed->message().find("not to be alive"), std::string::npos);
  }
}

TEST(Monitor, AHangingCheckIsAFailure) {
  MonitorProcess m({});
  Parameters p = {{"IsAlive", "hang"}};
  m.run(Order::OPEN, "r", "actor", p);
  m.run(Order::ONLINE, "r", "", p, [](Order& o) {
    o.set_is_alive_ms(20);
    o.set_pending_timeout_ms(100);
  });
  auto failed = m.wait_state("r", State::FAILED);
  ASSERT_TRUE(failed);
  EXPECT_NE(failed->message().find("has not answered"), std::string::npos);
}

TEST(Monitor, OpeningAnOnlineResourceEndsItFirst) {
  ScratchDir dir;
  MonitorProcess m({});
  m.bring_up("r", "actor", {{"Trace", dir.file("trace")}});
  EXPECT_EQ(m.run(Order::OPEN, "r", "actor", {{"Trace", dir.file("trace")}}).state(), State::OFFLINE);
  EXPECT_EQ(read_lines(dir.file("trace")),
            (std::vector<std::string>{"open r", "online r", "terminate r", "close r", "open r"}));
}

}  // namespace
}  // namespace holdfast::monitor
