#include "pki/enroll_client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "base/bytes.h"
#include "pki/openssl.h"
#include "proto/transport.pb.h"

namespace holdfast::pki {
namespace {

int64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

// One non-blocking TLS connection with a deadline for everything.
class Connection {
 public:
  Connection(std::string address, Instant deadline) : address_(std::move(address)), deadline_(deadline) {}
  ~Connection() {
    ssl_.reset();
    if (fd_ >= 0) close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Status connect_tcp();
  Status connect_tls();
  Status check_server(const Token& token);
  Status send(const std::string& body);
  Result<std::string> receive();

 private:
  Status wait(short events);
  Status connect_one(const addrinfo& to);
  Status want(int result, const char* what);
  Status read_exactly(char* to, size_t size);

  std::string address_;
  Instant deadline_;
  int fd_ = -1;
  SslCtxPtr context_;
  SslPtr ssl_;
};

Status Connection::wait(short events) {
  pollfd entry{fd_, events, 0};
  for (;;) {
    int64_t left_ms = (deadline_.ns - now_ns()) / 1'000'000;
    if (left_ms <= 0) return fail(ErrorCode::timeout, address_ + " does not answer");
    int got = poll(&entry, 1, static_cast<int>(left_ms));
    if (got > 0) return {};
    if (got < 0 && errno != EINTR) return fail(ErrorCode::io, "cannot wait for " + address_, errno);
  }
}

// "host:port" or "[v6]:port".
bool split_address(const std::string& text, std::string& host, std::string& port) {
  size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  host = text.substr(0, colon);
  port = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return !host.empty() && !port.empty();
}

Status Connection::connect_one(const addrinfo& to) {
  if (fd_ >= 0) close(fd_);
  fd_ = socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return fail(ErrorCode::unreachable, "cannot open a socket for " + address_, errno);
  if (::connect(fd_, to.ai_addr, to.ai_addrlen) == 0) return {};
  if (errno != EINPROGRESS) return fail(ErrorCode::unreachable, "cannot connect to " + address_, errno);
  if (!wait(POLLOUT)) return fail(ErrorCode::unreachable, address_ + " does not answer");
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return fail(ErrorCode::unreachable, "cannot connect to " + address_, error);
  return {};
}

Status Connection::connect_tcp() {
  std::string host, port;
  if (!split_address(address_, host, port))
    return fail(ErrorCode::invalid_argument, "\"" + address_ + "\" in the token is not an address");
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &list); error != 0)
    return fail(ErrorCode::unreachable, "cannot resolve " + host + ": " + gai_strerror(error));
  Status status = fail(ErrorCode::unreachable, "cannot resolve " + host);
  for (addrinfo* entry = list; entry && !status; entry = entry->ai_next) status = connect_one(*entry);
  freeaddrinfo(list);
  return status;
}

// Turns the result of an SSL call into: done, again after waiting, or an error. Ok = call it again.
Status Connection::want(int result, const char* what) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return wait(POLLIN);
    case SSL_ERROR_WANT_WRITE:
      return wait(POLLOUT);
    case SSL_ERROR_SSL:
      return fail(ErrorCode::permission, std::string(what) + " " + address_ + " failed: " + openssl_error());
    default:
      return fail(ErrorCode::connection_lost,
                  std::string(what) + " " + address_ + " failed: it closed the connection");
  }
}

Status Connection::connect_tls() {
  context_.reset(SSL_CTX_new(TLS_client_method()));
  static constexpr unsigned char alpn[] = "\x11holdfast-enroll/1";
  static_assert(sizeof alpn == 1 + sizeof enroll_alpn && alpn[0] == sizeof enroll_alpn - 1);
  if (!context_ || SSL_CTX_set_min_proto_version(context_.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_alpn_protos(context_.get(), alpn, sizeof alpn - 1) != 0)
    return fail(ErrorCode::internal, "cannot set TLS up: " + openssl_error());
  // The authority is known only by its fingerprint, so the chain is judged by check_server() before a byte is
  // sent.
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);
  ssl_.reset(SSL_new(context_.get()));
  if (!ssl_ || SSL_set_fd(ssl_.get(), fd_) != 1)
    return fail(ErrorCode::internal, "cannot set TLS up: " + openssl_error());
  for (;;) {
    ERR_clear_error();
    int result = SSL_connect(ssl_.get());
    if (result == 1) return {};
    HOLDFAST_CHECK(want(result, "the TLS handshake with"));
  }
}

Status Connection::check_server(const Token& token) {
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl_.get());
  std::string authority;
  for (int i = 0; chain && i < sk_X509_num(chain); ++i) {
    X509* certificate = sk_X509_value(chain, i);
    if (fingerprint_of(certificate) == token.authority_fingerprint)
      authority = certificate_to_pem(certificate);
  }
  if (authority.empty())
    return fail(ErrorCode::permission, address_ + " does not belong to the cluster of this token", 0,
                "it shows another authority; make a new token");
  X509Ptr leaf(SSL_get1_peer_certificate(ssl_.get()));
  std::string leaf_pem = leaf ? certificate_to_pem(leaf.get()) : std::string();
  HOLDFAST_CHECK(check_signed_by(leaf_pem, authority));
  HOLDFAST_TRY(NodeIdentity identity, read_identity(leaf_pem));
  if (identity.cluster_id != token.cluster_id)
    return fail(ErrorCode::permission, address_ + " is a node of another cluster, " + identity.cluster_id);
  return {};
}

Status Connection::send(const std::string& body) {
  std::string bytes(4, '\0');
  put_le(as_u8(bytes), body.size(), 4);
  bytes += body;
  for (;;) {
    ERR_clear_error();
    int result = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (result > 0) return {};
    HOLDFAST_CHECK(want(result, "sending to"));
  }
}

Status Connection::read_exactly(char* to, size_t size) {
  while (size > 0) {
    ERR_clear_error();
    int result = SSL_read(ssl_.get(), to, static_cast<int>(size));
    if (result <= 0) {
      HOLDFAST_CHECK(want(result, "the answer of"));
      continue;
    }
    to += result;
    size -= static_cast<size_t>(result);
  }
  return {};
}

Result<std::string> Connection::receive() {
  std::string body(4, '\0');
  HOLDFAST_CHECK(read_exactly(body.data(), 4));
  size_t size = get_le(as_u8(body), 4);
  if (size > enroll_bytes_max) return fail(ErrorCode::corrupt, address_ + " sent an answer that is too long");
  body.resize(size);
  HOLDFAST_CHECK(read_exactly(body.data(), size));
  return body;
}

Result<EnrollAnswer> enroll_at(const std::string& address, const Token& token, const std::string& csr_pem,
                               Instant deadline) {
  Connection connection(address, deadline);
  HOLDFAST_CHECK(connection.connect_tcp());
  HOLDFAST_CHECK(connection.connect_tls());
  HOLDFAST_CHECK(connection.check_server(token));
  transport::EnrollRequest request;
  request.set_node_name(token.node_name);
  request.set_node(static_cast<uint32_t>(token.node.value));
  request.set_secret(token.secret);
  request.set_csr_pem(csr_pem);
  HOLDFAST_CHECK(connection.send(request.SerializeAsString()));
  HOLDFAST_TRY(std::string body, connection.receive());
  return check_enroll_answer(token, csr_pem, body);
}

// After these another address of the cluster may do better; after any other the answer is final.
bool worth_another_address(ErrorCode code) {
  return code == ErrorCode::unreachable || code == ErrorCode::timeout || code == ErrorCode::connection_lost ||
         code == ErrorCode::busy;
}

}  // namespace

Result<EnrollAnswer> check_enroll_answer(const Token& token, const std::string& csr_pem,
                                         const std::string& body) {
  transport::EnrollReply reply;
  if (!reply.ParseFromString(body)) return fail(ErrorCode::corrupt, "the cluster's answer cannot be read");
  if (reply.error() != 0) return fail(error_code_from(reply.error()), reply.message());
  EnrollAnswer answer{reply.certificate_pem(), reply.authority_pem(), reply.config_text()};
  if (fingerprint(answer.authority_pem) != token.authority_fingerprint)
    return fail(ErrorCode::corrupt, "the cluster's answer carries another authority");
  HOLDFAST_CHECK(check_signed_by(answer.certificate_pem, answer.authority_pem));
  X509Ptr leaf = parse_certificate(answer.certificate_pem);
  X509ReqPtr request = parse_request(csr_pem);
  if (!request || EVP_PKEY_eq(X509_get0_pubkey(leaf.get()), X509_REQ_get0_pubkey(request.get())) != 1)
    return fail(ErrorCode::corrupt, "the cluster's answer certifies another key");
  return answer;
}

Result<EnrollAnswer> enroll(const Token& token, const std::string& csr_pem, Duration timeout) {
  Instant end{now_ns() + timeout.ns};
  Result<EnrollAnswer> result = fail(ErrorCode::invalid_argument, "the token names no address");
  for (size_t i = 0; i < token.addresses.size(); ++i) {
    // A dead address may use up its share only, so that the last one still gets a chance.
    Instant now{now_ns()};
    Instant deadline = now + (end - now) / static_cast<int64_t>(token.addresses.size() - i);
    result = enroll_at(token.addresses[i], token, csr_pem, deadline);
    if (result || !worth_another_address(result.error().code)) return result;
  }
  return result;
}

}  // namespace holdfast::pki
