// How a monitor ends: told to, service gone, service silent, killed.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>

#include "harness.h"

namespace holdfast::monitor {
namespace {

TEST(Ending, ShutdownEndsInReverseOrderAndSaysSo) {
  ScratchDir dir;
  MonitorProcess m({});
  Parameters p = {{"Trace", dir.file("trace")}};
  for (const char* name : {"b-disk", "a-files", "c-program"}) m.bring_up(name, "actor", p);
  ToMonitor message;
  message.set_shutdown(true);
  m.send(message);
  EXPECT_TRUE(m.pump_until([&] { return m.all_terminated(); }, 10000));
  EXPECT_EQ(m.wait_exit(), 0);
  auto lines = read_lines(dir.file("trace"));
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(lines[6], "terminate c-program");
  EXPECT_EQ(lines[7], "terminate a-files");
  EXPECT_EQ(lines[8], "terminate b-disk");
}

TEST(Ending, ServiceGoneEndsEverythingWithinTwoSeconds) {
  ScratchDir dir;
  MonitorProcess m({});
  Parameters p = {{"Trace", dir.file("trace")}};
  for (int i = 0; i < 10; ++i) m.bring_up("r" + std::to_string(i), i % 2 ? "actor" : "floating", p);
  Instant begin = boottime_now();
  m.close_socket();
  EXPECT_EQ(m.wait_exit(), 10);
  EXPECT_LT((boottime_now() - begin).ms(), 2000);
  auto lines = read_lines(dir.file("trace"));
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(), [](auto& l) { return l.starts_with("terminate"); }),
            10);
}

TEST(Ending, OneThatHangsDoesNotKeepTheOthersUp) {
  ScratchDir dir;
  MonitorProcess m({});
  Parameters p = {{"Trace", dir.file("trace")}};
  for (const char* name : {"one", "two", "three"}) m.bring_up(name, "actor", p);
  Parameters hangs = p;
  hangs.push_back({"Terminate", "hang"});
  m.bring_up("stuck", "actor", hangs);
  Instant begin = boottime_now();
  m.close_socket();
  EXPECT_TRUE(eventually([&] {
    auto lines = read_lines(dir.file("trace"));
    return std::count_if(lines.begin(), lines.end(), [](auto& l) { return l.starts_with("terminate"); }) == 4;
  }));
  EXPECT_LT((boottime_now() - begin).ms(), 2000);
  EXPECT_EQ(m.wait_exit(20000), 20) << "the sweep has to look";
}

TEST(Ending, SilenceEndsEverything) {
  ScratchDir dir;
  MonitorProcess m({.silence_ms = 1500});
  m.bring_up("r", "actor", {{"Trace", dir.file("trace")}});
  Instant begin = boottime_now();
  EXPECT_EQ(m.wait_exit(), 11);
  EXPECT_GE((boottime_now() - begin).ms(), 1000);
  EXPECT_EQ(read_lines(dir.file("trace")).back(), "terminate r");
  EXPECT_TRUE(std::any_of(m.log().begin(), m.log().end(),
                          [](auto& l) { return l.find("silent") != std::string::npos; }));
}

TEST(Ending, FramesWithoutALeaseAreNotSilence) {
  MonitorProcess m({.silence_ms = 600, .grant = false});
  m.bring_up("r", "actor", {});
  Instant until = boottime_now() + Duration::milliseconds(1800);
  m.pump_until(
      [&] {
        m.grant_for(Duration::milliseconds(-1));
        return boottime_now() > until;
      },
      10000);
  EXPECT_FALSE(m.wait_exit(1));
}

TEST(Ending, TermSignalEndsEverything) {
  ScratchDir dir;
  MonitorProcess m({});
  m.bring_up("r", "actor", {{"Trace", dir.file("trace")}});
  m.signal(SIGTERM);
  EXPECT_EQ(m.wait_exit(), 13);
  EXPECT_EQ(read_lines(dir.file("trace")).back(), "terminate r");
}

TEST(Ending, GarbageFromTheServiceEndsEverything) {
  MonitorProcess m({});
  ToMonitor message;
  message.mutable_hello();  // a second Hello is no message of a sane service
  m.send(message);
  EXPECT_EQ(m.wait_exit(), 12);
}

TEST(Ending, TheLockIsHeldUntilEverythingHasEnded) {
  ScratchDir dir;
  MonitorProcess m({.state_dir = dir.path()});
  m.bring_up("stuck", "actor", {{"Terminate", "hang"}});
  int fd = open(dir.file("monitor.lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  EXPECT_NE(flock(fd, LOCK_EX | LOCK_NB), 0);
  {
    MonitorProcess second({.state_dir = dir.path(), .grant = false});
    EXPECT_NE(second.hello_reply().text().find("Another monitor"), std::string::npos);
    EXPECT_EQ(second.wait_exit(), 12);
  }
  m.close_socket();
  usleep(300000);
  EXPECT_NE(flock(fd, LOCK_EX | LOCK_NB), 0) << "still ending";
  EXPECT_EQ(m.wait_exit(20000), 20);
  EXPECT_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
  close(fd);
}

TEST(Ending, ACrashingPluginTakesTheMonitorWithIt) {
  MonitorProcess m({});
  m.run(Order::OPEN, "r", "actor");
  m.order(Order::ONLINE, "r", "", {{"Online", "crash"}});
  EXPECT_EQ(m.wait_exit(), 128 + SIGABRT);
}

TEST(Sweep, IsFineWithNothingAndHonestAboutDamage) {
  ScratchDir dir;
  EXPECT_EQ(run_sweep(dir.path()), 0);
  EXPECT_EQ(run_sweep(dir.path()), 0) << "idempotent";
  std::ofstream(dir.file("resources.json")) << "{";
  EXPECT_EQ(run_sweep(dir.path()), 2);
  std::ofstream(dir.file("resources.json"))
      << R"({"boot_id": "another boot", "entries": [{"resource": "r", "kind": "process",
    "key": "1 1", "detail": ""}]})";
  EXPECT_EQ(run_sweep(dir.path()), 0) << "nothing survives a boot";
}

}  // namespace
}  // namespace holdfast::monitor
