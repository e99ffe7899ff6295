// A member with a good certificate that sends nonsense: its session ends with a reason, and nothing else
// happens.
#include <asio/connect.hpp>
#include <asio/ssl.hpp>
#include <asio/write.hpp>
#include <atomic>
#include <thread>

#include "adapters/transport/frame.h"
#include "adapters/transport/tests/harness.h"
#include "adapters/transport/tls.h"
#include "proto/transport.pb.h"

namespace holdfast::testing {
namespace {

using transport::FrameHeader;
using transport::FrameType;

// One session of a node 1 that is not a Transport. Blocking: runs beside the loop.
class Mallory {
 public:
  Mallory(const Node& self, uint16_t port) : tls_(*context(self)), stream_(io_, *tls_) {
    asio::error_code ignored;
    stream_.next_layer().connect({asio::ip::make_address("127.0.0.1"), port}, ignored);
    stream_.next_layer().set_option(asio::ip::tcp::no_delay(true), ignored);
    transport::offer_peer_alpn(stream_.native_handle());
    stream_.handshake(asio::ssl::stream_base::client, error_);
  }
  void send(const std::string& bytes) {
    if (!error_) asio::write(stream_, asio::buffer(bytes), error_);
  }
  void greet(const Node& self, uint64_t session) {
    transport::Hello hello;
    hello.set_version_min(1);
    hello.set_version_max(2);
    hello.set_cluster_id(self.config.cluster_id);
    hello.set_node(1);
    hello.set_incarnation(77);
    hello.set_session(session);
    FrameHeader header;
    header.type = FrameType::hello;
    std::string bytes;
    encode_frame(header, hello.SerializeAsString(), bytes);
    header.type = FrameType::ready;
    encode_frame(header, "", bytes);
    send(bytes);
  }
  void wait_for_the_end() {
    char byte[4096];
    while (!error_) stream_.read_some(asio::buffer(byte), error_);
  }

 private:
  static Result<transport::TlsContext> context(const Node& self) {
    return transport::make_tls_context(self.config.authority_pem, self.config.certificate_pem,
                                       self.config.private_key_pem);
  }
  asio::io_context io_;
  transport::TlsContext tls_;
  asio::ssl::stream<asio::ip::tcp::socket> stream_;
  asio::error_code error_;
};

TEST(Garbage, ABadMemberOnlyLosesItsSession) {
  Cluster cluster;
  Node& mallory = cluster.add(1);
  Node& victim = cluster.add(2);
  cluster.start(victim);
  cluster.connect_all();
  uint16_t port = victim.config.networks[0].port;
  std::atomic<bool> done = false;
  constexpr int rounds = 200;
  std::thread thread([&] {
    uint64_t state = 7;
    auto random = [&] { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 33; };
    for (int round = 0; round < rounds; ++round) {
      Mallory session(mallory, port);
      if (round % 4) session.greet(mallory, static_cast<uint64_t>(round));
      std::string bytes;
      for (uint64_t frames = random() % 20; frames > 0 && round % 2; --frames) {
        FrameHeader header;
        header.type = static_cast<FrameType>(1 + random() % 8);
        header.flags = static_cast<uint8_t>(random() % 4);
        header.sequence = random() % 5;
        header.epoch = random() % 3;
        bool body = header.type <= FrameType::refusal || header.type == FrameType::data;
        encode_frame(header, std::string(body ? random() % 300 : 0, static_cast<char>(random())), bytes);
      }
      // Whatever came before, this ends it.
      bytes += std::string(64, '\xff');
      session.send(bytes);
      session.wait_for_the_end();
    }
    done = true;
  });
  bool finished = cluster.run_until([&] { return done.load(); }, 120);
  thread.join();
  ASSERT_TRUE(finished);
  EXPECT_GT(victim.count("refused-protocol") + victim.count("refused-by-peer"), rounds / 2u);
  EXPECT_GT(victim.count("session-established"), 0u);
  // The real node 1 is welcome afterwards.
  cluster.start(mallory);
  cluster.connect_all();
  ASSERT_SOON(cluster, mallory.transport->connected(NodeId{2}) && victim.transport->connected(NodeId{1}));
  ASSERT_TRUE(mallory.transport->send_message(NodeId{2}, 0, "sorry"));
  ASSERT_SOON(cluster, !victim.events.messages.empty() && victim.events.messages.back() == "sorry");
}

}  // namespace
}  // namespace holdfast::testing
