// Splits a command line into words as a shell does with quotes and backslashes, and does nothing else that a
// shell does.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace holdfast::program {

Result<std::vector<std::string>> split_command_line(const std::string& line);
// "TERM", "SIGTERM" or "15".
Result<int> parse_signal(const std::string& text);

}  // namespace holdfast::program
