// ApiSocket against clients as they come: slow, greedy, cut off in the middle of a word, and many.
#include "adapters/api_socket/api_socket.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <vector>

#include "base/bytes.h"

namespace holdfast {
namespace {

std::string framed(const std::string& body) {
  std::string out(4, '\0');
  put_le(as_u8(out), body.size(), 4);
  return out + body;
}

api::Request status_request(uint64_t id) {
  api::Request r;
  r.set_id(id);
  r.set_client("test");
  r.mutable_status();
  return r;
}

// A blocking client, without any of the library it tests.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.copy(to.sun_path, sizeof to.sun_path - 1);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void write(const std::string& bytes) {
    ASSERT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // What is there now; empty and closed() when the other side is gone.
  std::string read_now() {
    char buffer[65536];
    ssize_t n = recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) closed_ = true;
    return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : std::string();
  }
  // The next whole response in what was read.
  bool next(api::Response& response) {
    received_ += read_now();
    if (received_.size() < 4) return false;
    size_t size = get_le(as_u8(received_), 4);
    if (received_.size() < 4 + size) return false;
    EXPECT_TRUE(response.ParseFromString(received_.substr(4, size)));
    received_.erase(0, 4 + size);
    return true;
  }
  bool closed() {
    received_ += read_now();
    return closed_;
  }

 private:
  int fd_;
  bool connected_ = false, closed_ = false;
  std::string received_;
};

class ApiSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/holdfast-api-XXXXXX";
    ASSERT_TRUE(mkdtemp(folder));
    folder_ = folder;
    std::filesystem::permissions(folder_, std::filesystem::perms(0755));
    path_ = folder_ + "/socket";
    server_ = make();
    auto started = server_->start();
    ASSERT_TRUE(started) << started.error().text();
  }
  void TearDown() override {
    server_.reset();
    io_.poll();
    std::filesystem::remove_all(folder_);
  }
  std::unique_ptr<ApiSocket> make() {
    return std::make_unique<ApiSocket>(
        io_, path_,
        ApiSocket::Handlers{[this](uint64_t client, api::Request request, bool may_change, std::string who) {
                              requests_.push_back({client, std::move(request), may_change, std::move(who)});
                            },
                            [this](uint64_t client) { closed_.push_back(client); }});
  }
  bool run_until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.restart();
      io_.run_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  struct Asked {
    uint64_t client;
    api::Request request;
    bool may_change;
    std::string who;
  };
  asio::io_context io_;
  std::string folder_, path_;
  std::vector<Asked> requests_;
  std::vector<uint64_t> closed_;
  std::unique_ptr<ApiSocket> server_;
};

TEST_F(ApiSocketTest, AsksAndAnswers) {
  RawClient client(path_);
  client.write(framed(status_request(1).SerializeAsString()) + framed(status_request(2).SerializeAsString()));
  ASSERT_TRUE(run_until([&] { return requests_.size() == 2; }));
  EXPECT_EQ(requests_[0].request.id(), 1u);
  EXPECT_EQ(requests_[1].request.id(), 2u);
  EXPECT_EQ(requests_[0].may_change, geteuid() == 0);
  EXPECT_NE(requests_[0].who.find(" via test"), std::string::npos) << requests_[0].who;
  api::Response answer;
  answer.set_id(2);
  server_->send(requests_[1].client, answer);
  api::Response got;
  ASSERT_TRUE(run_until([&] { return client.next(got); }));
  EXPECT_EQ(got.id(), 2u);
}

TEST_F(ApiSocketTest, ARequestMayComeByteByByte) {
  RawClient client(path_);
  for (char byte : framed(status_request(7).SerializeAsString())) {
    client.write(std::string(1, byte));
    io_.restart();
    io_.poll();
  }
  ASSERT_TRUE(run_until([&] { return requests_.size() == 1; }));
  EXPECT_EQ(requests_[0].request.id(), 7u);
}

TEST_F(ApiSocketTest, TheNameOfAClientIsCutBetweenCharacters) {
  RawClient client(path_);
  auto request = status_request(1);
  request.set_client(std::string(63, 'x') + "\xc3\xa9");
  client.write(framed(request.SerializeAsString()));
  ASSERT_TRUE(run_until([&] { return requests_.size() == 1; }));
  EXPECT_TRUE(requests_[0].who.ends_with(" via " + std::string(63, 'x'))) << requests_[0].who;
}

TEST_F(ApiSocketTest, GarbageClosesItsOwnConnectionOnly) {
  RawClient good(path_), huge(path_), nonsense(path_), cut(path_);
  huge.write("\xff\xff\xff\xff");
  nonsense.write(framed("\xff\xff\xff this is no message"));
  cut.write(framed(status_request(1).SerializeAsString()).substr(0, 6));
  ASSERT_TRUE(run_until([&] { return huge.closed() && nonsense.closed(); }));
  EXPECT_TRUE(requests_.empty());
  good.write(framed(status_request(3).SerializeAsString()));
  ASSERT_TRUE(run_until([&] { return requests_.size() == 1; }));
  EXPECT_EQ(closed_.size(), 2u);
}

TEST_F(ApiSocketTest, AClientThatVanishesIsReported) {
  {
    RawClient client(path_);
    client.write(framed(status_request(1).SerializeAsString()).substr(0, 5));
    io_.restart();
    io_.poll();
  }
  ASSERT_TRUE(run_until([&] { return closed_.size() == 1; }));
  server_->send(closed_[0], api::Response());  // to nobody
}

TEST_F(ApiSocketTest, ASlowReaderOfEventsLearnsWhatItMissed) {
  RawClient slow(path_), quick(path_);
  slow.write(framed(status_request(1).SerializeAsString()));
  ASSERT_TRUE(run_until([&] { return requests_.size() == 1; }));
  quick.write(framed(status_request(2).SerializeAsString()));
  ASSERT_TRUE(run_until([&] { return requests_.size() == 2; }));
  api::Response event;
  event.mutable_event()->set_cause(std::string(64 << 10, 'x'));
  const uint64_t sent = 200;  // 13 MiB
  for (uint64_t i = 1; i <= sent; ++i) {
    event.mutable_event()->set_number(i);
    server_->send(requests_[0].client, event);
  }
  uint64_t received = 0;
  api::Response got;
  auto take = [&] {
    if (!slow.next(got)) return false;
    ++received;
    return true;
  };
  while (received < 10) {  // now there is room again, and the next one says how many are missing
    ASSERT_TRUE(run_until(take));
    EXPECT_EQ(got.event().number(), received);
  }
  event.mutable_event()->set_number(sent + 1);
  server_->send(requests_[0].client, event);
  while (got.event().number() != sent + 1) ASSERT_TRUE(run_until(take)) << received << " came";
  EXPECT_GT(got.event().dropped(), 0u);
  EXPECT_EQ(received - 1 + got.event().dropped(), sent);
  EXPECT_TRUE(closed_.empty()) << "events are dropped, the connection stays";
  server_->send(requests_[1].client, api::Response());
  EXPECT_TRUE(run_until([&] { return quick.next(got); })) << "others are not affected";
}

TEST_F(ApiSocketTest, AClientThatDoesNotTakeItsAnswersIsClosed) {
  RawClient slow(path_);
  slow.write(framed(status_request(1).SerializeAsString()));
  ASSERT_TRUE(run_until([&] { return requests_.size() == 1; }));
  api::Response answer;
  answer.set_text(std::string(1 << 20, 'x'));
  for (int i = 0; i < 8; ++i) server_->send(requests_[0].client, answer);
  EXPECT_EQ(closed_.size(), 1u);
}

TEST_F(ApiSocketTest, ReplacesAStaleSocketAndRefusesAMissingFolder) {
  server_.reset();
  std::ofstream(path_) << "left by a crash";
  server_ = make();
  ASSERT_TRUE(server_->start());
  EXPECT_TRUE(RawClient(path_).connected());
  path_ = folder_ + "/missing/socket";
  auto other = make();
  auto refused = other->start();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find(path_), std::string::npos) << refused.error().text();
}

// Other users in a process of their own: what they can use up leaves room for an administrator.
TEST_F(ApiSocketTest, OtherUsersCannotLockAnAdministratorOut) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  int told[2], hold[2];
  ASSERT_EQ(pipe(told), 0);
  ASSERT_EQ(pipe(hold), 0);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    close(hold[1]);
    if (setgroups(0, nullptr) != 0 || setgid(65534) != 0 || setuid(65534) != 0) _exit(2);
    std::vector<std::unique_ptr<RawClient>> many;
    for (int i = 0; i < 300; ++i) many.push_back(std::make_unique<RawClient>(path_));
    // And one asks for a larger buffer than a reader needs.
    many[0]->write(std::string("\x00\x00\x20\x00", 4));
    char byte = 'x';
    if (::write(told[1], &byte, 1) != 1) _exit(3);
    (void)!::read(hold[0], &byte, 1);  // until the test ends
    _exit(0);
  }
  close(hold[0]);
  pollfd ready{told[0], POLLIN, 0};
  ASSERT_TRUE(run_until([&] { return poll(&ready, 1, 0) == 1; }));
  ASSERT_TRUE(run_until([&] { return !closed_.empty(); })) << "2 MiB of a reader were not refused";
  RawClient admin(path_);
  admin.write(framed(status_request(9).SerializeAsString()));
  EXPECT_TRUE(run_until([&] { return !requests_.empty(); })) << "no room for an administrator";
  if (!requests_.empty()) {
    EXPECT_TRUE(requests_[0].may_change);
  }
  close(hold[1]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace holdfast
