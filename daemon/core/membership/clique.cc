#include "core/membership/clique.h"

namespace holdfast::core {
namespace {

struct Search {
  const Links& links;
  NodeSet reaching;
  NodeId owner;
  NodeSet best;
  int steps_left =
      200'000;  // 16 nodes need at most 3^(16/3) = 351 maximal sets; this bounds 64 nodes to milliseconds

  NodeSet neighbours(NodeId id) const { return links[id.value - 1] - NodeSet::of(id); }

  bool better(NodeSet a, NodeSet b) const {
    if (a.size() != b.size()) return a.size() > b.size();
    bool reach_a = !(a & reaching).empty(), reach_b = !(b & reaching).empty();
    if (reach_a != reach_b) return reach_a;
    if (a.contains(owner) != b.contains(owner)) return a.contains(owner);
    NodeSet differ((a.bits() ^ b.bits()));
    return !differ.empty() && a.contains(differ.lowest());
  }

  // Bron-Kerbosch with a pivot, bounded.
  void grow(NodeSet chosen, NodeSet open, NodeSet closed) {
    if (--steps_left < 0) return;
    if (open.empty()) {
      if (closed.empty() && better(chosen, best)) best = chosen;
      return;
    }
    if (chosen.size() + open.size() < best.size()) return;
    NodeId pivot{0};
    int reach = -1;
    for (NodeId id : open | closed) {
      int n = (neighbours(id) & open).size();
      if (n > reach) reach = n, pivot = id;
    }
    for (NodeId id : open - neighbours(pivot)) {
      NodeSet next = chosen;
      next.add(id);
      grow(next, open & neighbours(id), closed & neighbours(id));
      open.remove(id);
      closed.add(id);
    }
  }
};

}  // namespace

NodeSet largest_connected_set(NodeSet candidates, const Links& heard, NodeSet reaching, NodeId owner) {
  Links both{};
  for (NodeId a : candidates)
    for (NodeId b : candidates)
      if (a != b && heard[a.value - 1].contains(b) && heard[b.value - 1].contains(a))
        both[a.value - 1].add(b);
  Search search{both, reaching, owner, {}};
  search.grow({}, candidates, {});
  if (search.best.empty() && !candidates.empty()) search.best = NodeSet::of(candidates.lowest());
  return search.best;
}

}  // namespace holdfast::core
