// Mutants: deliberate protocol errors, each behind a switch that exists only in the build that tests the
// teeth of the simulation (-DHOLDFAST_MUTANTS=ON). Anywhere else mutant() is the constant false and costs
// nothing. tests/simulation/mutants_test.py shows that each of them is caught; docs/protocols says what each
// would break.
#pragma once

#include <cstdint>

namespace holdfast {

enum class Mutant : uint8_t {
  none,
#define HOLDFAST_MUTANT(name, what) name,
#include "base/mutants.inc"
#undef HOLDFAST_MUTANT
  last
};

#ifdef HOLDFAST_MUTANTS
inline Mutant active_mutant = Mutant::none;  // set once, before the simulation begins
inline bool mutant(Mutant which) {
  return which == active_mutant;
}
#else
constexpr bool mutant(Mutant) {
  return false;
}
#endif

}  // namespace holdfast
