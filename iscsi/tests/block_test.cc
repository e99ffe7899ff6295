// Conformance: size, reads and writes, and their limits.
#include <cstring>

#include "iscsi/tests/conformance_fixture.h"

namespace holdfast::scsi {
namespace {

class BlockTest : public LunTest {};

TEST_F(BlockTest, ReportsItsSize) {
  auto lun = connect(1);
  EXPECT_EQ(lun->size_bytes(), caps_.block_count * caps_.block_size);
  EXPECT_FALSE(caps_.identities.empty());
  if (!target_) return;
  EXPECT_EQ(lun->size_bytes(), 64u << 20);
  EXPECT_EQ(caps_.vendor, "IET");
  EXPECT_TRUE(caps_.persistent_reservations);
  EXPECT_TRUE(caps_.supports(type_1));
  EXPECT_FALSE(caps_.supports(ReservationType::none));
  EXPECT_FALSE(caps_.preempt_and_abort);
}

TEST_F(BlockTest, ReadsBackWhatWasWritten) {
  auto lun = connect(1);
  // From one block to several chunks with a rest.
  for (size_t size : {size_t{4096}, size_t{512 * 1024}, size_t{3 * 1024 * 1024 + 8192}}) {
    std::vector<uint8_t> out(size), in(size);
    for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(i * 7 + i / 4096 + size);
    ASSERT_OK(lun->write(8192, out.data(), size, soon));
    ASSERT_OK(lun->read(8192, in.data(), size, soon));
    EXPECT_EQ(memcmp(in.data(), out.data(), size), 0) << size;
  }
}

TEST_F(BlockTest, ReachesTheLastBlock) {
  auto lun = connect(1);
  std::vector<uint8_t> out(4096, 9), in(4096);
  uint64_t last = lun->size_bytes() / 4096 * 4096 - 4096;
  ASSERT_OK(lun->write(last, out.data(), 4096, soon));
  ASSERT_OK(lun->read(last, in.data(), 4096, soon));
  EXPECT_EQ(in, out);
}

TEST_F(BlockTest, RefusesWhatIsNotAlignedOrOutside) {
  auto lun = connect(1);
  std::vector<uint8_t> data(8192);
  uint64_t size = lun->size_bytes();
  EXPECT_FAILS(ErrorCode::invalid_argument, lun->read(512, data.data(), 4096, soon));
  EXPECT_FAILS(ErrorCode::invalid_argument, lun->read(0, data.data(), 512, soon));
  EXPECT_FAILS(ErrorCode::invalid_argument, lun->write(100, data.data(), 4096, soon));
  EXPECT_FAILS(ErrorCode::invalid_argument, lun->write(size, data.data(), 4096, soon));
  EXPECT_FAILS(ErrorCode::invalid_argument, lun->read(size - 4096, data.data(), 8192, soon));
  EXPECT_FAILS(ErrorCode::invalid_argument, lun->read(~uint64_t{4095}, data.data(), 8192, soon));
  EXPECT_TRUE(lun->is_open());
}

}  // namespace
}  // namespace holdfast::scsi
