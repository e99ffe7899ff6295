#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "base/clock.h"
#include "fs-hooks/dismount.h"
#include "fs-hooks/superblock.h"

namespace holdfast::fs {
namespace {

TEST(Mounts, ParsesMountinfo) {
  auto mounts = parse_mountinfo(
      "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
      "37 35 8:17 / /data rw - ext4 /dev/sdb1 ro,relatime\n"
      "garbage\n");
  ASSERT_EQ(mounts.size(), 2u);
  EXPECT_EQ(mounts[0].mount_point, "/mnt 2");
  EXPECT_EQ(mounts[0].root, "/mnt1");
  EXPECT_FALSE(mounts[0].read_only);
  EXPECT_EQ(device_number_text(mounts[1].device), "8:17");
  EXPECT_TRUE(mounts[1].read_only);
  EXPECT_FALSE(parse_device_number("8"));
  EXPECT_FALSE(parse_device_number("8:1x"));
}

TEST(Superblock, KnowsExtAndXfs) {
  std::vector<uint8_t> bytes(4096);
  EXPECT_EQ(parse_superblock(bytes.data(), bytes.size()).type, "");
  memcpy(bytes.data(), "XFSB", 4);
  EXPECT_EQ(parse_superblock(bytes.data(), bytes.size()).type, "xfs");
  bytes.assign(4096, 0);
  bytes[1024 + 0x38] = 0x53;
  bytes[1024 + 0x39] = 0xef;
  bytes[1024 + 0x60] = 4;
  bytes[1024 + 0x3a] = 2;
  auto ext = parse_superblock(bytes.data(), bytes.size());
  EXPECT_EQ(ext.type, "ext4");
  EXPECT_TRUE(ext.needs_recovery);
  EXPECT_TRUE(ext.has_errors);
  EXPECT_EQ(parse_superblock(bytes.data(), 100).type, "");
}

// A tmpfs of its own, and children that hold it in various ways.
class Tmpfs : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to mount";
    char name[] = "/tmp/holdfast-fs-XXXXXX";
    point_ = mkdtemp(name);
    ASSERT_EQ(mount("tmpfs", point_.c_str(), "tmpfs", 0, "size=1m"), 0);
    struct stat s {};
    ASSERT_EQ(stat(point_.c_str(), &s), 0);
    device_ = s.st_dev;
  }
  void TearDown() override {
    for (pid_t pid : children_) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    while (!point_.empty() && umount2(point_.c_str(), MNT_DETACH) == 0) {
    }
    if (!point_.empty()) rmdir(point_.c_str());
  }
  // Runs `hold` in a child that then waits for a signal; returns when it holds.
  pid_t holder(const std::function<void()>& hold) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
      close(ready[0]);
      hold();
      (void)!write(ready[1], "x", 1);
      close(ready[1]);
      while (true) pause();
    }
    close(ready[1]);
    char c;
    EXPECT_EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
    children_.push_back(pid);
    return pid;
  }
  std::string point_;
  dev_t device_ = 0;
  std::vector<pid_t> children_;
};

TEST_F(Tmpfs, FindsEveryKindOfHolder) {
  std::string file = point_ + "/file", program = point_ + "/sleep";
  ASSERT_EQ(system(("cp /bin/sleep " + program).c_str()), 0);
  pid_t opener = holder([&] { open(file.c_str(), O_RDWR | O_CREAT, 0600); });
  pid_t dweller = holder([&] { (void)!chdir(point_.c_str()); });
  pid_t mapper = holder([&] {
    int fd = open(file.c_str(), O_RDWR | O_CREAT, 0600);
    (void)!ftruncate(fd, 4096);
    mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
  });
  pid_t runner = fork();
  if (runner == 0) {
    execl(program.c_str(), "sleep", "1000", nullptr);
    _exit(1);
  }
  children_.push_back(runner);
  auto how = [&](pid_t pid) -> std::string {
    for (const auto& h : find_holders(device_))
      if (h.process.pid == pid) return h.how;
    return "";
  };
  while (how(runner) != "executable") usleep(1000);
  EXPECT_EQ(how(opener), "open file");
  EXPECT_EQ(how(dweller), "current directory");
  EXPECT_EQ(how(mapper), "mapping");
  EXPECT_EQ(find_holders(device_).size(), 4u);
}

TEST_F(Tmpfs, CleanWhenNobodyHoldsIt) {
  auto outcome = dismount(device_, {});
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_FALSE(outcome->forced);
  EXPECT_TRUE(is_gone(device_));
}

TEST_F(Tmpfs, AsksThenKills) {
  std::string file = point_ + "/file";
  pid_t meek = holder([&] { open(file.c_str(), O_RDWR | O_CREAT, 0600); });
  pid_t stubborn = holder([&] {
    signal(SIGTERM, SIG_IGN);
    (void)!chdir(point_.c_str());
  });
  DismountSettings settings;
  settings.ask = Duration::milliseconds(200);
  auto outcome = dismount(device_, settings);
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->forced);
  EXPECT_NE(outcome->text.find(std::to_string(stubborn)), std::string::npos) << outcome->text;
  EXPECT_TRUE(is_gone(device_));
  int status = 0;
  waitpid(meek, &status, 0);
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
  waitpid(stubborn, &status, 0);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  children_.clear();
}

TEST_F(Tmpfs, NamesItselfButNeverKillsItself) {
  int fd = open((point_ + "/mine").c_str(), O_RDWR | O_CREAT, 0600);
  DismountSettings settings;
  settings.ask = settings.kill = Duration::milliseconds(50);
  auto outcome = dismount(device_, settings);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::busy);
  EXPECT_NE(outcome.error().message.find("pid " + std::to_string(getpid())), std::string::npos)
      << outcome.error().message;
  settings.detach = true;
  outcome = dismount(device_, settings);
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->detached);
  close(fd);
}

TEST_F(Tmpfs, FindsMountsInOtherNamespaces) {
  pid_t other = holder([&] {
    unshare(CLONE_NEWNS);
    mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  });
  ASSERT_EQ(umount2(point_.c_str(), 0), 0) << "succeeds here, but the file system lives on over there";
  EXPECT_FALSE(is_gone(device_));
  auto foreign = find_foreign_mounts(device_);
  ASSERT_EQ(foreign.size(), 1u);
  EXPECT_EQ(foreign[0].pid, other);
  auto outcome = dismount(device_, {});
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(is_gone(device_));
}

}  // namespace
}  // namespace holdfast::fs
