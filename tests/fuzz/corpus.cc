#include "corpus.h"

#include <errno.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "target.h"

namespace holdfast::fuzz {
namespace {

namespace files = std::filesystem;

std::string read_file(const files::path& path) {
  std::ifstream file(path, std::ios::binary);
  HOLDFAST_ASSERT(file);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string from_hex(const std::string& text) {
  std::string out;
  std::stringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#")) continue;
    std::erase_if(line, [](char c) { return c == ' ' || c == '\r'; });
    HOLDFAST_ASSERT(line.size() % 2 == 0);
    for (size_t i = 0; i < line.size(); i += 2) {
      HOLDFAST_ASSERT(line.find_first_not_of("0123456789abcdef", i) > i + 1);
      out += static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16));
    }
  }
  return out;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> corpus() {
  const std::string_view program = program_invocation_short_name;
  const auto folder =
      files::path(HOLDFAST_FUZZ_CORPUS) / program.substr(std::min(program.size(), sizeof "fuzz_" - 1));
  std::vector<std::pair<std::string, std::string>> out;
  int number = 0;
  for (auto& seed : seeds()) out.emplace_back("seed-" + std::to_string(++number), std::move(seed));
  std::vector<files::path> paths;
  std::error_code none;
  for (const auto& entry : files::directory_iterator(folder, none)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());  // the same order on every machine
  for (const auto& path : paths)
    out.emplace_back(path.filename().string(),
                     path.extension() == ".hex" ? from_hex(read_file(path)) : read_file(path));
  return out;
}

void write_corpus(const std::string& folder) {
  files::create_directories(folder);
  for (const auto& [name, input] : corpus()) {
    std::ofstream file(files::path(folder) / name, std::ios::binary);
    file.write(input.data(), static_cast<std::streamsize>(input.size()));
    HOLDFAST_ASSERT(file.good());
  }
}

}  // namespace holdfast::fuzz
