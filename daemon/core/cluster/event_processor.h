// EventProcessor (M12): numbers what happened and hands it to subscribers, to the journal and to `holdfast
// events`.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>

#include "base/time.h"
#include "proto/api.pb.h"

namespace holdfast::core {

class EventProcessor {
 public:
  explicit EventProcessor(std::string node) : node_(std::move(node)) {}

  // Adds an event; returns it numbered. Kinds are those of the classic notification bits ("GROUP_STATE",
  // ...).
  const api::Event& emit(std::string kind, std::string object, std::string old_value, std::string new_value,
                         std::string cause, Instant now, uint64_t wall_ms);
  void subscribe(uint64_t client) { subscribers_.insert(client); }
  void unsubscribe(uint64_t client) { subscribers_.erase(client); }
  const std::set<uint64_t>& subscribers() const { return subscribers_; }
  const std::deque<api::Event>& history() const { return history_; }

 private:
  std::string node_;
  std::deque<api::Event> history_;  // the newest 1000
  std::set<uint64_t> subscribers_;
  uint64_t next_ = 1;
};

// Windows event id of a kind and its new value, 0 where there is none (REFERENCE 1.2).
uint32_t classic_event_id(const std::string& kind, const std::string& new_value);

}  // namespace holdfast::core
