// The single blocks of the quorum LUN and the checkpoint behind its header. Mostly with good checksums, since
// no random input gets past a wrong one; the other way, a block with one more changed byte must be refused.
#include "base/crc32c.h"
#include "core/log/layout.h"
#include "input.h"
#include "target.h"

namespace {

using namespace holdfast;
using namespace holdfast::core;

void seal(std::string& block) {
  put_le(as_u8(block) + 20, 0, 4);
  put_le(as_u8(block) + 20, crc32c(block.data(), block.size()), 4);
}

void check_code(ErrorCode code) {
  HOLDFAST_ASSERT(code == ErrorCode::corrupt || code == ErrorCode::version);
}

void look(const std::string& block) {
  if (auto superblock = decode_superblock(block.data())) {
    HOLDFAST_ASSERT(superblock->log_start_bytes() % block_bytes == 0);
    HOLDFAST_ASSERT(superblock->log_size_bytes() >= log_bytes_min &&
                    superblock->log_size_bytes() <= log_bytes_max);
    HOLDFAST_ASSERT(superblock->checkpoint_size_bytes() <= checkpoint_slot_bytes);
    auto again = decode_superblock(encode_superblock(*superblock, 1).data());
    HOLDFAST_ASSERT(again && again->SerializeAsString() == superblock->SerializeAsString());
    auto view = decode_superblocks(block + std::string(block_bytes, '\0'));
    HOLDFAST_ASSERT(view.valid && view.bad_copies == 1 && !view.blank);
  } else {
    check_code(superblock.error().code);
  }
  if (auto beacon = decode_beacon(block.data())) {
    auto again = decode_beacon(encode_beacon(*beacon).data());
    HOLDFAST_ASSERT(again && *again == *beacon);
  } else {
    check_code(beacon.error().code);
  }
  if (auto header = decode_checkpoint_header(block.data()))
    HOLDFAST_ASSERT(header->payload_bytes <= checkpoint_slot_bytes);
  else
    check_code(header.error().code);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t kind = in.byte();
  if (kind == 1) {
    CheckpointHeader header;
    header.payload_bytes = in.any();
    const std::string payload = in.rest();
    header.payload_crc = crc32c(payload.data(), std::min<uint64_t>(payload.size(), header.payload_bytes));
    auto checkpoint = decode_checkpoint(header, payload);
    if (!checkpoint) {
      HOLDFAST_ASSERT(checkpoint.error().code == ErrorCode::corrupt);
      return 0;
    }
    const std::string slot = encode_checkpoint(*checkpoint);
    auto again = decode_checkpoint_header(slot.data());
    HOLDFAST_ASSERT(again && slot.size() % block_bytes == 0);
    HOLDFAST_ASSERT(decode_checkpoint(*again, slot.substr(block_bytes)));
    return 0;
  }
  const size_t place = in.number(2) % block_bytes;
  const auto bits = in.byte();
  std::string block = in.rest();
  block.resize(block_bytes, '\0');
  if (kind != 2) seal(block);
  look(block);
  if (bits == 0 || kind == 2) return 0;
  block[place] ^= static_cast<char>(bits);
  HOLDFAST_ASSERT(!decode_superblock(block.data()) && !decode_beacon(block.data()) &&
                  !decode_checkpoint_header(block.data()));
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  disk::Superblock s;
  s.set_cluster_id("c1");
  s.set_cluster_name("demo");
  s.set_epoch(7);
  s.set_holder(2);
  s.add_members()->set_node(2);
  s.set_configured_nodes(7);
  s.set_log_start_bytes(log_offset_bytes);
  s.set_log_size_bytes(log_bytes_min);
  s.set_checkpoint_offset_bytes(checkpoint_offset_bytes);
  s.set_checkpoint_size_bytes(checkpoint_slot_bytes);
  disk::Checkpoint c;
  c.set_sequence(2);
  c.set_generation(1);
  auto* key = c.mutable_tree()->add_keys();
  key->set_path("cluster");
  (*key->mutable_values())["Name"].set_text("demo");
  auto block = [](std::string bytes) {  // zeros at the end come back by themselves
    bytes.resize(bytes.find_last_not_of('\0') + 1);
    return Recipe().byte(0).number(40, 2).byte(1).raw(bytes).done();
  };
  const std::string tree = c.SerializeAsString();
  return {block(encode_superblock(s, 0)), block(encode_beacon({Epoch{7}, NodeId{2}, Incarnation{5}, 9})),
          block(encode_checkpoint(c).substr(0, block_bytes)),
          Recipe().byte(1).any(tree.size()).raw(tree).done()};
}

}  // namespace holdfast::fuzz
