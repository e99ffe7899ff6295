#include "config/toml_syntax.h"

namespace holdfast {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

// Does the quote at `at` begin a text? Behind anything else the parser takes it for a part of that, and
// refuses it.
bool begins_quoted(std::string_view text, size_t at) {
  constexpr std::string_view before = " \t\r\n=,[{.";
  return at == 0 || before.find(text[at - 1]) != std::string_view::npos;
}

// Where the text in quotes that begins at `at` ends (behind its last quote). An end of line ends what has one
// quote: the parser refuses it.
size_t end_of_quoted(std::string_view text, size_t at) {
  const char quote = text[at];
  auto three = [&](size_t i) {
    return i + 2 < text.size() && text[i] == quote && text[i + 1] == quote && text[i + 2] == quote;
  };
  const bool lines = three(at);
  for (size_t i = at + (lines ? 3 : 1); i < text.size(); ++i) {
    if (text[i] == '\\' && quote == '"') {
      ++i;
    } else if (lines && three(i)) {
      size_t end = i + 3;
      while (end < text.size() && end < i + 5 && text[end] == quote) ++end;  // up to two belong to the text
      return end;
    } else if (!lines && (text[i] == quote || text[i] == '\n')) {
      return text[i] == quote ? i + 1 : i;
    }
  }
  return text.size();
}

}  // namespace

size_t line_of_stray_character(std::string_view text) {
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  size_t line = 1;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    if (text[i] == '#')
      end = text.find('\n', i);
    else if ((text[i] == '"' || text[i] == '\'') && begins_quoted(text, i))
      end = end_of_quoted(text, i);
    else if (static_cast<unsigned char>(text[i]) >= 0x80)
      return line;
    if (end == std::string_view::npos) break;
    for (; i < end; ++i) line += text[i] == '\n' ? 1 : 0;
  }
  return 0;
}

}  // namespace holdfast
