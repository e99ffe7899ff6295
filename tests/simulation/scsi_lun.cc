#include "simulation/scsi_lun.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace holdfast::sim {
namespace {

// Not from the heap, which would have to clear all of it.
char* pages(uint64_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    perror("holdfast-sim: no memory for a LUN");
    abort();
  }
  return static_cast<char*>(p);
}

}  // namespace

ScsiLun::ScsiLun(uint64_t bytes, TargetKind kind)
    : kind_(kind), bytes_(bytes), medium_(pages(bytes), [bytes](char* p) { munmap(p, bytes); }) {}

bool ScsiLun::attentive(Nexus nexus) {
  auto it = attention_.find(nexus);
  if (it == attention_.end() || !it->second) return false;
  it->second = false;
  return true;
}

bool ScsiLun::holds(Nexus nexus) const {
  if (hold_ == Hold::none) return true;
  if (hold_ == Hold::write_exclusive) return holder_ == nexus;
  return keys_.count(nexus) != 0;
}

void ScsiLun::drop(Nexus nexus, bool abort) {
  keys_.erase(nexus);
  raise(nexus);
  if (abort) std::erase_if(flying_, [&](const auto& w) { return w.second.nexus == nexus; });
}

Scsi ScsiLun::register_key(Nexus nexus, ReservationKey existing, ReservationKey wanted) {
  if (attentive(nexus)) return Scsi::attention;
  auto it = keys_.find(nexus);
  const ReservationKey present = it == keys_.end() ? ReservationKey{} : it->second;
  if (present != existing) return Scsi::conflict;
  return register_ignore(nexus, wanted);
}

Scsi ScsiLun::register_ignore(Nexus nexus, ReservationKey wanted) {
  if (attentive(nexus)) return Scsi::attention;
  ++generation_;
  if (!wanted.is_none()) {
    keys_[nexus] = wanted;
    return Scsi::good;
  }
  keys_.erase(nexus);
  if (holder_ != nexus) return Scsi::good;
  holder_ = 0;
  if (hold_ == Hold::write_exclusive_registrants_only)
    for (const auto& [other, key] : keys_) raise(other);  // RESERVATIONS RELEASED
  hold_ = Hold::none;
  return Scsi::good;
}

Scsi ScsiLun::reserve(Nexus nexus, ReservationKey own, Hold type) {
  if (attentive(nexus)) return Scsi::attention;
  auto it = keys_.find(nexus);
  if (it == keys_.end() || it->second != own) return Scsi::conflict;
  if (hold_ != Hold::none && (holder_ != nexus || hold_ != type)) return Scsi::conflict;
  holder_ = nexus;
  hold_ = type;
  return Scsi::good;
}

Scsi ScsiLun::release(Nexus nexus, ReservationKey own, Hold type) {
  if (attentive(nexus)) return Scsi::attention;
  auto it = keys_.find(nexus);
  if (it == keys_.end() || it->second != own) return Scsi::conflict;
  if (holder_ != nexus || hold_ == Hold::none) return Scsi::good;
  if (hold_ != type) return Scsi::conflict;
  if (type == Hold::write_exclusive_registrants_only)
    for (const auto& [other, key] : keys_)
      if (other != nexus) raise(other);
  holder_ = 0;
  hold_ = Hold::none;
  return Scsi::good;
}

// SPC-4 5.13.11.2.3: the victim's registrations go; the reservation is taken when the victim held it.
Scsi ScsiLun::preempt(Nexus nexus, ReservationKey own, ReservationKey victim, Hold type, bool abort) {
  if (abort && !kind_.preempt_and_abort) return Scsi::unsupported;
  if (attentive(nexus)) return Scsi::attention;
  auto mine = keys_.find(nexus);
  if (mine == keys_.end() || mine->second != own) return Scsi::conflict;
  std::vector<Nexus> found;
  for (const auto& [other, key] : keys_)
    if (key == victim) found.push_back(other);
  if (found.empty()) return Scsi::conflict;
  ++generation_;
  const bool takes = hold_ != Hold::none && std::find(found.begin(), found.end(), holder_) != found.end();
  for (Nexus other : found)
    if (other != nexus) drop(other, abort);
  if (takes) {
    holder_ = nexus;
    hold_ = type;
  }
  return Scsi::good;
}

Scsi ScsiLun::reset(Nexus nexus) {
  flying_.clear();
  for (auto& [other, waiting] : attention_)
    if (other != nexus) waiting = true;
  raise(nexus);
  return Scsi::good;
}

Scsi ScsiLun::read(Nexus nexus, uint64_t offset_bytes, uint64_t size, std::string* out) {
  if (attentive(nexus)) return Scsi::attention;
  if (offset_bytes > bytes_ || size > bytes_ - offset_bytes) return Scsi::out_of_range;
  *out = peek(offset_bytes, size);
  return Scsi::good;
}

Scsi ScsiLun::begin_write(Nexus nexus, uint64_t offset_bytes, std::string data, std::string by,
                          uint64_t* id) {
  if (attentive(nexus)) return Scsi::attention;
  if (!holds(nexus)) return Scsi::conflict;
  if (offset_bytes > bytes_ || data.size() > bytes_ - offset_bytes) return Scsi::out_of_range;
  *id = next_write_++;
  flying_[*id] = Write{*id, nexus, offset_bytes, std::move(data), std::move(by)};
  return Scsi::good;
}

bool ScsiLun::land(uint64_t id, double part) {
  auto it = flying_.find(id);
  if (it == flying_.end()) return false;
  Write write = std::move(it->second);
  flying_.erase(it);
  constexpr size_t sector = 512;
  if (part < 1.0)
    write.data.resize(static_cast<size_t>(static_cast<double>(write.data.size()) * part) / sector * sector);
  poke(write.offset_bytes, write.data);
  if (on_landed) on_landed(write);
  return true;
}

void ScsiLun::misdirect(uint64_t id, uint64_t offset_bytes) {
  auto it = flying_.find(id);
  if (it != flying_.end() && offset_bytes + it->second.data.size() <= bytes_)
    it->second.offset_bytes = offset_bytes;
}

ReservationKey ScsiLun::holder_key() const {
  auto it = keys_.find(holder_);
  return hold_ == Hold::none || it == keys_.end() ? ReservationKey{} : it->second;
}

std::vector<ReservationKey> ScsiLun::keys() const {
  std::vector<ReservationKey> out;
  for (const auto& [nexus, key] : keys_) out.push_back(key);
  return out;
}

void ScsiLun::restart(const Image* image, bool writes_survive) {
  if (!writes_survive) flying_.clear();
  keys_ = image ? image->keys : std::map<Nexus, ReservationKey>{};
  holder_ = image ? image->holder : 0;
  hold_ = image ? image->hold : Hold::none;
  generation_ = 0;
  for (auto& [nexus, waiting] : attention_) waiting = true;
}

void ScsiLun::poke(uint64_t offset_bytes, const std::string& data) {
  memcpy(medium_.get() + offset_bytes, data.data(), data.size());
}

std::string ScsiLun::peek(uint64_t offset_bytes, uint64_t size) const {
  return std::string(medium_.get() + offset_bytes, size);
}

}  // namespace holdfast::sim
