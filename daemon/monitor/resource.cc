#include "monitor/resource.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "monitor/context.h"

namespace holdfast::monitor {
namespace {

constexpr Duration pending_timeout_default = Duration::seconds(180);  // the classic PendingTimeout
constexpr Duration looks_alive_default = Duration::seconds(5);
constexpr Duration is_alive_default = Duration::seconds(10);

Duration or_default(uint32_t ms, Duration otherwise) {
  return ms == 0 || ms == UINT32_MAX ? otherwise : Duration::milliseconds(ms);
}

uint64_t next_online_number() {
  static uint64_t number = 0;  // main loop only
  return ++number;
}

}  // namespace

Resource::Resource(Surroundings& around, std::string name, std::string type, const Plugin& plugin)
    : around_(around), name_(std::move(name)), type_(std::move(type)), plugin_(plugin) {}

Resource::~Resource() = default;

void Resource::report(uint64_t order, State state, uint32_t error, const std::string& message, bool dirty) {
  Report r;
  r.set_resource(name_);
  r.set_order(order);
  r.set_state(state);
  r.set_progress(progress_);
  r.set_error(error);
  r.set_message(to_utf8(message, text_bytes_max));
  r.set_held(held_);
  r.set_generation(generation_);
  r.set_dirty(dirty);
  if (glue_)
    for (const auto& [name, value] : glue_->published()) {
      auto* p = r.add_published();
      p->set_name(to_utf8(name, text_bytes_max));
      p->set_value(to_utf8(value, text_bytes_max));
    }
  around_.report(r);
}

Resource::Work Resource::entry(int (*function)(void*, holdfast_answer*)) const {
  return [function, instance = instance_] {
    holdfast_answer answer{};
    Outcome outcome;
    outcome.code = function(instance, &answer);
    answer.text[sizeof answer.text - 1] = 0;
    outcome.text = answer.text;
    outcome.dirty = answer.dirty != 0;
    return outcome;
  };
}

// R3, R4. False = refused, and reported so.
bool Resource::due(const Order& order, Instant now) {
  if (order.expires_boottime_ns() != 0 && now.ns > static_cast<int64_t>(order.expires_boottime_ns())) {
    int64_t late_ms = (now.ns - static_cast<int64_t>(order.expires_boottime_ns())) / 1'000'000;
    report(order.order(), state_, code_of(ErrorCode::cancelled),
           "The order came " + std::to_string(late_ms) + " ms after it had expired and was not executed.");
    return false;
  }
  if (order.generation() != 0 && order.generation() < generation_) {
    report(order.order(), state_, code_of(ErrorCode::conflict),
           "The order is of ownership generation " + std::to_string(order.generation()) +
               ", but generation " + std::to_string(generation_) + " is known already: not executed.");
    return false;
  }
  if (order.action() == Order::ONLINE && plugin_.unguarded() && !around_.lease.valid(now)) {
    report(order.order(), state_, code_of(ErrorCode::not_member),
           "This node's working lease has lapsed: nothing that no reservation guards is brought online.");
    return false;
  }
  return true;
}

void Resource::order(const Order& order, Instant now) {
  if (order.action() == Order::TERMINATE) {
    if (!due(order, now)) return;
    generation_ = std::max<uint64_t>(generation_, order.generation());
    cancel_waiting("a terminate order overtook it");
    terminate({.order = order.order(), .state = State::OFFLINE, .message = "It was terminated."}, now);
    return;
  }
  waiting_.push_back(order);
  next(now);
}

void Resource::cancel_waiting(const std::string& why) {
  std::deque<Order> kept;
  for (const auto& o : waiting_) {
    if (o.action() == Order::CLOSE) {
      kept.push_back(o);
    } else {
      report(o.order(), state_, code_of(ErrorCode::cancelled), "The order was not executed: " + why + ".");
    }
  }
  waiting_ = std::move(kept);
}

void Resource::end(const std::string& why, Instant now) {
  cancel_waiting("the monitor ends");
  waiting_.clear();
  if (!active() || (terminating_ && !endings_.empty() && endings_.back().message == why)) return;
  terminate({.order = 0, .state = State::OFFLINE, .message = why}, now);
}

void Resource::next(Instant now) {
  ask_for_reason(now);
  while (!calling() && !terminating_ && !waiting_.empty() && !closed_) {
    Order order = std::move(waiting_.front());
    waiting_.pop_front();
    if (due(order, now)) start(order, now);
  }
}

void Resource::start(const Order& order, Instant now) {
  auto answer = [&](State state, uint32_t error, const std::string& message) {
    report(order.order(), state, error, message);
  };
  Order::Action action = order.action();
  if ((action == Order::OPEN || action == Order::CLOSE) && active()) {
    waiting_.push_front(order);
    terminate({.state = State::OFFLINE, .silent = true}, now);
    return;
  }
  if (action != Order::OPEN && action != Order::CLOSE && instance_ == nullptr)
    return answer(state_, code_of(ErrorCode::not_found), "The resource is not open in this monitor.");
  current_ = order;
  generation_ = std::max<uint64_t>(generation_, order.generation());
  if (action == Order::OPEN || action == Order::ONLINE) {
    pending_timeout_ = or_default(order.pending_timeout_ms(), pending_timeout_default);
    looks_alive_every_ = or_default(order.looks_alive_ms(), looks_alive_default);
    is_alive_every_ = or_default(order.is_alive_ms(), is_alive_default);
  }
  const holdfast_plugin* table = plugin_.table;
  auto context = std::make_shared<Context>(order, around_.identity);
  switch (action) {
    case Order::OPEN: {
      if (!worker_) {
        worker_ = std::make_unique<Lane>("w:" + name_, false);
        urgent_ = std::make_unique<Lane>("u:" + name_, true);
        std::weak_ptr<Resource> weak = weak_from_this();
        Inbox& inbox = around_.inbox;
        auto on_main = [weak, &inbox](auto what) {
          inbox.post([weak, what] {
            if (auto self = weak.lock()) what(*self);
          });
        };
        glue_ = std::make_shared<HostGlue>(
            name_, around_.ledger, around_.lease,
            GlueSinks{[on_main](std::string text) {
                        on_main([text](Resource& r) {
                          if (r.given_up_call_ || (r.step_ != Step::online && r.step_ != Step::offline))
                            return;
                          r.call_deadline_ = boottime_now() + r.pending_timeout_;
                          ++r.progress_;
                          r.report(r.current_.order(), r.state_, 0, text);
                        });
                      },
                      [on_main](std::string text) {
                        on_main([text](Resource& r) {
                          if (r.state_ == State::ONLINE && !r.terminating_) r.failed(text, boottime_now());
                        });
                      },
                      [on_main](int priority, std::string text) {
                        on_main([priority, text](Resource& r) {
                          r.around_.log(static_cast<uint32_t>(priority), r.name_, text);
                        });
                      }});
      }
      void* old = std::exchange(instance_, nullptr);
      call(Step::open, now, [table, old, context, glue = glue_] {
        if (old != nullptr) table->close(old);
        holdfast_answer answer{};
        Outcome outcome;
        outcome.code = table->open(glue->host(), context->get(), &outcome.instance, &answer);
        answer.text[sizeof answer.text - 1] = 0;
        outcome.text = answer.text;
        return outcome;
      });
      return;
    }
    case Order::ONLINE: {
      if (state_ == State::ONLINE) {
        // online_generation differs only when the core skipped the offline in between: refuse rather than
        // guess.
        return answer(State::ONLINE, 0, "It is online already.");
      }
      state_ = State::ONLINE_PENDING;
      online_number_ = next_online_number();
      dirty_ = incomplete_ = false;
      event_seen_ = event_pending_ = false;
      call(Step::online, now, [table, instance = instance_, context, glue = glue_] {
        holdfast_answer answer{};
        Outcome outcome;
        outcome.code = table->online(instance, context->get(), &outcome.event_fd, &answer);
        answer.text[sizeof answer.text - 1] = 0;
        outcome.text = answer.text;
        if (outcome.code == HOLDFAST_PENDING) outcome.code = glue->wait_completion(&outcome.text);
        return outcome;
      });
      report(order.order(), State::ONLINE_PENDING, 0, "");
      return;
    }
    case Order::OFFLINE: {
      if (!active()) {
        state_ = State::OFFLINE;
        return answer(State::OFFLINE, 0, "It is offline already.");
      }
      // What is held cannot end in an orderly way: it is frozen.
      if (held_ || wants_hold_)
        return terminate({.order = order.order(),
                          .state = State::OFFLINE,
                          .message = "It was ended by force, since it was held after the lease had lapsed."},
                         now);
      state_ = State::OFFLINE_PENDING;
      event_fd_ = -1;
      call(Step::offline, now, [work = entry(table->offline), glue = glue_] {
        Outcome outcome = work();
        if (outcome.code == HOLDFAST_PENDING) outcome.code = glue->wait_completion(&outcome.text);
        return outcome;
      });
      report(order.order(), State::OFFLINE_PENDING, 0, "");
      return;
    }
    case Order::CONTROL: {
      if (table->control == nullptr)
        return answer(state_, code_of(ErrorCode::unsupported),
                      "Resources of type '" + type_ + "' have no control verbs.");
      call(Step::control, now, [table, instance = instance_, verb = order.control()] {
        holdfast_answer answer{};
        Outcome outcome;
        outcome.code = table->control(instance, verb.c_str(), &answer);
        answer.text[sizeof answer.text - 1] = 0;
        outcome.text = answer.text;
        return outcome;
      });
      return;
    }
    case Order::CLOSE: {
      if (instance_ == nullptr) {
        closed_ = true;
        return answer(State::OFFLINE, 0, "It is closed.");
      }
      call(Step::close, now, [table, instance = std::exchange(instance_, nullptr)] {
        table->close(instance);
        return Outcome{};
      });
      return;
    }
    default:
      return answer(state_, code_of(ErrorCode::invalid_argument), "This monitor does not know the order.");
  }
}

void Resource::call(Step step, Instant now, Work work) {
  HOLDFAST_ASSERT(!calling());  // R1
  step_ = step;
  uint64_t number = ++call_number_;
  call_deadline_ = now + pending_timeout_;
  given_up_call_ = false;
  Inbox& inbox = around_.inbox;
  worker_->post([self = shared_from_this(), number, step, glue = glue_, work = std::move(work), &inbox] {
    // A terminate may have overtaken the call before this thread got to it. (Close must run all the same: the
    // instance has been handed to it.)
    bool overtaken = step != Step::close && step != Step::open && glue->host()->cancelled(glue->host()) != 0;
    Outcome outcome =
        overtaken ? Outcome{.code = HOLDFAST_CANCELLED, .text = "terminate overtook it"} : work();
    inbox.post([self, number, outcome] { self->finished(number, outcome); });
  });
}

void Resource::finished(uint64_t number, Outcome outcome) {
  if (number != call_number_) return;
  Instant now = boottime_now();
  Step step = std::exchange(step_, Step::none);
  if (step == Step::open && outcome.code == HOLDFAST_OK) instance_ = outcome.instance;
  if (given_up_call_) {
    given_up_call_ = false;
    if (step == Step::close) closed_ = true;
    // R2: what came up beside terminate, wholly or in part, is ended again.
    if (step == Step::online) {
      if (terminating_) {
        terminate_again_ = true;
      } else {
        terminate({.state = state_, .silent = true}, now);
      }
    }
    if (!terminating_ && glue_) glue_->set_cancelled(false);
    settle(now);
    next(now);
    return;
  }
  uint64_t order = current_.order();
  auto code = static_cast<uint32_t>(outcome.code);
  switch (step) {
    case Step::open:
      state_ = outcome.code == HOLDFAST_OK ? State::OFFLINE : State::FAILED;
      report(order, state_, code, outcome.text);
      break;
    case Step::online:
      finished_online(std::move(outcome), now);
      break;
    case Step::offline:
      if (outcome.code != HOLDFAST_OK) {
        terminate({.order = order,
                   .state = State::OFFLINE,
                   .error = code,
                   .message = "It could not be taken offline in an orderly way and was ended by force: " +
                              outcome.text},
                  now);
        break;
      }
      state_ = State::OFFLINE;
      dirty_ = outcome.dirty;
      glue_->clear_published();
      report(order, State::OFFLINE, 0, outcome.text, outcome.dirty);
      break;
    case Step::looks_alive:
    case Step::is_alive:
    case Step::event:
      finished_check(step, outcome, now);
      break;
    case Step::control:
      report(order, state_, code, outcome.text);
      break;
    case Step::close:
      closed_ = true;
      report(order, State::OFFLINE, 0, "It is closed.");
      break;
    case Step::none:
      break;
  }
  next(now);
}

void Resource::finished_online(Outcome outcome, Instant now) {
  if (outcome.code != HOLDFAST_OK) {
    // Half of it may be up.
    terminate({.order = current_.order(),
               .state = State::FAILED,
               .error = static_cast<uint32_t>(outcome.code),
               .message = outcome.text},
              now);
    return;
  }
  state_ = State::ONLINE;
  event_fd_ = outcome.event_fd;
  looks_alive_at_ = now + looks_alive_every_;
  is_alive_at_ = now + is_alive_every_;
  report(current_.order(), State::ONLINE, 0, outcome.text);
}

void Resource::finished_check(Step step, const Outcome& outcome, Instant now) {
  if (step == Step::is_alive) is_alive_at_ = now + is_alive_every_;
  looks_alive_at_ = now + looks_alive_every_;
  if (step == Step::event) return failed(outcome.text.empty() ? "It reported a failure." : outcome.text, now);
  if (outcome.code == HOLDFAST_OK || held_ || wants_hold_) return;
  failed(outcome.text.empty() ? "Its check failed." : outcome.text, now, static_cast<uint32_t>(outcome.code));
}

void Resource::failed(const std::string& why, Instant now, uint32_t error) {
  if (state_ != State::ONLINE || terminating_) return;
  // At once, so that the service can prepare; Failed follows when it has ended.
  ++progress_;
  report(0, State::OFFLINE_PENDING, error, why);
  terminate({.order = 0, .state = State::FAILED, .error = error, .message = why}, now);
}

}  // namespace holdfast::monitor
