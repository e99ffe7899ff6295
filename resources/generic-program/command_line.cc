#include "command_line.h"

#include <signal.h>

#include <cstdlib>
#include <cstring>
#include <utility>

namespace holdfast::program {

Result<std::vector<std::string>> split_command_line(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (c == '\\' && quote != '\'') {
      if (++i == line.size())
        return fail(ErrorCode::invalid_argument, "the command line ends with a backslash: " + line);
      word += line[i];
      in_word = true;
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0)
    return fail(ErrorCode::invalid_argument, "a quote is not closed in the command line: " + line);
  if (in_word) words.push_back(word);
  if (words.empty()) return fail(ErrorCode::invalid_argument, "the command line is empty");
  return words;
}

Result<int> parse_signal(const std::string& text) {
  std::string name = text.starts_with("SIG") ? text.substr(3) : text;
  for (int number = 1; number < SIGRTMIN; ++number)
    if (const char* known = sigabbrev_np(number); known != nullptr && name == known) return number;
  char* end = nullptr;
  long number = strtol(text.c_str(), &end, 10);
  if (*end == 0 && number > 0 && number <= SIGRTMAX) return static_cast<int>(number);
  return fail(ErrorCode::invalid_argument,
              "'" + text + "' is not a signal (use TERM, INT, QUIT, HUP or a number)");
}

}  // namespace holdfast::program
