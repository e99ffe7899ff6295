#include "adapters/transport/frame.h"

#include "base/bytes.h"

namespace holdfast::transport {
namespace {

size_t body_max(FrameType type) {
  switch (type) {
    case FrameType::hello:
    case FrameType::refusal:
      return hello_body_max;
    case FrameType::data:
      return fragment_max;
    default:
      return 0;
  }
}

}  // namespace

void encode_frame(const FrameHeader& header, std::string_view body, std::string& out) {
  uint8_t bytes[frame_header_size] = {};
  put_le(bytes, body.size(), 4);
  bytes[4] = static_cast<uint8_t>(header.type);
  bytes[5] = header.flags;
  put_le(bytes + 8, header.sequence, 8);
  put_le(bytes + 16, header.ack, 8);
  put_le(bytes + 24, header.epoch, 8);
  out.append(reinterpret_cast<char*>(bytes), sizeof bytes).append(body);
}

FrameCheck decode_frame(std::string_view bytes, FrameHeader& header) {
  if (bytes.size() < frame_header_size) return FrameCheck::incomplete;
  auto p = reinterpret_cast<const uint8_t*>(bytes.data());
  header.length = static_cast<uint32_t>(get_le(p, 4));
  header.type = static_cast<FrameType>(p[4]);
  header.flags = p[5];
  header.sequence = get_le(p + 8, 8);
  header.ack = get_le(p + 16, 8);
  header.epoch = get_le(p + 24, 8);
  if (p[4] < static_cast<uint8_t>(FrameType::hello) || p[4] > static_cast<uint8_t>(FrameType::ack))
    return FrameCheck::malformed;
  if (get_le(p + 6, 2) != 0 || (header.flags & ~(frame_first | frame_last)) != 0)
    return FrameCheck::malformed;
  if (header.length > body_max(header.type)) return FrameCheck::malformed;
  return FrameCheck::ok;
}

}  // namespace holdfast::transport
