// What all parts of one Transport share. Private to this folder. A part touches it only while it is open:
// handlers that run after close() return at once. `events` may be gone once `stopped` is set.
#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "adapters/transport/tls.h"
#include "adapters/transport/transport.h"

namespace holdfast::transport {

class PeerLink;
class Session;

Instant now();  // CLOCK_BOOTTIME

struct Context : std::enable_shared_from_this<Context> {
  Context(asio::io_context& io_context, TransportConfig c, TransportEvents& e)
      : io(io_context), config(std::move(c)), events(e) {}

  void count(std::string_view name, uint64_t by = 1);
  // Counts "refused-<reason>" and tells on_peer_refused, at most every 10 s for the same sentence.
  void refused(const std::string& reason, const std::string& who, const std::string& why);

  asio::io_context& io;
  TransportConfig config;
  TransportEvents& events;
  TlsContext tls;
  std::map<std::string, uint64_t, std::less<>> counters;
  std::set<std::string> revoked;
  std::map<NodeId, std::shared_ptr<PeerLink>> peers;
  std::set<std::shared_ptr<Session>> sessions;  // all that are open
  AsyncEnrollHandler enrollment;
  int enrolling = 0;  // connections being enrolled
  bool stopped = false;
  uint64_t epoch = 0;
  uint64_t last_session_number = 0;  // of this life; a dialer's later session has a higher number

 private:
  std::map<std::string, Instant> refusals_told_;
};

}  // namespace holdfast::transport
