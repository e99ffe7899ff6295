// The replay window against the plainest model: a set of all counters ever seen.
#include <set>

#include "adapters/transport/datagram.h"
#include "input.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using holdfast::transport::ReplayWindow;
  holdfast::fuzz::Input in(data, size);
  ReplayWindow window;
  std::set<uint64_t> seen;
  uint64_t top = 0;
  while (!in.done()) {
    uint64_t counter = in.any();
    switch (in.below(4)) {
      case 0:  // near the newest
        counter = top + counter % 8 + 1;
        break;
      case 1:  // near the end of the window
        counter = top > ReplayWindow::size ? top - ReplayWindow::size + counter % 8 : counter;
        break;
      case 2:  // somewhere within it
        counter = top - std::min(top, counter % (ReplayWindow::size + 4));
        break;
      default:
        break;
    }
    if (counter == 0) continue;  // the header's decoder refuses it
    const bool too_old = counter <= top && top - counter >= ReplayWindow::size;
    HOLDFAST_ASSERT(window.is_new(counter) == (!too_old && !seen.count(counter)));
    if (!window.is_new(counter)) continue;
    window.mark(counter);
    seen.insert(counter);
    top = std::max(top, counter);
  }
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  Recipe in_order, jumps;
  for (int i = 0; i < 20; ++i) in_order.any(1).byte(0);
  for (int i = 0; i < 20; ++i) jumps.any(1000 * i).byte(3).any(5).byte(1).any(17).byte(2);
  return {in_order.done(), jumps.done(), Recipe().byte(0xa0).byte(3).any(3).byte(1).any(3).byte(2).done()};
}

}  // namespace holdfast::fuzz
