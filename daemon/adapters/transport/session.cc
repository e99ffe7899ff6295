#include "adapters/transport/session.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <asio/write.hpp>

#include "adapters/transport/enroll_server.h"
#include "adapters/transport/peer_link.h"

namespace holdfast::transport {
namespace {

// Enough to keep a socket busy; the rest waits in the channel, so that pings overtake it.
constexpr size_t out_bytes_max = 128 << 10;
// How long the other side gets to read why it was turned away.
constexpr Duration linger = Duration::milliseconds(500);

void set_tcp_options(asio::ip::tcp::socket& socket, Duration user_timeout) {
  asio::error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  unsigned int ms = static_cast<unsigned int>(user_timeout.ms());
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

std::string to_text(const asio::ip::tcp::endpoint& endpoint) {
  std::string host = endpoint.address().to_string();
  if (endpoint.address().is_v6()) host = "[" + host + "]";
  return host + ":" + std::to_string(endpoint.port());
}

}  // namespace

std::shared_ptr<TlsStream> make_stream(Context& context, asio::ip::tcp::socket socket) {
  return std::make_shared<TlsStream>(std::move(socket), *context.tls);
}

Session::Session(Context& context, std::shared_ptr<TlsStream> stream, int network)
    : context_(context), stream_(std::move(stream)), timer_(context.io), network_(network) {}

std::string Session::who() const {
  std::string name = link_ ? link_->config().name : identity_.node_name;
  return name.empty() ? remote_ : "node " + name + " at " + remote_;
}

void Session::start_timer(Duration timeout, const char* why) {
  timer_.expires_after(std::chrono::nanoseconds(timeout.ns));
  // The number tells a handler that was already queued when the timer was set anew or cancelled.
  timer_.async_wait(
      [self = shared_from_this(), why, number = ++timer_number_](const asio::error_code& error) {
        if (error || number != self->timer_number_) return;
        if (self->is_open()) return self->finish(why);
        asio::error_code ignored;
        self->stream_->next_layer().close(ignored);
      });
}

void Session::dial(std::shared_ptr<PeerLink> link, const asio::ip::tcp::endpoint& local,
                   const asio::ip::tcp::endpoint& remote, uint64_t number) {
  context_.sessions.insert(shared_from_this());
  dialer_ = true;
  link_ = std::move(link);
  number_ = number;
  remote_ = to_text(remote);
  auto& socket = stream_->next_layer();
  asio::error_code error;
  socket.open(remote.protocol(), error);
  if (!error) set_tcp_options(socket, context_.config.tcp_user_timeout);
  if (!error) socket.bind(local, error);
  start_timer(context_.config.connect_timeout, "it does not answer");
  auto connected = [self = shared_from_this()](const asio::error_code& result) {
    if (!self->is_open()) return;
    if (result) return self->finish("cannot connect: " + result.message());
    offer_peer_alpn(self->stream_->native_handle());
    self->handshake();
  };
  if (error) return asio::post(context_.io, [connected, error] { connected(error); });
  socket.async_connect(remote, connected);
}

void Session::accept() {
  context_.sessions.insert(shared_from_this());
  auto& socket = stream_->next_layer();
  asio::error_code error;
  auto remote = socket.remote_endpoint(error);
  remote_ = error ? "somebody" : to_text(remote);
  set_tcp_options(socket, context_.config.tcp_user_timeout);
  handshake();
}

void Session::handshake() {
  stage_ = Stage::handshaking;
  start_timer(context_.config.handshake_timeout, "its handshake takes too long");
  auto role = dialer_ ? asio::ssl::stream_base::client : asio::ssl::stream_base::server;
  stream_->async_handshake(role, [self = shared_from_this()](const asio::error_code& error) {
    if (self->is_open()) self->handshaken(error);
  });
}

void Session::handshaken(const asio::error_code& error) {
  if (error) {
    std::string why = handshake_failure(stream_->native_handle(), error);
    if (why.empty()) return finish("the handshake broke off: " + error.message());
    context_.refused("tls", who(), why);
    why_closing_ = why;
    return close_after_writing();  // so that the other side can read the alert
  }
  if (!dialer_ && is_enrollment(stream_->native_handle())) {
    serve_enrollment(context_, stream_, remote_);
    stream_ = nullptr;
    return finish("enrollment");
  }
  identified();
}

// The other side proved who it is; does it belong here?
Verdict Session::judge_identity() {
  if (!is_peer_session(stream_->native_handle())) return {"tls", "it does not speak holdfast/1"};
  auto identity = peer_identity(stream_->native_handle());
  if (!identity) return {"unknown-node", identity.error().text()};
  identity_ = *identity;
  if (identity_.cluster_id != context_.config.cluster_id)
    return {"wrong-cluster", "its certificate is of cluster " + identity_.cluster_id + ", this is cluster " +
                                 context_.config.cluster_id};
  if (context_.revoked.count(identity_.fingerprint))
    return {"revoked", "the certificate of node " + identity_.node_name + " was revoked"};
  auto peer = context_.peers.find(identity_.node);
  if (peer == context_.peers.end() || peer->second->config().name != identity_.node_name)
    return {"unknown-node", "node " + identity_.node_name + " (id " + std::to_string(identity_.node.value) +
                                ") is not in the configuration of node " + context_.config.self_name};
  if (dialer_ && peer->second != link_)
    return {"wrong-node",
            "node " + identity_.node_name + " answers at the address of node " + link_->config().name};
  if (!dialer_ && identity_.node >= context_.config.self)
    return {"wrong-direction", "the node with the lower id dials"};
  link_ = peer->second;
  return {};
}

void Session::identified() {
  stage_ = Stage::greeting;
  Verdict verdict = judge_identity();
  if (!verdict.ok()) return refuse(verdict);
  if (peer_expired(stream_->native_handle())) context_.count("certificate-expired");
  if (dialer_) send_hello();
  read();
}

void Session::send_hello() {
  FrameHeader header;
  header.type = FrameType::hello;
  send(header, link_->make_hello(*this).SerializeAsString());
}

void Session::handle_hello(std::string_view body) {
  if (!hello_.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return refuse({"protocol", "the hello cannot be read"});
  Verdict verdict = link_->judge_hello(*this, hello_);
  if (!verdict.ok()) return refuse(verdict);
  unsigned char material[SessionKeys::material_size];
  if (!export_key_material(stream_->native_handle(), material, sizeof material))
    return refuse({"internal", "no keys can be derived from the session"});
  if (!dialer_) number_ = hello_.session();
  keys_ = std::make_shared<SessionKeys>(material, dialer_, Incarnation{hello_.incarnation()});
  OPENSSL_cleanse(material, sizeof material);
  link_->greeted(*this);
  if (dialer_) return activate();
  stage_ = Stage::waiting_ready;
  send_hello();
}

void Session::activate() {
  if (!link_->adopt(*this)) close("overtaken by another session");
}

void Session::begin() {
  stage_ = Stage::active;
  ++timer_number_;
  timer_.cancel();
  FrameHeader header;
  header.type = FrameType::ready;
  send(header);
}

void Session::read() {
  stream_->async_read_some(
      asio::buffer(scratch_), [self = shared_from_this()](const asio::error_code& error, size_t size) {
        if (!self->is_open()) return;
        if (error) {
          // In TLS 1.3 the dialer hears only now that the acceptor did not like its certificate.
          std::string why = handshake_failure(self->stream_->native_handle(), error);
          if (self->stage_ == Stage::greeting && !why.empty())
            self->context_.refused("tls", self->who(), why);
          return self->finish(why.empty() ? "the connection ended: " + error.message() : why);
        }
        self->in_.append(self->scratch_.data(), size);
        if (self->take_frames()) self->read();
      });
}

// False: the session ended meanwhile.
bool Session::take_frames() {
  size_t at = 0;
  for (;;) {
    std::string_view rest = std::string_view(in_).substr(at);
    FrameHeader header;
    FrameCheck check = decode_frame(rest, header);
    if (check == FrameCheck::malformed) {
      context_.count("session-malformed-frame");
      refuse({"protocol", "it sent a frame that makes no sense"});
      return false;
    }
    if (check == FrameCheck::incomplete || rest.size() < frame_header_size + header.length) break;
    handle(header, rest.substr(frame_header_size, header.length));
    if (!is_open()) return false;
    at += frame_header_size + header.length;
  }
  in_.erase(0, at);
  pump();
  if (ack_due && stage_ == Stage::active) send({});  // an `ack` frame, when nothing else carried it
  return is_open();
}

void Session::handle(const FrameHeader& header, std::string_view body) {
  if (header.type == FrameType::refusal) return handle_refusal(body);
  if (stage_ == Stage::greeting && header.type == FrameType::hello) return handle_hello(body);
  if (stage_ == Stage::waiting_ready && header.type == FrameType::ready) return activate();
  if (stage_ == Stage::active && header.type != FrameType::hello) return link_->handle(*this, header, body);
  context_.count("session-bad-order");
  refuse({"protocol", "it sent a frame out of turn"});
}

void Session::handle_refusal(std::string_view body) {
  Refusal refusal;
  std::string text = "no reason given";
  if (refusal.ParseFromArray(body.data(), static_cast<int>(body.size())) && !refusal.text().empty())
    text = refusal.text();
  context_.refused("by-peer", who(), "it refuses this node: " + text);
  finish("it refuses this node: " + text);
}

void Session::send(FrameHeader header, std::string_view body) {
  if (!is_open() && header.type != FrameType::refusal) return;
  if (stage_ == Stage::active) {
    header.ack = link_->received();
    ack_due = false;
  }
  encode_frame(header, body, out_);
  write();
}

void Session::pump() {
  if (stage_ != Stage::active) return;
  FrameHeader header;
  std::string_view body;
  while (out_.size() < out_bytes_max && link_->next_frame(*this, header, body)) {
    header.ack = link_->received();
    ack_due = false;
    encode_frame(header, body, out_);
  }
  write();
}

void Session::write() {
  if (write_busy_ || out_.empty()) return;
  write_busy_ = true;
  writing_.swap(out_);
  asio::async_write(*stream_, asio::buffer(writing_),
                    [self = shared_from_this()](const asio::error_code& error, size_t) {
                      self->write_busy_ = false;
                      self->writing_.clear();
                      if (self->stage_ == Stage::closed) return;
                      if (error) return self->finish("the connection ended: " + error.message());
                      self->pump();
                      self->write();
                      if (self->stage_ == Stage::closing && !self->write_busy_) self->drain();
                    });
}

void Session::refuse(const Verdict& verdict) {
  if (!is_open()) return;
  context_.refused(verdict.code, who(), verdict.text);
  Refusal refusal;
  refusal.set_reason(verdict.code);
  refusal.set_text(verdict.text);
  FrameHeader header;
  header.type = FrameType::refusal;
  out_.clear();
  send(header, refusal.SerializeAsString());
  why_closing_ = verdict.text;
  close_after_writing();
}

void Session::close(const std::string& why) {
  if (stage_ == Stage::closed) return;
  finish(why);
}

// To the rest of the transport the session is closed from here on; only the socket lives until the peer has
// read.
void Session::close_after_writing() {
  stage_ = Stage::closing;
  auto self = shared_from_this();
  context_.sessions.erase(self);
  start_timer(linger, "");
  if (auto link = std::exchange(link_, nullptr)) link->session_closed(*this, why_closing_);
  if (!write_busy_) drain();
}

// Closing a socket with unread bytes resets the connection, and the refusal would be lost.
void Session::drain() {
  auto& socket = stream_->next_layer();
  asio::error_code error;
  socket.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  auto discard = [self = shared_from_this()](auto next) -> void {
    self->stream_->next_layer().async_read_some(asio::buffer(self->scratch_),
                                                [self, next](const asio::error_code& result, size_t) {
                                                  if (!result) return next(next);
                                                  self->finish("");
                                                });
  };
  discard(discard);
}

void Session::finish(const std::string& why) {
  if (stage_ == Stage::closed) return;
  stage_ = Stage::closed;
  auto self = shared_from_this();
  ++timer_number_;
  timer_.cancel();
  asio::error_code ignored;
  if (stream_) stream_->next_layer().close(ignored);
  auto link = std::exchange(link_, nullptr);
  if (why_closing_.empty()) context_.sessions.erase(self);  // otherwise close_after_writing() did, long ago
  if (link) link->session_closed(*this, why);
}

}  // namespace holdfast::transport
