// Conformance: registrations and reservations, seen by two initiators.
#include <algorithm>
#include <atomic>
#include <thread>

#include "iscsi/tests/conformance_fixture.h"

namespace holdfast::scsi {
namespace {

class ReservationTest : public LunTest {
 protected:
  void SetUp() override {
    LunTest::SetUp();
    if (HasFatalFailure()) return;
    if (!has_initiators(2)) GTEST_SKIP() << "needs two initiators";
    a_ = connect(1);
    b_ = connect(2);
  }
  void expect_holder(ReservationKey key, ReservationType type = type_1) {
    for (Lun* lun : {a_.get(), b_.get()}) {
      auto seen = lun->read_reservation(soon);
      ASSERT_OK(seen);
      EXPECT_EQ(to_string(seen->key), to_string(key));
      EXPECT_EQ(seen->type, type);
    }
  }
  std::vector<uint64_t> keys() {
    std::vector<uint64_t> out;
    auto seen = b_->read_keys(soon);
    EXPECT_TRUE(seen.has_value()) << seen.error().text();
    if (!seen) return out;
    for (ReservationKey key : seen->keys) out.push_back(key.value);
    std::sort(out.begin(), out.end());
    return out;
  }
  std::unique_ptr<Lun> a_, b_;
  const ReservationKey key_a_ = key_of(1, 1), key_b_ = key_of(1, 2);
};

TEST_F(ReservationTest, RegistersAndUnregisters) {
  EXPECT_TRUE(keys().empty());
  ASSERT_OK(a_->register_key({}, key_a_, soon));
  EXPECT_EQ(keys(), std::vector<uint64_t>{key_a_.value});
  EXPECT_FAILS(ErrorCode::conflict, a_->register_key(key_b_, key_of(2, 1), soon));
  ASSERT_OK(a_->register_key(key_a_, key_of(2, 1), soon));
  EXPECT_EQ(keys(), std::vector<uint64_t>{key_of(2, 1).value});
  ASSERT_OK(a_->register_ignore(key_of(3, 1), soon));
  ASSERT_OK(b_->register_ignore(key_b_, soon));
  EXPECT_EQ(keys().size(), 2u);
  ASSERT_OK(a_->register_key(key_of(3, 1), {}, soon));
  EXPECT_EQ(keys(), std::vector<uint64_t>{key_b_.value});
}

TEST_F(ReservationTest, GenerationCountsChanges) {
  uint32_t before = a_->read_keys(soon).value().generation;
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  uint32_t after = a_->read_keys(soon).value().generation;
  EXPECT_NE(before, after);
  EXPECT_EQ(a_->read_reservation(soon).value().generation, after);
}

TEST_F(ReservationTest, OnlyTheHolderWrites) {
  std::vector<uint8_t> block(4096, 1), seen(4096);
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->reserve(key_a_, type_1, soon));
  expect_holder(key_a_);
  ASSERT_OK(a_->write(0, block.data(), block.size(), soon));
  EXPECT_FAILS(ErrorCode::conflict, b_->write(0, block.data(), block.size(), soon));
  ASSERT_OK(b_->read(0, seen.data(), seen.size(), soon));
  EXPECT_EQ(seen, block);
  ASSERT_OK(b_->register_ignore(key_b_, soon));  // type 1: a registration does not let it write
  EXPECT_FAILS(ErrorCode::conflict, b_->write(0, block.data(), block.size(), soon));
  EXPECT_FAILS(ErrorCode::conflict, b_->reserve(key_b_, type_1, soon));
  EXPECT_TRUE(b_->is_open());
  ASSERT_OK(a_->release(key_a_, type_1, soon));
  expect_holder({}, ReservationType::none);
  ASSERT_OK(b_->write(0, block.data(), block.size(), soon));
}

TEST_F(ReservationTest, RegistrantsWriteUnderTypeFive) {
  constexpr auto type_5 = ReservationType::write_exclusive_registrants_only;
  std::vector<uint8_t> block(4096, 2);
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->reserve(key_a_, type_5, soon));
  expect_holder(key_a_, type_5);
  EXPECT_FAILS(ErrorCode::conflict, b_->write(0, block.data(), block.size(), soon));
  ASSERT_OK(b_->register_ignore(key_b_, soon));
  ASSERT_OK(b_->write(0, block.data(), block.size(), soon));
}

TEST_F(ReservationTest, ReservingNeedsARegistration) {
  EXPECT_FAILS(ErrorCode::conflict, a_->reserve(key_a_, type_1, soon));
  EXPECT_FAILS(ErrorCode::conflict, a_->preempt(key_a_, key_b_, type_1, false, soon));
  EXPECT_FAILS(ErrorCode::conflict, a_->clear(key_a_, soon));
  EXPECT_TRUE(a_->is_open());
}

TEST_F(ReservationTest, ReservationFollowsTheHoldersKey) {
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->reserve(key_a_, type_1, soon));
  ASSERT_OK(a_->register_key(key_a_, key_of(2, 1), soon));
  expect_holder(key_of(2, 1));
}

TEST_F(ReservationTest, PreemptMovesTheReservation) {
  std::vector<uint8_t> block(4096, 3);
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->reserve(key_a_, type_1, soon));
  ASSERT_OK(b_->register_ignore(key_b_, soon));
  EXPECT_FAILS(ErrorCode::conflict, b_->preempt(key_b_, key_of(9, 9), type_1, false, soon));
  ASSERT_OK(b_->preempt(key_b_, key_a_, type_1, false, soon));
  expect_holder(key_b_);
  EXPECT_EQ(keys(), std::vector<uint64_t>{key_b_.value});
  EXPECT_FAILS(ErrorCode::conflict, a_->write(0, block.data(), block.size(), soon));
  // The victim is gone, so a repetition is a conflict: after an unknown outcome one reads, not repeats.
  EXPECT_FAILS(ErrorCode::conflict, b_->preempt(key_b_, key_a_, type_1, false, soon));
}

TEST_F(ReservationTest, PreemptAndAbortWorksOrIsUnsupported) {
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->reserve(key_a_, type_1, soon));
  ASSERT_OK(b_->register_ignore(key_b_, soon));
  Status done = b_->preempt(key_b_, key_a_, type_1, true, soon);
  if (caps_.preempt_and_abort) {
    EXPECT_OK(done);
    expect_holder(key_b_);
    return;
  }
  EXPECT_FAILS(ErrorCode::unsupported, done);
  EXPECT_TRUE(b_->is_open());
  expect_holder(key_a_);
}

// The fence itself: a write of the old owner that was under way when it was preempted must not land on what
// the new owner writes.
TEST_F(ReservationTest, NothingOfTheVictimLandsAfterItsPreemption) {
  for (uint64_t epoch = 1; epoch <= 10; ++epoch) {
    const ReservationKey old_owner = key_of(epoch, 1), new_owner = key_of(epoch, 2);
    ASSERT_OK(a_->register_ignore(old_owner, soon));
    ASSERT_OK(a_->reserve(old_owner, type_1, soon));
    ASSERT_OK(b_->register_ignore(new_owner, soon));
    expect_holder(old_owner);  // who was shaken by a reset or a preempt must look before it may write
    std::atomic<int> written = 0;
    std::atomic<bool> ended = false, stop = false;
    Status last;
    std::jthread victim([&] {
      std::vector<uint8_t> stale(64 * 1024, 0xee);
      do {
        last = a_->write(0, stale.data(), stale.size(), soon);
        if (last) ++written;
      } while (last && !stop);
      ended = true;
    });
    while (written < 5 && !ended) std::this_thread::yield();
    Status taken = b_->preempt(new_owner, old_owner, type_1, caps_.preempt_and_abort, soon);
    if (taken && !caps_.preempt_and_abort) taken = b_->lun_reset(soon);
    const Result<Reservation> holder = b_->read_reservation(soon);
    std::vector<uint8_t> fresh(64 * 1024, static_cast<uint8_t>(epoch)), seen(64 * 1024);
    Status put = b_->write(0, fresh.data(), fresh.size(), soon);
    stop = !taken;
    victim.join();
    ASSERT_OK(taken);
    ASSERT_OK(holder);
    EXPECT_EQ(holder->key, new_owner);
    ASSERT_OK(put);
    EXPECT_FALSE(last.has_value());
    ASSERT_OK(b_->read(0, seen.data(), seen.size(), soon));
    EXPECT_EQ(seen, fresh) << "round " << epoch << ", the victim ended with " << last.error().text();
    ASSERT_OK(b_->clear(new_owner, soon));
    // An aborted write may have cost the victim its session, by the target or by the reset.
    if (!a_->is_open()) ASSERT_OK(a_->open(soon));
  }
}

TEST_F(ReservationTest, PowerLossSafetyIsAskedForWhenWanted) {
  if (!caps_.aptpl_capable) GTEST_SKIP() << "the target has no APTPL";
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  EXPECT_FALSE(a_->capabilities(soon).value().aptpl_active);
  b_->close();
  b_ = connect(2, true);
  ASSERT_OK(b_->register_ignore(key_b_, soon));
  EXPECT_TRUE(b_->capabilities(soon).value().aptpl_active);
}

TEST_F(ReservationTest, ARegistrationBelongsToTheInitiatorNotToItsSession) {
  if (target_) GTEST_SKIP() << "tgtd ties registrations to connections";
  std::vector<uint8_t> block(4096, 6);
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->reserve(key_a_, type_1, soon));
  a_->close();
  ASSERT_OK(a_->open(soon));
  EXPECT_EQ(keys(), std::vector<uint64_t>{key_a_.value});
  expect_holder(key_a_);
  ASSERT_OK(a_->write(0, block.data(), block.size(), soon));
}

TEST_F(ReservationTest, VictimMeetsAUnitAttentionAndGoesOn) {
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->reserve(key_a_, type_1, soon));
  ASSERT_OK(b_->register_ignore(key_b_, soon));
  ASSERT_OK(b_->preempt(key_b_, key_a_, type_1, false, soon));
  const uint64_t before = a_->unit_attention_count();
  ASSERT_OK(a_->test_unit_ready(soon));
  // At a kernel disk anybody's command may have met it first: the kernel's own, or udev's probe of the disk.
  EXPECT_TRUE(a_->unit_attention_count() > before || !external_disks().empty());
  // A bounced PERSISTENT RESERVE OUT is repeated as well.
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->preempt(key_a_, key_b_, type_1, false, soon));
  ASSERT_OK(b_->register_ignore(key_b_, soon));
  expect_holder(key_a_);
}

TEST_F(ReservationTest, ClearRemovesEverything) {
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(b_->register_ignore(key_b_, soon));
  ASSERT_OK(a_->reserve(key_a_, type_1, soon));
  ASSERT_OK(b_->clear(key_b_, soon));
  expect_holder({}, ReservationType::none);
  EXPECT_TRUE(keys().empty());
}

TEST_F(ReservationTest, LunResetKeepsTheReservation) {
  std::vector<uint8_t> block(4096, 4);
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->reserve(key_a_, type_1, soon));
  ASSERT_OK(a_->lun_reset(soon));
  expect_holder(key_a_);
  ASSERT_OK(a_->write(0, block.data(), block.size(), soon));
}

TEST_F(ReservationTest, FullStatusNamesTheNexus) {
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->reserve(key_a_, type_1, soon));
  auto full = a_->read_full_status(soon);
  if (!caps_.read_full_status) {
    EXPECT_FAILS(ErrorCode::unsupported, full);
    return;
  }
  ASSERT_OK(full);
  ASSERT_EQ(full->size(), 1u);
  EXPECT_EQ(full->front().key, key_a_);
  EXPECT_TRUE(full->front().holder);
  EXPECT_NE(full->front().transport_id.find("node1"), std::string::npos) << full->front().transport_id;
}

TEST_F(ReservationTest, SelfPreemptSweepsTwins) {
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->reserve(key_a_, type_1, soon));
  a_->close();
  // A target that ties registrations to connections now lists a dead twin that holds the reservation.
  ASSERT_OK(a_->open(soon));
  ASSERT_OK(a_->register_ignore(key_a_, soon));
  ASSERT_OK(a_->preempt(key_a_, key_a_, type_1, false, soon));
  EXPECT_EQ(keys(), std::vector<uint64_t>{key_a_.value});
  expect_holder(key_a_);
  std::vector<uint8_t> block(4096, 5);
  ASSERT_OK(a_->write(0, block.data(), block.size(), soon));
}

}  // namespace
}  // namespace holdfast::scsi
