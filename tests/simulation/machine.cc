#include "simulation/machine.h"

#include <utility>

namespace holdfast::sim {
namespace {
constexpr Duration write_pace = Duration::milliseconds(80);
constexpr Duration held_look = Duration::milliseconds(10);
constexpr Duration write_limit = Duration::seconds(30);
constexpr uint64_t block = 4096;
}  // namespace

Machine::Machine(Scheduler& time, Witness& witness, uint64_t seed, int number)
    : id(number), random(seed), time_(time), witness_(witness), anchor_world_(time.now()) {
  // No two machines have booted at the same time.
  anchor_local_ = Instant{1'000'000'000'000 + static_cast<int64_t>(random.below(1'000'000'000'000ULL))};
}

Instant Machine::to_local(Instant world) const {
  if (paused_) return anchor_local_;
  const int64_t passed = (world - anchor_world_).ns;
  return anchor_local_ + Duration{passed + passed / 1'000'000 * drift_ppm_};
}

Instant Machine::to_world(Instant local) const {
  if (local >= Instant::infinite()) return local;
  const int64_t left = (local - anchor_local_).ns;
  Instant world = anchor_world_ + Duration{left - left / 1'000'000 * drift_ppm_};
  // Never before its time: the clock must show it then.
  while (!paused_ && to_local(world) < local) world = world + (local - to_local(world));
  return world;
}

void Machine::set_drift(int64_t parts_per_million) {
  const Instant local = clock();
  anchor_local_ = local;
  anchor_world_ = time_.now();
  drift_ppm_ = parts_per_million;
}

void Machine::pause() {
  if (paused_) return;
  anchor_local_ = clock();
  anchor_world_ = time_.now();
  paused_ = true;
  for (const auto& [address, until] : addresses_) witness_.address_changed(id, address, false);
}

void Machine::resume() {
  if (!paused_) return;
  paused_ = false;
  anchor_world_ = resumed_at_ = time_.now();
  for (const auto& [address, until] : addresses_) {
    witness_.address_changed(id, address, true);
    watch_address(address);
  }
  for (const auto& [target, mount] : mounts_) write_on(*target, mount.token);
  if (on_resume) on_resume();
}

void Machine::power_off() {
  powered_ = false;
  paused_ = false;
  ++power_cycles_;
  for (const auto& [address, until] : std::exchange(addresses_, {}))
    witness_.address_changed(id, address, false);
  mounts_.clear();
  disks_.clear();
}

void Machine::put_address(const std::string& address, Duration lifetime) {
  const bool fresh = !addresses_.count(address);
  addresses_[address] = clock() + lifetime;
  if (fresh) witness_.address_changed(id, address, true);
  watch_address(address);
}

void Machine::watch_address(const std::string& address) {
  const Instant until = addresses_[address];
  time_.at(to_world(until), [this, address, cycles = power_cycles_] {
    auto it = addresses_.find(address);
    if (cycles != power_cycles_ || paused_ || it == addresses_.end() || it->second > clock()) return;
    addresses_.erase(it);
    witness_.address_changed(id, address, false);
  });
}

void Machine::delete_address(const std::string& address) {
  if (addresses_.erase(address)) witness_.address_changed(id, address, false);
}

bool Machine::answers_for(const std::string& address) const {
  return powered_ && !paused_ && addresses_.count(address);
}

Session& Machine::disk(Target& target) {
  auto& session = disks_[&target];
  if (!session) session = std::make_unique<Session>(target, id);
  return *session;
}

bool Machine::mounted(Target& target) const {
  return mounts_.count(&target) != 0;
}

Machine::Writes Machine::writes(Target& target) const {
  auto it = mounts_.find(&target);
  if (it == mounts_.end()) return Writes::none;
  if (!it->second.gate) return Writes::pass;
  const GateState state = gate_state(*it->second.gate, clock());
  return state == GateState::open ? Writes::pass : state == GateState::held ? Writes::wait : Writes::refused;
}

void Machine::mount(Target& target, uint64_t generation, std::shared_ptr<Grant> grant) {
  Mount& m = mounts_[&target];
  m.generation = generation;
  m.gate = std::move(grant);
  m.token = next_token_++;
  write_on(target, m.token);
}

void Machine::unmount(Target& target) {
  mounts_.erase(&target);
}

void Machine::write_on(Target& target, uint64_t token) {
  auto it = mounts_.find(&target);
  if (it == mounts_.end() || it->second.token != token || paused_ || !powered_) return;
  Session& session = disk(target);
  auto again = [this, &target, token, cycles = power_cycles_](Duration d) {
    time_.after(d, [this, &target, token, cycles] {
      if (cycles == power_cycles_) write_on(target, token);
    });
  };
  if (!session.is_open()) {
    // The kernel logs in again by itself, and repeats what it has.
    session.login(write_limit, [again](Reply r) { again(r.answered ? write_pace : Duration::seconds(1)); });
    return;
  }
  if (it->second.gate) {
    const Writes now = writes(target);
    if (now == Writes::refused) return;
    if (now == Writes::wait) return again(held_look);
    witness_.write_passed(id);
  }
  session.write(random.below(16) * block, std::string(block, static_cast<char>('a' + id)),
                std::to_string(id) + " " + std::to_string(it->second.generation), write_limit,
                [again](Reply) { again(write_pace); });
}

}  // namespace holdfast::sim
