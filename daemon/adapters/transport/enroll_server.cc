#include "adapters/transport/enroll_server.h"

#include <asio/read.hpp>
#include <asio/write.hpp>

#include "base/bytes.h"
#include "pki/enroll.h"

namespace holdfast::transport {
namespace {

// People enroll nodes one by one; more at once is a mistake or an attack, and must not cost a cluster its
// memory.
constexpr int enrolling_max = 4;
constexpr Duration enroll_timeout = Duration::seconds(10);
constexpr size_t request_bytes_max = 64 << 10;

class Enrollment : public std::enable_shared_from_this<Enrollment> {
 public:
  Enrollment(std::shared_ptr<Context> context, std::shared_ptr<TlsStream> stream, std::string remote)
      : context_(std::move(context)),
        stream_(std::move(stream)),
        timer_(context_->io),
        remote_(std::move(remote)) {
    ++context_->enrolling;
  }
  ~Enrollment() { --context_->enrolling; }
  Enrollment(const Enrollment&) = delete;
  Enrollment& operator=(const Enrollment&) = delete;

  void start() {
    timer_.expires_after(std::chrono::nanoseconds(enroll_timeout.ns));
    timer_.async_wait([weak = weak_from_this()](const asio::error_code& error) {
      if (auto self = weak.lock(); self && !error) self->close();
    });
    bytes_.resize(4);
    asio::async_read(*stream_, asio::buffer(bytes_),
                     [self = shared_from_this()](const asio::error_code& error, size_t) {
                       if (error) return;
                       size_t size = get_le(as_u8(self->bytes_), 4);
                       if (size > request_bytes_max) return self->close();
                       self->bytes_.resize(size);
                       self->read_request();
                     });
  }

 private:
  void read_request() {
    asio::async_read(*stream_, asio::buffer(bytes_),
                     [self = shared_from_this()](const asio::error_code& error, size_t) {
                       EnrollRequest request;
                       if (error || !request.ParseFromString(self->bytes_)) return self->close();
                       self->ask(request);
                     });
  }

  void ask(const EnrollRequest& request) {
    auto reply = [self = shared_from_this(), done = false](Result<pki::EnrollAnswer> answer) mutable {
      if (!std::exchange(done, true)) self->answer(answer);
    };
    // Checked here, not at the connection, so that the asker is told.
    if (context_->stopped || !context_->enrollment)
      return reply(fail(ErrorCode::unsupported, "this node enrolls nobody now"));
    if (context_->enrolling > enrolling_max)
      return reply(fail(ErrorCode::busy, "too many nodes are joining at once; try again"));
    pki::EnrollAsk ask{
        request.node_name(), NodeId{request.node()}, request.secret(), request.csr_pem(), {remote_}};
    context_->enrollment(ask, std::move(reply));
  }

  void answer(const Result<pki::EnrollAnswer>& result) {
    EnrollReply reply;
    if (result) {
      if (!context_->stopped) context_->count("enrolled");
      reply.set_certificate_pem(result->certificate_pem);
      reply.set_authority_pem(result->authority_pem);
      reply.set_config_text(result->config_text);
    } else {
      if (!context_->stopped)
        context_->refused("enrollment", "joining node at " + remote_, result.error().text());
      reply.set_error(static_cast<uint32_t>(result.error().code));
      reply.set_message(result.error().text());
    }
    std::string body = reply.SerializeAsString();
    bytes_.assign(4, '\0');
    put_le(as_u8(bytes_), body.size(), 4);
    bytes_ += body;
    asio::async_write(*stream_, asio::buffer(bytes_),
                      [self = shared_from_this()](const asio::error_code& error, size_t) {
                        if (error) return;
                        asio::error_code ignored;
                        self->stream_->next_layer().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
                      });
  }

  void close() {
    asio::error_code ignored;
    stream_->next_layer().close(ignored);
  }

  std::shared_ptr<Context> context_;
  std::shared_ptr<TlsStream> stream_;
  asio::steady_timer timer_;
  std::string remote_, bytes_;
};

}  // namespace

void serve_enrollment(Context& context, std::shared_ptr<TlsStream> stream, const std::string& remote) {
  if (context.enrolling >= 2 * enrolling_max) return;  // not even an answer
  std::make_shared<Enrollment>(context.shared_from_this(), std::move(stream), remote)->start();
}

}  // namespace holdfast::transport
