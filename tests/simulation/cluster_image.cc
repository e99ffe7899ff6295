#include "simulation/cluster_image.h"

#include "core/commands/initial_database.h"
#include "core/database/nodes.h"
#include "core/log/layout.h"
#include "core/log/record.h"

namespace holdfast::sim {

using namespace holdfast::core;

namespace {

// Large updates, record by record, up to the last block of the ring.
void fill_log(ScsiLun& lun, uint64_t ring_bytes, LogCursor at) {
  for (uint64_t sequence = at.previous.sequence + 1; at.position_bytes < ring_bytes; ++sequence) {
    const uint64_t left = ring_bytes - at.position_bytes;
    disk::LogBatch batch;
    wire::Update& update = *batch.add_updates();
    update.set_sequence(sequence);
    update.set_epoch(1);
    update.set_origin(1);
    update.set_origin_incarnation(1);
    update.set_request(sequence);
    const size_t size = left > 64 * 1024 ? 60 * 1024 : 10;
    *update.mutable_transaction() = Edit().set("fill", "v", std::string(size, 'x')).done();
    auto record = encode_record(at, ring_bytes, 1, batch);
    lun.poke(log_offset_bytes + record.position_bytes, record.bytes);
    at = record.next;
  }
}

}  // namespace

void format_cluster(ScsiLun& lun, int count, int networks, bool full_log) {
  auto addresses = [&](int id) {
    std::vector<std::string> out;
    for (int network = 0; network < networks; ++network)
      out.push_back(std::string(1, static_cast<char>('a' + network)) + "=10." + std::to_string(network) +
                    ".0." + std::to_string(id));
    return out;
  };
  Tree tree;
  tree.apply(initial_database({"c1", "sim", 2, "n1", addresses(1), 0, "f1"}), Sequence{1});
  Edit edit;
  NodeSet configured;
  for (int id = 1; id <= count; ++id) {
    const NodeId node{static_cast<uint64_t>(id)};
    configured.add(node);
    edit.set(node_path(node), "Name", "n" + std::to_string(id))
        .set(node_path(node), "Addresses", addresses(id));
  }
  edit.set("cluster", "NextNode", static_cast<uint64_t>(count + 1));
  tree.apply(edit.done(), Sequence{2});
  disk::Superblock s;
  s.set_cluster_id("c1");
  s.set_cluster_name("sim");
  s.set_epoch(1);
  s.set_holder(1);
  s.set_configured_nodes(configured.bits());
  s.set_orderly_shutdown(true);
  s.set_log_start_bytes(log_offset_bytes);
  s.set_log_size_bytes(log_ring_bytes(lun.bytes()));
  s.set_checkpoint_offset_bytes(checkpoint_offset_bytes);
  s.set_checkpoint_size_bytes(checkpoint_slot_bytes);
  disk::Checkpoint c;
  c.set_sequence(2);
  c.set_last_epoch(1);
  c.set_log_previous_sequence(2);
  c.set_log_previous_epoch(1);
  c.set_generation(1);
  *c.mutable_tree() = tree.to_proto();
  for (int copy = 0; copy < 2; ++copy)
    lun.poke(static_cast<uint64_t>(copy) * block_bytes, encode_superblock(s, copy));
  lun.poke(checkpoint_offset_bytes, encode_checkpoint(c));
  if (full_log) fill_log(lun, s.log_size_bytes(), {0, {1, 2, 0}});
}

}  // namespace holdfast::sim
