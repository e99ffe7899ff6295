// ApiSocket: the local socket of the cluster API. Frames: u32 little-endian length, then an api::Request or
// Response. Peer credentials decide who may change: root and group holdfast-admin. Everything runs on the
// caller's io_context.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "proto/api.pb.h"

namespace asio {
class io_context;
}

namespace holdfast {

class ApiSocket {
 public:
  struct Handlers {
    std::function<void(uint64_t client, api::Request request, bool may_change, std::string who)> on_request;
    std::function<void(uint64_t client)> on_closed;
  };
  ApiSocket(asio::io_context& io, std::string path, Handlers handlers);
  ~ApiSocket();
  // Replaces a stale socket file. io: the folder is missing or not writable.
  Status start();
  // A client of root or the group may send 4 MiB, anybody else 64 KiB; of 256 connections 192 are for the
  // others. More is refused by closing. Answers are queued up to 4 MiB a client. Beyond that events are
  // dropped and the next one that fits says how many; a client that does not even take its answers is closed.
  void send(uint64_t client, api::Response response);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdfast
