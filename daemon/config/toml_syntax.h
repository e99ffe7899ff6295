// What is looked at before a configuration is given to the TOML parser.
#pragma once

#include <cstddef>
#include <string_view>

namespace holdfast {

// Line (from 1) of the first character beyond ASCII that stands neither in quotes nor in a comment, where
// TOML has none; 0: there is none. toml++ 3.3 has undefined behaviour there.
size_t line_of_stray_character(std::string_view text);

}  // namespace holdfast
