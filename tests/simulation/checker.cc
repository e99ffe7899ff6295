#include "simulation/checker.h"

#include "core/commands/schema.h"

namespace holdfast::sim {
namespace {

// Comparing whole trees at every update would take most of the time.
constexpr uint64_t trees_every = 32;

}  // namespace

Checker::Checker(const Scheduler& time, int nodes)
    : time_(time),
      epoch_of_node_(static_cast<size_t>(nodes) + 1, 0),
      newest_(static_cast<size_t>(nodes) + 1) {}

void Checker::broken(const std::string& what) {
  if (failed_) return;
  failed_ = true;
  failure_ = "at " + std::to_string((time_.now() - Instant{1'000'000'000'000}).us()) + " us: " + what;
}

void Checker::after_step(int node, const core::Core& core) {
  core.check_invariants();
  const core::View& view = core.membership().view();
  uint64_t& known = epoch_of_node_[static_cast<size_t>(node)];
  if (view.epoch.value == known) return;
  known = view.epoch.value;
  if (known == 0) return;
  if (!damaged_ && epoch_on_lun && known > epoch_on_lun())
    broken("I1: node " + std::to_string(node) + " is in view " + view.text() +
           ", and the superblock names epoch " + std::to_string(epoch_on_lun()));
  if (known > epoch_) {
    epoch_ = known;
    if (damaged_) {
      updates_.clear();
      trees_.clear();
    }
  }
  auto [it, fresh] = views_.emplace(known, view.text());
  if (!fresh && it->second != view.text())
    broken("I1: epoch " + std::to_string(known) + " is " + it->second + " and, on node " +
           std::to_string(node) + ", " + view.text());
}

void Checker::committed(int node, const core::Core& core, const core::Output::ReplicaWrite& write) {
  core.check_configured();
  const uint64_t sequence = core.updates().committed().value;
  Newest& newest = newest_[static_cast<size_t>(node)];
  if (!write.update) {
    newest = {sequence, 0};
  } else {
    const wire::Update& update = *write.update;
    if (newest.sequence + 1 == update.sequence() && update.epoch() < newest.epoch)
      broken("I2: on node " + std::to_string(node) + " update " + std::to_string(update.sequence()) +
             " of epoch " + std::to_string(update.epoch()) + " follows on one of epoch " +
             std::to_string(newest.epoch));
    newest = {update.sequence(), update.epoch()};
    bytes_.clear();
    update.AppendToString(&bytes_);
    const uint64_t hash = std::hash<std::string>{}(bytes_);
    auto [it, fresh] = updates_.emplace(update.sequence(), hash);
    if (!fresh && it->second != hash)
      broken("I2: update " + std::to_string(update.sequence()) + " is another one on node " +
             std::to_string(node));
    if (update.sequence() != sequence || sequence % trees_every != 0) return;
  }
  if (auto sound = core::check_schema(core.tree()); !sound)
    broken("the database of node " + std::to_string(node) + " after update " + std::to_string(sequence) +
           ": " + sound.error().text());
  const uint32_t digest = core.tree().digest();
  auto [it, fresh] = trees_.emplace(sequence, digest);
  if (!fresh && it->second != digest)
    broken("I2: after update " + std::to_string(sequence) + " the tree of node " + std::to_string(node) +
           " is another one");
}

void Checker::address(const std::string& address, int node, bool present, bool excused) {
  Serving& s = addresses_[address];
  if (!present) {
    s.nodes.erase(node);
    s.excused.erase(node);
    return;
  }
  s.nodes.insert(node);
  if (excused) s.excused.insert(node);
  for (int other : s.nodes)
    if (other != node && !excused && !s.excused.count(other))
      broken("I3: address " + address + " is served by nodes " + std::to_string(other) + " and " +
             std::to_string(node));
}

void Checker::nobody_withdraws_addresses(int node) {
  for (auto& [address, s] : addresses_)
    if (s.nodes.count(node)) s.excused.insert(node);
}

void Checker::nobody_guards(const void* disk) {
  owners_[disk].guarded = false;
}

void Checker::acquired(const void* disk, int node, uint64_t kernel, uint64_t generation) {
  Owner& owner = owners_[disk];
  // A disk that forgot takes whoever believes to own it, such as a node that slept while it was removed.
  if (owner.guarded && (generation < owner.generation ||
                        (generation == owner.generation && owner.node != 0 && owner.node != node)))
    broken("I3: node " + std::to_string(node) + " acquired a disk as generation " +
           std::to_string(generation) + " after node " + std::to_string(owner.node) + " as " +
           std::to_string(owner.generation));
  const bool stayed = owner.node == node && owner.kernel == kernel;
  owner = {node, generation, true, kernel, stayed ? owner.since : generation};
}

void Checker::landed(const void* disk, int node, uint64_t generation) {
  auto it = owners_.find(disk);
  if (it != owners_.end() && !it->second.guarded) return;
  if (it == owners_.end() || generation < it->second.since || node != it->second.node)
    broken("I3: a write of node " + std::to_string(node) + ", generation " + std::to_string(generation) +
           ", landed on a disk of " +
           (it == owners_.end() ? "nobody"
                                : "node " + std::to_string(it->second.node) + ", generation " +
                                      std::to_string(it->second.generation)));
}

}  // namespace holdfast::sim
