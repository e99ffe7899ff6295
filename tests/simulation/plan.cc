#include "simulation/plan.h"

#include <algorithm>

namespace holdfast::sim {
namespace {

// Weights of what may happen; each history scales them by itself, so that some know only one kind of fault.
enum class Kind : uint8_t { process, machine, network, target, resource, administrator, update, last };

class Author {
 public:
  Author(uint64_t seed, int nodes) : random_(seed ^ 0x5eedULL) {
    plan_.world.seed = seed;
    plan_.world.nodes = nodes > 0 ? nodes : pick_nodes();
    plan_.world.networks = 1 + static_cast<int>(random_.below(2));
    plan_.world.disks = 1 + static_cast<int>(random_.below(2));
    plan_.world.kind.preempt_and_abort = random_.chance(50);
    plan_.world.kind.same_nexus = random_.chance(50);
    plan_.world.kind.persistent = random_.chance(50);
    n_ = plan_.world.nodes;
    if (n_ > 2 && random_.chance(20)) plan_.world.spares = 1;
    damages_ = random_.chance(8);
    plan_.world.gates = random_.chance(60);
  }

  Plan write() {
    at_ = 0;
    for (int id = 1; id <= n_ - plan_.world.spares; ++id) add("start " + node(id));
    at_ = 4000;
    for (int d = 1; d <= plan_.world.disks; ++d) make_group(d);
    for (auto& w : weight_) w = random_.chance(60) ? random_.below(10) : 0;
    weight_[static_cast<size_t>(Kind::update)] = 3 + random_.below(10);
    const uint64_t pause_ms = 50 + random_.below(random_.chance(50) ? 400 : 3000);
    if (random_.chance(40)) add("loss " + below(20) + " " + below(6) + " " + below(10));
    if (random_.chance(30)) add("lun-faults quorum " + below(10) + " " + below(10));
    for (int id = 1; id <= n_; ++id)
      if (random_.chance(50))
        add("drift " + node(id) + " " + std::to_string(static_cast<int64_t>(random_.below(800)) - 400));
    if (random_.chance(15))
      add("resources " + below(60) + " " + below(100) + " " + below(20) + " " + below(10));
    if (random_.chance(4)) flood();
    if (random_.chance(12)) curious();
    if (random_.chance(25)) longer_lease();
    if (random_.chance(45)) {
      const int64_t begun = at_;
      at_ += static_cast<int64_t>(random_.below(15'000));
      scene();
      at_ = begun;
    }
    while (at_ < plan_.length_ms) {
      at_ += 1 + static_cast<int64_t>(random_.below(2 * pause_ms));
      something();
    }
    std::stable_sort(plan_.steps.begin(), plan_.steps.end(),
                     [](const PlanStep& a, const PlanStep& b) { return a.at_ms < b.at_ms; });
    return std::move(plan_);
  }

 private:
  int pick_nodes() {
    const uint64_t dice = random_.below(100);
    return dice < 62   ? 3
           : dice < 80 ? 2
           : dice < 93 ? 4
           : dice < 98 ? 5
                       : 6 + static_cast<int>(random_.below(3));
  }
  std::string below(uint64_t n) { return std::to_string(random_.below(n)); }
  static std::string node(int id) { return std::to_string(id); }
  int any() { return 1 + static_cast<int>(random_.below(static_cast<uint64_t>(n_))); }
  void add(std::string what, int64_t later_ms = 0) {
    plan_.steps.push_back({at_ + later_ms, std::move(what)});
  }
  std::string group() {
    return "g" + std::to_string(1 + random_.below(static_cast<uint64_t>(plan_.world.disks)));
  }
  int64_t span() { return static_cast<int64_t>(random_.below(random_.chance(70) ? 3000 : 15000)); }

  void make_group(int d) {
    const std::string n = std::to_string(d);
    auto command = [&](const std::string& text) {
      add("command 1 " + text);
      at_ += 60;
    };
    command("GROUP_CREATE g" + n + " -");
    command("RESOURCE_CREATE disk" + n + " - Group=g" + n + " Type=physical-disk Device=naa.600" + n);
    command("RESOURCE_CREATE fs" + n + " - Group=g" + n + " Type=filesystem MountPoint=/srv/" + n +
            " Dependencies=disk" + n);
    command("RESOURCE_CREATE ip" + n + " - Group=g" + n + " Type=ip-address Address=10.0.9." + n +
            " PrefixLength=24");
    command("RESOURCE_CREATE app" + n + " - Group=g" + n +
            " Type=generic-program CommandLine=/bin/app Dependencies=fs" + n + ",ip" + n);
    command("GROUP_ONLINE g" + n + " -");
  }

  void something() {
    uint64_t sum = 0;
    for (uint64_t w : weight_) sum += w;
    uint64_t dice = random_.below(sum);
    size_t kind = 0;
    while (dice >= weight_[kind]) dice -= weight_[kind++];
    switch (static_cast<Kind>(kind)) {
      case Kind::process:
        return process();
      case Kind::machine:
        return machine();
      case Kind::network:
        return network();
      case Kind::target:
        return target();
      case Kind::resource:
        return resource();
      case Kind::administrator:
        return administrator();
      default:
        return add("update " + node(any()));
    }
  }

  void process() {
    const std::string id = node(any());
    switch (random_.below(8)) {
      case 6:
        return add("stop-monitor " + id + " " + std::to_string(span() / 2));
      case 0:
        add("kill " + id);
        return add("start " + id, span());
      case 1:
        add("kill-all " + id);
        return add("start " + id, span());
      case 2:
        return add("kill-monitor " + id);
      case 3:
        return add("stop " + id + " " + std::to_string(span() / 2));
      case 4:
        return add("starve " + id + " " + below(2000));
      case 5:
        add("die-after " + id + " " + below(40));
        return add("start " + id, span());
      default:
        return add("start " + id);
    }
  }

  void machine() {
    const std::string id = node(any());
    switch (random_.below(4)) {
      case 0: {
        add("power-off " + id);
        const int64_t dark = span();
        add("power-on " + id, dark);
        if (random_.chance(30)) add("forget " + id, dark + 1);
        return add("start " + id, dark + 2 + static_cast<int64_t>(random_.below(1000)));
      }
      case 1:
        return add("pause " + id + " " + std::to_string(span() / 2));
      case 2:
        return add("drift " + id + " " + std::to_string(static_cast<int64_t>(random_.below(800)) - 400));
      default:
        return add("wall " + id + " " +
                   std::to_string(static_cast<int64_t>(random_.below(7'200'000)) - 3'600'000));
    }
  }

  void network() {
    const int a = any(), b = any();
    const std::string pair = node(a) + " " + node(b);
    switch (random_.below(7)) {
      case 5:
        return add(a == b ? "heal-network" : "replay " + pair);
      case 0: {
        std::string parts[2];
        for (int id = 1; id <= n_; ++id) {
          auto& part = parts[random_.below(2)];
          part += (part.empty() ? "" : ",") + node(id);
        }
        add("partition " + parts[0] + "|" + parts[1]);
        return add("heal-network", span());
      }
      case 1:
        add("cut " + pair + " all");
        return add("mend " + pair + " all", span());
      case 2:
        add("cut " + pair + " 0");
        return add("mend " + pair + " 0", span());
      case 3:
        return add("clog " + pair + " " + below(2000));
      case 4:
        if (a == b) return add("heal-network");
        return add("reset-session " + pair);
      default:
        return add("delay " + pair + " " + std::to_string(100 + random_.below(40'000)));
    }
  }

  void target() {
    const std::string which =
        random_.chance(70) ? "quorum"
                           : std::to_string(1 + random_.below(static_cast<uint64_t>(plan_.world.disks)));
    if (damages_) {
      static constexpr const char* kinds[] = {"rot", "lose", "misdirect"};
      damages_ = false;
      return add("damage quorum " + std::string(kinds[random_.below(3)]));
    }
    switch (random_.below(5)) {
      case 4: {  // the owner disappears while writes of its are still to land
        add("lun-faults " + which + " " + below(40) + " 0 " + std::to_string(200 + random_.below(800)));
        const std::string id = node(any());
        add((random_.chance(50) ? "power-off " : "pause ") + id + " 6000",
            20 + static_cast<int64_t>(random_.below(400)));
        add("power-on " + id, 7000);
        add("start " + id, 7100);
        return add("lun-faults " + which + " 0 0 0", 8000);
      }
      case 0:
        return add("freeze " + which + " " + std::to_string(span()));
      case 1: {
        const char* memory =
            plan_.world.kind.persistent ? (random_.chance(70) ? "kept" : "stale") : "forgotten";
        return add("restart-target " + which + " " + memory);
      }
      case 2: {
        const std::string id = node(any());
        add("lun-cut " + which + " " + id);
        return add("lun-mend " + which + " " + id, span());
      }
      default:
        add("lun-faults " + which + " " + below(20) + " " + below(20) + " " +
            below(random_.chance(50) ? 2 : 300));
        return add("lun-faults " + which + " 0 0 0", span());
    }
  }

  void resource() { add("break " + node(any()) + " " + below(8)); }

  // So much that the log wraps and checkpoints are taken, in the middle of everything else.
  void flood() {
    const int64_t later = static_cast<int64_t>(random_.below(40'000));
    for (int64_t part = 0; part < 4; ++part)
      add("flood " + node(any()) + " " + std::to_string(20 + random_.below(60)) + " 60000",
          later + part * 1500);
  }

  // The wait for the lease of a removed node becomes long, and groups come back to whom they prefer.
  void longer_lease() {
    add("command 1 CLUSTER_SET - - LeaseMarginMs=" + std::to_string(500 + random_.below(2500)));
    for (int d = 1; d <= plan_.world.disks; ++d)
      add("command 1 GROUP_SET g" + std::to_string(d) + " - AutoFailbackType=1 PreferredOwners=n" +
          node(any()) +
          (random_.chance(40) ? " FailbackWindowStart=" + below(24) + " FailbackWindowEnd=" + below(24)
                              : ""));
  }

  // Several faults in an order that asks one question of the protocol. Fate alone finds it rarely; here it
  // has the timing left, and everything else that goes on.
  void scene() {
    const int who = any(), other = who % n_ + 1;
    switch (random_.below(8)) {
      case 0:
        return old_echoes(who);
      case 1:
        return latecomer(who, other);
      case 2:
        return sleeper(who);
      case 3:
        return cold_partition();
      case 4:
        return slow_mover(who);
      case 5:
        return lost_record();
      case 6:
        return amnesia(who);
      default:
        return orphans(who);
    }
  }
  int64_t within(uint64_t ms) { return static_cast<int64_t>(random_.below(ms)); }
  void cut_off(int who, int64_t later_ms) {
    for (int id = 1; id <= n_; ++id) {
      if (id == who) continue;
      add("cut " + node(who) + " " + node(id) + " all", later_ms);
      add("cut " + node(id) + " " + node(who) + " all", later_ms);
    }
  }
  std::string quorum_or_disk() { return random_.chance(50) ? "quorum" : "1"; }

  // A node is no longer heard, and what the others said before arrives late: how old is its lease?
  void old_echoes(int who) {
    const int64_t late = 100 + within(1400);
    for (int id = 1; id <= n_; ++id) {
      if (id == who) continue;
      add("clog " + node(id) + " " + node(who) + " " + std::to_string(late));
      add("cut " + node(who) + " " + node(id) + " all", within(200));
      add("cut " + node(id) + " " + node(who) + " all", late);
    }
    add("heal-network", late + 3000 + within(4000));
  }

  // A node joins just after another was removed, and gets what that one may still run.
  void latecomer(int who, int removed) {
    add("kill-all " + node(who));
    add("command " + node(removed % n_ + 1) + " GROUP_SET " + group() +
            " - AutoFailbackType=1 PreferredOwners=n" + node(who),
        100);
    cut_off(removed, 1500 + within(1000));
    add("start " + node(who), 1500 + within(2500));
    add("heal-network", 8000);
  }

  // The last member sleeps until the others have formed without it, and wakes up where it does not hear them.
  void sleeper(int who) {
    const int64_t asleep = 23'500 + within(6000);  // its beacon has to stand still for 21.3 s
    for (int id = 1; id <= n_; ++id)
      if (id != who) add("kill-all " + node(id), 300 + within(500));
    cut_off(who, 3000);
    add("pause " + node(who) + " " + std::to_string(asleep), 3500 + within(300));
    for (int id = 1; id <= n_; ++id)
      if (id != who) add("start " + node(id), 3600 + within(400));
    add("heal-network", 3500 + asleep + 3000);
  }

  // Everybody starts and is on its own when one has just formed; the others reach the LUN a moment later.
  void cold_partition() {
    const int64_t at = 2000 + within(500);
    const int first = random_.chance(70) ? n_ : any();
    for (int id = 1; id <= n_; ++id) {
      add("kill-all " + node(id));
      if (id != first) {
        add("lun-cut quorum " + node(id));
        add("lun-mend quorum " + node(id), at + within(900));
      }
      add("start " + node(id), 300 + within(100));
    }
    for (int id = 1; id <= n_; ++id) cut_off(id, at);
    add("heal-network", at + 5000);
  }

  // A node that is to take a disk stands still between two of its commands, while another one takes it.
  void slow_mover(int who) {
    add("lun-faults 1 0 900");
    add("command " + node(any()) + " GROUP_MOVE g1 n" + node(who));
    const int64_t at = 200 + within(3000);
    add("pause " + node(who) + " " + std::to_string(3000 + within(5000)), at);
    add("lun-faults 1 0 0", at);
  }

  // A record of the log was never written, the one behind it was; everybody dies, twice.
  void lost_record() {
    damages_ = false;
    for (int64_t i = 0; i < 60; ++i) add("update " + node(any()), i * 5);
    add("damage quorum lose", within(60));
    for (int64_t at : {310, 4800})
      for (int id = 1; id <= n_; ++id) {
        add("kill-all " + node(id), at + within(40));
        add("start " + node(id), at + 300);
      }
  }

  // The target forgets who may write, and puts down what was under way, while its owner is cut off.
  void amnesia(int who) {
    const std::string which = quorum_or_disk();
    add("lun-faults " + which + " 0 0 " + std::to_string(300 + random_.below(700)));
    for (int64_t i = 0; i < 8; ++i) add("update " + node(who), 100 + i * 150);
    cut_off(who, within(1000));
    add("restart-target " + which + (random_.chance(70) ? " forgotten" : " kept") + " writes",
        200 + within(2500));
    add("lun-faults " + which + " 0 0 0", 3000);
    add("heal-network", 6000 + within(3000));
  }

  // An update is with some of the members when its owner dies.
  void orphans(int who) {
    add("clog " + node(who) + " " + node(who % n_ + 1) + " 1500");
    if (random_.chance(50)) add("lun-faults quorum 0 800");
    for (int64_t i = 0; i < 6; ++i) add("update " + node(any()), i * 20);
    add((random_.chance(50) ? "kill-all " : "power-off ") + node(who), 40 + within(150));
    add("lun-faults quorum 0 0", 600);
    add("power-on " + node(who), 4000);
    add("start " + node(who), 4100);
  }

  // Somebody tries everything that the API has.
  void curious() {
    for (int64_t at = at_; at < plan_.length_ms; at += 100 + static_cast<int64_t>(random_.below(400)))
      plan_.steps.push_back({at, "ask " + node(any()) + " " + std::to_string(1 + random_.below(6)) + " " +
                                     std::to_string(random_.below(1'000'000))});
  }

  // The composition of the cluster changes.
  void enrol_or_evict() {
    if (plan_.world.spares == 1 && random_.chance(60)) {
      const std::string spare = node(n_);
      add("enroll " + node(any()) + " " + spare);
      return add("start " + spare, static_cast<int64_t>(random_.below(2000)));
    }
    if (n_ - plan_.world.spares > 2) add("command " + node(any()) + " NODE_EVICT n" + node(any()) + " -");
  }

  // A group that comes and goes, and settings that change.
  void reconfigure(const std::string& at) {
    switch (random_.below(7)) {
      case 0:
        return add("command " + at + " GROUP_CREATE tmp -");
      case 1:
        return add("command " + at +
                   " RESOURCE_CREATE tmpip - Group=tmp Type=ip-address Address=10.0.9.9 PrefixLength=24");
      case 2:
        return add("command " + at + " GROUP_ONLINE tmp -");
      case 3:
        return add("command " + at + " RESOURCE_DELETE tmpip -");
      case 4:
        return add("command " + at + " GROUP_DELETE tmp -");
      case 5:
        return add("command " + at + " GROUP_SET " + group() + " - PreferredOwners=n" + node(any()));
      default:
        return add("command " + at + " RESOURCE_SET ip1 - RestartThreshold=" + below(4));
    }
  }

  void administrator() {
    const std::string at = node(any()), n = "n" + node(any());
    switch (random_.below(13)) {
      case 8:
        return enrol_or_evict();
      case 9:
      case 10:
        return reconfigure(at);
      case 11: {
        static constexpr const char* settings[] = {"LeaseMarginMs=100",      "LeaseMarginMs=500",
                                                   "QuorumStallMaxMs=5000",  "QuorumStallMaxMs=20000",
                                                   "UpdateTimeoutMs=1000",   "HeartbeatIntervalMs=50",
                                                   "HeartbeatIntervalMs=100"};
        return add("command " + at + " CLUSTER_SET - - " + settings[random_.below(7)]);
      }
      case 0:
      case 1:
        return add("command " + at + " GROUP_MOVE " + group() + " -");
      case 2:
        return add("command " + at + " GROUP_MOVE " + group() + " " + n);
      case 3: {
        const std::string g = group();
        add("command " + at + " GROUP_OFFLINE " + g + " -");
        return add("command " + node(any()) + " GROUP_ONLINE " + g + " -", span());
      }
      case 4:
        add("command " + at + " NODE_PAUSE " + n + " - Drain=" + below(2));
        return add("command " + node(any()) + " NODE_RESUME " + n + " -", span());
      case 5:
        add("shutdown " + at);
        return add("start " + at, 2000 + span());
      case 6: {
        static constexpr const char* timeouts[] = {"300", "1000", "3000"};
        return add("command " + at + " CLUSTER_SET - - HeartbeatTimeoutMs=" + timeouts[random_.below(3)]);
      }
      case 7:
        return add("command " + at + " QUORUM_MOVE - " + n);
      default:
        return add("command " + at + " RESOURCE_FAIL ip1 -");
    }
  }

  Random random_;
  Plan plan_;
  int n_ = 3;
  int64_t at_ = 0;
  bool damages_ = false;  // the medium of the quorum LUN fails once
  uint64_t weight_[static_cast<size_t>(Kind::last)] = {};
};

}  // namespace

Plan random_plan(uint64_t seed, int nodes) {
  return Author(seed, nodes).write();
}

std::string to_text(const Plan& plan) {
  std::string out;
  for (const auto& step : plan.steps) out += std::to_string(step.at_ms) + " " + step.what + "\n";
  return out;
}

}  // namespace holdfast::sim
