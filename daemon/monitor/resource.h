// One resource of this monitor: executes orders one after the other, polls, holds, terminates, reports.
//
// All members run on the main loop. Plug-in calls run on two lanes: `worker_` (everything that is serialised)
// and `urgent_` (terminate, hold, release). Invariants:
//   R1  at most one call is on the worker lane; orders wait for it.
//   R2  after a terminate the resource counts as ended only when a call that ran beside it has returned, or
//       was given up after a grace; after an online that ran beside it terminate is called once more.
//   R3  an order that came too late, or from an older generation, changes nothing.
//   R4  an unguarded resource is never taken online without a valid lease, and is held when the lease lapses.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "monitor/host_glue.h"
#include "monitor/plugin.h"
#include "monitor/threads.h"
#include "proto/monitor.pb.h"

namespace holdfast::monitor {

// What a plug-in says is cut to this: the database, where messages and published values go, takes 64 KiB a
// value.
constexpr size_t text_bytes_max = 4096;

struct Identity {  // from Hello
  std::string cluster_id, cluster_name, node_name;
  uint32_t node_id = 0;
};

// What all resources of a monitor share.
struct Surroundings {
  Inbox& inbox;
  Lease& lease;
  Ledger& ledger;
  const Identity& identity;
  std::function<void(const Report&)> report;
  std::function<void(int priority, const std::string& resource, const std::string& text)> log;
};

constexpr uint32_t code_of(ErrorCode code) {
  return static_cast<uint32_t>(code);
}

class Resource : public std::enable_shared_from_this<Resource> {
 public:
  Resource(Surroundings& around, std::string name, std::string type, const Plugin& plugin);
  ~Resource();

  // Any action except OPEN of a new resource's plug-in, which the caller has found.
  void order(const Order& order, Instant now);
  // Ends it because the monitor ends; idempotent.
  void end(const std::string& why, Instant now);

  void tick(Instant now);
  Instant next_deadline() const;
  void lease_lapsed(Instant now);
  void lease_renewed(Instant now);
  void event_fired(Instant now);

  int event_fd() const { return watching() ? event_fd_ : -1; }
  const std::string& name() const { return name_; }
  const std::string& type() const { return type_; }
  bool active() const { return state_ != State::OFFLINE && state_ != State::FAILED; }
  // True when nothing of it is up, as far as the plug-in can tell.
  bool ended() const { return !active() && !terminating_; }
  bool closed() const { return closed_; }
  // True when its last terminate left something behind, as far as the plug-in can tell.
  bool incomplete() const { return incomplete_; }
  uint64_t online_number() const { return online_number_; }  // order in which resources came up; 0 = never

 private:
  enum class Step { none, open, online, offline, looks_alive, is_alive, event, control, close };
  struct Outcome {
    int code = 0;
    std::string text;
    bool dirty = false;
    int event_fd = -1;
    void* instance = nullptr;
  };
  struct Ending {  // what to say when a terminate is done
    uint64_t order = 0;
    State state = State::OFFLINE;
    uint32_t error = 0;
    std::string message;
    bool silent = false;
  };
  using Work = std::function<Outcome()>;

  bool calling() const { return step_ != Step::none; }
  bool watching() const { return state_ == State::ONLINE && !terminating_ && !event_seen_ && event_fd_ >= 0; }
  bool due(const Order& order, Instant now);  // R3, R4
  void next(Instant now);
  void start(const Order& order, Instant now);
  void call(Step step, Instant now, Work work);
  void finished(uint64_t call, Outcome outcome);
  void finished_online(Outcome outcome, Instant now);
  void finished_check(Step step, const Outcome& outcome, Instant now);
  void failed(const std::string& why, Instant now, uint32_t error = HOLDFAST_IO);
  void terminate(Ending ending, Instant now);
  void terminated(const Outcome& outcome, Instant now);
  void settle(Instant now);
  void ask_for_reason(Instant now);
  void hold(Instant now);
  void release(Instant now);
  void cancel_waiting(const std::string& why);
  void report(uint64_t order, State state, uint32_t error, const std::string& message, bool dirty = false);
  Work entry(int (*function)(void*, holdfast_answer*)) const;

  Surroundings& around_;
  const std::string name_;
  const std::string type_;
  const Plugin& plugin_;
  std::shared_ptr<HostGlue> glue_;  // shared with a lane that may hang in the plug-in
  void* instance_ = nullptr;
  std::unique_ptr<Lane> worker_;
  std::unique_ptr<Lane> urgent_;

  State state_ = State::OFFLINE;
  uint64_t generation_ = 0;
  uint64_t online_number_ = 0;
  bool closed_ = false;
  bool dirty_ = false;       // ended by force
  bool incomplete_ = false;  // not ended
  uint32_t progress_ = 0;
  int event_fd_ = -1;
  bool event_seen_ = false;     // the descriptor fired: do not watch it again
  bool event_pending_ = false;  // and its sentence has not been asked for yet, since another call runs
  Instant event_deadline_;

  std::deque<Order> waiting_;
  Order current_;
  Step step_ = Step::none;
  uint64_t call_number_ = 0;
  Instant call_deadline_;  // PendingTimeout of the call under way
  Instant looks_alive_at_, is_alive_at_;
  Duration pending_timeout_, looks_alive_every_, is_alive_every_;

  bool terminating_ = false;
  bool terminate_returned_ = false;
  bool terminate_late_ = false;   // already reported that terminate does not end
  bool terminate_again_ = false;  // an online that ran beside terminate succeeded
  bool given_up_call_ = false;    // the call under way belongs to an operation that was terminated
  Instant terminate_deadline_, settle_deadline_;
  std::vector<Ending> endings_;

  bool wants_hold_ = false;
  bool held_ = false;
  bool urgent_busy_ = false;
};

}  // namespace holdfast::monitor
