// What the conformance tests share: sessions of several initiators to one LUN, on a private tgtd or, with
// HOLDFAST_TEST_LUN=iscsi://… or /dev/…, on any LUN whose content may be destroyed (a lab machine). A kernel
// disk is one initiator; several of one LUN, /dev/sda,/dev/sdb,… with a session and a name (…:node1, …:node2)
// each, are several.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "iscsi/deadline.h"
#include "iscsi/helper_process.h"
#include "iscsi/lun.h"
#include "iscsi/tests/tgtd_target.h"

#define EXPECT_OK(expression)                                                  \
  do {                                                                         \
    auto ok_ = (expression);                                                   \
    EXPECT_TRUE(ok_.has_value()) << #expression << ": " << ok_.error().text(); \
  } while (0)
#define ASSERT_OK(expression)                                                  \
  do {                                                                         \
    auto ok_ = (expression);                                                   \
    ASSERT_TRUE(ok_.has_value()) << #expression << ": " << ok_.error().text(); \
  } while (0)
#define EXPECT_FAILS(expected, expression)                                             \
  do {                                                                                 \
    auto ok_ = (expression);                                                           \
    ASSERT_FALSE(ok_.has_value()) << #expression << " succeeded";                      \
    EXPECT_EQ(to_string(ok_.error().code), to_string(expected)) << ok_.error().text(); \
  } while (0)

namespace holdfast::scsi {

constexpr Duration soon = Duration::milliseconds(5000);
constexpr auto type_1 = ReservationType::write_exclusive;

inline ReservationKey key_of(uint64_t epoch, uint64_t node) {
  return ReservationKey::make(0x7e57, epoch, NodeId{node});
}

inline const char* external_lun() {
  return getenv("HOLDFAST_TEST_LUN");
}
// The disks of HOLDFAST_TEST_LUN, one for each initiator; empty when a URL or nothing is given.
inline std::vector<std::string> external_disks() {
  std::vector<std::string> out;
  if (external_lun() == nullptr || !std::string_view(external_lun()).starts_with("/dev/")) return out;
  std::istringstream list(external_lun());
  for (std::string disk; std::getline(list, disk, ',');) out.push_back(disk);
  return out;
}

inline Attachment attach(const std::string& url, int node) {
  Attachment out = Attachment::parse(url).value();
  out.initiator_name = "iqn.2026-11.example.holdfast:node" + std::to_string(node);
  out.isid_qualifier = static_cast<uint32_t>(node);
  return out;
}

// The whole suite also runs through the helper process, with HOLDFAST_TEST_HELPER=1.
inline std::unique_ptr<Lun> make_test_lun(const Attachment& attachment) {
  return getenv("HOLDFAST_TEST_HELPER") != nullptr ? make_helper_lun(attachment) : make_lun(attachment);
}

// Sessions to one LUN that starts without registrations. Tests that need to hurt the target derive from
// TgtdTest.
class LunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (external_lun() == nullptr) target_ = std::make_unique<TgtdTarget>();
    auto first = connect(1);
    ASSERT_TRUE(first->register_ignore(key_of(1, 63), soon));
    ASSERT_TRUE(first->clear(key_of(1, 63), soon));
    caps_ = first->capabilities(soon).value();
  }
  std::string url(int node = 1) const {
    const auto disks = external_disks();
    if (!disks.empty()) return disks.at(static_cast<size_t>(node) - 1);
    return target_ ? target_->url() : external_lun();
  }
  std::unique_ptr<Lun> connect(int node, bool persist = false) {
    Attachment attachment = attach(url(node), node);
    attachment.persist_through_power_loss = persist;
    auto lun = make_test_lun(attachment);
    auto opened = lun->open(soon);
    EXPECT_TRUE(opened.has_value()) << opened.error().text();
    return lun;
  }
  // A block device is one nexus.
  static bool has_initiators(size_t wanted) {
    const auto disks = external_disks();
    return disks.empty() || disks.size() >= wanted;
  }

  std::unique_ptr<TgtdTarget> target_;
  Capabilities caps_;
};

class TgtdTest : public LunTest {
 protected:
  void SetUp() override {
    if (external_lun() != nullptr) GTEST_SKIP() << "needs a target of its own";
    LunTest::SetUp();
  }
};

}  // namespace holdfast::scsi
