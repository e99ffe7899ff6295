#include "monitor/host_glue.h"

#include <errno.h>

#include "base/clock.h"

namespace holdfast::monitor {
namespace {

std::string text_of(const char* text) {
  return text == nullptr ? "" : text;
}

}  // namespace

HostGlue::HostGlue(std::string resource, Ledger& ledger, const Lease& lease, GlueSinks sinks)
    : resource_(std::move(resource)), ledger_(ledger), lease_(lease), sinks_(std::move(sinks)) {
  host_.size = sizeof host_;
  host_.opaque = this;
  host_.progress = [](const holdfast_host* h, const char* text) { of(h).sinks_.progress(text_of(text)); };
  host_.complete = [](const holdfast_host* h, int result, const char* text) {
    HostGlue& glue = of(h);
    std::lock_guard lock(glue.mutex_);
    glue.completion_ = {result, text_of(text)};
    glue.wake_.notify_all();
  };
  host_.fail = [](const holdfast_host* h, const char* text) { of(h).sinks_.failed(text_of(text)); };
  host_.publish = [](const holdfast_host* h, const char* name, const char* value) {
    HostGlue& glue = of(h);
    std::lock_guard lock(glue.mutex_);
    if (value == nullptr) {
      glue.published_.erase(text_of(name));
    } else {
      glue.published_[text_of(name)] = value;
    }
  };
  host_.log = [](const holdfast_host* h, int priority, const char* text) {
    of(h).sinks_.log(priority, text_of(text));
  };
  host_.lease_remaining_ms = [](const holdfast_host* h) -> int64_t {
    return (of(h).lease_.until() - boottime_now()).ms();
  };
  host_.cancelled = [](const holdfast_host* h) -> int { return of(h).cancelled_.load() ? 1 : 0; };
  host_.record = [](const holdfast_host* h, const char* kind, const char* key, const char* detail) -> int {
    auto written = of(h).ledger_.record({of(h).resource_, text_of(kind), text_of(key), text_of(detail)});
    return written ? 0 : written.error().os_errno != 0 ? written.error().os_errno : EIO;
  };
  host_.forget = [](const holdfast_host* h, const char* kind, const char* key) {
    of(h).ledger_.forget(of(h).resource_, text_of(kind), text_of(key));
  };
}

int HostGlue::wait_completion(std::string* text) {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return completion_.has_value() || cancelled_.load(); });
  // A cancelled operation is over for the monitor: terminate ends what it began.
  auto done =
      completion_.value_or(std::pair{static_cast<int>(HOLDFAST_CANCELLED), std::string("it was cancelled")});
  completion_.reset();
  *text = done.second;
  return done.first;
}

void HostGlue::set_cancelled(bool cancelled) {
  std::lock_guard lock(mutex_);
  cancelled_ = cancelled;
  if (!cancelled) completion_.reset();
  wake_.notify_all();
}

std::map<std::string, std::string> HostGlue::published() const {
  std::lock_guard lock(mutex_);
  return published_;
}

void HostGlue::clear_published() {
  std::lock_guard lock(mutex_);
  published_.clear();
}

}  // namespace holdfast::monitor
