// Conformance: how sessions end, and what a caller learns about it.
#include <sys/socket.h>

#include <csignal>

#include "iscsi/tests/conformance_fixture.h"

namespace holdfast::scsi {
namespace {

class SessionTest : public TgtdTest {};

// A machine under load wakes us late: the bound of the brief, 50 ms.
void expect_about(Duration took, Duration wanted) {
  EXPECT_GE(took.ms(), wanted.ms() - 1);
  EXPECT_LE(took.ms(), wanted.ms() + 50);
}

TEST_F(SessionTest, FrozenTargetTimesOutInTime) {
  auto lun = connect(1);
  constexpr Duration limit = Duration::milliseconds(150);
  std::vector<uint8_t> block(4096);
  target_->freeze();
  Instant start = now();
  EXPECT_FAILS(ErrorCode::timeout, lun->write(0, block.data(), block.size(), limit));
  expect_about(now() - start, limit);
  EXPECT_FALSE(lun->is_open());
  start = now();
  EXPECT_FAILS(ErrorCode::unreachable, lun->test_unit_ready(limit));
  EXPECT_LE((now() - start).ms(), 50);
  start = now();
  EXPECT_FAILS(ErrorCode::unreachable, lun->open(limit));
  expect_about(now() - start, limit);
  target_->thaw();
  ASSERT_OK(lun->open(soon));
  ASSERT_OK(lun->write(0, block.data(), block.size(), soon));
}

TEST_F(SessionTest, FrozenTargetTimesOutAReset) {
  auto lun = connect(1);
  constexpr Duration limit = Duration::milliseconds(100);
  target_->freeze();
  Instant start = now();
  EXPECT_FAILS(ErrorCode::timeout, lun->lun_reset(limit));
  expect_about(now() - start, limit);
  EXPECT_FALSE(lun->is_open());
  target_->thaw();
}

TEST_F(SessionTest, BrokenConnectionIsReportedAndTheLunOpensAgain) {
  auto lun = connect(1);
  ASSERT_OK(lun->register_ignore(key_of(1, 1), soon));
  target_->restart();
  EXPECT_FAILS(ErrorCode::connection_lost, lun->read_keys(soon));
  EXPECT_FALSE(lun->is_open());
  EXPECT_FAILS(ErrorCode::unreachable, lun->read_keys(soon));
  ASSERT_OK(lun->open(soon));
  EXPECT_TRUE(lun->read_keys(soon).value().keys.empty());  // this target forgets
}

TEST_F(SessionTest, WritingIntoADeadConnectionRaisesNoSignal) {
  static volatile sig_atomic_t signals;
  signals = 0;
  auto* before = signal(SIGPIPE, [](int) { signals = signals + 1; });
  auto lun = connect(1);
  std::vector<uint8_t> data(1 << 20);
  target_->kill();
  EXPECT_FAILS(ErrorCode::connection_lost, lun->write(0, data.data(), data.size(), soon));
  EXPECT_EQ(signals, 0);
  signal(SIGPIPE, before);
}

TEST_F(SessionTest, RestartOfTheTargetForgetsReservations) {
  auto a = connect(1);
  std::vector<uint8_t> block(4096, 7), seen(4096);
  ASSERT_OK(a->register_ignore(key_of(1, 1), soon));
  ASSERT_OK(a->reserve(key_of(1, 1), type_1, soon));
  ASSERT_OK(a->write(0, block.data(), block.size(), soon));
  target_->restart();
  auto b = connect(2);
  EXPECT_FALSE(b->read_reservation(soon).value().held());
  ASSERT_OK(b->read(0, seen.data(), seen.size(), soon));
  EXPECT_EQ(seen, block);
}

TEST_F(SessionTest, NobodyListens) {
  Attachment nowhere = attach(target_->url(), 1);
  target_->kill();
  auto lun = make_test_lun(nowhere);
  EXPECT_FAILS(ErrorCode::unreachable, lun->open(soon));
  EXPECT_FALSE(lun->is_open());
}

TEST_F(SessionTest, UnknownTargetAndUnknownLun) {
  Attachment other = attach(target_->url(), 1);
  other.target = "iqn.2026-11.example.holdfast:absent";
  EXPECT_FAILS(ErrorCode::not_found, make_test_lun(other)->open(soon));
  other = attach(target_->url(7), 1);
  EXPECT_FAILS(ErrorCode::not_found, make_test_lun(other)->open(soon));
  other = attach(target_->url(0), 1);  // the controller
  EXPECT_FAILS(ErrorCode::unsupported, make_test_lun(other)->open(soon));
}

TEST_F(SessionTest, NeedsAnInitiatorName) {
  Attachment nameless = attach(target_->url(), 1);
  nameless.initiator_name.clear();
  EXPECT_FAILS(ErrorCode::invalid_argument, make_test_lun(nameless)->open(soon));
}

TEST(ChapTest, PasswordDecides) {
  if (external_lun() != nullptr) GTEST_SKIP();
  TgtdTarget::Options options;
  options.user = "holdfast";
  options.password = "a-long-password";
  TgtdTarget target(options);
  auto lun = make_test_lun(attach(target.url(), 1));
  ASSERT_OK(lun->open(soon));
  ASSERT_OK(lun->test_unit_ready(soon));
  Attachment wrong = attach(target.url(), 2);
  wrong.password = "another-password";
  auto refused = make_test_lun(wrong)->open(soon);
  EXPECT_FAILS(ErrorCode::permission, refused);
  EXPECT_EQ(refused.error().text().find("another-password"), std::string::npos);
}

TEST(AttachmentTest, ReadsAddresses) {
  auto a = Attachment::parse("iscsi://u%p@ss@10.1.2.3:3261/iqn.2026-11.example:disk/5");
  ASSERT_OK(a);
  EXPECT_EQ(a->host, "10.1.2.3");
  EXPECT_EQ(a->port, 3261);
  EXPECT_EQ(a->user, "u");
  EXPECT_EQ(a->password, "p@ss");
  EXPECT_EQ(a->target, "iqn.2026-11.example:disk");
  EXPECT_EQ(a->lun, 5);
  EXPECT_EQ(a->text(), "iscsi://10.1.2.3:3261/iqn.2026-11.example:disk/5");
  a = Attachment::parse("iscsi://[fd00::1]/iqn.x:y/0");
  ASSERT_OK(a);
  EXPECT_EQ(a->host, "fd00::1");
  EXPECT_EQ(a->text(), "iscsi://[fd00::1]:3260/iqn.x:y/0");
  EXPECT_EQ(Attachment::parse("/dev/sdb")->kind, Attachment::Kind::block_device);
  for (const char* bad :
       {"", "file:/x", "iscsi://", "iscsi://host:3260/iqn/1", "iscsi://1.2.3.4:0/iqn/1",
        "iscsi://1.2.3.4:3260/iqn", "iscsi://1.2.3.4:3260/iqn/x", "iscsi://1.2.3.4:3260/iqn/-1",
        "iscsi://1.2.3.4:3260/iqn/99999", "iscsi://[::1/iqn/1", "iscsi://user@1.2.3.4/iqn/1",
        "iscsi://1.2.3.4:3260//1", "iscsi://::1/iqn/1"})
    EXPECT_FAILS(ErrorCode::invalid_argument, Attachment::parse(bad));
  EXPECT_FAILS(ErrorCode::invalid_argument, Attachment::parse(std::string("iscsi://1.2.3.4\0x/iqn/1", 23)));
}

TEST(BlockDeviceTest, RefusesWhatIsNoDisk) {
  EXPECT_FAILS(ErrorCode::not_found,
               make_test_lun(Attachment::parse("/dev/holdfast-absent").value())->open(soon));
  EXPECT_FAILS(ErrorCode::invalid_argument,
               make_test_lun(Attachment::parse("/dev/null").value())->open(soon));
}

}  // namespace
}  // namespace holdfast::scsi
