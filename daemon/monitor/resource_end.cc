// How a resource ends, is held and is watched: terminate, settle, hold, time limits and failures.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/lifetimes.h"
#include "monitor/resource.h"

namespace holdfast::monitor {
namespace {

// How long a call that ran beside terminate gets to return before it is given up.
constexpr Duration settle_grace = Duration::milliseconds(500);
// After the event descriptor fired: how long another call may delay asking for the reason.
constexpr Duration event_patience = Duration::milliseconds(300);

}  // namespace

void Resource::terminate(Ending ending, Instant now) {
  endings_.push_back(std::move(ending));
  if (calling()) given_up_call_ = true;
  event_fd_ = -1;
  if (terminating_) return;
  terminating_ = true;
  terminate_returned_ = false;
  terminate_again_ = false;
  terminate_late_ = false;
  terminate_deadline_ = now + terminate_max;
  if (active()) state_ = State::OFFLINE_PENDING;
  if (glue_) glue_->set_cancelled(true);
  if (instance_ == nullptr) {  // nothing to call: never opened, or being closed
    terminate_returned_ = true;
    settle_deadline_ = now + settle_grace;
    settle(now);
    return;
  }
  Inbox& inbox = around_.inbox;
  urgent_->post([self = shared_from_this(), work = entry(plugin_.table->terminate), &inbox] {
    Outcome outcome = work();
    inbox.post([self, outcome] { self->terminated(outcome, boottime_now()); });
  });
}

void Resource::terminated(const Outcome& outcome, Instant now) {
  terminate_returned_ = true;
  settle_deadline_ = now + settle_grace;
  incomplete_ = outcome.code != HOLDFAST_OK;
  dirty_ = outcome.dirty || incomplete_;
  if (endings_.empty()) endings_.push_back({.state = State::OFFLINE, .message = "It has ended at last."});
  for (auto& ending : endings_) {
    if (!outcome.text.empty()) ending.message += (ending.message.empty() ? "" : " ") + outcome.text;
    if (outcome.code != HOLDFAST_OK) {
      ending.state = State::FAILED;
      if (ending.error == 0) ending.error = static_cast<uint32_t>(outcome.code);
      ending.silent = false;
    }
  }
  settle(now);
}

// R2.
void Resource::settle(Instant now) {
  if (!terminating_ || !terminate_returned_) return;
  if (calling() && now < settle_deadline_) return;
  terminating_ = false;
  std::vector<Ending> endings = std::move(endings_);
  endings_.clear();
  if (terminate_again_) {
    terminate_again_ = false;
    for (auto& e : endings) terminate(std::move(e), now);
    return;
  }
  held_ = wants_hold_ = false;
  if (glue_) {
    glue_->clear_published();
    if (!calling()) glue_->set_cancelled(false);
  }
  for (const auto& e : endings) state_ = e.state;
  for (const auto& e : endings) {
    if (e.silent) continue;
    std::string message = e.message;
    if (calling()) message += " A call of its plug-in has not returned yet.";
    report(e.order, e.state, e.error, message, dirty_ || calling());
  }
  next(now);
}

void Resource::tick(Instant now) {
  std::erase_if(waiting_, [&](const Order& o) {
    return o.expires_boottime_ns() != 0 && now.ns > static_cast<int64_t>(o.expires_boottime_ns()) &&
           !due(o, now);
  });
  if (terminating_ && !terminate_returned_ && !terminate_late_ && now >= terminate_deadline_) {
    terminate_late_ = true;
    dirty_ = incomplete_ = true;
    for (const auto& e : endings_)
      if (!e.silent)
        report(e.order, State::FAILED, code_of(ErrorCode::timeout),
               "Terminate has not ended within 10 s. " + e.message, true);
    endings_.clear();
  }
  settle(now);
  if (calling() && !given_up_call_ && now >= call_deadline_) {
    std::string limit = " for " + std::to_string(pending_timeout_.ms()) + " ms";
    uint32_t error = code_of(ErrorCode::timeout);
    switch (step_) {
      case Step::online:
        terminate({.order = current_.order(),
                   .state = State::FAILED,
                   .error = error,
                   .message = "Online made no progress" + limit + " (PendingTimeout) and was terminated."},
                  now);
        break;
      case Step::offline:
        terminate({.order = current_.order(),
                   .state = State::OFFLINE,
                   .error = error,
                   .message = "Offline made no progress" + limit + " (PendingTimeout): ended by force."},
                  now);
        break;
      case Step::looks_alive:
      case Step::is_alive:
      case Step::event:
        failed("Its check has not answered" + limit + ".", now, error);
        break;
      default:
        given_up_call_ = true;
        report(current_.order(), step_ == Step::open ? State::FAILED : state_, error,
               "The plug-in has not answered" + limit + ".");
    }
  }
  if (event_pending_ && now >= event_deadline_) {
    event_pending_ = false;
    failed("It reported a failure.", now);
  }
  if (state_ != State::ONLINE || calling() || terminating_ || held_ || wants_hold_) return;
  if (now >= is_alive_at_) {
    call(Step::is_alive, now, entry(plugin_.table->is_alive));
  } else if (event_fd_ < 0 && now >= looks_alive_at_) {
    call(Step::looks_alive, now, entry(plugin_.table->looks_alive));
  }
}

Instant Resource::next_deadline() const {
  Instant at = Instant::infinite();
  auto consider = [&](Instant t) { at = std::min(at, t); };
  for (const auto& o : waiting_)
    if (o.expires_boottime_ns() != 0) consider({static_cast<int64_t>(o.expires_boottime_ns()) + 1});
  if (terminating_ && !terminate_returned_ && !terminate_late_) consider(terminate_deadline_);
  if (terminating_ && terminate_returned_) consider(settle_deadline_);
  if (calling() && !given_up_call_) consider(call_deadline_);
  if (event_pending_) consider(event_deadline_);
  if (state_ == State::ONLINE && !calling() && !terminating_ && !held_ && !wants_hold_) {
    consider(is_alive_at_);
    if (event_fd_ < 0) consider(looks_alive_at_);
  }
  return at;
}

void Resource::event_fired(Instant now) {
  event_seen_ = event_pending_ = true;
  event_deadline_ = now + event_patience;
  ask_for_reason(now);
}

void Resource::ask_for_reason(Instant now) {
  if (!event_pending_ || calling()) return;
  event_pending_ = false;
  if (state_ == State::ONLINE && !terminating_) call(Step::event, now, entry(plugin_.table->is_alive));
}

// R4.
void Resource::lease_lapsed(Instant now) {
  if (!plugin_.unguarded() || wants_hold_) return;
  if (state_ != State::ONLINE && state_ != State::ONLINE_PENDING) return;
  wants_hold_ = true;
  hold(now);
}

void Resource::lease_renewed(Instant now) {
  if (!wants_hold_) return;
  wants_hold_ = false;
  hold(now);
}

// Brings held_ to wants_hold_, one call at a time.
void Resource::hold(Instant) {
  if (urgent_busy_ || terminating_ || instance_ == nullptr || held_ == wants_hold_) return;
  urgent_busy_ = true;
  bool holding = wants_hold_;
  Inbox& inbox = around_.inbox;
  urgent_->post([self = shared_from_this(), holding, &inbox,
                 work = entry(holding ? plugin_.table->hold : plugin_.table->release)] {
    Outcome outcome = work();
    inbox.post([self, holding, outcome] {
      Instant now = boottime_now();
      self->urgent_busy_ = false;
      if (self->terminating_ || !self->active()) return;
      if (outcome.code != HOLDFAST_OK) {
        std::string text =
            std::string("It could not be ") + (holding ? "held" : "released") + ": " + outcome.text;
        self->report(0, State::OFFLINE_PENDING, static_cast<uint32_t>(outcome.code), text);
        self->terminate(
            {.state = State::FAILED, .error = static_cast<uint32_t>(outcome.code), .message = text}, now);
        return;
      }
      self->held_ = holding;
      self->report(0, self->state_, 0,
                   holding ? "The working lease lapsed: it is held. " + outcome.text
                           : "The lease was renewed: it is released. " + outcome.text);
      // Checks missed meanwhile are due one interval from now.
      self->is_alive_at_ = now + self->is_alive_every_;
      self->looks_alive_at_ = now + self->looks_alive_every_;
      self->hold(now);
    });
  });
}

}  // namespace holdfast::monitor
