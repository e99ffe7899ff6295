// Session: one TCP connection with TLS to a peer, from connecting to closing.
// It does handshake, identity, hello and framing; what frames mean is PeerLink's business.
// Stages: connecting → handshaking → greeting → (acceptor: waiting_ready →) active → closing → closed.
// Kept alive by its own handlers; after close() it touches nothing but itself.
#pragma once

#include <array>
#include <asio/ip/tcp.hpp>
#include <asio/ssl/stream.hpp>
#include <asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "adapters/transport/context.h"
#include "adapters/transport/frame.h"
#include "adapters/transport/key_ring.h"
#include "pki/pki.h"
#include "proto/transport.pb.h"

namespace holdfast::transport {

using TlsStream = asio::ssl::stream<asio::ip::tcp::socket>;

// A TLS stream over `socket` with the node's certificate.
std::shared_ptr<TlsStream> make_stream(Context& context, asio::ip::tcp::socket socket);

// Why a session is turned away: a counter name and a sentence. Empty code = welcome.
struct Verdict {
  std::string code, text;
  bool ok() const { return code.empty(); }
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Context& context, std::shared_ptr<TlsStream> stream, int network);

  // As the dialer: connects to `link`'s node. `number` orders the dialer's sessions.
  void dial(std::shared_ptr<PeerLink> link, const asio::ip::tcp::endpoint& local,
            const asio::ip::tcp::endpoint& remote, uint64_t number);
  // As the acceptor: the stream is connected.
  void accept();

  void send(FrameHeader header, std::string_view body = {});
  // Sends what the peer's channel has for this session, as far as there is room.
  void pump();
  // Tells the other side why, then closes.
  void refuse(const Verdict& verdict);
  void close(const std::string& why);
  // This session is the one in use from now on; says so to the other side.
  void begin();

  bool is_dialer() const { return dialer_; }
  bool is_active() const { return stage_ == Stage::active; }
  bool is_open() const { return stage_ != Stage::closing && stage_ != Stage::closed; }
  int network() const { return network_; }
  uint64_t number() const { return number_; }
  const Hello& hello() const { return hello_; }  // of the other side
  const SessionKeysPtr& keys() const { return keys_; }
  const pki::NodeIdentity& identity() const { return identity_; }

  uint64_t channel_generation = 0;  // of PeerLink, when this side's hello was written
  uint32_t version = 0;             // agreed
  bool ack_due = false;             // data arrived that no sent frame acknowledges yet

 private:
  enum class Stage { connecting, handshaking, greeting, waiting_ready, active, closing, closed };

  void start_timer(Duration timeout, const char* why);
  void handshake();
  void handshaken(const asio::error_code& error);
  void identified();
  Verdict judge_identity();
  void send_hello();
  void handle_hello(std::string_view body);
  void activate();
  void read();
  bool take_frames();
  void handle(const FrameHeader& header, std::string_view body);
  void handle_refusal(std::string_view body);
  void write();
  void close_after_writing();
  void drain();
  void finish(const std::string& why);
  std::string who() const;

  Context& context_;
  std::shared_ptr<TlsStream> stream_;
  asio::steady_timer timer_;
  uint64_t timer_number_ = 0;
  Stage stage_ = Stage::connecting;
  bool dialer_ = false;
  const int network_;
  uint64_t number_ = 0;
  std::shared_ptr<PeerLink> link_;  // acceptor: known once identified
  std::string remote_;              // "address:port", for people
  pki::NodeIdentity identity_;
  Hello hello_;
  SessionKeysPtr keys_;
  std::string why_closing_;

  std::array<char, 32 << 10> scratch_;
  std::string in_, out_, writing_;
  bool write_busy_ = false;
};

}  // namespace holdfast::transport
