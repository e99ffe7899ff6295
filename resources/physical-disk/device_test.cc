#include "device.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace holdfast::disk {
namespace {

// A copy of what /sys shows: two paths to one disk, and another disk.
class FakeSys : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/holdfast-sys-XXXXXX";
    sys_ = mkdtemp(name);
    add("sda", "naa.6001");
    add("sdc", "naa.6001");
    add("sdb", "naa.6002");
    add("nvme0n1", "naa.6001");
  }
  void TearDown() override { std::filesystem::remove_all(sys_); }
  void add(const std::string& disk, const std::string& identity) {
    std::filesystem::create_directories(sys_ + "/block/" + disk + "/device");
    std::filesystem::create_directories(sys_ + "/block/" + disk + "/holders");
    std::ofstream(sys_ + "/block/" + disk + "/device/wwid") << identity << "\n";
  }
  std::string sys_;
};

TEST_F(FakeSys, AnIdentityLeadsToEveryPath) {
  auto device = find_device("naa.6001", "", sys_);
  ASSERT_TRUE(device) << device.error().text();
  EXPECT_EQ(device->paths, (std::vector<std::string>{"/dev/sda", "/dev/sdc"}));
  EXPECT_EQ(find_device("naa.6003", "", sys_).error().code, ErrorCode::not_found);
}

TEST_F(FakeSys, AnotherDiskUnderTheSameNameIsRefused) {
  EXPECT_TRUE(find_device("naa.6002", "naa.6002", sys_));
  EXPECT_EQ(find_device("naa.6002", "naa.6001", sys_).error().code, ErrorCode::foreign);
}

TEST_F(FakeSys, ADiskThatIsPartOfSomethingIsRefused) {
  std::filesystem::create_directories(sys_ + "/block/sdb/holders/dm-3");
  auto device = find_device("naa.6002", "", sys_);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code, ErrorCode::foreign);
  EXPECT_NE(device.error().message.find("dm-3"), std::string::npos);
}

TEST_F(FakeSys, UrlsNeverShowTheirPassword) {
  auto device = find_device("iscsi://user%secret@127.0.0.1:3260/iqn.x/1", "", sys_);
  ASSERT_TRUE(device);
  EXPECT_EQ(device->identity, "iscsi://127.0.0.1:3260/iqn.x/1");
  EXPECT_FALSE(device->kernel());
}

}  // namespace
}  // namespace holdfast::disk
