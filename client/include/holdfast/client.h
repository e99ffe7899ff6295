// libholdfast: talk to the cluster service of this machine (proto/api.proto over
// /run/holdfast/holdfast.sock).
//
// Everybody may read; changes need root or the group holdfast-admin. One request at a time a connection,
// blocking with a deadline. Not thread-safe; several connections are cheap. Link with protobuf-lite: messages
// are passed as they are.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "proto/api.pb.h"

namespace holdfast::client {

// $HOLDFAST_SOCKET, or /run/holdfast/holdfast.sock.
std::string default_socket();

class Client {
 public:
  // `program` names the caller in the causes that events and `holdfast why` show.
  // Errors: unreachable (no service; the hint says how to start it), permission, timeout.
  static Result<Client> connect(const std::string& socket, Duration timeout, std::string program);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // Sends the request (id and versions are filled in) and waits for its answer. An error that the service
  // reports becomes an Error with its code, message and hint. After timeout or connection_lost a change MAY
  // have happened, and this connection is closed.
  Result<api::Response> call(api::Request request, Duration timeout);

  Result<api::Status> status(Duration timeout);
  // The service waits up to command.wait_ms for the effect; `timeout` is for the answer beyond that.
  Result<api::Response> command(const api::Command& command, Duration timeout);
  Result<tree::Tree> read_tree(const std::string& prefix, Duration timeout);
  Result<api::Response> transact(const tree::Transaction& transaction, const std::string& cause,
                                 Duration timeout);

  // Turns this connection into a stream of events, beginning with those the service still has when `history`.
  Status subscribe(bool history, Duration timeout);
  // The next event. `timeout` without one: Error timeout, and the stream goes on. An event with dropped() > 0
  // says that so many before it were lost because this reader was slow: read the status again.
  Result<api::Event> next_event(Duration timeout);
  // Calls `each` until it returns false (ok) or the stream breaks (error).
  Status for_each_event(const std::function<bool(const api::Event&)>& each);

  // To wait in an event loop: readable = next_event() has something, perhaps part of an event.
  int descriptor() const;

 private:
  struct Connection;
  explicit Client(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace holdfast::client
