// QuorumDisk on a local quorum file, and on a LUN that hangs.
#include "adapters/quorum_disk/quorum_disk.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "adapters/quorum_disk/local_lun.h"

namespace holdfast {
namespace {

using core::LunOp;
using core::LunResult;
using Kind = LunOp::Kind;
constexpr size_t block = 4096;

// What the disk's thread reports, awaited by the test.
class Results {
 public:
  std::function<void(LunResult)> sink() {
    return [this](LunResult r) {
      std::lock_guard lock(mutex_);
      results_.push_back(std::move(r));
      arrived_.notify_all();
    };
  }
  LunResult next() {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_for(lock, std::chrono::seconds(20), [&] { return !results_.empty(); })) {
      ADD_FAILURE() << "no result came";
      return {};
    }
    LunResult r = std::move(results_.front());
    results_.pop_front();
    return r;
  }
  size_t waiting() {
    std::lock_guard lock(mutex_);
    return results_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<LunResult> results_;
};

class QuorumDiskTest : public testing::Test {
 protected:
  QuorumDiskTest() {
    int fd = mkstemp(path_);
    EXPECT_EQ(ftruncate(fd, 1 << 20), 0);
    close(fd);
  }
  ~QuorumDiskTest() override { unlink(path_); }

  LunOp op(Kind kind) {
    LunOp o;
    o.token = ++token_;
    o.kind = kind;
    o.own = key_;
    return o;
  }
  LunOp beacon() {
    LunOp o = op(Kind::write);
    o.data.assign(block, 'b');
    o.then_read_reservation = true;
    return o;
  }
  LunResult run(QuorumDisk& disk, LunOp o) {
    const uint64_t token = o.token;
    disk.execute(std::move(o));
    LunResult r = results_.next();
    EXPECT_EQ(r.token, token);
    return r;
  }

  char path_[64] = "/tmp/holdfast-quorum-disk-XXXXXX";
  const ReservationKey key_{0x1234000000010001};
  uint64_t token_ = 0;
  Results results_;
};

TEST_F(QuorumDiskTest, ABeaconIsAWriteAndTheReservationAfterIt) {
  QuorumDisk disk(make_local_lun(path_), results_.sink());
  EXPECT_TRUE(run(disk, op(Kind::open)).ok());

  LunResult free = run(disk, beacon());
  EXPECT_TRUE(free.ok());
  EXPECT_TRUE(free.holder_known);
  EXPECT_TRUE(free.holder.is_none());

  EXPECT_TRUE(run(disk, op(Kind::register_ignore)).ok());
  EXPECT_TRUE(run(disk, op(Kind::reserve)).ok());
  LunResult held = run(disk, beacon());
  EXPECT_TRUE(held.ok());
  EXPECT_TRUE(held.holder_known);
  EXPECT_EQ(held.holder, key_);
  EXPECT_TRUE(held.write_exclusive);

  LunOp plain = beacon();
  plain.then_read_reservation = false;
  EXPECT_FALSE(run(disk, plain).holder_known);
}

TEST_F(QuorumDiskTest, AWriteThatFailedStillTellsWhoHolds) {
  QuorumDisk disk(make_local_lun(path_), results_.sink());
  EXPECT_TRUE(run(disk, op(Kind::open)).ok());
  LunOp beyond = beacon();
  beyond.offset_bytes = 1 << 20;
  LunResult r = run(disk, beyond);
  EXPECT_EQ(r.code, ErrorCode::invalid_argument);
  EXPECT_TRUE(r.holder_known);
}

TEST_F(QuorumDiskTest, NothingWorksOnAClosedSession) {
  QuorumDisk disk(make_local_lun(path_), results_.sink());
  LunResult r = run(disk, beacon());
  EXPECT_TRUE(r.session_lost());
  EXPECT_FALSE(r.holder_known);
  EXPECT_TRUE(run(disk, op(Kind::open)).ok());
  EXPECT_TRUE(run(disk, op(Kind::close)).ok());
  EXPECT_TRUE(run(disk, op(Kind::read_reservation)).session_lost());
}

TEST_F(QuorumDiskTest, ResultsComeInTheOrderOfTheOrders) {
  QuorumDisk disk(make_local_lun(path_), results_.sink());
  disk.execute(op(Kind::open));
  for (int i = 0; i < 200; ++i) disk.execute(beacon());
  for (uint64_t token = 1; token <= 201; ++token) ASSERT_EQ(results_.next().token, token);
}

TEST_F(QuorumDiskTest, AFileThatAnotherProcessUsesIsUnreachable) {
  QuorumDisk first(make_local_lun(path_), results_.sink());
  EXPECT_TRUE(run(first, op(Kind::open)).ok());
  QuorumDisk second(make_local_lun(path_), results_.sink());
  LunResult r = run(second, op(Kind::open));
  EXPECT_EQ(r.code, ErrorCode::unreachable);
  EXPECT_NE(r.message.find("another process uses the local quorum file"), std::string::npos) << r.message;
}

// A LUN whose open() hangs until it is let go, as a process in the kernel's D state does.
class HangingLun : public scsi::Lun {
 public:
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool reached = false, open = false, left = false;
    void set(bool Gate::*what) {
      std::lock_guard lock(mutex);
      this->*what = true;
      changed.notify_all();
    }
    void await(bool Gate::*what) {
      std::unique_lock lock(mutex);
      EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return this->*what; }));
    }
  };
  explicit HangingLun(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) {}
  ~HangingLun() override { gate_->set(&Gate::left); }

  Status open(Duration) override {
    gate_->set(&Gate::reached);
    gate_->await(&Gate::open);
    return {};
  }
  void close() override {}
  bool is_open() const override { return true; }
  Result<scsi::Capabilities> capabilities(Duration) override { return scsi::Capabilities{}; }
  Status test_unit_ready(Duration) override { return {}; }
  Status register_key(ReservationKey, ReservationKey, Duration) override { return {}; }
  Status register_ignore(ReservationKey, Duration) override { return {}; }
  Status reserve(ReservationKey, scsi::ReservationType, Duration) override { return {}; }
  Status release(ReservationKey, scsi::ReservationType, Duration) override { return {}; }
  Status clear(ReservationKey, Duration) override { return {}; }
  Status preempt(ReservationKey, ReservationKey, scsi::ReservationType, bool, Duration) override {
    return {};
  }
  Result<scsi::RegisteredKeys> read_keys(Duration) override { return scsi::RegisteredKeys{}; }
  Result<scsi::Reservation> read_reservation(Duration) override { return scsi::Reservation{}; }
  Result<std::vector<scsi::FullStatusEntry>> read_full_status(Duration) override {
    return std::vector<scsi::FullStatusEntry>{};
  }
  Status lun_reset(Duration) override { return {}; }
  Status read(uint64_t, void*, size_t, Duration) override { return {}; }
  Status write(uint64_t, const void*, size_t, Duration) override { return {}; }
  uint64_t size_bytes() const override { return 1 << 20; }

 private:
  std::shared_ptr<Gate> gate_;
};

TEST_F(QuorumDiskTest, ADiskThatHangsIsLeftBehind) {
  auto gate = std::make_shared<HangingLun::Gate>();
  const auto begun = std::chrono::steady_clock::now();
  {
    QuorumDisk disk(std::make_unique<HangingLun>(gate), results_.sink());
    disk.execute(op(Kind::open));
    disk.execute(beacon());
    gate->await(&HangingLun::Gate::reached);
  }
  const auto took = std::chrono::steady_clock::now() - begun;
  EXPECT_LT(took, std::chrono::seconds(10)) << "the service waits for a stuck disk in bounds only";
  gate->set(&HangingLun::Gate::open);
  gate->await(&HangingLun::Gate::left);  // the thread cleans up behind itself
  EXPECT_EQ(results_.waiting(), 0u)
      << "nothing is reported to one that is gone, and nothing more is executed";
}

}  // namespace
}  // namespace holdfast
