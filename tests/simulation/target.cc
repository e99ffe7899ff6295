#include "simulation/target.h"

#include <algorithm>
#include <utility>

namespace holdfast::sim {

Target::Target(Scheduler& time, uint64_t seed, uint64_t bytes, TargetKind kind)
    : lun(bytes, kind), time_(time), random_(seed) {}

Duration Target::way() {
  if (faults.slow_permille > 0 && random_.below(1000) < static_cast<uint64_t>(faults.slow_permille))
    return Duration{static_cast<int64_t>(random_.below(static_cast<uint64_t>(faults.slow_max.ns)))};
  return faults.latency_min + Duration{static_cast<int64_t>(random_.below(
                                  static_cast<uint64_t>((faults.latency_max - faults.latency_min).ns) + 1))};
}

Duration Target::landing() {
  if (faults.late_permille > 0 && random_.below(1000) < static_cast<uint64_t>(faults.late_permille))
    return Duration{static_cast<int64_t>(random_.below(static_cast<uint64_t>(faults.late_max.ns)))};
  if (faults.slow_permille > 0 && random_.below(1000) < static_cast<uint64_t>(faults.slow_permille))
    return Duration{static_cast<int64_t>(random_.below(static_cast<uint64_t>(faults.slow_max.ns)))};
  return faults.landing_min + Duration{static_cast<int64_t>(random_.below(
                                  static_cast<uint64_t>((faults.landing_max - faults.landing_min).ns) + 1))};
}

bool Target::land(uint64_t write) {
  if (std::exchange(faults.lose_next, false)) return lun.lose(write);
  if (std::exchange(faults.misdirect_next, false)) {
    constexpr uint64_t block = 4096;
    lun.misdirect(write, random_.below(random_.chance(50) ? 32 : lun.bytes() / block - 32) * block);
  }
  return lun.land(write);
}

void Target::rot() {
  static constexpr uint64_t starts[] = {0, 64 * 1024, 64 * 1024 + 20 * 1024 * 1024};  // head, checkpoint, log
  const uint64_t at = starts[random_.below(3)] + random_.below(12 * 1024);
  std::string byte = lun.peek(at, 1);
  byte[0] = static_cast<char>(byte[0] ^ (1 << random_.below(8)));
  lun.poke(at, byte);
}

void Target::arrive(std::function<void()> command) {
  if (frozen_)
    waiting_.push_back(std::move(command));
  else
    command();
}

void Target::thaw() {
  frozen_ = false;
  for (auto& command : std::exchange(waiting_, {})) command();
}

void Target::restart(Memory memory, bool writes_survive) {
  ++boots_;
  frozen_ = false;
  waiting_.clear();
  // What was on its way to the medium may be there in part.
  for (uint64_t id : lun.flying())
    if (!writes_survive && random_.chance(30)) lun.land(id, static_cast<double>(random_.below(9)) / 8);
  const ScsiLun::Image now = lun.image();
  const ScsiLun::Image* image = memory == Memory::kept ? &now : memory == Memory::stale ? &stale_ : nullptr;
  lun.restart(image, writes_survive);
}

// Everybody who waits is told that the session is gone.
void Session::close() {
  if (!life_) return;
  auto life = std::exchange(life_, nullptr);
  auto waiting = std::exchange(life->waiting, {});
  life.reset();
  for (auto& [call, done] : waiting)
    target_.time().after(Duration{0}, [done = std::move(done)] { done({}); });
}

void Session::abandon() {
  if (life_) life_->waiting.clear();
  life_.reset();
}

void Session::login(Duration limit, Done done) {
  close();
  life_ = std::make_shared<Life>();
  life_->session = this;
  life_->boot = target_.boots();
  ++connections_->begun;
  connections_->last = {};
  if (nexus_ == 0 || !target_.lun.kind().same_nexus) nexus_ = target_.new_nexus();
  transmit(
      [&target = target_, nexus = nexus_](const Ticket& ticket) {
        auto life = ticket.life.lock();
        if (!life) return;  // nobody is there to log in any more
        life->boot = target.boots();
        target.lun.login(nexus);
        answer(ticket, Scsi::good);
      },
      limit, std::move(done));
}

void Session::send(std::function<Scsi(ScsiLun&, Nexus)> command, Duration limit, Done done) {
  if (!life_) return done({});
  transmit(
      [&target = target_, nexus = nexus_, boot = life_->boot,
       command = std::move(command)](const Ticket& ticket) {
        if (boot != target.boots()) return lose(ticket);
        answer(ticket, command(target.lun, nexus));
      },
      limit, std::move(done));
}

void Session::write(uint64_t offset_bytes, std::string data, std::string by, Duration limit, Done done) {
  if (!life_) return done({});
  transmit(
      [&target = target_, nexus = nexus_, boot = life_->boot, offset_bytes, data = std::move(data),
       by = std::move(by)](const Ticket& ticket) {
        if (boot != target.boots()) return lose(ticket);
        uint64_t id = 0;
        const Scsi status = target.lun.begin_write(nexus, offset_bytes, data, by, &id);
        if (status != Scsi::good) return answer(ticket, status);
        target.time().after(target.landing(), [&target, boot, id, ticket] {
          target.arrive([&target, boot, id, ticket] {
            // Aborted, or gone with a restart: nobody is told.
            const bool landed = target.land(id);
            if (landed && boot == target.boots()) answer(ticket, Scsi::good);
          });
        });
      },
      limit, std::move(done));
}

void Session::transmit(std::function<void(const Ticket&)> at_target, Duration limit, Done done) {
  Target& target = target_;
  const Ticket ticket{life_, ++calls_};
  life_->waiting[ticket.call] = std::move(done);
  connections_->last = std::max(target.time().now() + target.way(), connections_->last);
  target.time().after(connections_->last - target.time().now(),
                      [&target, node = node_, ticket, connections = connections_, login = connections_->begun,
                       at_target = std::move(at_target)] {
                        if (!target.reaches(node) || login < connections->arrived) return;
                        connections->arrived = login;
                        target.arrive([&target, ticket, at_target] {
                          // Sent and given up: as often as not the target has it in its queue already.
                          if (ticket.life.expired() && target.random().chance(50)) return;
                          at_target(ticket);
                        });
                      });
  target.time().after(limit, [ticket] {
    auto life = ticket.life.lock();
    if (life && life->waiting.count(ticket.call)) life->session->close();
  });
}

// The target does not know the session: the connection is reset.
void Session::lose(const Ticket& ticket) {
  auto life = ticket.life.lock();
  if (!life) return;
  Target& target = life->session->target_;
  target.time().after(target.way(), [ticket] {
    if (auto alive = ticket.life.lock()) alive->session->close();
  });
}

void Session::answer(const Ticket& ticket, Scsi status) {
  auto life = ticket.life.lock();
  if (!life) return;
  Target& target = life->session->target_;
  if (target.faults.lost_answer_permille > 0 &&
      target.random().below(1000) < static_cast<uint64_t>(target.faults.lost_answer_permille))
    return;
  target.time().after(target.way(), [ticket, boot = target.boots(), status] {
    auto alive = ticket.life.lock();
    if (!alive || boot != alive->session->target_.boots()) return;
    if (!alive->session->target_.reaches(alive->session->node_)) return;
    auto it = alive->waiting.find(ticket.call);
    if (it == alive->waiting.end()) return;
    Done done = std::move(it->second);
    alive->waiting.erase(it);
    alive.reset();
    done({true, status});
  });
}

}  // namespace holdfast::sim
