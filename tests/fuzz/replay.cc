// Runs a target without libFuzzer: its corpus, and each input cut short and with flipped bits, the same ones
// every time. With file names: these inputs alone, each said before it is run (to look at a finding).
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/tests/random.h"
#include "corpus.h"
#include "target.h"

namespace {

constexpr int variants = 24;               // of each input
constexpr size_t input_bytes_max = 65536;  // larger inputs are run as they are: ctest is to be quick

void run(const std::string& input) {
  // A copy of its own, of exactly this size: a sanitizer sees the first byte that is read behind it.
  std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    printf("%s\n", argv[i]);
    std::ifstream file(argv[i], std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    run(text.str());
  }
  if (argc > 1) return 0;
  holdfast::Random random(1);
  int runs = 1;
  run("");
  const auto inputs = holdfast::fuzz::corpus();
  for (const auto& [name, input] : inputs) {
    run(input);
    ++runs;
    if (input.empty() || input.size() > input_bytes_max) continue;
    for (int i = 0; i < variants; ++i, ++runs) {
      std::string variant = input;
      if (i % 3 == 0) variant.resize(random.below(variant.size()));
      for (uint64_t flips = random.below(4); flips > 0 && !variant.empty(); --flips)
        variant[random.below(variant.size())] ^= static_cast<char>(1 << random.below(8));
      run(variant);
    }
  }
  printf("%zu inputs, %d runs\n", inputs.size(), runs);
  return 0;
}
