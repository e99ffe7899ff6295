#include "adapters/quorum_disk/quorum_format.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "adapters/quorum_disk/quorum_disk.h"
#include "base/version.h"
#include "core/commands/initial_database.h"
#include "core/database/tree.h"
#include "core/log/layout.h"
#include "iscsi/probe.h"

namespace holdfast {
namespace {

constexpr Duration deadline = Duration::seconds(5);
constexpr uint64_t local_bytes = core::quorum_lun_bytes_min;

Result<std::string> read_head(scsi::Lun& lun) {
  std::string head(core::head_bytes, '\0');
  HOLDFAST_CHECK(lun.read(0, head.data(), head.size(), deadline));
  return head;
}

Status create_local_file(const std::string& path) {
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail(ErrorCode::io, "the local quorum file " + path + " cannot be created", errno);
  struct stat s;
  Status status;
  if (fstat(fd, &s) != 0 ||
      (static_cast<uint64_t>(s.st_size) < local_bytes && ftruncate(fd, local_bytes) != 0))
    status = fail(ErrorCode::io, "the local quorum file " + path + " cannot be made 32 MiB long", errno);
  close(fd);
  return status;
}

Status refuse_foreign(scsi::Lun& lun, const NodeConfig& config, const std::string& head) {
  auto view = core::decode_superblocks(head);
  if (view.valid)
    return fail(
        ErrorCode::foreign,
        "the quorum device " + config.quorum.device + " holds cluster '" + view.superblock.cluster_name() +
            "' (" + view.superblock.cluster_id() + "), epoch " + std::to_string(view.superblock.epoch()),
        0, "'holdfast cluster destroy --wipe-quorum' on one of its nodes clears it; --force overwrites it");
  if (config.quorum.kind == "local") return {};
  if (auto found = scsi::foreign_content(lun))
    return fail(ErrorCode::foreign, "the quorum device " + config.quorum.device + " holds " + *found, 0,
                "choose another LUN; --force overwrites it");
  return {};
}

}  // namespace

Status format_quorum(const NodeConfig& config, const FormatOptions& options) {
  core::InitialCluster initial{options.cluster_id, options.cluster_name,   functional_level_max,
                               options.node_name,  options.node_addresses, options.port,
                               options.fingerprint};
  HOLDFAST_CHECK(core::check_initial_cluster(initial));
  if (config.quorum.kind == "local") HOLDFAST_CHECK(create_local_file(config.quorum.device));
  HOLDFAST_TRY(auto lun, make_quorum_lun(config));
  HOLDFAST_CHECK(lun->open(deadline));
  if (lun->size_bytes() < core::quorum_lun_bytes_min)
    return fail(ErrorCode::full,
                "the quorum device " + config.quorum.device + " has " +
                    std::to_string(lun->size_bytes() >> 20) + " MiB",
                0, "a quorum LUN needs at least 32 MiB");
  HOLDFAST_TRY(auto head, read_head(*lun));
  if (!options.force) HOLDFAST_CHECK(refuse_foreign(*lun, config, head));
  HOLDFAST_TRY(auto held, lun->read_reservation(deadline));
  if (held.held())
    return fail(ErrorCode::busy,
                "key " + to_string(held.key) + " holds a reservation on " + config.quorum.device, 0,
                "a cluster is using this LUN: stop it first");
  HOLDFAST_TRY(auto capabilities, lun->capabilities(deadline));
  if (!capabilities.persistent_reservations || !capabilities.supports(scsi::ReservationType::write_exclusive))
    return fail(ErrorCode::unsupported,
                "the quorum device " + config.quorum.device +
                    " has no persistent reservations of type Write Exclusive",
                0, "see 'holdfast disk probe " + config.quorum.device + "'");

  core::Tree tree;
  auto transaction = core::initial_database(initial);
  HOLDFAST_CHECK(tree.check(transaction));
  tree.apply(transaction, Sequence{1});
  disk::Checkpoint checkpoint;
  checkpoint.set_sequence(1);
  checkpoint.set_last_epoch(1);
  checkpoint.set_generation(1);
  checkpoint.set_log_previous_sequence(1);
  checkpoint.set_log_previous_epoch(1);
  // The chain of a new log must not continue an old one: its first predecessor is named by the time of the
  // format.
  checkpoint.set_log_previous_crc(static_cast<uint32_t>(time(nullptr)));
  *checkpoint.mutable_tree() = tree.to_proto();
  std::string zero(core::block_bytes, '\0');
  // The superblocks come last: a format that ends half way leaves a LUN that is not a quorum.
  for (int block = 0; block < 3; ++block)
    HOLDFAST_CHECK(lun->write(block * core::block_bytes, zero.data(), zero.size(), deadline));
  HOLDFAST_CHECK(lun->write(core::checkpoint_offset_bytes + core::checkpoint_slot_bytes, zero.data(),
                            zero.size(), deadline));
  HOLDFAST_CHECK(lun->write(core::log_offset_bytes, zero.data(), zero.size(), deadline));
  auto bytes = core::encode_checkpoint(checkpoint);
  HOLDFAST_CHECK(lun->write(core::checkpoint_offset_bytes, bytes.data(), bytes.size(), deadline));

  disk::Superblock superblock;
  superblock.set_cluster_id(options.cluster_id);
  superblock.set_cluster_name(options.cluster_name);
  superblock.set_epoch(1);
  superblock.set_holder(1);
  superblock.set_configured_nodes(NodeSet::of(NodeId{1}).bits());
  superblock.set_orderly_shutdown(true);
  superblock.set_created_wall_ms(static_cast<uint64_t>(time(nullptr)) * 1000);
  superblock.set_log_start_bytes(core::log_offset_bytes);
  superblock.set_log_size_bytes(core::log_ring_bytes(lun->size_bytes()));
  superblock.set_checkpoint_offset_bytes(core::checkpoint_offset_bytes);
  superblock.set_checkpoint_size_bytes(core::checkpoint_slot_bytes);
  superblock.set_format_version(core::lun_format_version);
  for (int copy = 0; copy < 2; ++copy) {
    auto block = core::encode_superblock(superblock, copy);
    HOLDFAST_CHECK(lun->write(copy * core::block_bytes, block.data(), block.size(), deadline));
  }
  HOLDFAST_TRY(auto back, read_head(*lun));
  if (!core::decode_superblocks(back).valid)
    return fail(ErrorCode::io,
                "the quorum device " + config.quorum.device + " did not keep what was written");
  return {};
}

}  // namespace holdfast
