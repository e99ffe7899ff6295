// ScsiLun over a transport that gives one target's odd answers, so that they are tested without that target.
#include "base/bytes.h"
#include "iscsi/scsi_lun.h"
#include "iscsi/tests/conformance_fixture.h"

namespace holdfast::scsi {
namespace {

// LIO: PERSISTENT RESERVE OUT is answered with 02/0800 for want of a registration, or because it really is
// not ready.
class LioAnswers : public Transport {
 public:
  explicit LioAnswers(std::vector<ReservationKey> registered) : registered_(std::move(registered)) {}
  Status open(const Deadline&) override { return {}; }
  void close() override {}
  bool is_open() const override { return true; }
  Status lun_reset(const Deadline&) override { return {}; }
  Result<Completion> execute(const Command& command, const Deadline&) override {
    if (command.direction == Direction::out) return Completion{2, 0x2, 0x0800, 0};
    std::vector<uint8_t> answer(8 + 8 * registered_.size());
    put_be(&answer[4], 8 * registered_.size(), 4);
    for (size_t i = 0; i < registered_.size(); ++i) put_be(&answer[8 + 8 * i], registered_[i].value, 8);
    std::copy(answer.begin(), answer.end(), static_cast<uint8_t*>(command.data));
    return Completion{0, 0, 0, answer.size()};
  }

 private:
  std::vector<ReservationKey> registered_;
};

TEST(LioAnswersTest, AnInitiatorWithoutARegistrationHasAConflict) {
  const ReservationKey own = key_of(1, 1), other = key_of(1, 2);
  ScsiLun lun(attach("iscsi://192.0.2.1:3260/iqn.x:y/0", 1),
              std::make_unique<LioAnswers>(std::vector<ReservationKey>{other}));
  EXPECT_FAILS(ErrorCode::conflict, lun.reserve(own, type_1, soon));
  EXPECT_FAILS(ErrorCode::conflict, lun.release(own, type_1, soon));
  EXPECT_FAILS(ErrorCode::conflict, lun.clear(own, soon));
}

TEST(LioAnswersTest, ALunThatIsNotReadyStaysBusy) {
  const ReservationKey own = key_of(1, 1);
  ScsiLun lun(attach("iscsi://192.0.2.1:3260/iqn.x:y/0", 1),
              std::make_unique<LioAnswers>(std::vector<ReservationKey>{own}));
  EXPECT_FAILS(ErrorCode::busy, lun.reserve(own, type_1, soon));
  EXPECT_FAILS(ErrorCode::busy, lun.clear(own, soon));
}

}  // namespace
}  // namespace holdfast::scsi
