#include <algorithm>
#include <numeric>

#include "config/node_config.h"

namespace holdfast {
namespace {

// Levenshtein distance, two rows.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1), next(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    next[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j)
      next[j + 1] = std::min({row[j + 1] + 1, next[j] + 1, row[j] + (a[i] != b[j])});
    row.swap(next);
  }
  return row.back();
}

}  // namespace

std::string nearest_word(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 2);  // more than half changed is another word
  for (const auto& candidate : known) {
    bool contains = candidate.size() > 3 && word.find(candidate) != std::string_view::npos;
    size_t d = contains ? 1 : distance(word, candidate);
    if (d > best_distance || (d == best_distance && !best.empty())) continue;
    best = candidate, best_distance = d;
  }
  return best;
}

}  // namespace holdfast
