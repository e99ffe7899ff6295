// The corpus of the target that this program was built for: its seeds, and the files of corpus/NAME.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace holdfast::fuzz {

// (name, input): seeds() of the target, then every file of corpus/NAME, where the program is fuzz_NAME; one
// that ends in
// ".hex" is hex digits with blanks and lines that begin with '#'. Aborts when a file cannot be read.
std::vector<std::pair<std::string, std::string>> corpus();

// Writes the corpus into `folder`, one file an input, for libFuzzer. Aborts when it cannot.
void write_corpus(const std::string& folder);

}  // namespace holdfast::fuzz
