// Probe: what it finds on real images, its verdicts, and its exercise.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "iscsi/probe.h"
#include "iscsi/tests/conformance_fixture.h"

namespace holdfast::scsi {
namespace {

class ProbeTest : public TgtdTest {
 protected:
  void put(uint64_t offset, const std::string& bytes) {
    int fd = open(target_->file().c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
    close(fd);
  }
  void run(const std::string& program) {
    ASSERT_EQ(system((program + " " + target_->file() + " >/dev/null 2>&1").c_str()), 0) << program;
  }
  std::string found() {
    auto lun = connect(1);
    return foreign_content(*lun).value_or("nothing");
  }
};

TEST_F(ProbeTest, EmptyLunIsEmpty) {
  EXPECT_EQ(found(), "nothing");
}

TEST_F(ProbeTest, FindsExt4WithItsLabel) {
  run("mkfs.ext4 -q -F -L holddata -U 01234567-89ab-cdef-0123-456789abcdef");
  EXPECT_EQ(found(),
            "ext4 file system \"holddata\" (UUID 01234567-89ab-cdef-0123-456789abcdef) at byte 1080");
}

TEST_F(ProbeTest, FindsExt2) {
  run("mkfs.ext2 -q -F");
  EXPECT_TRUE(found().starts_with("ext2 file system")) << found();
}

TEST_F(ProbeTest, FindsSwap) {
  run("mkswap -L holdswap");
  EXPECT_TRUE(found().starts_with("swap space \"holdswap\"")) << found();
}

TEST_F(ProbeTest, FindsXfs) {
  TgtdTarget::Options options;
  options.lun_bytes = {320 << 20};  // the smallest xfs that mkfs makes is 300 MiB
  target_ = std::make_unique<TgtdTarget>(options);
  run("mkfs.xfs -q -f -L holdxfs -m uuid=01234567-89ab-cdef-0123-456789abcdef");
  EXPECT_EQ(found(), "xfs file system \"holdxfs\" (UUID 01234567-89ab-cdef-0123-456789abcdef) at byte 0");
}

TEST_F(ProbeTest, FindsPartitionTables) {
  put(510, "\x55\xaa");
  EXPECT_EQ(found(), "MBR partition table at byte 510");
  put(512, "EFI PART");
  EXPECT_EQ(found(), "GPT partition table at byte 512");
}

TEST_F(ProbeTest, FindsABackupGptAtTheEnd) {
  put((64 << 20) - 512, "EFI PART");
  EXPECT_TRUE(found().starts_with("GPT partition table (backup)")) << found();
}

TEST_F(ProbeTest, FindsLvmLuksAndMd) {
  put(512, "LABELONE");
  EXPECT_TRUE(found().starts_with("LVM2")) << found();
  put(512, std::string(8, '\0'));
  put(0, "LUKS\xba\xbe");
  EXPECT_TRUE(found().starts_with("LUKS")) << found();
  put(0, std::string(6, '\0'));
  put((64 << 20) - 8192, "\xfc\x4e\x2b\xa9");
  EXPECT_TRUE(found().starts_with("md RAID")) << found();
}

TEST_F(ProbeTest, FindsBytesThatItDoesNotKnow) {
  put(70000, "hello");
  EXPECT_EQ(found(), "unrecognised data at byte 70000");
}

TEST_F(ProbeTest, UnreadableIsNotEmpty) {
  auto lun = connect(1);
  lun->close();
  EXPECT_TRUE(foreign_content(*lun).value_or("").starts_with("unreadable"));
}

TEST_F(ProbeTest, VerdictsOfAnEmptyLun) {
  auto lun = connect(1);
  ProbeReport report = probe(*lun);
  EXPECT_FALSE(report.error);
  EXPECT_TRUE(report.quorum.suitable) << to_text(report);
  EXPECT_FALSE(report.data_disk.suitable);  // tgtd has no PREEMPT AND ABORT
  EXPECT_NE(to_text(report).find("can carry a quorum: yes"), std::string::npos) << to_text(report);
  auto json = nlohmann::json::parse(to_json(report));
  EXPECT_TRUE(json["quorum"]["suitable"]);
  EXPECT_EQ(json["size_bytes"], 64 << 20);
  EXPECT_TRUE(lun->read_keys(soon).value().keys.empty());
}

TEST_F(ProbeTest, VerdictsOfATakenLun) {
  run("mkfs.ext4 -q -F");
  auto lun = connect(1);
  EXPECT_FALSE(probe(*lun).quorum.suitable);
  put(0, "HOLDFAST");
  put(1080, std::string(2, '\0'));
  ProbeReport report = probe(*lun);
  EXPECT_TRUE(report.quorum.suitable) << to_text(report);
  EXPECT_FALSE(report.data_disk.suitable);
  EXPECT_TRUE(foreign_content(*lun)->starts_with("Holdfast quorum log"));
}

TEST_F(ProbeTest, TooSmallForAQuorum) {
  TgtdTarget::Options options;
  options.lun_bytes = {16 << 20};
  target_ = std::make_unique<TgtdTarget>(options);
  auto lun = connect(1);
  EXPECT_FALSE(probe(*lun).quorum.suitable);
}

TEST_F(ProbeTest, ExerciseLeavesNothingBehind) {
  auto lun = connect(1);
  ProbeOptions options;
  options.exercise = true;
  ProbeReport report = probe(*lun, options);
  EXPECT_FALSE(report.exercise.empty());
  EXPECT_TRUE(report.quorum.suitable) << to_text(report);
  EXPECT_TRUE(lun->read_keys(soon).value().keys.empty());
  EXPECT_FALSE(lun->read_reservation(soon).value().held());
}

TEST_F(ProbeTest, ExerciseLeavesUsedLunsAlone) {
  auto owner = connect(2);
  ASSERT_OK(owner->register_ignore(key_of(1, 2), soon));
  auto lun = connect(1);
  ProbeOptions options;
  options.exercise = true;
  ProbeReport report = probe(*lun, options);
  EXPECT_FALSE(report.quorum.suitable);
  EXPECT_EQ(owner->read_keys(soon).value().keys, std::vector<ReservationKey>{key_of(1, 2)});
}

}  // namespace
}  // namespace holdfast::scsi
