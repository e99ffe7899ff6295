// BlockQueue on a file: the same system calls as on a disk. Disks proper need HOLDFAST_TEST_LUN=/dev/….
#include "iscsi/block_queue.h"

#include <fcntl.h>
#include <unistd.h>

#include "iscsi/tests/conformance_fixture.h"

namespace holdfast::scsi {
namespace {

TEST(BlockQueueTest, ReadsBackWhatWasWritten) {
  char name[] = "/tmp/holdfast-queue-XXXXXX";
  int made = mkstemp(name);
  ASSERT_GE(made, 0);
  ASSERT_EQ(ftruncate(made, 4 << 20), 0);
  close(made);
  int fd = open(name, O_RDWR | O_DIRECT | O_CLOEXEC);
  unlink(name);
  if (fd < 0) GTEST_SKIP() << "this file system has no O_DIRECT";
  {
    BlockQueue queue(fd, name);
    // One byte off: the queue's own pages are aligned, the caller's memory need not be.
    std::vector<uint8_t> out(BlockQueue::transfer_bytes_max + 1, 0x6b),
        in(BlockQueue::transfer_bytes_max + 1);
    ASSERT_OK(queue.write(1 << 20, &out[1], BlockQueue::transfer_bytes_max, Deadline(soon)));
    ASSERT_OK(queue.read(1 << 20, &in[1], BlockQueue::transfer_bytes_max, Deadline(soon)));
    out[0] = 0;
    EXPECT_EQ(in, out);
    EXPECT_FAILS(ErrorCode::io, queue.read(4 << 20, &in[1], 4096, Deadline(soon)));  // beyond the end
    RecordProperty("io_uring", queue.has_deadlines() ? "yes" : "no");
  }
  close(fd);
}

TEST(BlockQueueTest, SilentDeviceTimesOut) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);  // nobody ever writes into it
  {
    BlockQueue queue(ends[0], "silent");
    if (queue.has_deadlines()) {
      std::vector<uint8_t> in(4096);
      Instant start = now();
      Status got = queue.read(0, in.data(), in.size(), Deadline(Duration::milliseconds(100)));
      EXPECT_FALSE(got.has_value());
      EXPECT_LE((now() - start).ms(), 150);
      EXPECT_FALSE(queue.read(0, in.data(), in.size(), Deadline(soon)).has_value());  // abandoned
    }
  }
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace holdfast::scsi
