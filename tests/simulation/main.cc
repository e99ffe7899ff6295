// holdfast-sim: plays histories of a whole cluster from seeds. Exit status 0: everything held.
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/mutant.h"
#include "simulation/diagram.h"
#include "simulation/history.h"
#include "simulation/scenario.h"

using namespace holdfast;
using namespace holdfast::sim;

namespace {

void print_failure(uint64_t seed, const Plan& plan, const Outcome& outcome, bool shrinks) {
  printf("seed %llu: %s\n%s", static_cast<unsigned long long>(seed), outcome.failure.c_str(),
         outcome.state.c_str());
  Plan least = shrinks ? shrink(plan, 300) : plan;
  least.world.keep_log = true;
  Outcome again = play(least);
  printf("--- events (%zu of %zu) ---\n%s", least.steps.size(), plan.steps.size(), to_text(least).c_str());
  printf("--- trace: %s ---\n", again.failure.c_str());
  for (const auto& line : again.log) printf("%s\n", line.c_str());
  printf("--- sequence ---\n%s", sequence_diagram(again.log, plan.world.nodes).c_str());
}

const char* const mutant_names[] = {
    "none",
#define HOLDFAST_MUTANT(name, what) #name,
#include "base/mutants.inc"
#undef HOLDFAST_MUTANT
};

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Plays one file and compares what was decided with the .trace beside it. "" = as it should be.
std::string play_scenario(const std::filesystem::path& path, bool update, bool verbose) {
  const ScenarioResult result = run_scenario(contents(path));
  std::string trace;
  for (const auto& line : result.trace) trace += line + "\n";
  std::filesystem::path golden = path;
  golden.replace_extension(".trace");
  std::string log;
  for (const auto& line : result.log) log += line + "\n";
  if (verbose) printf("%s", log.c_str());
  if (!result.failure.empty()) return result.failure + "\n" + result.state + (verbose ? "" : log);
  if (update) {
    std::ofstream(golden) << trace;
    return {};
  }
  const std::string wanted = contents(golden);
  if (wanted == trace) return {};
  std::istringstream a(wanted), b(trace);
  std::string left, right;
  int line = 1;
  while (true) {
    const bool more_a = static_cast<bool>(std::getline(a, left)),
               more_b = static_cast<bool>(std::getline(b, right));
    if (!more_a) left = "(the end)";
    if (!more_b) right = "(the end)";
    if (left != right || (!more_a && !more_b)) break;
    ++line;
  }
  return golden.filename().string() + ", line " + std::to_string(line) + ":\n  was: " + left +
         "\n  is:  " + right + "\nIf that is right: holdfast-sim --update --scenario " +
         path.filename().string() + "\n";
}

// Files, or all of a folder.
int play_scenarios(const std::vector<std::string>& given, bool update, bool verbose) {
  std::vector<std::filesystem::path> files;
  for (const std::string& name : given) {
    if (!std::filesystem::is_directory(name)) {
      files.emplace_back(name);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(name))
      if (entry.path().extension() == ".scn") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  int failed = 0;
  for (const auto& file : files) {
    const std::string why =
        std::filesystem::exists(file) ? play_scenario(file, update, verbose) : "there is no such file";
    if (why.empty()) continue;
    ++failed;
    printf("%s: %s\n", file.stem().string().c_str(), why.c_str());
  }
  printf("%zu scenarios: %d failed\n", files.size(), failed);
  return failed == 0 && !files.empty() ? 0 : 1;
}

// The core against the model: every step of these histories is one of its steps, every step of it occurs, and
// a falsified history is refused, whichever way it was falsified.
int conform(uint64_t seed, uint64_t count) {
  std::array<uint64_t, steps_count> taken{};
  bool ok = true;
  for (uint64_t s = seed; s < seed + count && ok; ++s) {
    Plan plan = random_plan(s, 0);
    plan.world.conformance.on = true;
    plan.world.conformance.taken = &taken;
    const Outcome outcome = play(plan);
    ok = outcome.failure.empty();
    if (!ok) print_failure(s, plan, outcome, true);
  }
  for (size_t i = 0; i < steps_count; ++i) {
    printf("%-18s %10llu\n", step_names[i], static_cast<unsigned long long>(taken[i]));
    if (taken[i] == 0) ok = false, printf("  never taken\n");
  }
  for (size_t f = 1; f < std::size(forgery_names) && ok; ++f) {
    std::string failure;
    bool forged = false;
    for (uint64_t s = seed; s < seed + count && !forged; ++s) {
      Plan plan = random_plan(s, 0);
      plan.world.conformance = {true, static_cast<Forgery>(f), nullptr, &forged};
      failure = play(plan).failure;
    }
    const bool refused = failure.find("not a step of the model") != std::string::npos;
    printf("forged: %-20s %s\n", forgery_names[f], refused ? failure.c_str() : "NOT REFUSED");
    ok = ok && refused;
  }
  return ok ? 0 : 1;
}

// Empty = it is active, or none was asked for.
std::string activate(const std::string& name) {
  for (size_t i = 0; i < std::size(mutant_names); ++i) {
    if (name != mutant_names[i]) continue;
#ifdef HOLDFAST_MUTANTS
    active_mutant = static_cast<Mutant>(i);
#else
    if (i != 0) return "this build has no mutants: cmake --preset mutants";
#endif
    return {};
  }
  return "there is no mutant '" + name + "'; --list-mutants names all";
}

}  // namespace

int main(int argc, char** argv) {
  // The largest buffers (pieces of the log, images of LUNs) come and go thousands of times.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  CLI::App app("Plays histories of a whole cluster in virtual time, each from a seed.");
  uint64_t seed = 1, count = 1;
  int nodes = 0;
  double budget_s = 0;
  bool verbose = false, live = false, twice = false, no_shrink = false, first = false, list = false;
  bool update = false, conforms = false, conforming = false;
  std::string mutant_name = "none";
  std::vector<std::string> scenarios;
  app.add_option("--seed", seed, "the first seed");
  app.add_option("--count", count, "how many histories");
  app.add_option("--nodes", nodes, "size of the cluster; by default it follows from the seed")
      ->check(CLI::Range(2, 64));
  app.add_option("--seconds", budget_s, "stop after so many seconds of real time");
  app.add_flag("--trace", verbose, "print the events and the trace of each history");
  app.add_flag("--live", live, "print it at once, to stderr: for a history that does not end");
  app.add_flag("--twice", twice, "play each history twice and compare them");
  app.add_flag("--no-shrink", no_shrink, "print a failing history as it was");
  app.add_flag("--first", first, "stop at the first failure, and print only that");
  app.add_option("--mutant", mutant_name, "with this deliberate error (a build with HOLDFAST_MUTANTS)");
  app.add_option("--scenario", scenarios, "play these files, or all *.scn of a folder");
  app.add_flag("--conform", conforming, "compare each history with the model (tests/model)");
  app.add_flag("--conforms", conforms,
               "the same, and: all of the model occurs, and falsified histories are refused");
  app.add_flag("--update", update, "write the traces of scenarios anew");
  app.add_flag("--list-mutants", list, "name the deliberate errors");
  CLI11_PARSE(app, argc, argv);
  if (list) {
    for (size_t i = 1; i < std::size(mutant_names); ++i) printf("%s\n", mutant_names[i]);
    return 0;
  }
  if (!scenarios.empty()) return play_scenarios(scenarios, update, verbose);
  if (auto why = activate(mutant_name); !why.empty()) {
    fprintf(stderr, "holdfast-sim: %s\n", why.c_str());
    return 2;
  }

  if (conforms) return conform(seed, count);

  const auto begun = std::chrono::steady_clock::now();
  auto passed_s = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  };
  uint64_t failed = 0, played = 0, acknowledged = 0, steps = 0;
  double simulated_s = 0;
  for (uint64_t s = seed; s < seed + count && (budget_s <= 0 || passed_s() < budget_s); ++s) {
    Plan plan = random_plan(s, nodes);
    if (first) {  // an assertion ends the process: the seed has to be known
      printf("\rseed %llu ", static_cast<unsigned long long>(s));
      fflush(stdout);
    }
    plan.world.keep_log = verbose;
    plan.world.live = live;
    plan.world.conformance.on = conforming;
    Outcome outcome = play(plan);
    ++played;
    acknowledged += outcome.acknowledged;
    steps += outcome.steps;
    simulated_s += outcome.simulated_s;
    if (twice && play(plan).digest != outcome.digest) {
      printf("seed %llu: played twice, two histories\n", static_cast<unsigned long long>(s));
      ++failed;
    }
    if (verbose) {
      printf("%s", to_text(plan).c_str());
      for (const auto& line : outcome.log) printf("%s\n", line.c_str());
    }
    if (outcome.failure.empty()) continue;
    ++failed;
    if (first) {
      printf("%s\n", outcome.failure.c_str());
      return 1;
    }
    print_failure(s, plan, outcome, !no_shrink);
    fflush(stdout);
    if (failed >= 5) break;
  }
  const double worked_s = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  printf(
      "%llu histories from seed %llu: %llu failed; %.0f simulated s in %.1f s of the processor (%.0f a "
      "second), "
      "%llu steps, %llu updates acknowledged\n",
      static_cast<unsigned long long>(played), static_cast<unsigned long long>(seed),
      static_cast<unsigned long long>(failed), simulated_s, worked_s, simulated_s / worked_s,
      static_cast<unsigned long long>(steps), static_cast<unsigned long long>(acknowledged));
  return failed == 0 ? 0 : 1;
}
