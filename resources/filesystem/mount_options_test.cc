#include "mount_options.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

namespace holdfast::files {
namespace {

TEST(MountOptions, SplitsFlagsFromData) {
  auto o = parse_mount_options("noatime,,data=ordered,nosuid,errors=remount-ro,_netdev");
  EXPECT_EQ(o.flags, static_cast<unsigned long>(MS_NOATIME | MS_NOSUID));
  EXPECT_EQ(o.data, "data=ordered,errors=remount-ro");
  EXPECT_TRUE(parse_mount_options("ro").read_only());
  EXPECT_FALSE(parse_mount_options("ro,rw").read_only());
  EXPECT_EQ(parse_mount_options("").flags, 0ul);
}

}  // namespace
}  // namespace holdfast::files
