// The frames between a Lun and its helper process.

#include "input.h"
#include "iscsi/helper_messages.h"
#include "target.h"

using namespace holdfast;
using namespace holdfast::scsi;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view frame = fuzz::as_text(data, size);
  FrameReader in(frame);
  const Capabilities read = get_capabilities(in);
  const Error error = get_error(in);
  size_t memory = error.message.size() + error.hint.size();
  for (const auto& identity : read.identities) memory += 8 + identity.size();
  HOLDFAST_ASSERT(memory <= frame.size());
  if (!in.good()) return 0;
  FrameWriter out;
  put(out, read);
  put(out, error);
  const std::string written = out.take();
  FrameReader again(written);
  const Capabilities same = get_capabilities(again);
  HOLDFAST_ASSERT(same.identities == read.identities && same.serial == read.serial);
  HOLDFAST_ASSERT(get_error(again).message == error.message && again.good());
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  Capabilities c;
  c.block_size = 512;
  c.block_count = 65536;
  c.vendor = "VENDOR";
  c.identities = {"naa.5000", "t10.X"};
  c.preempt_and_abort = true;
  FrameWriter out;
  put(out, c);
  put(out, Error{ErrorCode::conflict, 5, "reservation conflict", "look"});
  return {out.take()};
}

}  // namespace holdfast::fuzz
