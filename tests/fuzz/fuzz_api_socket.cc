// The API's socket: frames of clients, in pieces of any size, cut off anywhere. What reaches the service is a
// request that can be said again, by somebody whose name is text.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <cstdlib>

#include "adapters/api_socket/api_socket.h"
#include "input.h"
#include "target.h"

namespace {

using namespace holdfast;

// One server for all runs: a folder and a socket file each time would be most of the work.
struct Server {
  Server() {
    char folder[] = "/tmp/holdfast-fuzz-XXXXXX";
    HOLDFAST_ASSERT(mkdtemp(folder));
    path = std::string(folder) + "/socket";
    socket = std::make_unique<ApiSocket>(
        io, path,
        ApiSocket::Handlers{[this](uint64_t client, const api::Request& request, bool,
                                   const std::string& who) { take(client, request, who); },
                            [this](uint64_t) { ++closed; }});
    HOLDFAST_ASSERT(socket->start());
    atexit([] {
      unlink(server().path.c_str());
      rmdir(server().path.substr(0, server().path.rfind('/')).c_str());
    });
  }
  static Server& server() {
    static Server& the_one = *new Server;
    return the_one;
  }
  void take(uint64_t client, const api::Request& request, const std::string& who) {
    ++requests;
    api::Request again;
    HOLDFAST_ASSERT(again.ParseFromString(request.SerializeAsString()));
    // `who` goes into the cause of an update, which every node and the log on the LUN must be able to read.
    api::Event event;
    event.set_cause(who);
    HOLDFAST_ASSERT(event.ParseFromString(event.SerializeAsString()));
    api::Response response;
    response.set_id(request.id());
    socket->send(client, std::move(response));
  }
  void poll() {
    io.restart();
    io.poll();
  }

  asio::io_context io;
  std::string path;
  std::unique_ptr<ApiSocket> socket;
  int requests = 0, closed = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  Server& server = Server::server();
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  server.path.copy(to.sun_path, sizeof to.sun_path - 1);
  HOLDFAST_ASSERT(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  server.poll();
  const int closed = server.closed;
  size_t answered = 0, sent = 0;
  while (!in.done() && server.closed == closed) {
    const std::string piece = in.text();
    sent += piece.size();
    if (send(fd, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) break;
    server.poll();
    char buffer[65536];
    for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) answered += static_cast<size_t>(n);
  }
  HOLDFAST_ASSERT(answered <= 64 + 64 * sent);
  close(fd);
  server.poll();
  server.poll();
  HOLDFAST_ASSERT(server.closed == closed + 1);
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  auto framed = [](const api::Request& request) {
    const std::string body = request.SerializeAsString();
    std::string head(4, '\0');
    put_le(as_u8(head), body.size(), 4);
    return head + body;
  };
  api::Request status, command, transact;
  status.set_id(1);
  status.set_client("fuzz");
  status.mutable_status();
  command.set_id(2);
  command.mutable_command()->set_verb(api::Command::GROUP_SET);
  command.mutable_command()->set_object("web");
  command.mutable_command()->add_properties()->set_name("FailoverThreshold");
  transact.mutable_transact()->mutable_transaction()->add_changes()->set_key("groups/web");
  const std::string all = framed(status) + framed(command) + framed(transact);
  return {Recipe().text(all).done(), Recipe().text(all.substr(0, 3)).text(all.substr(3)).done(),
          Recipe().text(framed(status)).text("\xff\xff\xff\xff").done()};
}

}  // namespace holdfast::fuzz
