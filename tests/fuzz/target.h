// A fuzz target: a decoder, or something that is fed by one, that has to stand any bytes. A file fuzz_NAME.cc
// defines both functions. It is linked twice: with libFuzzer (preset `fuzz`), and with replay.cc for ctest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"  // HOLDFAST_ASSERT(property): aborts, which is a finding

// Runs one input. Always returns 0: every input is worth keeping.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace holdfast::fuzz {

// Sound inputs, made by the encoders of the product: what the corpus begins with.
std::vector<std::string> seeds();

inline std::string_view as_text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace holdfast::fuzz
