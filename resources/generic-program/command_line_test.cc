#include "command_line.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace holdfast::program {
namespace {

TEST(CommandLine, SplitsLikeAShell) {
  EXPECT_EQ(*split_command_line("a  b\tc"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(*split_command_line(R"(sh -c 'echo "x y"; $z' "" \ q)"),
            (std::vector<std::string>{"sh", "-c", "echo \"x y\"; $z", "", " q"}));
  EXPECT_EQ(*split_command_line(R"("a\"b"c)"), (std::vector<std::string>{"a\"bc"}));
  for (const char* bad : {"", "   ", "a 'b", "a \\"}) EXPECT_FALSE(split_command_line(bad)) << bad;
}

TEST(CommandLine, KnowsSignals) {
  EXPECT_EQ(*parse_signal("TERM"), SIGTERM);
  EXPECT_EQ(*parse_signal("SIGUSR1"), SIGUSR1);
  EXPECT_EQ(*parse_signal("2"), SIGINT);
  EXPECT_FALSE(parse_signal("NOPE"));
  EXPECT_FALSE(parse_signal("99"));
}

}  // namespace
}  // namespace holdfast::program
