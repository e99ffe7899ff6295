#include "adapters/replica/replica.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace holdfast {
namespace {

TEST(Replica, KeepsWhatWasWritten) {
  char dir[] = "/tmp/holdfast-replica-XXXXXX";
  ASSERT_TRUE(mkdtemp(dir));
  std::string path = std::string(dir) + "/replica.db";
  EXPECT_EQ(Replica::load(path).error().code, ErrorCode::not_found);
  core::Tree tree;
  {
    Replica replica(path, [](const std::string& why) { ADD_FAILURE() << why; });
    tree.apply(core::Edit().set("a/b", "x", "1").done(), Sequence{1});
    replica.write_all(tree, Sequence{1});
    tree.apply(core::Edit().set("a/b", "x", "2").remove("a/b").set("c", "y", uint64_t{7}).done(),
               Sequence{2});
    replica.write_keys(tree, {"a", "a/b", "c"}, Sequence{2});
  }
  auto back = Replica::load(path);
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->digest(), tree.digest());
  std::filesystem::remove_all(dir);
}

TEST(Replica, BrokenFileIsAnErrorNotACrash) {
  char dir[] = "/tmp/holdfast-replica-XXXXXX";
  ASSERT_TRUE(mkdtemp(dir));
  std::string path = std::string(dir) + "/replica.db";
  FILE* f = fopen(path.c_str(), "w");
  fputs("this is no database, but it is long enough to be looked at as one ................................",
        f);
  fclose(f);
  EXPECT_FALSE(Replica::load(path));
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace holdfast
