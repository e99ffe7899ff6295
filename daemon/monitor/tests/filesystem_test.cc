// filesystem on loop devices: the whole life, holders, and failures. Skipped where there are no loop devices.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fs-hooks/dismount.h"
#include "harness.h"

namespace holdfast::monitor {
namespace {

std::string output(const std::string& command) {
  FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
  std::string out;
  char chunk[512];
  while (fgets(chunk, sizeof chunk, pipe) != nullptr) out += chunk;
  pclose(pipe);
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Filesystem : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to mount";
    std::ofstream(image()).close();
    std::filesystem::resize_file(image(), 64 << 20);
    loop_ = output("losetup -f --show " + image());
    if (loop_.empty()) GTEST_SKIP() << "no loop devices here";
    ASSERT_EQ(system(("mkfs.ext4 -q " + loop_).c_str()), 0);
  }
  void TearDown() override {
    if (loop_.empty()) return;
    while (umount2(point().c_str(), MNT_DETACH) == 0) {
    }
    EXPECT_TRUE(eventually([&] { return system(("losetup -d " + loop_).c_str()) == 0; }));
  }
  std::string image() { return dir_.file("image"); }
  std::string point() { return dir_.file("mnt"); }
  Parameters parameters() { return {{"Device", loop_}, {"MountPoint", point()}, {"HolderNotice", "300"}}; }
  bool mounted() {
    for (const auto& mount : fs::read_mounts())
      if (mount.mount_point == point()) return true;
    return false;
  }
  pid_t holder(bool ignores_term) {
    std::string ready = dir_.file("ready");
    pid_t pid = fork();
    if (pid == 0) {
      close_range(3, ~0U, 0);  // the socket to the monitor among them
      if (ignores_term) signal(SIGTERM, SIG_IGN);
      open((point() + "/held").c_str(), O_RDWR | O_CREAT, 0600);
      std::ofstream(ready) << "x";
      while (true) pause();
    }
    EXPECT_TRUE(eventually([&] { return !read_text(ready).empty(); }));
    return pid;
  }
  ScratchDir dir_;
  std::string loop_;
};

TEST_F(Filesystem, MountsAndUnmounts) {
  MonitorProcess m({});
  auto r = m.bring_up("fs", "filesystem", parameters());
  EXPECT_TRUE(mounted());
  ASSERT_EQ(r.published_size(), 3);
  EXPECT_EQ(r.published(1).name(), "FileSystemType");
  EXPECT_EQ(r.published(1).value(), "ext4");
  std::ofstream(point() + "/file") << "kept";
  auto off = m.run(Order::OFFLINE, "fs");
  EXPECT_EQ(off.state(), State::OFFLINE) << off.message();
  EXPECT_FALSE(off.dirty());
  EXPECT_FALSE(mounted());
  m.run(Order::ONLINE, "fs", "", parameters());
  EXPECT_EQ(read_text(point() + "/file"), "kept");
}

TEST_F(Filesystem, TakesTheDeviceOfItsDisk) {
  MonitorProcess m({});
  Parameters p = {{"MountPoint", point()}};
  m.run(Order::OPEN, "fs", "filesystem", p);
  EXPECT_NE(m.run(Order::ONLINE, "fs", "", p).message().find("no physical-disk"), std::string::npos);
  auto r = m.run(Order::ONLINE, "fs", "", p, [&](Order& o) {
    auto* provider = o.add_providers();
    provider->set_name("disk");
    provider->set_value("physical-disk");
    provider->add_list("Device=" + loop_);
  });
  EXPECT_EQ(r.state(), State::ONLINE) << r.message();
}

TEST_F(Filesystem, HoldersAreAskedThenKilledAndNamed) {
  MonitorProcess m({});
  for (bool stubborn : {false, true}) {
    std::filesystem::remove(dir_.file("ready"));
    m.bring_up("fs", "filesystem", parameters());
    pid_t pid = holder(stubborn);
    auto list = m.run(Order::CONTROL, "fs", "", {}, [](Order& o) { o.set_control("list-holders"); });
    EXPECT_NE(list.message().find("pid " + std::to_string(pid)), std::string::npos) << list.message();
    auto off = m.run(Order::OFFLINE, "fs");
    EXPECT_EQ(off.state(), State::OFFLINE) << off.message();
    EXPECT_TRUE(off.dirty());
    EXPECT_NE(off.message().find("pid " + std::to_string(pid)), std::string::npos) << off.message();
    EXPECT_FALSE(mounted());
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_EQ(WTERMSIG(status), stubborn ? SIGKILL : SIGTERM);
  }
}

TEST_F(Filesystem, TerminateAndALostServiceKillAtOnce) {
  MonitorProcess m({});
  m.bring_up("fs", "filesystem", parameters());
  pid_t pid = holder(true);
  Instant begin = boottime_now();
  m.close_socket();
  EXPECT_EQ(m.wait_exit(), 10);
  EXPECT_LT((boottime_now() - begin).ms(), 2000);
  EXPECT_FALSE(mounted());
  waitpid(pid, nullptr, 0);
}

TEST_F(Filesystem, RefusesWhatIsMountedAlready) {
  ASSERT_EQ(
      system(("mkdir -p " + dir_.file("else") + " && mount " + loop_ + " " + dir_.file("else")).c_str()), 0);
  MonitorProcess m({});
  m.run(Order::OPEN, "fs", "filesystem", parameters());
  auto r = m.run(Order::ONLINE, "fs", "", parameters());
  EXPECT_EQ(r.state(), State::FAILED);
  EXPECT_NE(r.message().find("is mounted already, on " + dir_.file("else")), std::string::npos)
      << r.message();
  EXPECT_EQ(umount2(dir_.file("else").c_str(), 0), 0) << "somebody else's mount was left alone";
}

TEST_F(Filesystem, SaysWhatIsWrongWithADevice) {
  MonitorProcess m({});
  auto message = [&](Parameters p) {
    auto opened = m.run(Order::OPEN, "fs", "filesystem", p);
    return opened.error() != 0 ? opened.message() : m.run(Order::ONLINE, "fs", "", p).message();
  };
  auto p = parameters();
  p.push_back({"FileSystemType", "xfs"});
  EXPECT_NE(message(p).find("holds an ext4 file system, but"), std::string::npos);
  EXPECT_NE(message({{"Device", "/dev/nosuch"}, {"MountPoint", point()}}).find("/dev/nosuch"),
            std::string::npos);
  EXPECT_NE(message({{"Device", loop_}, {"MountPoint", "relative"}}).find("absolute path"),
            std::string::npos);
  ASSERT_EQ(system(("dd if=/dev/zero of=" + loop_ + " bs=1M count=4 conv=fsync status=none").c_str()), 0);
  EXPECT_NE(message(parameters()).find("neither an ext4 nor an xfs"), std::string::npos);
}

TEST_F(Filesystem, ADamagedOneIsNotMounted) {
  // Wipes the group descriptors and inode tables, not the super block.
  ASSERT_EQ(
      system(
          ("dd if=/dev/urandom of=" + loop_ + " bs=4096 seek=1 count=1500 conv=fsync status=none").c_str()),
      0);
  MonitorProcess m({});
  m.run(Order::OPEN, "fs", "filesystem", parameters());
  auto r = m.run(Order::ONLINE, "fs", "", parameters());
  EXPECT_EQ(r.state(), State::FAILED);
  EXPECT_NE(r.message().find("e2fsck"), std::string::npos) << r.message();
  EXPECT_FALSE(mounted());
}

TEST_F(Filesystem, ReadOnlyAfterAnErrorOrUnmountedByHandIsAFailure) {
  for (std::string command : {"mount -o remount,ro " + point(), "umount " + point()}) {
    MonitorProcess m({});
    m.run(Order::OPEN, "fs", "filesystem", parameters());
    auto r = m.run(Order::ONLINE, "fs", "", parameters(), [](Order& o) { o.set_is_alive_ms(50); });
    ASSERT_EQ(r.state(), State::ONLINE) << r.message();
    ASSERT_EQ(system(command.c_str()), 0);
    EXPECT_TRUE(m.wait_state("fs", State::FAILED)) << command;
  }
}

TEST_F(Filesystem, TheSweepUnmountsWhatAKilledMonitorLeft) {
  ScratchDir state;
  {
    MonitorProcess m({.state_dir = state.path()});
    m.bring_up("fs", "filesystem", parameters());
    m.signal(SIGKILL);
    m.wait_exit();
  }
  EXPECT_TRUE(mounted());
  pid_t pid = holder(true);
  EXPECT_EQ(run_sweep(state.path()), 0);
  EXPECT_FALSE(mounted());
  waitpid(pid, nullptr, 0);
}

}  // namespace
}  // namespace holdfast::monitor
