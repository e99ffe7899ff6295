// ScsiLun: a logical unit with persistent reservations as SPC-4 5.13 describes them, and with the differences
// of real targets (STORAGE of docs/protocols/reservations.md). It knows no time: whoever uses it decides when
// a command arrives, and when a write that was accepted lands. Between the two the write is in flight, where
// only PREEMPT AND ABORT, a reset or a restart of the target can stop it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"

namespace holdfast::sim {

using Nexus = uint32_t;  // one initiator port and one target port

enum class Scsi : uint8_t { good, conflict, attention, unsupported, out_of_range };
enum class Hold : uint8_t { none = 0, write_exclusive = 1, write_exclusive_registrants_only = 5 };

// How targets differ.
struct TargetKind {
  bool preempt_and_abort = true;
  bool same_nexus = true;  // a session that comes back with its ISID is the same nexus; else the old one is a
                           // dead twin that stays registered
  bool persistent = false;  // APTPL: reservations survive a restart
};

class ScsiLun {
 public:
  struct Write {
    uint64_t id = 0;
    Nexus nexus = 0;
    uint64_t offset_bytes = 0;
    std::string data;
    std::string by;  // who wrote, for the checkers
  };

  ScsiLun(uint64_t bytes, TargetKind kind);

  const TargetKind& kind() const { return kind_; }
  uint64_t bytes() const { return bytes_; }

  // Sessions. An attention waits for whoever logs in.
  void login(Nexus nexus) { attention_[nexus] = false; }

  // Each takes effect at once; `attention` means that it was not executed, and is told once.
  Scsi register_key(Nexus nexus, ReservationKey existing, ReservationKey wanted);
  Scsi register_ignore(Nexus nexus, ReservationKey wanted);
  Scsi reserve(Nexus nexus, ReservationKey own, Hold type);
  Scsi release(Nexus nexus, ReservationKey own, Hold type);
  Scsi preempt(Nexus nexus, ReservationKey own, ReservationKey victim, Hold type, bool abort);
  Scsi reset(Nexus nexus);
  std::vector<uint64_t> flying() const {
    std::vector<uint64_t> out;
    for (const auto& [id, write] : flying_) out.push_back(id);
    return out;
  }
  void give_away() { holder_ = 0, hold_ = Hold::none, keys_.clear(); }
  // Of commands that only read reservations: their answers are asked for below.
  Scsi look(Nexus nexus) { return attentive(nexus) ? Scsi::attention : Scsi::good; }
  Scsi read(Nexus nexus, uint64_t offset_bytes, uint64_t size, std::string* out);
  // Accepted: the write is in flight until land() or an abort.
  Scsi begin_write(Nexus nexus, uint64_t offset_bytes, std::string data, std::string by, uint64_t* id);
  // False: it was aborted. `part` of the blocks only: the rest was torn off.
  bool land(uint64_t id, double part = 1.0);
  bool lose(uint64_t id) { return flying_.erase(id) != 0; }
  void misdirect(uint64_t id, uint64_t offset_bytes);
  // Told of every write that lands.
  std::function<void(const Write&)> on_landed;

  // What the reservation says.
  ReservationKey holder_key() const;
  Hold hold() const { return hold_; }
  std::vector<ReservationKey> keys() const;
  uint32_t generation() const { return generation_; }

  // The target restarts. `image`: the reservations it comes back with, null = none. What is in flight is
  // gone, unless the other half of a redundant controller has it and puts it down.
  struct Image {
    std::map<Nexus, ReservationKey> keys;
    Nexus holder = 0;
    Hold hold = Hold::none;
  };
  Image image() const { return {keys_, holder_, hold_}; }
  void restart(const Image* image, bool writes_survive = false);

  // Straight at the medium, for formatting and for damage.
  void poke(uint64_t offset_bytes, const std::string& data);
  std::string peek(uint64_t offset_bytes, uint64_t size) const;
  size_t in_flight() const { return flying_.size(); }

 private:
  bool attentive(Nexus nexus);
  void raise(Nexus nexus) { attention_[nexus] = true; }
  bool holds(Nexus nexus) const;
  void drop(Nexus nexus, bool abort);

  TargetKind kind_;
  uint64_t bytes_;
  std::unique_ptr<char, std::function<void(char*)>> medium_;  // pages of it exist only when they were written
  std::map<Nexus, ReservationKey> keys_;
  std::map<Nexus, bool> attention_;
  Nexus holder_ = 0;
  Hold hold_ = Hold::none;
  uint32_t generation_ = 0;
  uint64_t next_write_ = 1;
  std::map<uint64_t, Write> flying_;
};

}  // namespace holdfast::sim
