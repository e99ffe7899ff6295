#include "core/database/tree.h"

#include <gtest/gtest.h>

namespace holdfast::core {
namespace {

TEST(Tree, AppliesAndNotifies) {
  Tree tree;
  auto edit = Edit()
                  .create("groups/web")
                  .set("groups/web", "Owner", uint64_t{2})
                  .set("groups/web", "Preferred", std::vector<std::string>{"n1", "n2"});
  ASSERT_TRUE(tree.check(edit.done()));
  auto notices = tree.apply(edit.done(), Sequence{1});
  ASSERT_EQ(notices.size(), 4u);  // groups, groups/web, Owner, Preferred
  EXPECT_EQ(tree.number("groups/web", "Owner"), 2u);
  EXPECT_EQ(tree.list("groups/web", "Preferred").size(), 2u);
  EXPECT_TRUE(tree.apply(edit.done(), Sequence{2}).empty()) << "the same values again change nothing";
  EXPECT_EQ(tree.find("groups/web")->changed_at, 1u);
  tree.check_invariants();
}

TEST(Tree, SiblingsWithLongerNamesAreNotBelow) {
  Tree tree;
  tree.apply(Edit().create("a/b").create("a/b-c").create("a/b/d").done(), Sequence{1});
  EXPECT_EQ(tree.subtree("a/b"), (std::vector<std::string>{"a/b", "a/b/d"}));
  EXPECT_EQ(tree.children("a"), (std::vector<std::string>{"b", "b-c"}));
  tree.apply(Edit().remove("a/b").done(), Sequence{2});
  EXPECT_TRUE(tree.exists("a/b-c"));
  EXPECT_FALSE(tree.exists("a/b/d"));
}

TEST(Tree, PreconditionsJudge) {
  Tree tree;
  tree.apply(Edit().set("k", "v", "one").done(), Sequence{5});
  EXPECT_TRUE(tree.check(Edit().require_equal("k", "v", text_value("one")).done()));
  auto bad = tree.check(Edit().require_equal("k", "v", text_value("two")).done());
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, ErrorCode::conflict);
  EXPECT_TRUE(tree.check(Edit().require_unset("k", "w").done()));
  EXPECT_TRUE(tree.check(Edit().require_unchanged("k", Sequence{5}).done()));
  EXPECT_FALSE(tree.check(Edit().require_unchanged("k", Sequence{4}).done()));
  EXPECT_FALSE(tree.check(Edit().require_absent("k").done()));
}

TEST(Tree, RefusesMalformed) {
  Tree tree;
  for (const char* key : {"", "/a", "a/", "a//b", "..", "a/ b", "a\nb"})
    EXPECT_FALSE(tree.check(Edit().create(key).done())) << key;
  EXPECT_FALSE(tree.check(Edit().set("k", "v", Value()).done()));
  EXPECT_EQ(tree.check(Edit().set("k", "v", std::string(65537, 'x')).done()).error().code, ErrorCode::full);
}

TEST(Tree, SurvivesProtoRoundTrip) {
  Tree tree;
  tree.apply(Edit().set("a", "x", "1").done(), Sequence{1});
  tree.apply(Edit().set("a/b", "y", uint64_t{7}).set("a/b", "z", std::vector<std::string>{}).done(),
             Sequence{2});
  Tree copy;
  ASSERT_TRUE(copy.load(tree.to_proto()));
  EXPECT_EQ(copy.digest(), tree.digest());
  EXPECT_EQ(copy.bytes(), tree.bytes());
  copy.apply(Edit().set("a", "x", "2").done(), Sequence{3});
  EXPECT_NE(copy.digest(), tree.digest());
}

// Members that count differently would judge differently what is too much.
TEST(Tree, AKeyThatIsThereTwiceCountsOnce) {
  Tree tree, once, twice;
  tree.apply(Edit().set("a", "x", "1").done(), Sequence{1});
  auto proto = tree.to_proto("a");
  ASSERT_TRUE(once.load(proto));
  *proto.add_keys() = proto.keys(0);
  ASSERT_TRUE(twice.load(proto));
  EXPECT_EQ(twice.digest(), once.digest());
  EXPECT_EQ(twice.bytes(), once.bytes());
}

}  // namespace
}  // namespace holdfast::core
