// The helper process: what its caller learns when it hangs or dies, and what it must not keep open.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "iscsi/helper_process.h"
#include "iscsi/tests/conformance_fixture.h"

namespace holdfast::scsi {
namespace {

class HelperTest : public TgtdTest {
 protected:
  void SetUp() override {
    TgtdTest::SetUp();
    if (target_ == nullptr) return;
    lun_ = make_helper_lun(attach(target_->url(), 5));
    ASSERT_OK(lun_->open(soon));
  }
  // Our children named like a helper: with this process's other helpers, the newest.
  pid_t helper() const {
    std::ifstream children("/proc/self/task/" + std::to_string(gettid()) + "/children");
    pid_t pid = 0, found = 0;
    while (children >> pid) {
      std::string name;
      std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), name);
      if (name == "holdfast-scsi") found = pid;
    }
    return found;
  }
  std::unique_ptr<Lun> lun_;
};

TEST_F(HelperTest, CarriesEveryKindOfAnswer) {
  std::vector<uint8_t> out(1 << 20, 0x5a), in(1 << 20);
  ASSERT_OK(lun_->register_ignore(key_of(1, 5), soon));
  ASSERT_OK(lun_->reserve(key_of(1, 5), type_1, soon));
  EXPECT_EQ(lun_->read_keys(soon).value().keys, std::vector<ReservationKey>{key_of(1, 5)});
  EXPECT_EQ(lun_->read_reservation(soon).value().key, key_of(1, 5));
  EXPECT_EQ(lun_->capabilities(soon).value().identities, caps_.identities);
  EXPECT_EQ(lun_->size_bytes(), 64u << 20);
  ASSERT_OK(lun_->write(0, out.data(), out.size(), soon));
  ASSERT_OK(lun_->read(0, in.data(), in.size(), soon));
  EXPECT_EQ(in, out);
  EXPECT_FAILS(ErrorCode::unsupported, lun_->read_full_status(soon));
  EXPECT_FAILS(ErrorCode::invalid_argument, lun_->read(1, in.data(), 4096, soon));
}

TEST_F(HelperTest, HangingHelperIsAbandonedInTime) {
  pid_t pid = helper();
  ASSERT_GT(pid, 0);
  kill(pid, SIGSTOP);
  Instant start = now();
  EXPECT_FAILS(ErrorCode::timeout, lun_->test_unit_ready(Duration::milliseconds(100)));
  EXPECT_LE((now() - start).ms(), 150);
  EXPECT_FALSE(lun_->is_open());
  ASSERT_OK(lun_->open(soon));
  EXPECT_NE(helper(), pid);
  ASSERT_OK(lun_->test_unit_ready(soon));
}

TEST_F(HelperTest, DeadHelperIsALostConnection) {
  pid_t pid = helper();
  ASSERT_GT(pid, 0);
  kill(pid, SIGKILL);
  EXPECT_FAILS(ErrorCode::connection_lost, lun_->test_unit_ready(soon));
  EXPECT_FALSE(lun_->is_open());
  ASSERT_OK(lun_->open(soon));
}

TEST_F(HelperTest, HelperKeepsNoDescriptorOfTheParent) {
  lun_->close();
  int grant[2];
  ASSERT_EQ(pipe(grant), 0);
  ASSERT_OK(lun_->open(soon));
  close(grant[1]);
  char byte = 0;
  EXPECT_EQ(read(grant[0], &byte, 1), 0);  // end of file: nobody else holds the writing end
  close(grant[0]);
}

}  // namespace
}  // namespace holdfast::scsi
