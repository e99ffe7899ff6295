// Machine: the hardware and the kernel under one node: its clock, which drifts and stands still while the
// machine is paused, its addresses, which expire by themselves, and the writers of its mounted disks, which
// go on whatever happens to the programs that manage them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/tests/random.h"
#include "base/time.h"
#include "simulation/scheduler.h"
#include "simulation/target.h"
#include "simulation/write_gate.h"

namespace holdfast::sim {

// What the checkers want to know about at once.
class Witness {
 public:
  virtual ~Witness() = default;
  virtual void address_changed(int node, const std::string& address, bool present) = 0;
  // A write passed the gate of this node.
  virtual void write_passed(int node) = 0;
};

class Machine {
 public:
  Machine(Scheduler& time, Witness& witness, uint64_t seed, int id);

  const int id;
  Random random;

  // The clock (CLOCK_BOOTTIME).
  Instant clock() const { return to_local(time_.now()); }
  Instant to_world(Instant local) const;  // when the clock will show it, as things are
  uint64_t wall_ms() const { return static_cast<uint64_t>(clock().ns / 1'000'000) + wall_offset_ms; }
  void set_drift(int64_t parts_per_million);
  uint64_t wall_offset_ms = 1'700'000'000'000ULL;

  bool powered() const { return powered_; }
  uint64_t boots() const { return power_cycles_; }
  void power_off();
  void power_on() { powered_ = true; }
  // The whole machine stands still, its clock too.
  void pause();
  void resume();
  bool paused() const { return paused_; }
  Instant resumed_at() const { return resumed_at_; }  // of the world
  std::function<void()> on_resume;

  // Kernel addresses.
  void put_address(const std::string& address, Duration lifetime);
  void delete_address(const std::string& address);
  bool answers_for(const std::string& address) const;  // to the network, now
  const std::map<std::string, Instant>& addresses() const { return addresses_; }

  // Kernel disks: one session a LUN, which every process of the machine shares.
  Session& disk(Target& target);
  // A mounted file system writes by itself, as the owner's generation, until it is dismounted. Behind a gate
  // (`grant` is not null) each write waits until that is open, and after a refused one there are no more.
  void mount(Target& target, uint64_t generation, std::shared_ptr<Grant> grant);
  void unmount(Target& target);
  bool mounted(Target& target) const;
  enum class Writes : uint8_t { none, pass, wait, refused };
  Writes writes(Target& target) const;

 private:
  struct Mount {
    uint64_t generation = 0;
    uint64_t token = 0;
    std::shared_ptr<Grant> gate;
  };
  Instant to_local(Instant world) const;
  void watch_address(const std::string& address);
  void write_on(Target& target, uint64_t token);

  Scheduler& time_;
  Witness& witness_;
  bool powered_ = true, paused_ = false;
  Instant anchor_world_, anchor_local_;
  int64_t drift_ppm_ = 0;
  Instant resumed_at_;
  std::map<std::string, Instant> addresses_;  // until, local
  std::map<Target*, std::unique_ptr<Session>> disks_;
  std::map<Target*, Mount> mounts_;
  uint64_t next_token_ = 1, power_cycles_ = 0;
};

}  // namespace holdfast::sim
