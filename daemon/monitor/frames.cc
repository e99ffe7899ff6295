#include "monitor/frames.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"

namespace holdfast::monitor {

FrameSocket::FrameSocket(int fd) : fd_(fd) {
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
  fcntl(fd_, F_SETFD, FD_CLOEXEC);
}

FrameSocket::~FrameSocket() {
  close(fd_);
}

Status FrameSocket::receive() {
  char chunk[65536];
  while (true) {
    ssize_t n = recv(fd_, chunk, sizeof chunk, 0);
    if (n > 0) {
      in_.append(chunk, static_cast<size_t>(n));
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return {};
    if (n == 0) return fail(ErrorCode::connection_lost, "the other side closed the socket");
    return fail(ErrorCode::connection_lost, "the socket to the other side broke", errno);
  }
}

Result<std::optional<std::string>> FrameSocket::next() {
  if (in_.size() < 4) return std::nullopt;
  auto size = static_cast<uint32_t>(get_le(as_u8(in_), 4));
  if (size > frame_size_max)
    return fail(ErrorCode::corrupt,
                "a frame of " + std::to_string(size) + " bytes is beyond the limit of 16 MiB");
  if (in_.size() < 4 + size_t{size}) return std::nullopt;
  std::string message = in_.substr(4, size);
  in_.erase(0, 4 + size_t{size});
  return message;
}

Status FrameSocket::send(const std::string& message) {
  uint8_t header[4];
  put_le(header, message.size(), 4);
  out_.append(reinterpret_cast<char*>(header), 4);
  out_ += message;
  return flush();
}

Status FrameSocket::flush() {
  while (sent_ < out_.size()) {
    ssize_t n = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return {};
    if (n < 0) return fail(ErrorCode::connection_lost, "cannot send on the socket", errno);
    sent_ += static_cast<size_t>(n);
  }
  out_.clear();
  sent_ = 0;
  return {};
}

}  // namespace holdfast::monitor
