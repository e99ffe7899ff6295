// Conformance: the core's transitions in a simulated history are transitions of the model (tests/model). What
// a core is told and orders is translated into the model's steps; each must be allowed where the model is
// then, with the values that the model computes from what the node has read. The steps are those of
// tests/model/steps.inc.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/cluster/core.h"

namespace holdfast::sim {

enum class Step : uint8_t {
#define MODEL_STEP(name, what) name,
#include "model/steps.inc"
#undef MODEL_STEP
};
inline constexpr const char* step_names[] = {
#define MODEL_STEP(name, what) #name,
#include "model/steps.inc"
#undef MODEL_STEP
};
inline constexpr size_t steps_count = std::size(step_names);

// A history is falsified before it is checked, at the first place where that is possible.
enum class Forgery : uint8_t {
  none,
  another_victim,        // a PREEMPT of a key that the node did not read
  no_preempt,            // none at all
  no_reset,              // after it
  older_superblock,      // one epoch lower than what was contested
  no_second_copy,        // of the superblock
  no_read_back,          // before the superblock
  win_without_check,     // won as soon as the superblock was written
  lost_for_nothing,      // lost instead of won
  accepted_twice,        // a second nomination of one epoch
  contest_unaccepted,    // a member of the set has said nothing
  installed_unaccepted,  // a view, by a member that has said nothing
  log_in_contest,        // a log write between two commands of a contest
  log_elsewhere,         // a log write of another node
  committed_early        // before the log had it
};
inline constexpr const char* forgery_names[] = {
    "none",           "another_victim",     "no_preempt",
    "no_reset",       "older_superblock",   "no_second_copy",
    "no_read_back",   "win_without_check",  "lost_for_nothing",
    "accepted_twice", "contest_unaccepted", "installed_unaccepted",
    "log_in_contest", "log_elsewhere",      "committed_early"};

struct ConformanceConfig {
  bool on = false;
  Forgery forgery = Forgery::none;
  std::array<uint64_t, steps_count>* taken = nullptr;  // counted here
  bool* forged = nullptr;                              // set when the forgery found its place
};

class Conformance {
 public:
  Conformance(const ConformanceConfig& config, std::function<void(const std::string&)> refuse);
  // After every step of a core: what it was told and what it ordered.
  void stepped(int node, const core::Event& event, const core::Output& output, const core::Core& core);
  // A process was killed.
  void died(int node);

 private:
  using Op = core::LunOp;
  using Kind = core::LunOp::Kind;
  // Where a contest is: `step[]` of state.pml, with ACT and CHECK spelt out command by command.
  enum class At : uint8_t {
    idle,
    read_head,
    read_holder,
    act,
    back,
    look,
    write,
    check,
    check_holder,
    must_win,
    must_lose
  };
  struct Command {
    Kind kind = Kind::open;
    ReservationKey own, other;
    bool must = true;  // succeed
  };
  struct Node {
    uint64_t incarnation = 0;
    uint16_t tag = 0;
    // membership
    uint64_t view = 0, promised = 0, accepted = 0, regroup = 0, nominated = 0;
    std::map<uint64_t, uint64_t> promises;  // in this regroup: epoch -> nominee
    std::optional<wire::Nomination> nomination;
    // session
    bool open = false, abort_known = false;
    uint64_t session = 0, key_session = 0;
    ReservationKey key;
    std::optional<Op> order;  // under way
    std::optional<disk::Superblock> seen;
    // contest
    At at = At::idle;
    bool begun = false;  // it has read: what an earlier job of the lane still had to do is done
    bool forming = false, judged = false, used_abandoned = false;
    Step act = Step::read_head;
    wire::View wanted;
    std::vector<core::Predecessor> predecessors;
    ReservationKey abandoned, found, found_now;
    std::optional<core::Predecessor> found_over;
    std::vector<Command> commands;
    int copies = 0;
    uint64_t won = 0;  // what this life won last
    // updates
    bool ready = false;
    uint64_t ready_in = 0, ordered = 0, committed = 0, durable = 0;
    std::map<uint64_t, uint64_t> acked;
  };

  bool forge(Forgery f, bool again = false);
  bool dropped(const Node& n, const Op& op);
  void take(Step step);
  void refuse(int node, const std::string& why);
  void again(Node& n);
  ReservationKey key_of(const Node& n, int node, uint64_t epoch) const;

  void ordered(int node, Node& n, const Op& op);
  void ordered_idle(int node, Node& n, const Op& op);
  void ordered_in_contest(int node, Node& n, const Op& op);
  void done(int node, Node& n, const core::LunResult& result);
  void advance(int node, Node& n, const Op& op, const core::LunResult& result);
  bool loses_by(int node, const Node& n, const disk::Superblock& s) const;
  void read_head(int node, Node& n, const core::LunResult& result);
  void read_holder(int node, Node& n, ReservationKey holder);
  void heartbeat(int node, Node& n, const wire::Heartbeat& hb);
  void contest(int node, Node& n, bool forming);
  void outcome(int node, Node& n, uint64_t epoch, const std::string& what);
  void views(int node, Node& n, const core::Core& core);
  void updates(int node, Node& n, const core::Event& event, const core::Output& output,
               const core::Core& core);

  ConformanceConfig config_;
  std::function<void(const std::string&)> refuse_;
  std::map<int, Node> nodes_;
  bool forged_ = false;
  // What the invariants of the model speak of.
  std::set<std::pair<uint64_t, uint64_t>> said_accepted_;  // epoch, incarnation
  std::map<uint64_t, std::string> won_;                    // by epoch
  uint64_t newest_won_ = 0, recovered_ = 0;
};

}  // namespace holdfast::sim
