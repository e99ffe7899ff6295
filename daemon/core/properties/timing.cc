#include "core/properties/timing.h"

#include <optional>
#include <string>

#include "core/properties/property.h"

namespace holdfast::core {
namespace {

Duration read(const Tree& tree, std::string_view name) {
  return Duration::milliseconds(static_cast<int64_t>(property_number(tree, "cluster", Scope::cluster, name)));
}

std::string ms(Duration d) {
  return std::to_string(d.ms()) + " ms";
}

// `text` with its value after each property that it names.
std::string with_values(std::string_view text, const Timing& t) {
  std::string out(text);
  for (const auto& p : timing_properties)
    if (auto at = out.find(p.name); at != std::string::npos)
      out.insert(at + p.name.size(), " (" + ms(t.*p.member) + ")");
  return out;
}

std::string_view name_of(Duration Timing::*member) {
  for (const auto& p : timing_properties)
    if (p.member == member) return p.name;
  return {};
}

enum class Direction { raise, lower };

// The legal setting that comes of `t` by going in one direction only, no further than the rules ask for;
// nothing when it ends outside of a range.
std::optional<Timing> mended(Timing t, Direction direction) {
  // A change may break the rules that lead on from that property, but none leads back.
  for (size_t step = 0; step < std::size(timing_rules) * 2; ++step) {
    const TimingRule* rule = broken_rule(t);
    if (!rule) break;
    const bool raise = direction == Direction::raise;
    const Duration value = raise ? rule->least(t) : rule->most(t);
    t.*(raise ? rule->low : rule->high) = Duration::milliseconds(value.ms());
  }
  if (!is_legal(t)) return {};
  return t;
}

std::string way(const Timing& from, Direction direction) {
  const std::optional<Timing> to = mended(from, direction);
  if (!to) return {};
  std::string out;
  size_t changes = 0;
  for (const auto& p : timing_properties) {
    if (from.*p.member == (*to).*p.member) continue;
    out += (out.empty() ? "" : " and ") + std::string(p.name) + " to " +
           std::to_string(((*to).*p.member).ms()) + (direction == Direction::raise ? " or more" : " or less");
    ++changes;
  }
  return out + (changes > 1 ? " in one command" : "");
}

std::string advice(const Timing& t) {
  const std::string raise = way(t, Direction::raise), lower = way(t, Direction::lower);
  if (raise.empty() && lower.empty())
    return "change both in one command: what is too short up, the other down (docs/TIMING.md)";
  return "set " + raise + (raise.empty() || lower.empty() ? "" : ", or ") + lower;
}

}  // namespace

Timing timing_from(const Tree& tree) {
  Timing t;
  for (const auto& p : timing_properties) t.*p.member = read(tree, p.name);
  return t;
}

Status check_timing(const Timing& t) {
  for (const auto& p : timing_properties) {
    const Duration is = t.*p.member, least = timing_least.*p.member, most = timing_most.*p.member;
    if (is >= least && is <= most) continue;
    return fail(ErrorCode::invalid_argument,
                std::string(p.name) + " of " + ms(is) + " is out of its range, " +
                    std::to_string(least.ms()) + " to " + ms(most),
                0, "set " + std::string(p.name) + " to a value in it");
  }
  const TimingRule* rule = broken_rule(t);
  if (!rule) return {};
  return fail(ErrorCode::invalid_argument,
              std::string(name_of(rule->low)) + " of " + ms(t.*rule->low) + " is too short: at least " +
                  ms(rule->least(t)) + " is needed, " + with_values(rule->need, t) + ", " +
                  std::string(rule->why),
              0, advice(t));
}

Status keep_timing_legal(const Tree& tree, Transaction* transaction) {
  bool concerns = false;
  for (const auto& change : transaction->changes()) concerns = concerns || change.key() == "cluster";
  if (!concerns) return {};
  Tree changed;
  HOLDFAST_CHECK(changed.load(tree.to_proto("cluster")));
  const Timing before = timing_from(changed);
  changed.apply(*transaction, Sequence{1});
  const Timing after = timing_from(changed);
  if (before == after) return {};
  HOLDFAST_CHECK(check_timing(after));
  Edit rely;
  for (const auto& p : timing_properties) {
    const Value* present = tree.find_value("cluster", p.name);
    if (present)
      rely.require_equal("cluster", std::string(p.name), *present);
    else
      rely.require_unset("cluster", std::string(p.name));
  }
  transaction->mutable_preconditions()->MergeFrom(rely.done().preconditions());
  return {};
}

}  // namespace holdfast::core
