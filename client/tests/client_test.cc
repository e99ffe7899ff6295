#include "holdfast/client.h"

#include <gtest/gtest.h>

#include "base/version.h"
#include "fake_service.h"

namespace holdfast::client {
namespace {

using testing::FakeService;
constexpr Duration soon = Duration::milliseconds(2000);

TEST(Client, SaysHowToStartAServiceThatIsNotThere) {
  auto c = Client::connect("/tmp/holdfast-no-such-socket", soon, "test");
  ASSERT_FALSE(c);
  EXPECT_EQ(c.error().code, ErrorCode::unreachable);
  EXPECT_NE(c.error().hint.find("systemctl"), std::string::npos);
  EXPECT_EQ(Client::connect(std::string(200, 'x'), soon, "t").error().code, ErrorCode::invalid_argument);
}

TEST(Client, SendsVersionsAndGetsTheStatus) {
  FakeService service([](const api::Request&) {
    api::Response r;
    r.mutable_status()->set_cluster_name("prod");
    return std::vector{r};
  });
  auto c = Client::connect(service.path(), soon, "test");
  ASSERT_TRUE(c);
  auto status = c->status(soon);
  ASSERT_TRUE(status) << status.error().text();
  EXPECT_EQ(status->cluster_name(), "prod");
  ASSERT_TRUE(c->status(soon));  // the connection serves several requests
  auto seen = service.requests();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].version_max(), protocol_version_max);
  EXPECT_EQ(seen[0].client(), "test");
  EXPECT_NE(seen[0].id(), seen[1].id());
}

TEST(Client, AnErrorOfTheServiceKeepsCodeReasonAndHint) {
  FakeService service([](const api::Request&) {
    api::Response r;
    r.set_error(static_cast<uint32_t>(ErrorCode::busy));
    r.set_message("cannot evict node 'n2': the node is up");
    r.set_hint("stop it first");
    return std::vector{r};
  });
  auto c = Client::connect(service.path(), soon, "test");
  ASSERT_TRUE(c);
  auto answer = c->command({}, soon);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::busy);
  EXPECT_EQ(answer.error().message, "cannot evict node 'n2': the node is up");
  EXPECT_EQ(answer.error().hint, "stop it first");
}

TEST(Client, SilenceIsATimeoutAndEndsTheConnection) {
  FakeService service([](const api::Request&) { return std::vector<api::Response>(); });
  auto c = Client::connect(service.path(), soon, "test");
  ASSERT_TRUE(c);
  auto answer = c->status(Duration::milliseconds(50));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::timeout);
  EXPECT_TRUE(answer.error().uncertain());
  EXPECT_EQ(c->status(soon).error().code, ErrorCode::connection_lost);
}

TEST(Client, RefusesNonsense) {
  for (std::string bytes :
       {std::string("\xff\xff\xff\xff garbage"), std::string("\x03\0\0\0\xff\xff\xff", 7)}) {
    FakeService service([](const api::Request&) { return std::vector<api::Response>(); });
    service.answer_with_bytes(bytes);
    auto c = Client::connect(service.path(), soon, "test");
    ASSERT_TRUE(c);
    EXPECT_EQ(c->status(soon).error().code, ErrorCode::corrupt);
  }
}

TEST(Client, AClosedConnectionIsLost) {
  FakeService service([](const api::Request&) { return std::vector<api::Response>(); });
  service.answer_with_bytes(std::string("\x10\0\0\0half", 8));
  auto c = Client::connect(service.path(), soon, "test");
  ASSERT_TRUE(c);
  EXPECT_EQ(c->status(soon).error().code, ErrorCode::connection_lost);
}

TEST(Client, EventsComeOneByOne) {
  FakeService service([](const api::Request& q) {
    EXPECT_TRUE(q.subscribe().history());
    std::vector<api::Response> out(3);
    for (uint64_t i = 0; i < 3; ++i) out[i].mutable_event()->set_number(i + 1);
    out[2].mutable_event()->set_dropped(7);
    return out;
  });
  auto c = Client::connect(service.path(), soon, "test");
  ASSERT_TRUE(c);
  ASSERT_TRUE(c->subscribe(true, soon));
  std::vector<uint64_t> seen;
  ASSERT_TRUE(c->for_each_event([&](const api::Event& e) {
    seen.push_back(e.number());
    return e.dropped() == 0;
  }));
  EXPECT_EQ(seen, (std::vector<uint64_t>{1, 2, 3}));
  // No event in time: the stream is still there.
  EXPECT_EQ(c->next_event(Duration::milliseconds(20)).error().code, ErrorCode::timeout);
  EXPECT_GE(c->descriptor(), 0);
}

}  // namespace
}  // namespace holdfast::client
