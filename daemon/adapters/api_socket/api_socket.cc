#include "adapters/api_socket/api_socket.h"

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <asio.hpp>
#include <chrono>
#include <deque>
#include <map>

#include "base/bytes.h"
#include "base/utf8.h"

namespace holdfast {
namespace {

using Socket = asio::local::stream_protocol::socket;
constexpr size_t request_bytes_max = 4 << 20;
constexpr size_t queue_bytes_max = 4 << 20;
constexpr size_t clients_max = 256;
// Everybody may read, so everybody may connect: what they can use up leaves room for an administrator.
constexpr size_t readers_max = 192;
constexpr size_t reader_request_bytes_max = 64 << 10;
constexpr auto accept_pause = std::chrono::milliseconds(100);  // when the process has no descriptor left

std::string user_name(uid_t uid) {
  char buffer[4096];
  passwd entry, *found = nullptr;
  if (getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found) return found->pw_name;
  return "uid " + std::to_string(uid);
}

bool is_admin(const ucred& who) {
  if (who.uid == 0) return true;
  char buffer[4096];
  group entry, *found = nullptr;
  if (getgrnam_r("holdfast-admin", &entry, buffer, sizeof buffer, &found) != 0 || !found) return false;
  if (who.gid == found->gr_gid) return true;
  std::string name = user_name(who.uid);
  for (char** member = found->gr_mem; member && *member; ++member)
    if (name == *member) return true;
  return false;
}

}  // namespace

class ApiSocket::Impl : public std::enable_shared_from_this<Impl> {
 public:
  struct Client {
    explicit Client(Socket s) : socket(std::move(s)) {}
    Socket socket;
    uint8_t head[4];
    std::string body;
    std::deque<std::string> queue;
    size_t queued = 0;
    uint64_t dropped = 0;
    bool writing = false, may_change = false;
    std::string user;
  };

  Impl(asio::io_context& io, std::string path, Handlers handlers)
      : acceptor_(io), pause_(io), path_(std::move(path)), handlers_(std::move(handlers)) {}

  Status start() {
    unlink(path_.c_str());
    asio::error_code error;
    asio::local::stream_protocol::endpoint endpoint(path_);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(64, error);
    if (error)
      return fail(ErrorCode::io, "the API socket " + path_ + " cannot be opened", error.value(),
                  "does its folder exist, and is it writable?");
    chmod(path_.c_str(), 0666);  // reading is for everybody; credentials decide about changes
    accept();
    return {};
  }

  void stop() {
    stopped_ = true;
    asio::error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    for (auto& [id, client] : clients_) client->socket.close(ignored);
    clients_.clear();
    unlink(path_.c_str());
  }

  void send(uint64_t id, const api::Response& response) {
    auto it = clients_.find(id);
    if (it == clients_.end()) return;
    Client& c = *it->second;
    std::string frame(4, '\0');
    if (response.has_event() && c.dropped > 0) {
      api::Response marked = response;
      marked.mutable_event()->set_dropped(c.dropped);
      marked.AppendToString(&frame);
    } else {
      response.AppendToString(&frame);
    }
    if (c.queued + frame.size() > queue_bytes_max && c.queued > 0) {
      if (response.has_event())
        ++c.dropped;
      else
        close(id);
      return;
    }
    if (response.has_event()) c.dropped = 0;
    put_le(as_u8(frame), frame.size() - 4, 4);
    c.queued += frame.size();
    c.queue.push_back(std::move(frame));
    if (!c.writing) write(id, it->second);
  }

 private:
  void accept() {
    acceptor_.async_accept([self = shared_from_this()](asio::error_code error, Socket socket) {
      if (self->stopped_) return;
      if (!error) {
        self->admit(std::move(socket));
        self->accept();
        return;
      }
      self->pause_.expires_after(accept_pause);
      self->pause_.async_wait([self](asio::error_code) {
        if (!self->stopped_) self->accept();
      });
    });
  }

  void admit(Socket socket) {
    ucred who{};
    socklen_t size = sizeof who;
    if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return;
    const bool admin = is_admin(who);
    if (clients_.size() >= (admin ? clients_max : readers_max)) return;
    uint64_t id = next_++;
    auto client = std::make_shared<Client>(std::move(socket));
    client->may_change = admin;
    client->user = user_name(who.uid);
    clients_[id] = client;
    read(id, client);
  }

  void close(uint64_t id) {
    auto it = clients_.find(id);
    if (it == clients_.end()) return;
    asio::error_code ignored;
    it->second->socket.close(ignored);
    clients_.erase(it);
    handlers_.on_closed(id);
  }

  void read(uint64_t id, const std::shared_ptr<Client>& client) {
    asio::async_read(
        client->socket, asio::buffer(client->head),
        [self = shared_from_this(), id, client](asio::error_code error, size_t) {
          if (self->stopped_) return;
          size_t size = get_le(client->head, 4);
          if (error || size > (client->may_change ? request_bytes_max : reader_request_bytes_max)) {
            self->close(id);
            return;
          }
          client->body.resize(size);
          asio::async_read(
              client->socket, asio::buffer(client->body), [self, id, client](asio::error_code error, size_t) {
                if (self->stopped_) return;
                api::Request request;
                if (error || !request.ParseFromString(client->body)) {
                  self->close(id);
                  return;
                }
                // It becomes a part of updates: half a character would make them unreadable for everybody.
                std::string who = to_utf8(client->user) + " via " +
                                  (request.client().empty() ? "the API" : to_utf8(request.client(), 64));
                self->handlers_.on_request(id, std::move(request), client->may_change, std::move(who));
                self->read(id, client);
              });
        });
  }

  void write(uint64_t id, const std::shared_ptr<Client>& client) {
    client->writing = true;
    asio::async_write(client->socket, asio::buffer(client->queue.front()),
                      [self = shared_from_this(), id, client](asio::error_code error, size_t) {
                        if (self->stopped_) return;
                        if (error) {
                          self->close(id);
                          return;
                        }
                        client->queued -= client->queue.front().size();
                        client->queue.pop_front();
                        client->writing = false;
                        if (!client->queue.empty()) self->write(id, client);
                      });
  }

  asio::local::stream_protocol::acceptor acceptor_;
  asio::steady_timer pause_;
  std::string path_;
  Handlers handlers_;
  std::map<uint64_t, std::shared_ptr<Client>> clients_;
  uint64_t next_ = 1;
  bool stopped_ = false;
};

ApiSocket::ApiSocket(asio::io_context& io, std::string path, Handlers handlers)
    : impl_(std::make_shared<Impl>(io, std::move(path), std::move(handlers))) {}
ApiSocket::~ApiSocket() {
  impl_->stop();
}
Status ApiSocket::start() {
  return impl_->start();
}
void ApiSocket::send(uint64_t client, api::Response response) {
  impl_->send(client, response);
}

}  // namespace holdfast
