// Text from outside (plug-ins, programs, names of users) on its way into a message: Protobuf writes a string
// that is no UTF-8, but its reader refuses the whole message, with everything else in it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace holdfast {

// `text` as UTF-8 of at most `bytes_max` bytes, cut between characters. What is no UTF-8 becomes '?', byte by
// byte.
std::string to_utf8(std::string_view text, size_t bytes_max = std::string_view::npos);

}  // namespace holdfast
