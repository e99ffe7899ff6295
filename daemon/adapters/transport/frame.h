// Frames of a TLS session: a fixed header of 32 bytes and a body. docs/protocols/transport.md, "Frames".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::transport {

enum class FrameType : uint8_t {
  hello = 1,
  refusal = 2,
  ready = 3,  // the sender uses this session from now on
  data = 4,   // a fragment of a message
  skip = 5,   // takes a place in the order; the message it belonged to was dropped with its epoch
  ping = 6,   // `sequence` is a number to be returned
  pong = 7,
  ack = 8,
};

constexpr uint8_t frame_first = 1;  // data: first fragment of a message
constexpr uint8_t frame_last = 2;   // data: last fragment

constexpr size_t frame_header_size = 32;
// Fragments this small let acknowledgements and pings pass between the pieces of a large message.
constexpr size_t fragment_max = 64 << 10;
constexpr size_t hello_body_max = 16 << 10;

struct FrameHeader {
  uint32_t length = 0;  // of the body
  FrameType type = FrameType::ack;
  uint8_t flags = 0;
  uint64_t sequence = 0;
  uint64_t ack = 0;  // newest frame received in order
  uint64_t epoch = 0;
};

void encode_frame(const FrameHeader& header, std::string_view body, std::string& out);

enum class FrameCheck { ok, incomplete, malformed };
// Reads a header from the front of `bytes`. Malformed: reserved bytes set, unknown type, body longer than its
// type allows. Before the hello only hello and refusal are allowed, see Session.
FrameCheck decode_frame(std::string_view bytes, FrameHeader& header);

}  // namespace holdfast::transport
