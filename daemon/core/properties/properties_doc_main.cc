// holdfast-properties-doc: prints docs/properties.md, or with a file name checks that the file is current.
#include <cstdio>
#include <fstream>
#include <iterator>

#include "core/properties/property.h"

int main(int argc, char** argv) {
  std::string text = holdfast::core::properties_markdown();
  if (argc < 2) return fputs(text.c_str(), stdout) < 0;
  std::ifstream file(argv[1]);
  std::string committed((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (committed == text) return 0;
  fprintf(stderr, "%s is not current: run holdfast-properties-doc > %s\n", argv[1], argv[1]);
  return 1;
}
