// Frames on a stream socket: u32 little-endian length, then the message. Never blocks; bytes wait in buffers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace holdfast::monitor {

constexpr uint32_t frame_size_max = 16u << 20;

class FrameSocket {
 public:
  // Takes the descriptor over and makes it non-blocking.
  explicit FrameSocket(int fd);
  ~FrameSocket();
  FrameSocket(const FrameSocket&) = delete;
  FrameSocket& operator=(const FrameSocket&) = delete;

  int fd() const { return fd_; }
  // Reads what has arrived. connection_lost = the other side closed; what was read before is still in next().
  Status receive();
  // The next complete message; nothing when more bytes are needed; corrupt when the length is beyond the
  // limit.
  Result<std::optional<std::string>> next();
  // Queues a message and sends what the socket takes.
  Status send(const std::string& message);
  Status flush();
  bool wants_write() const { return sent_ < out_.size(); }

 private:
  int fd_;
  std::string in_;
  std::string out_;
  size_t sent_ = 0;
};

}  // namespace holdfast::monitor
