// Timing over all legal settings: at the ends of the ranges and rules, and at random ones from a fixed seed.
#include "core/properties/timing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <regex>
#include <sstream>

#include "core/properties/timing_catalog.h"

namespace holdfast::core {
namespace {

constexpr int random_settings = 50'000;

std::string show(const Timing& t) {
  std::string out;
  for (const auto& p : timing_properties)
    out += std::string(p.letter) + "=" + std::to_string((t.*p.member).ms()) + " ";
  return out;
}

class Random {
 public:
  // In steps of a millisecond, small values as likely as large ones, and the ends often: there the rules
  // break.
  Duration between(Duration least, Duration most) {
    const uint64_t kind = engine_() % 8;
    if (kind < 2) return least;
    if (kind == 2) return most;
    const double low = std::log(static_cast<double>(least.ms())),
                 high = std::log(static_cast<double>(most.ms()) + 1);
    const double at = std::exp(std::uniform_real_distribution<double>(low, high)(engine_));
    return Duration::milliseconds(std::clamp(static_cast<int64_t>(at), least.ms(), most.ms()));
  }
  Timing any() {
    Timing t;
    for (const auto& p : timing_properties)
      t.*p.member = between(timing_least.*p.member, timing_most.*p.member);
    return t;
  }
  // Legal, made in the order in which the rules depend on each other.
  Timing legal() {
    while (true) {
      Timing t = any();
      for (const auto& rule : timing_rules)
        if (t.*rule.low < rule.least(t))
          t.*rule.low = between(rule.least(t), std::max(rule.least(t), timing_most.*rule.low));
      if (is_legal(t)) return t;
    }
  }
  uint64_t below(uint64_t n) { return engine_() % n; }

 private:
  std::mt19937_64 engine_{20240607};
};

template <typename F>
void each_setting(F&& f) {
  f(Timing{});
  f(timing_least);
  each_legal_corner(f);
  Random random;
  for (int i = 0; i < random_settings && !testing::Test::HasFailure(); ++i) f(random.legal());
}

// Value of a formula in milliseconds: sums of products (with one division at the end) of letters, numbers and
// max(a, b).
class Formula {
 public:
  Formula(std::string_view text, const Timing& t) : rest_(text), t_(t) {}

  double value() {
    const double v = sum();
    EXPECT_TRUE(rest_.empty()) << "not understood: " << rest_;
    return v;
  }

 private:
  bool take(std::string_view token) {
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  double sum() {
    double v = product();
    while (take("+")) v += product();
    return v;
  }
  double product() {
    double v = factor();
    while (true) {
      if (take("×"))
        v *= factor();
      else if (take("/"))
        v /= factor();
      else
        return v;
    }
  }
  double factor() {
    if (take("max(")) {
      const double a = sum();
      EXPECT_TRUE(take(","));
      const double b = sum();
      EXPECT_TRUE(take(")"));
      return std::max(a, b);
    }
    if (take("L")) return static_cast<double>(lease(t_).ms());
    for (const auto& p : timing_properties)
      if (take(p.letter)) return static_cast<double>((t_.*p.member).ms());
    size_t digits = 0;
    while (digits < rest_.size() &&
           (isdigit(static_cast<unsigned char>(rest_[digits])) || rest_[digits] == '.'))
      ++digits;
    EXPECT_GT(digits, 0u) << "not understood: " << rest_;
    const double v = atof(std::string(rest_.substr(0, digits)).c_str());
    rest_.remove_prefix(std::max<size_t>(digits, rest_.empty() ? 0 : 1));
    return v;
  }

  std::string_view rest_;
  const Timing& t_;
};

TEST(Timing, ReadsTheTreeAndHoldsTheRules) {
  Tree tree;
  EXPECT_EQ(timing_from(tree), Timing{});
  tree.apply(Edit().set("cluster", "HeartbeatIntervalMs", uint64_t{400}).done(), Sequence{1});
  auto bad = check_timing(timing_from(tree));
  ASSERT_FALSE(bad);
  EXPECT_EQ(
      bad.error().text(),
      "HeartbeatTimeoutMs of 1000 ms is too short: at least 1200 ms is needed, three times "
      "HeartbeatIntervalMs (400 ms), so that two lost datagrams are no failure (set HeartbeatTimeoutMs to "
      "1200 or more and LeaseMarginMs to 400 or more and MonitorSilenceMs to 2400 or more in one command, or "
      "HeartbeatIntervalMs to 300 or less)");
  bad = check_timing(Timing{.quorum_stall_max = Duration::seconds(2)});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().text(),
            "QuorumStallMaxMs of 2000 ms is too short: at least 2600 ms is needed, twice HeartbeatTimeoutMs "
            "(1000 ms) + LeaseMarginMs (300 ms), so that a regroup is not taken for a lost quorum (set "
            "QuorumStallMaxMs to 3000 or more, or HeartbeatTimeoutMs to 500 or less)");
}

TEST(Timing, EveryLegalSettingKeepsTheRelations) {
  size_t judged = 0;
  each_setting([&](const Timing& t) {
    ASSERT_TRUE(is_legal(t)) << show(t);
    ASSERT_TRUE(check_timing(t)) << show(t);
    for (const auto& r : timing_relations()) EXPECT_TRUE(r.holds(t)) << r.text << " at " << show(t);
    ++judged;
  });
  EXPECT_GT(judged, static_cast<size_t>(random_settings) + 400);
}

// The compiler judges the corners only: no bound leaves the span that it has there.
TEST(Timing, BoundsAreSmallestAndLargestAtCorners) {
  std::map<std::string_view, std::pair<Duration, Duration>> span;
  each_legal_corner([&](const Timing& t) {
    for (const auto& b : timing_bounds()) {
      const Duration v = b.value(t);
      auto& [least, most] = span.emplace(b.name, std::pair(v, v)).first->second;
      least = std::min(least, v);
      most = std::max(most, v);
    }
  });
  each_setting([&](const Timing& t) {
    for (const auto& b : timing_bounds()) {
      EXPECT_GE(b.value(t).ns, span[b.name].first.ns) << b.name << " at " << show(t);
      EXPECT_LE(b.value(t).ns, span[b.name].second.ns) << b.name << " at " << show(t);
    }
  });
  for (const auto& b : timing_bounds()) EXPECT_EQ(span[b.name].first.ns, b.value(timing_least).ns) << b.name;
}

TEST(Timing, FormulasSayWhatTheCodeComputes) {
  each_setting([](const Timing& t) {
    for (const auto& b : timing_bounds())
      EXPECT_NEAR(Formula(b.formula, t).value() * 1e6, static_cast<double>(b.value(t).ns), 1.0)
          << b.name << " = " << b.formula << " at " << show(t);
  });
}

// I3 for what no reservation guards: whoever waits by its own clock ends after the lease does by the owner's.
TEST(Timing, ATakeoverWaitsForTheLeaseByAnyClock) {
  Random random;
  each_setting([&](const Timing& t) {
    for (int64_t ppm : {-clock_drift_ppm, int64_t{0}, clock_drift_ppm,
                        static_cast<int64_t>(random.below(2 * clock_drift_ppm + 1)) - clock_drift_ppm}) {
      const int64_t by_waiter = (lease(t).ns * (1'000'000 + ppm) + 999'999) / 1'000'000;
      EXPECT_LE(by_waiter, takeover_wait(t).ns) << ppm << " ppm at " << show(t);
      EXPECT_LE(by_waiter, old_lease_kept(lease(t)).ns) << ppm << " ppm at " << show(t);
    }
    EXPECT_LE(takeover_wait(t), takeover_unguarded_from(t));
    EXPECT_LE(takeover_unguarded_from(t), takeover_address_max(t));
  });
}

// A hint is "set A to 1 or more and B to 2 or more in one command, or C to 3 or less": the ways out.
std::vector<Timing> ways_out(const Timing& from, const std::string& hint) {
  std::vector<Timing> out;
  if (!hint.starts_with("set ")) return out;
  static const std::regex change("([A-Za-z]+Ms) to ([0-9]+) or (more|less)");
  for (size_t at = 0; at < hint.size();) {
    const size_t end = std::min(hint.find(", or ", at), hint.size());
    const std::string way = hint.substr(at, end - at);
    Timing t = from;
    for (std::sregex_iterator i(way.begin(), way.end(), change), last; i != last; ++i)
      for (const auto& p : timing_properties)
        if (p.name == (*i)[1].str()) {
          const Duration value = Duration::milliseconds(std::stoll((*i)[2].str()));
          EXPECT_EQ(value > from.*p.member, (*i)[3].str() == "more") << hint;
          t.*p.member = value;
        }
    out.push_back(t);
    at = end + 5;
  }
  return out;
}

TEST(Timing, IllegalSettingsAreRefusedWithAWayOut) {
  Random random;
  int refused = 0, both = 0;
  std::map<std::string_view, int> broken;
  while (refused < random_settings && !HasFailure()) {
    // Mostly one change of a legal setting, as an administrator makes it; sometimes anything.
    Timing t = random.below(4) == 0 ? random.any() : random.legal();
    const auto& p = timing_properties[random.below(std::size(timing_properties))];
    t.*p.member = random.between(timing_least.*p.member, timing_most.*p.member);
    const TimingRule* rule = broken_rule(t);
    const auto status = check_timing(t);
    ASSERT_EQ(static_cast<bool>(status), rule == nullptr) << show(t);
    if (!rule) continue;
    ++refused;
    ++broken[rule->text];
    const auto& error = status.error();
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    // Both properties and their values.
    for (const auto& q : timing_properties) {
      const std::string name(q.name), value = std::to_string((t.*q.member).ms()) + " ms";
      const bool named = q.member == rule->low ? error.message.starts_with(name + " of " + value)
                         : q.member == rule->high
                             ? error.message.find(name + " (" + value + ")") != std::string::npos
                             : true;
      EXPECT_TRUE(named) << error.text();
    }
    const auto ways = ways_out(t, error.hint);
    for (const auto& way : ways) EXPECT_TRUE(is_legal(way)) << error.text() << "\nat " << show(t);
    if (ways.empty()) {
      ++both;
      EXPECT_NE(error.hint.find("change both"), std::string::npos) << error.hint;
      // No stall is long enough for the timeout and the margin, so both have to change.
      Timing raised = t;
      raised.heartbeat_timeout = std::max(t.heartbeat_timeout, t.heartbeat_interval * 3);
      raised.lease_margin = std::max(t.lease_margin, t.heartbeat_interval);
      EXPECT_GT(std::max(regroup_max(raised), lease(raised) * 2), timing_most.quorum_stall_max) << show(t);
    }
  }
  EXPECT_EQ(broken.size(), std::size(timing_rules)) << "every rule was broken first by some setting";
  EXPECT_LT(both, refused / 10);
}

TEST(Timing, ValuesOutsideOfTheirRangeAreRefused) {
  for (const auto& p : timing_properties)
    for (bool above : {false, true}) {
      Timing t;
      t.*p.member = above ? timing_most.*p.member + Duration::milliseconds(1)
                          : timing_least.*p.member - Duration::milliseconds(1);
      const auto status = check_timing(t);
      ASSERT_FALSE(status);
      const std::string value = std::to_string((t.*p.member).ms()) + " ms";
      EXPECT_TRUE(
          status.error().message.starts_with(std::string(p.name) + " of " + value + " is out of its range"))
          << status.error().text();
      EXPECT_FALSE(is_legal(t));
    }
}

TEST(Timing, RawTransactionsKeepItLegal) {
  Tree tree;
  tree.apply(Edit().set("cluster", "LeaseMarginMs", uint64_t{400}).done(), Sequence{1});
  Transaction transaction = Edit().set("cluster", "HeartbeatIntervalMs", uint64_t{500}).done();
  EXPECT_FALSE(keep_timing_legal(tree, &transaction));

  // Two changes that are legal each, and illegal together: the second one does not find what it relied on.
  Transaction slower = Edit().set("cluster", "HeartbeatIntervalMs", uint64_t{300}).done();
  Transaction shorter = Edit().set("cluster", "LeaseMarginMs", uint64_t{150}).done();
  ASSERT_TRUE(keep_timing_legal(tree, &slower));
  ASSERT_TRUE(keep_timing_legal(tree, &shorter));
  ASSERT_TRUE(tree.check(slower));
  ASSERT_TRUE(tree.check(shorter));
  tree.apply(slower, Sequence{2});
  EXPECT_FALSE(tree.check(shorter));

  // What does not concern the timing is left alone.
  Transaction other = Edit().set("cluster", "Description", "x").set("groups/g", "Owner", uint64_t{1}).done();
  ASSERT_TRUE(keep_timing_legal(tree, &other));
  EXPECT_EQ(other.preconditions_size(), 0);
}

std::string contents(const std::string& path) {
  std::ifstream file(std::string(HOLDFAST_SOURCE_DIR "/") + path);
  EXPECT_TRUE(file) << path << " cannot be read";
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool mentions(const std::string& text, const std::string& name) {
  const auto part_of_a_word = [](char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1))
    if ((at == 0 || !part_of_a_word(text[at - 1])) &&
        (at + name.size() == text.size() || !part_of_a_word(text[at + name.size()])))
      return true;
  return false;
}

// What docs/TIMING.md says of where a bound is used stays true, and what is used nowhere takes part in a
// relation at least.
TEST(Timing, BoundsAreUsedWhereTheCatalogSays) {
  std::string related;
  for (auto list : {timing_relations(), fixed_relations(), timing_cautions()})
    for (const auto& r : list) related += std::string(r.text) + "\n";
  const auto judge = [&](std::string_view name, std::string_view where) {
    const std::string word(name.substr(0, name.find('.')));
    EXPECT_TRUE(!where.empty() || mentions(related, word)) << name << " is used nowhere";
    std::istringstream files{std::string(where)};
    for (std::string path; files >> path;)
      EXPECT_TRUE(mentions(contents(path), word)) << path << " does not use " << word;
  };
  for (const auto& b : timing_bounds()) judge(b.name, b.where);
  for (const auto& f : fixed_times()) judge(f.name, f.where);
}

TEST(Timing, TheCatalogKnowsEveryBound) {
  // Parts of others, which are in the catalog.
  std::string known = "with_drift address_refresh address_probe_interval monitor_silence_default ";
  for (const auto& b : timing_bounds()) known += std::string(b.name) + " ";
  for (const auto& f : fixed_times()) known += std::string(f.name.substr(0, f.name.find('.'))) + " ";
  static const std::regex declared("constexpr (?:Duration|EndingLimits) ([a-z_]+)");
  size_t found = 0;
  for (const char* path : {"daemon/core/properties/bounds.h", "daemon/base/lifetimes.h"}) {
    const std::string text = contents(path);
    for (std::sregex_iterator i(text.begin(), text.end(), declared), last; i != last; ++i, ++found)
      EXPECT_TRUE(mentions(known, (*i)[1].str())) << path << ": " << (*i)[1].str() << " is in no list";
  }
  EXPECT_GT(found, 50u);
}

}  // namespace
}  // namespace holdfast::core
