// What a fuzzer does before libFuzzer takes over: `fuzz_NAME --write-corpus FOLDER` writes its corpus and
// exits.
#include <cstdlib>
#include <string_view>

#include "corpus.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc == 3 && std::string_view((*argv)[1]) == "--write-corpus") {
    holdfast::fuzz::write_corpus((*argv)[2]);
    exit(0);
  }
  return 0;
}
