// Conformance: the epoch compare-and-set of the quorum. The reservation names (epoch, holder); the holder
// re-keys, challengers preempt the expected key, and in every round exactly one of them wins.
#include <atomic>
#include <barrier>
#include <thread>

#include "iscsi/tests/conformance_fixture.h"

namespace holdfast::scsi {
namespace {

constexpr int rounds = 200;

class RaceTest : public LunTest {};

// What one node does in one round; true when the reservation read back afterwards shows its key.
bool compete(Lun& lun, ReservationKey mine, ReservationKey next, ReservationKey expected, bool holder,
             bool& status_ok) {
  if (holder) {
    status_ok = lun.register_key(expected, next, soon).has_value();
  } else {
    status_ok = lun.register_ignore(next, soon).has_value() &&
                lun.preempt(next, expected, type_1, false, soon).has_value();
  }
  (void)mine;
  auto seen = lun.read_reservation(soon);
  return seen && seen->key == next;
}

// `holder_defends`: the holder re-keys against two challengers; else three challengers race for a silent
// one's key.
void run_race(std::vector<std::unique_ptr<Lun>>& luns, bool holder_defends) {
  const size_t count = luns.size();
  size_t holder = 0;
  uint64_t epoch = 1;
  auto key = [&](uint64_t e, size_t i) { return key_of(e, i + 1); };
  ASSERT_OK(luns[0]->register_ignore(key(epoch, 0), soon));
  ASSERT_OK(luns[0]->reserve(key(epoch, 0), type_1, soon));
  for (int round = 0; round < rounds; ++round) {
    ReservationKey expected = key(epoch, holder);
    std::barrier start(static_cast<ptrdiff_t>(count));
    std::vector<char> won(count), status_ok(count);
    std::vector<std::thread> nodes;
    for (size_t i = 0; i < count; ++i)
      nodes.emplace_back([&, i] {
        start.arrive_and_wait();
        if (i == holder && !holder_defends) return;
        bool ok = false;
        won[i] = compete(*luns[i], key(epoch, i), key(epoch + 1, i), expected, i == holder, ok);
        status_ok[i] = ok;
      });
    for (std::thread& node : nodes) node.join();
    size_t winners = 0, winner = 0;
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(won[i], status_ok[i]) << "round " << round << ": status and reservation disagree at " << i;
      if (won[i] != 0) {
        ++winners;
        winner = i;
      }
    }
    ASSERT_EQ(winners, 1u) << "round " << round;
    // The winner sweeps the losers' registrations, as the quorum does.
    for (size_t i = 0; i < count; ++i)
      if (i != winner)
        (void)luns[winner]->preempt(key(epoch + 1, winner), key(epoch + 1, i), type_1, false, soon);
    holder = winner;
    ++epoch;
  }
}

TEST_F(RaceTest, HolderAgainstTwoChallengers) {
  if (!has_initiators(3)) GTEST_SKIP() << "needs three initiators";
  std::vector<std::unique_ptr<Lun>> luns;
  for (int node = 1; node <= 3; ++node) luns.push_back(connect(node));
  run_race(luns, true);
}

TEST_F(RaceTest, TwoChallengersAgainstASilentHolder) {
  if (!has_initiators(3)) GTEST_SKIP() << "needs three initiators";
  std::vector<std::unique_ptr<Lun>> luns;
  for (int node = 1; node <= 3; ++node) luns.push_back(connect(node));
  run_race(luns, false);
}

}  // namespace
}  // namespace holdfast::scsi
