// FakeService: speaks api.proto on a socket of its own, one thread, for tests of clients. Not for several
// connections at once.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "proto/api.pb.h"

namespace holdfast::client::testing {

class FakeService {
 public:
  // Fills in the answers to one request; none at all = it stays silent.
  using Handler = std::function<std::vector<api::Response>(const api::Request&)>;

  explicit FakeService(Handler handler) : handler_(std::move(handler)) {
    char dir[] = "/tmp/holdfast-fake-XXXXXX";
    dir_ = mkdtemp(dir);
    path_ = dir_ + "/s";
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, path_.c_str());
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener_, 8) != 0)
      abort();
    thread_ = std::thread([this] { run(); });
  }
  ~FakeService() {
    stop_ = true;
    shutdown(listener_, SHUT_RDWR);
    if (int fd = current_; fd >= 0) shutdown(fd, SHUT_RDWR);
    thread_.join();
    close(listener_);
    unlink(path_.c_str());
    rmdir(dir_.c_str());
  }

  const std::string& path() const { return path_; }
  std::vector<api::Request> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  // Raw bytes instead of answers, then the connection is closed.
  void answer_with_bytes(std::string bytes) { raw_ = std::move(bytes); }

 private:
  void run() {
    while (!stop_) {
      int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      current_ = fd;
      while (!stop_ && serve_one(fd)) {
      }
      current_ = -1;
      close(fd);
    }
  }
  bool serve_one(int fd) {
    std::string head(4, '\0');
    if (recv(fd, head.data(), 4, MSG_WAITALL) != 4) return false;
    std::string body(get_le(as_u8(head), 4), '\0');
    if (recv(fd, body.data(), body.size(), MSG_WAITALL) != static_cast<ssize_t>(body.size())) return false;
    api::Request request;
    if (!request.ParseFromString(body)) return false;
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    if (!raw_.empty()) {
      send(fd, raw_.data(), raw_.size(), MSG_NOSIGNAL);
      return false;
    }
    for (auto& response : handler_(request)) {
      if (!response.has_event()) response.set_id(request.id());
      std::string payload = response.SerializeAsString(), frame(4, '\0');
      put_le(as_u8(frame), payload.size(), 4);
      frame += payload;
      if (send(fd, frame.data(), frame.size(), MSG_NOSIGNAL) < 0) return false;
    }
    return true;
  }

  Handler handler_;
  std::string dir_, path_, raw_;
  int listener_ = -1;
  std::atomic<int> current_{-1};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::vector<api::Request> requests_;
  std::thread thread_;
};

}  // namespace holdfast::client::testing
