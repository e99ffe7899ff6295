// What a peer says on the stream between nodes: frames, and the parts of messages that they carry.
#include "adapters/transport/channel.h"
#include "adapters/transport/frame.h"
#include "adapters/transport/transport.h"
#include "input.h"
#include "proto/transport.pb.h"
#include "proto/wire.pb.h"
#include "target.h"

namespace {

using namespace holdfast;
using namespace holdfast::transport;

template <typename Message>
void stands_again(const std::string& bytes) {
  Message message, again;
  if (message.ParseFromString(bytes)) HOLDFAST_ASSERT(again.ParseFromString(message.SerializeAsString()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest = fuzz::as_text(data, size);
  Channel channel(5, 1 << 20);
  channel.push(0, "one message that waits");
  size_t taken = 0;
  while (true) {
    FrameHeader header;
    const FrameCheck check = decode_frame(rest, header);
    if (check != FrameCheck::ok) {
      HOLDFAST_ASSERT((check == FrameCheck::incomplete) == (rest.size() < frame_header_size));
      break;
    }
    HOLDFAST_ASSERT(header.length <= fragment_max);
    if (rest.size() - frame_header_size < header.length) break;
    const std::string_view body = rest.substr(frame_header_size, header.length);
    std::string again;
    encode_frame(header, body, again);
    HOLDFAST_ASSERT(again == rest.substr(0, again.size()));
    rest.remove_prefix(again.size());
    if (header.type == FrameType::hello) stands_again<Hello>(std::string(body));
    if (header.type == FrameType::refusal) stands_again<Refusal>(std::string(body));
    (void)channel.acknowledge(header.ack);
    if (header.type != FrameType::data && header.type != FrameType::skip) continue;
    std::string message;
    const uint64_t before = channel.received();
    const auto receipt = channel.receive(header, body, message);
    if (receipt == Channel::Receipt::bad_order || receipt == Channel::Receipt::too_long) break;
    HOLDFAST_ASSERT(channel.received() - before == (receipt == Channel::Receipt::duplicate ? 0 : 1));
    taken += body.size();
    HOLDFAST_ASSERT(message.size() <= taken);
    if (receipt == Channel::Receipt::message) stands_again<wire::Peer>(message);
  }
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  auto frame = [](FrameType type, uint8_t flags, uint64_t sequence, uint64_t epoch, const std::string& body) {
    FrameHeader header;
    header.type = type;
    header.flags = flags;
    header.sequence = sequence;
    header.epoch = epoch;
    std::string out;
    encode_frame(header, body, out);
    return out;
  };
  Hello hello;
  hello.set_version_min(1);
  hello.set_version_max(2);
  hello.set_cluster_id("c1");
  hello.set_node(2);
  hello.set_node_name("n2");
  hello.set_incarnation(9);
  wire::Peer peer;
  peer.set_epoch(5);
  peer.mutable_update_order()->mutable_update()->set_sequence(3);
  const std::string message = peer.SerializeAsString();
  Refusal refusal;
  refusal.set_reason("version");
  std::string conversation =
      frame(FrameType::hello, 0, 0, 0, hello.SerializeAsString()) + frame(FrameType::ready, 0, 0, 0, "") +
      frame(FrameType::data, frame_first | frame_last, 1, 5, message) + frame(FrameType::ping, 0, 77, 0, "") +
      frame(FrameType::skip, 0, 2, 4, "") + frame(FrameType::data, frame_first, 3, 5, message.substr(0, 4)) +
      frame(FrameType::data, frame_last, 4, 5, message.substr(4)) +
      frame(FrameType::data, frame_first | frame_last, 4, 5, message) + frame(FrameType::ack, 0, 0, 0, "");
  return {conversation, frame(FrameType::refusal, 0, 0, 0, refusal.SerializeAsString()),
          frame(FrameType::data, 0, 1, 0, "x")};
}

}  // namespace holdfast::fuzz
