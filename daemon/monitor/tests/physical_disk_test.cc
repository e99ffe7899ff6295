// physical-disk against a real target (tgtd: it has no PREEMPT AND ABORT, so the PREEMPT + LUN RESET way is
// taken).
#include <signal.h>
#include <unistd.h>

#include "base/ids.h"
#include "harness.h"
#include "iscsi/lun.h"
#include "iscsi/tests/tgtd_target.h"

namespace holdfast::monitor {
namespace {

constexpr auto limit = Duration::seconds(5);
constexpr auto type5 = scsi::ReservationType::write_exclusive_registrants_only;

class Disk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root for tgtd";
    target_ = std::make_unique<scsi::TgtdTarget>();
    other_ = lun("iqn.2026-11.example:other");
    ASSERT_TRUE(other_->open(limit));
  }
  std::unique_ptr<scsi::Lun> lun(const std::string& initiator) {
    auto attachment = *scsi::Attachment::parse(target_->url());
    attachment.initiator_name = initiator;
    attachment.isid_qualifier = 7;
    return scsi::make_lun(attachment);
  }
  Parameters parameters() {
    return {{"Device", target_->url()}, {"CommandTimeout", "1000"}, {"UnreachableTolerance", "500"}};
  }
  Report online(MonitorProcess& m, ReservationKey own, ReservationKey victim) {
    m.run(Order::OPEN, "disk", "physical-disk", parameters());
    return m.run(Order::ONLINE, "disk", "", parameters(), [&](Order& o) {
      o.set_reservation_key(own.value);
      o.set_victim_key(victim.value);
      o.set_generation(own.counter());
      o.set_is_alive_ms(100);
      o.set_looks_alive_ms(60000);
    });
  }
  static ReservationKey key(uint64_t generation, uint64_t node, uint16_t tag = 0x4846) {
    return ReservationKey::make(tag, generation, NodeId{node});
  }
  std::unique_ptr<scsi::TgtdTarget> target_;
  std::unique_ptr<scsi::Lun> other_;
};

TEST_F(Disk, TakesAFreeDiskAndKeepsItReservedWhenItGoesOffline) {
  MonitorProcess m({});
  auto r = online(m, key(1, 1), {});
  ASSERT_EQ(r.state(), State::ONLINE) << r.message();
  EXPECT_EQ(r.published(0).name(), "Device");
  EXPECT_EQ(r.published(0).value(), target_->url());
  auto now = *other_->read_reservation(limit);
  EXPECT_EQ(now.key, key(1, 1));
  EXPECT_EQ(now.type, type5);
  std::vector<char> block(4096, 'x');
  EXPECT_EQ(other_->write(0, block.data(), block.size(), limit).error().code, ErrorCode::conflict);
  auto status = m.run(Order::CONTROL, "disk", "", {}, [](Order& o) { o.set_control("read-status"); });
  EXPECT_NE(status.message().find("node 1, ownership generation 1"), std::string::npos) << status.message();
  EXPECT_EQ(m.run(Order::OFFLINE, "disk").state(), State::OFFLINE);
  m.run(Order::CLOSE, "disk");
  m.close_socket();
  m.wait_exit();
  // Whoever was removed and does not know it yet still may not write: not even between two owners.
  EXPECT_EQ(other_->read_reservation(limit)->key, key(1, 1));
  EXPECT_EQ(other_->write(0, block.data(), block.size(), limit).error().code, ErrorCode::conflict);
  MonitorProcess next({});
  EXPECT_EQ(online(next, key(2, 1), key(1, 1)).state(), State::ONLINE);
  EXPECT_EQ(other_->read_reservation(limit)->key, key(2, 1));
}

TEST_F(Disk, TakesOverFromTheVictim) {
  ASSERT_TRUE(other_->register_ignore(key(1, 2), limit));
  ASSERT_TRUE(other_->reserve(key(1, 2), type5, limit));
  MonitorProcess m({});
  auto r = online(m, key(2, 1), key(1, 2));
  ASSERT_EQ(r.state(), State::ONLINE) << r.message();
  EXPECT_EQ(other_->read_reservation(limit)->key, key(2, 1));
  std::vector<char> block(4096, 'x');
  EXPECT_EQ(other_->write(0, block.data(), block.size(), limit).error().code, ErrorCode::conflict);
}

TEST_F(Disk, TakesOverFromAnOlderOwnerAndRemovesOldRegistrations) {
  auto third = lun("iqn.2026-11.example:third");
  ASSERT_TRUE(third->open(limit));
  ASSERT_TRUE(other_->register_ignore(key(1, 2), limit));
  ASSERT_TRUE(other_->reserve(key(1, 2), type5, limit));
  ASSERT_TRUE(third->register_ignore(key(2, 3), limit));
  MonitorProcess m({});
  auto r = online(m, key(5, 1), key(4, 4));
  ASSERT_EQ(r.state(), State::ONLINE) << r.message();
  EXPECT_EQ(other_->read_keys(limit)->keys, std::vector<ReservationKey>{key(5, 1)});
}

TEST_F(Disk, ComingOnlineAgainWithItsOwnKeyVerifies) {
  {
    MonitorProcess m({});
    ASSERT_EQ(online(m, key(3, 1), {}).state(), State::ONLINE);
    m.signal(SIGKILL);
    m.wait_exit();
  }
  EXPECT_EQ(other_->read_reservation(limit)->key, key(3, 1)) << "nobody gave it back";
  MonitorProcess m({});
  auto r = online(m, key(3, 1), {});
  EXPECT_EQ(r.state(), State::ONLINE) << r.message();
}

TEST_F(Disk, NamesAHolderThatItMayNotPreempt) {
  struct Case {
    ReservationKey holder;
    const char* says;
  };
  for (const Case& c : {Case{key(9, 2), "node 2, ownership generation 9"},
                        Case{key(1, 2, 0x1111), "a key that is not of this cluster"}}) {
    ASSERT_TRUE(other_->register_ignore(c.holder, limit));
    ASSERT_TRUE(other_->reserve(c.holder, type5, limit));
    MonitorProcess m({});
    auto r = online(m, key(2, 1), key(1, 3));
    EXPECT_EQ(r.state(), State::FAILED);
    EXPECT_EQ(r.error(), static_cast<uint32_t>(ErrorCode::conflict));
    EXPECT_NE(r.message().find(c.says), std::string::npos) << r.message();
    EXPECT_EQ(other_->read_reservation(limit)->key, c.holder) << "untouched";
    EXPECT_EQ(other_->read_keys(limit)->keys.size(), 1u) << "nothing of ours stays";
    ASSERT_TRUE(other_->clear(c.holder, limit));
  }
}

TEST_F(Disk, ALossIsReportedAndNotRepaired) {
  MonitorProcess m({});
  ASSERT_EQ(online(m, key(2, 1), {}).state(), State::ONLINE);
  ASSERT_TRUE(other_->register_ignore(key(3, 2), limit));
  ASSERT_TRUE(other_->preempt(key(3, 2), key(2, 1), type5, false, limit));
  auto failed = m.wait_state("disk", State::FAILED);
  ASSERT_TRUE(failed);
  EXPECT_NE(failed->message().find("was lost to node 2, ownership generation 3"), std::string::npos)
      << failed->message();
  EXPECT_EQ(other_->read_reservation(limit)->key, key(3, 2));
}

TEST_F(Disk, AmnesiaOfTheTargetIsALoss) {
  MonitorProcess m({});
  ASSERT_EQ(online(m, key(2, 1), {}).state(), State::ONLINE);
  target_->restart();
  auto failed = m.wait_state("disk", State::FAILED);
  ASSERT_TRUE(failed);
  other_ = lun("iqn.2026-11.example:other");
  ASSERT_TRUE(other_->open(limit));
  EXPECT_FALSE(other_->read_reservation(limit)->held()) << "not reserved again from here";
}

TEST_F(Disk, AFrozenTargetFailsInBoundedTimeAndTerminateIsQuick) {
  MonitorProcess m({});
  ASSERT_EQ(online(m, key(2, 1), {}).state(), State::ONLINE);
  target_->freeze();
  auto failed = m.wait_state("disk", State::FAILED, 20000);
  ASSERT_TRUE(failed);
  EXPECT_NE(failed->message().find("has not answered"), std::string::npos) << failed->message();
  Instant begin = boottime_now();
  m.close_socket();
  EXPECT_TRUE(m.wait_exit());
  EXPECT_LT((boottime_now() - begin).ms(), 3000);
  target_->thaw();
}

TEST_F(Disk, NeedsAKeyAndADevice) {
  MonitorProcess m({});
  EXPECT_NE(online(m, {}, {}).message().find("no reservation key"), std::string::npos);
  EXPECT_NE(m.run(Order::OPEN, "x", "physical-disk", {}).message().find("Device"), std::string::npos);
  m.run(Order::OPEN, "y", "physical-disk", {{"Device", "naa.0123456789abcdef"}});
  auto r = m.run(Order::ONLINE, "y", "", {{"Device", "naa.0123456789abcdef"}},
                 [](Order& o) { o.set_reservation_key(1); });
  EXPECT_NE(r.message().find("no disk with identity naa.0123456789abcdef"), std::string::npos) << r.message();
}

}  // namespace
}  // namespace holdfast::monitor
