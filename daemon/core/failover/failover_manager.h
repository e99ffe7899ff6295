// FailoverManager (M7, M8): groups, resources and their moves. The locker's Director decides who owns a
// group; every node's Executor makes it true with its resource monitor. docs/protocols/failover.md. Pure.
#pragma once

#include "core/failover/director.h"
#include "core/failover/executor.h"
#include "core/failover/failover_host.h"

namespace holdfast::core {

class FailoverManager {
 public:
  explicit FailoverManager(FailoverHost& host) : host_(host), director_(host), executor_(host) {}

  void on_view(NodeSet previous, NodeSet members, Instant now);  // installed, not yet recovered
  void on_ready(Instant now);  // recovered: the database is current on all members
  void on_committed(const std::vector<ChangeNotice>& notices, Instant now);
  void on_report(const monitor::Report& report, Instant now);
  void on_monitor_ready(Instant now);
  void on_monitor_died(Instant now);
  // This node leaves: everything local is ordered to end; local_all_offline() tells when it has.
  void on_lost_membership(Instant now);
  void begin_drain(Instant now) { changed_ = true, (void)now; }  // node flag Stopping is in the database
  bool local_all_offline() const { return executor_.all_offline(); }
  bool owns_nothing() const { return executor_.owns_nothing(); }
  void on_time(Instant now);
  Instant next_deadline() const;
  void check_invariants() const { executor_.check_invariants(); }

 private:
  FailoverHost& host_;
  Director director_;
  Executor executor_;
  bool changed_ = false;
};

}  // namespace holdfast::core
