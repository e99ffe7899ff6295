// The socket between service and resource monitor, both directions: frames in pieces of any size, the
// messages in them, and the context that an order becomes for a plug-in.
#include <sys/socket.h>
#include <unistd.h>

#include "input.h"
#include "monitor/context.h"
#include "monitor/frames.h"
#include "monitor/resource.h"
#include "proto/monitor.pb.h"
#include "sdk/context.h"
#include "target.h"

namespace {

using namespace holdfast;
using namespace holdfast::monitor;

void use(const Order& order) {
  const Identity identity{};
  const Context context(order, identity);
  const sdk::Context typed(context.get());
  for (const auto& p : order.parameters()) {
    (void)typed.text(p.name().c_str());
    (void)typed.list(p.name().c_str());
    (void)typed.boolean(p.name().c_str(), false);
    if (auto n = typed.number(p.name().c_str(), 5, -10, 10)) HOLDFAST_ASSERT(*n >= -10 && *n <= 10);
  }
  for (const auto& p : order.providers()) (void)typed.provided("Device", p.value().c_str());
}

template <typename Message>
bool stands_again(const std::string& bytes, Message& message) {
  if (!message.ParseFromString(bytes)) return false;
  Message again;
  HOLDFAST_ASSERT(again.ParseFromString(message.SerializeAsString()));
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  int pair[2];
  HOLDFAST_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  FrameSocket reader(pair[0]);
  std::string fed, taken;
  while (!in.done()) {
    const std::string piece = in.text();
    HOLDFAST_ASSERT(send(pair[1], piece.data(), piece.size(), MSG_NOSIGNAL) ==
                    static_cast<ssize_t>(piece.size()));
    fed += piece;
    HOLDFAST_ASSERT(reader.receive());
    while (true) {
      auto frame = reader.next();
      if (!frame) {
        HOLDFAST_ASSERT(frame.error().code == ErrorCode::corrupt);
        close(pair[1]);
        return 0;
      }
      if (!*frame) break;
      std::string head(4, '\0');
      put_le(as_u8(head), (*frame)->size(), 4);
      taken += head + **frame;
      HOLDFAST_ASSERT(fed.starts_with(taken));  // nothing is lost or changed
      FromMonitor from;
      ToMonitor to;
      (void)stands_again(**frame, from);
      if (stands_again(**frame, to) && to.has_order()) use(to.order());
    }
  }
  close(pair[1]);
  HOLDFAST_ASSERT(!reader.receive());
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  auto frames = [](std::initializer_list<std::string> messages) {
    std::string bytes;
    for (const auto& message : messages) {
      std::string head(4, '\0');
      put_le(as_u8(head), message.size(), 4);
      bytes += head + message;
    }
    Recipe whole;
    whole.text(bytes.substr(0, 7)).text(bytes.substr(std::min<size_t>(7, bytes.size())));
    return whole.done();
  };
  ToMonitor hello, grant, order, shutdown;
  hello.mutable_hello()->set_version_max(2);
  hello.mutable_hello()->add_plugin_dirs("/usr/lib/holdfast/resources");
  grant.mutable_grant()->set_lease_until_boottime_ns(1'000'000);
  order.mutable_order()->set_action(Order::ONLINE);
  order.mutable_order()->set_resource("ip");
  auto* p = order.mutable_order()->add_parameters();
  p->set_name("ProbeCount");
  p->set_value("3");
  auto* provider = order.mutable_order()->add_providers();
  provider->set_value("physical-disk");
  provider->add_list("Device=/dev/sdb");
  shutdown.set_shutdown(true);
  FromMonitor reply, report, log;
  reply.mutable_hello()->add_types("filesystem");
  report.mutable_report()->set_state(ONLINE);
  report.mutable_report()->set_message("it is up");
  report.mutable_report()->add_published()->set_name("Device");
  log.mutable_log()->set_text("mounted");
  return {frames({hello.SerializeAsString(), grant.SerializeAsString(), order.SerializeAsString(),
                  shutdown.SerializeAsString()}),
          frames({reply.SerializeAsString(), report.SerializeAsString(), log.SerializeAsString()})};
}

}  // namespace holdfast::fuzz
