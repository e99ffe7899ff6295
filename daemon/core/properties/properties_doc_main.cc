// holdfast-properties-doc properties|timing: prints docs/properties.md or docs/TIMING.md, or with a file name
// checks that the file is current.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string_view>

#include "core/properties/property.h"
#include "core/properties/timing_catalog.h"

int main(int argc, char** argv) {
  const std::string_view which = argc > 1 ? argv[1] : "";
  if ((which != "properties" && which != "timing") || argc > 3) {
    fprintf(stderr, "usage: holdfast-properties-doc properties|timing [FILE TO CHECK]\n");
    return 2;
  }
  const std::string text =
      which == "timing" ? holdfast::core::timing_markdown() : holdfast::core::properties_markdown();
  if (argc < 3) return fputs(text.c_str(), stdout) < 0;
  std::ifstream file(argv[2]);
  std::string committed((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (committed == text) return 0;
  fprintf(stderr, "%s is not current: run holdfast-properties-doc %s > %s\n", argv[2], argv[1], argv[2]);
  return 1;
}
