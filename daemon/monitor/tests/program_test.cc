// generic-program: lifecycle, failure, hold, descendants, and what a killed monitor leaves.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/process.h"
#include "harness.h"

namespace holdfast::monitor {
namespace {

class Program : public ::testing::Test {
 protected:
  // A shell that writes its pid and lives on; `more` runs before.
  std::string shell(const std::string& more) {
    return "/bin/sh -c '" + more + " echo $$ >" + dir_.file("pid") + "; while :; do sleep 0.05; done'";
  }
  pid_t pid_in(const std::string& name) {
    pid_t pid = 0;
    eventually([&] {
      return (pid = atoi(read_text(dir_.file(name)).c_str())) > 0 && !read_text(dir_.file(name)).empty();
    });
    return pid;
  }
  static bool alive(pid_t pid) {
    auto info = read_process(pid);
    return info && info->state != 'Z';
  }
  ScratchDir dir_;
};

TEST_F(Program, RunsAndEnds) {
  MonitorProcess m({});
  auto online =
      m.bring_up("p", "generic-program", {{"CommandLine", shell("")}, {"CurrentDirectory", dir_.path()}});
  pid_t pid = pid_in("pid");
  EXPECT_EQ(online.published(0).value(), std::to_string(pid));
  auto info = read_process(pid);
  EXPECT_EQ(info->session, pid);
  EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd"), dir_.path());
  auto off = m.run(Order::OFFLINE, "p");
  EXPECT_EQ(off.state(), State::OFFLINE) << off.message();
  EXPECT_FALSE(off.dirty());
  EXPECT_FALSE(alive(pid));
}

TEST_F(Program, GetsItsEnvironmentAndItsOutputIsLogged) {
  MonitorProcess m({});
  m.bring_up("p", "generic-program",
             {{"CommandLine", "/bin/sh -c 'echo hello $WHO; echo trouble >&2; exec sleep 1000'"},
              {"Environment", "WHO=world"}});
  EXPECT_TRUE(m.pump_until(
      [&] {
        auto has = [&](const char* line) {
          return std::find(m.log().begin(), m.log().end(), line) != m.log().end();
        };
        return has("p: hello world") && has("p: trouble");
      },
      5000));
}

TEST_F(Program, ItsEndIsNoticedAtOnce) {
  MonitorProcess m({});
  m.bring_up("p", "generic-program", {{"CommandLine", shell("")}});
  kill(pid_in("pid"), SIGKILL);
  auto failed = m.wait_state("p", State::FAILED);
  ASSERT_TRUE(failed);
  EXPECT_NE(failed->message().find("killed by signal 9 (KILL)"), std::string::npos) << failed->message();
  m.run(Order::ONLINE, "p", "", {{"CommandLine", "/bin/sh -c 'exit 3'"}});
  failed = m.wait_state("p", State::FAILED);
  ASSERT_TRUE(failed);
  EXPECT_NE(failed->message().find("exited with status 3"), std::string::npos) << failed->message();
}

TEST_F(Program, WhatCannotStartSaysWhy) {
  MonitorProcess m({});
  auto message = [&](const Parameters& p) {
    auto opened = m.run(Order::OPEN, "p", "generic-program", p);
    return opened.error() != 0 ? opened.message() : m.run(Order::ONLINE, "p", "", p).message();
  };
  EXPECT_NE(message({{"CommandLine", "/nosuch/program x"}}).find("cannot execute /nosuch/program"),
            std::string::npos);
  EXPECT_NE(message({{"CommandLine", "/bin/true"}, {"CurrentDirectory", "/nosuch"}}).find("/nosuch"),
            std::string::npos);
  EXPECT_NE(message({{"CommandLine", "/bin/true"}, {"User", "nosuchuser"}}).find("nosuchuser"),
            std::string::npos);
  EXPECT_NE(message({}).find("CommandLine"), std::string::npos);
  EXPECT_NE(message({{"CommandLine", "/bin/true"}, {"StopTimeout", "soon"}}).find("StopTimeout"),
            std::string::npos);
}

TEST_F(Program, AStubbornOneIsKilledAfterStopTimeout) {
  MonitorProcess m({});
  m.bring_up("p", "generic-program", {{"CommandLine", shell("trap \"\" TERM;")}, {"StopTimeout", "200"}});
  pid_t pid = pid_in("pid");
  auto off = m.run(Order::OFFLINE, "p");
  EXPECT_EQ(off.state(), State::OFFLINE);
  EXPECT_TRUE(off.dirty());
  EXPECT_NE(off.message().find("was killed"), std::string::npos) << off.message();
  EXPECT_FALSE(alive(pid));
}

TEST_F(Program, DescendantsEndWithIt) {
  MonitorProcess m({});
  // One in the group, and one that made a session of its own.
  m.bring_up("p", "generic-program",
             {{"CommandLine", shell("(echo $(exec sh -c \"echo \\$PPID\") >" + dir_.file("child") +
                                    "; exec sleep 1000) & setsid sh -c \"echo \\$\\$ >" +
                                    dir_.file("daemon") + "; exec sleep 1000\" &")}});
  pid_t leader = pid_in("pid"), child = pid_in("child"), daemon = pid_in("daemon");
  ASSERT_TRUE(alive(daemon));
  EXPECT_EQ(m.run(Order::TERMINATE, "p").state(), State::OFFLINE);
  EXPECT_FALSE(alive(leader));
  EXPECT_TRUE(eventually([&] { return !alive(child) && !alive(daemon); }));
}

TEST_F(Program, IsFrozenWhenTheLeaseLapsesAndThawed) {
  MonitorProcess m({.grant = false});
  m.grant_for(Duration::milliseconds(700));
  m.bring_up("p", "generic-program", {{"CommandLine", shell("")}});
  pid_t pid = pid_in("pid");
  ASSERT_TRUE(m.wait_report([](const Report& r) { return r.held(); }));
  EXPECT_TRUE(eventually([&] { return read_process(pid)->state == 'T'; }));
  m.grant_for(Duration::seconds(60));
  ASSERT_TRUE(m.wait_report([](const Report& r) { return !r.held(); }));
  EXPECT_TRUE(eventually([&] { return read_process(pid)->state != 'T'; }));
  EXPECT_EQ(m.run(Order::OFFLINE, "p").dirty(), false);
}

TEST_F(Program, AFrozenOneEndsWithTheService) {
  MonitorProcess m({.grant = false});
  m.grant_for(Duration::milliseconds(700));
  m.bring_up("p", "generic-program", {{"CommandLine", shell("")}});
  pid_t pid = pid_in("pid");
  ASSERT_TRUE(m.wait_report([](const Report& r) { return r.held(); }));
  m.close_socket();
  EXPECT_EQ(m.wait_exit(), 10);
  EXPECT_FALSE(alive(pid));
}

TEST_F(Program, ControlGroupFreezesDescendantsToo) {
  std::string parent;
  for (const char* candidate : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"})
    if (access((std::string(candidate) + "/cgroup.procs").c_str(), W_OK) == 0) parent = candidate;
  parent += "/holdfast-test-" + std::to_string(getpid());
  if (geteuid() != 0 || mkdir(parent.c_str(), 0755) != 0)
    GTEST_SKIP() << "no control groups of version 2 here";
  {
    MonitorProcess m({.grant = false});
    m.grant_for(Duration::milliseconds(700));
    m.bring_up("p", "generic-program",
               {{"CommandLine",
                 shell("setsid sh -c \"echo \\$\\$ >" + dir_.file("daemon") + "; exec sleep 1000\" &")},
                {"ControlGroup", parent}});
    pid_t daemon = pid_in("daemon");
    ASSERT_TRUE(m.wait_report([](const Report& r) { return r.held(); }));
    EXPECT_TRUE(eventually([&] {
      return read_text(parent + "/holdfast-p/cgroup.events").find("frozen 1") != std::string::npos;
    }));
    EXPECT_EQ(m.run(Order::TERMINATE, "p").state(), State::OFFLINE);
    EXPECT_FALSE(alive(daemon));
    EXPECT_NE(access((parent + "/holdfast-p").c_str(), F_OK), 0) << "removed";
  }
  rmdir(parent.c_str());
}

TEST_F(Program, ServiceGoneKillsIt) {
  MonitorProcess m({});
  m.bring_up("p", "generic-program", {{"CommandLine", shell("trap \"\" TERM HUP INT;")}});
  pid_t pid = pid_in("pid");
  m.close_socket();
  EXPECT_EQ(m.wait_exit(), 10);
  EXPECT_FALSE(alive(pid));
}

TEST_F(Program, TheSweepFindsWhatAKilledMonitorLeft) {
  ScratchDir state;
  pid_t pid, daemon;
  {
    MonitorProcess m({.state_dir = state.path()});
    m.bring_up("p", "generic-program",
               {{"CommandLine",
                 shell("setsid sh -c \"echo \\$\\$ >" + dir_.file("daemon") + "; exec sleep 1000\" &")}});
    pid = pid_in("pid");
    daemon = pid_in("daemon");
    m.signal(SIGKILL);
    m.wait_exit();
  }
  EXPECT_TRUE(alive(pid));
  EXPECT_EQ(run_sweep(state.path()), 0);
  EXPECT_TRUE(eventually([&] { return !alive(pid) && !alive(daemon); }));
  EXPECT_EQ(run_sweep(state.path()), 0) << "idempotent";
}

}  // namespace
}  // namespace holdfast::monitor
