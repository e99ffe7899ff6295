// Channel: the ordered, acknowledged stream of messages between one life of this node and one life of a peer.
// Pure: it holds what is queued, sent and received, and outlives the sessions that carry it.
// See docs/protocols/transport.md, "Channel".
// Invariants:
//   C1  frames carry consecutive sequence numbers from 1; what the peer acknowledged is forgotten, nothing
//   else is. C2  the receiver delivers each message at most once, in the order of its numbers. C3  a message
//   of an epoch older than the current one is neither sent as data nor delivered.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "adapters/transport/frame.h"

namespace holdfast::transport {

class Channel {
 public:
  Channel(uint64_t epoch, uint64_t queue_bytes_max) : epoch_(epoch), queue_bytes_max_(queue_bytes_max) {}

  // False: full, too long, or of an old epoch.
  bool push(uint64_t epoch, std::string payload);

  // Drops what became old (C3). What the peer may have seen a part of becomes `skip` frames.
  void set_epoch(uint64_t epoch);

  // The next frame for the session that is in use; false: nothing to send, or the window is full.
  // `body` stays valid until the next call of a non-const function.
  bool next(FrameHeader& header, std::string_view& body);

  // The peer has everything up to `sequence`. False: it claims what was never sent.
  bool acknowledge(uint64_t sequence);

  // A new session: everything after `received` is sent again. False as in acknowledge().
  bool restart(uint64_t received);

  enum class Receipt {
    message,    // `out` is a message to deliver
    consumed,   // a part of one, or nothing to deliver
    duplicate,  // had it already
    old_epoch,  // the end of a message that C3 forbids to deliver
    bad_order,  // a gap, or fragments that do not fit together: the session is broken
    too_long,
  };
  Receipt receive(const FrameHeader& header, std::string_view body, std::string& out);

  uint64_t received() const { return received_; }
  uint64_t queued_bytes() const { return queued_bytes_; }
  uint64_t acknowledged() const { return acknowledged_; }
  uint64_t dropped_old() const { return dropped_old_; }

 private:
  struct Message {
    uint64_t epoch = 0;
    std::shared_ptr<const std::string> payload;
  };
  struct Fragment {
    std::shared_ptr<const std::string> payload;  // null = skip
    size_t offset = 0, length = 0;
    uint64_t sequence = 0, epoch = 0;
    uint8_t flags = 0;
    size_t cost = 0;  // what it adds to queued_bytes_
  };
  bool is_old(uint64_t epoch) const { return epoch != 0 && epoch < epoch_; }
  bool window_open() const;
  void cut_fragment();

  uint64_t epoch_;
  const uint64_t queue_bytes_max_;

  std::deque<Message> waiting_;  // not cut into fragments yet
  size_t front_offset_ = 0;      // how much of waiting_.front() was cut off
  std::deque<Fragment> sent_;    // cut, not acknowledged (C1)
  size_t cursor_ = 0;            // first of sent_ that this session has not carried yet
  uint64_t next_sequence_ = 1;
  uint64_t acknowledged_ = 0;
  uint64_t sent_bytes_ = 0;    // cost of sent_
  uint64_t queued_bytes_ = 0;  // cost of both
  uint64_t dropped_old_ = 0;

  uint64_t received_ = 0;
  bool in_message_ = false;
  uint64_t partial_epoch_ = 0;
  std::string partial_;
};

}  // namespace holdfast::transport
