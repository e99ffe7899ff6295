// FakeLun: a LUN with SCSI-3 reservations in memory, for unit tests of the core. Several nexuses may use it;
// each is a number. Only what the core orders is modelled: type 1 reservations, unit attentions matter only
// to writes (the adapter repeats everything else).
#pragma once

#include <cstring>
#include <map>
#include <set>
#include <string>

#include "core/quorum/lun_op.h"

namespace holdfast::core::testing {

class FakeLun {
 public:
  explicit FakeLun(uint64_t bytes) : data(bytes, '\0') {}

  std::string data;
  std::map<int, ReservationKey> keys;  // by nexus
  int holder = 0;                      // nexus, 0 = none
  bool reachable = true;
  bool has_preempt_and_abort = false;

  void forget_reservations() {
    for (const auto& [nexus, key] : keys) shaken.insert(nexus);
    keys.clear();
    holder = 0;
  }
  std::set<int> shaken;  // nexuses with a unit attention that tells of a lost reservation

  // A new session of a client gives up the old nexus (its registration stays: a dead twin, as tgtd does).
  LunResult execute(int nexus, const LunOp& op) {
    LunResult r = execute_one(nexus, op);
    if (op.then_read_reservation) then_read_reservation(nexus, r);
    return r;
  }

  // The second half of such an operation, for a test that puts something between the two.
  void then_read_reservation(int nexus, LunResult& r) {
    if (r.session_lost()) return;
    LunOp op;
    op.kind = LunOp::Kind::read_reservation;
    auto held = execute_one(nexus, op);
    r.holder = held.holder;
    r.holder_known = held.holder_known;
    if (held.ok()) return;
    r.code = held.code;
    r.message = held.message;
  }

 private:
  LunResult execute_one(int nexus, const LunOp& op) {
    LunResult r;
    r.token = op.token;
    if (!reachable) {
      r.code = op.kind == LunOp::Kind::open ? ErrorCode::unreachable : ErrorCode::timeout;
      r.message = "the LUN does not answer";
      return r;
    }
    auto conflict = [&] {
      r.code = ErrorCode::conflict;
      r.message = "reservation conflict";
    };
    switch (op.kind) {
      case LunOp::Kind::open:
        shaken.erase(nexus);
        r.lun_bytes = data.size();
        r.preempt_and_abort = has_preempt_and_abort;
        break;
      case LunOp::Kind::close:
        break;
      case LunOp::Kind::lun_reset:
        for (const auto& [n, key] : keys) shaken.insert(n);
        break;
      case LunOp::Kind::register_key:
        if (!keys.count(nexus) || keys[nexus] != op.own) return conflict(), r;
        set_key(nexus, op.other);
        break;
      case LunOp::Kind::register_ignore:
        set_key(nexus, op.own);
        break;
      case LunOp::Kind::reserve:
        if (!keys.count(nexus) || (holder != 0 && holder != nexus)) return conflict(), r;
        holder = nexus;
        break;
      case LunOp::Kind::release:
        if (holder == nexus) holder = 0;
        break;
      case LunOp::Kind::preempt: {
        if (!keys.count(nexus) || keys[nexus] != op.own) return conflict(), r;
        bool found = false;
        bool took = holder != 0 && keys[holder] == op.other;
        for (auto it = keys.begin(); it != keys.end();) {
          if (it->second == op.other) {
            found = true;
            if (it->first != nexus) {
              shaken.insert(it->first);
              it = keys.erase(it);
              continue;
            }
          }
          ++it;
        }
        if (!found) return conflict(), r;
        if (took) holder = nexus;
        break;
      }
      case LunOp::Kind::read_keys:
        for (auto& [n, key] : keys) r.keys.push_back(key);
        break;
      case LunOp::Kind::read_reservation:
        shaken.erase(nexus);
        r.holder = holder ? keys[holder] : ReservationKey{};
        r.write_exclusive = holder != 0;
        r.holder_known = true;
        break;
      case LunOp::Kind::read:
        if (op.offset_bytes + op.size_bytes > data.size()) {
          r.code = ErrorCode::invalid_argument;
          break;
        }
        r.data = data.substr(op.offset_bytes, op.size_bytes);
        break;
      case LunOp::Kind::write:
        if (shaken.count(nexus)) {
          r.code = ErrorCode::unit_attention;
          r.message = "the LUN was reset or its reservations were taken: nothing was written";
          return r;
        }
        if (holder != 0 && holder != nexus) return conflict(), r;
        if (op.offset_bytes + op.data.size() > data.size()) {
          r.code = ErrorCode::invalid_argument;
          break;
        }
        memcpy(data.data() + op.offset_bytes, op.data.data(), op.data.size());
        break;
    }
    return r;
  }

  void set_key(int nexus, ReservationKey key) {
    if (key.is_none()) {
      keys.erase(nexus);
      if (holder == nexus) holder = 0;
    } else {
      keys[nexus] = key;
    }
  }
};

}  // namespace holdfast::core::testing
