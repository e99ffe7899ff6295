// The text of every refusal, as an administrator reads it.
#include <gtest/gtest.h>

#include "core/commands/test_cluster.h"

namespace holdfast::core {
namespace {

using namespace testing_cluster;
using C = api::Command;

struct Case {
  Asked asked;
  const char* text;
  NodeSet members = NodeSet(7);
};

void expect_refusals(const Tree& tree, const std::vector<Case>& cases) {
  for (const auto& c : cases) {
    auto plan = plan_command(tree, c.asked.command, context(c.members));
    EXPECT_EQ(plan ? "accepted: " + plan->cause : plan.error().text(), c.text);
  }
}

TEST(Refusals, Cluster) {
  expect_refusals(
      small_cluster(),
      {
          {Asked(static_cast<C::Verb>(99), ""),
           "this release does not know command 99 (the client may be newer than the cluster)"},
          {Asked(C::CLUSTER_SET, ""), "cannot set properties of the cluster: no property is given"},
          {Asked(C::CLUSTER_SET, "").with("Id", "x"),
           "cannot set properties of the cluster: Id cannot be set as a property (use: a new cluster)"},
          {Asked(C::CLUSTER_SET, "").with("Description", "x").with("Description", "y"),
           "cannot set properties of the cluster: 'Description' is given twice"},
          {Asked(C::CLUSTER_SET, "").with("HeartbeatIntervalMs", "500"),
           "cannot set properties of the cluster: HeartbeatTimeoutMs of 1000 ms is too short: at least 1500 "
           "ms is needed, three times HeartbeatIntervalMs (500 ms), so that two lost datagrams are no "
           "failure "
           "(set HeartbeatTimeoutMs to 1500 or more and LeaseMarginMs to 500 or more and MonitorSilenceMs to "
           "3000 or more in one command, or HeartbeatIntervalMs to 300 or less)"},
          {Asked(C::CLUSTER_SET, "").with("UpdateTimeoutMs", "500"),
           "cannot set properties of the cluster: UpdateTimeoutMs of 500 ms is too short: at least 1000 ms "
           "is "
           "needed, as long as HeartbeatTimeoutMs (1000 ms), so that a dead node is found by its heartbeats, "
           "not by its missing answer (set UpdateTimeoutMs to 1000 or more, or HeartbeatTimeoutMs to 500 or "
           "less)"},
          {Asked(C::CLUSTER_SET, "").with("QuorumStallMaxMs", "61000"),
           "cannot set properties of the cluster: '61000' does not suit QuorumStallMaxMs: it takes 2000 to "
           "60000 ms"},
          {Asked(C::CLUSTER_MAINTENANCE, "disk"),
           "cannot set maintenance of 'disk': it is no object that can be in maintenance (give nothing for "
           "the cluster, group:NAME or resource:NAME)"},
          {Asked(C::CLUSTER_MAINTENANCE, "group:wep"),
           "cannot set maintenance of 'group:wep': there is no group 'wep' (did you mean 'web'?)"},
          {Asked(C::QUORUM_MOVE, "", "n9"),
           "cannot move the quorum to 'n9': there is no node 'n9' (nodes: n1, n2, n3)"},
          {Asked(C::QUORUM_MOVE, "", "n3"),
           "cannot move the quorum to 'n3': the node is down (choose a node that is up)", NodeSet(3)},
      });
}

TEST(Refusals, Nodes) {
  Tree tree = small_cluster();
  expect_refusals(
      tree,
      {
          {Asked(C::NODE_ADD, "N2").with("Addresses", "lan=192.0.2.4"),
           "cannot add node 'N2': 'n2' exists already (names must differ by more than the case of letters)"},
          {Asked(C::NODE_ADD, "a/b").with("Addresses", "lan=192.0.2.4"),
           "cannot add node 'a/b': the name is not allowed (1 to 64 bytes, without '/', ',', control "
           "characters, and blanks at either end)"},
          {Asked(C::NODE_ADD, "a b").with("Addresses", "lan=192.0.2.4"),
           "cannot add node 'a b': the name is not allowed (letters, digits, '-', '.', '_')"},
          {Asked(C::NODE_ADD, "n4"),
           "cannot add node 'n4': it has no Addresses (give network=address, one each network)"},
          {Asked(C::NODE_ADD, "n4").with("Addresses", "lan=192.0.2"),
           "cannot add node 'n4': 'lan=192.0.2' is no network=address (for example lan=192.0.2.7 or "
           "lan=2001:db8::7)"},
          {Asked(C::NODE_ADD, "n4").with("Addresses", "wan=192.0.2.4"),
           "cannot add node 'n4': it has no address on network 'lan', where node 'n1' is (every node needs "
           "one address on each network)"},
          {Asked(C::NODE_ADD, "n4").with("Addresses", "lan=192.0.2.4,x=10.0.0.1"),
           "cannot add node 'n4': node 'n1' has no address on network 'x' (every node needs one address on "
           "each network)"},
          {Asked(C::NODE_ADD, "n4").with("Addresses", "lan=2001:db8::4"),
           "cannot add node 'n4': on network 'lan' node 'n1' has the other kind of address (IPv4, IPv6)"},
          {Asked(C::NODE_ADD, "n4").with("Addresses", "lan=192.0.2.2"),
           "cannot add node 'n4': node 'n2' has its address on network 'lan'"},
          {Asked(C::NODE_ADD, "n4").with("Addresses", "lan=192.0.2.4").with("Fingerprint", "ab"),
           "cannot add node 'n4': Fingerprint is no SHA-256 (64 digits 0-9 a-f)"},
          {Asked(C::NODE_ADD, "n4")
               .with("Addresses", "lan=192.0.2.4")
               .with("Fingerprint", std::string(64, 'b')),
           "cannot add node 'n4': node 'n2' has this certificate"},
          {Asked(C::NODE_ADD, "n4").with("Addresses", "lan=192.0.2.4").with("Colour", "red"),
           "cannot add node 'n4': it takes no 'Colour' (it takes: Addresses, Port, Fingerprint, "
           "EnrollmentHash, EnrollmentExpires, Description)"},
          {Asked(C::NODE_ADD, "n4").with("Addresses", "lan=192.0.2.4").with("EnrollmentExpires", "7"),
           "cannot add node 'n4': EnrollmentExpires is in the past (wall clock, milliseconds since 1970)"},
          {Asked(C::NODE_PAUSE, "n9"), "cannot pause node 'n9': there is no node 'n9' (nodes: n1, n2, n3)"},
          {Asked(C::NODE_PAUSE, "n3").with("Drain", "1"),
           "cannot pause node 'n3': the node is down, there is nothing to drain (pause it without drain)",
           NodeSet(3)},
          {Asked(C::NODE_PAUSE, "n1").with("Drain", "1"),
           "cannot pause node 'n1': group 'web' has no other node to go to (make another node fit, take the "
           "group offline, or use force to leave it)",
           NodeSet(3)},
          {Asked(C::NODE_STOP, "n1"),
           "cannot stop node 'n1': it is the last node that is up (use 'holdfast cluster shutdown')",
           NodeSet(1)},
          {Asked(C::NODE_STOP, "n3"), "cannot stop node 'n3': the node is down already", NodeSet(3)},
          {Asked(C::NODE_EVICT, "n2"),
           "cannot evict node 'n2': the node is up (stop it first: 'holdfast node stop n2', or use force)"},
          {Asked(C::NODE_EVICT, "n1"),
           "cannot evict node 'n1': it still owns 'web' (move them: 'holdfast group move web')", NodeSet(6)},
      });
  ASSERT_TRUE(run(tree, Asked(C::RESOURCE_SET, "dbd").with("PossibleOwners", "n3")));
  expect_refusals(tree, {{Asked(C::NODE_EVICT, "n3"),
                          "cannot evict node 'n3': resource 'dbd' may run nowhere else (change its "
                          "PossibleOwners first, or delete it)",
                          NodeSet(3)}});
  apply(tree, Edit().set("cluster", "NextNode", uint64_t{65}).done());
  expect_refusals(
      tree, {{Asked(C::NODE_ADD, "n4").with("Addresses", "lan=192.0.2.4"),
              "cannot add node 'n4': all 64 node ids were given out, 61 of them to nodes that are gone (ids "
              "are never used again, since keys on disks carry them; a new cluster starts anew)"}});
}

TEST(Refusals, Groups) {
  Tree tree = small_cluster();
  expect_refusals(
      tree,
      {
          {Asked(C::GROUP_CREATE, "Web"),
           "cannot create group 'Web': 'web' exists already (names must differ by more than the case of "
           "letters)"},
          {Asked(C::GROUP_CREATE, std::string(65, 'x')),
           "cannot create group 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx': the "
           "name is not allowed (1 to 64 bytes, without '/', ',', control characters, and blanks at either "
           "end)"},
          {Asked(C::GROUP_CREATE, "x").with("PreferredOwners", "n1,n7"),
           "cannot create group 'x': PreferredOwners names the unknown node 'n7' (give names of nodes of the "
           "cluster)"},
          {Asked(C::GROUP_CREATE, "x").with("PreferredOwners", "n1,n1"),
           "cannot create group 'x': PreferredOwners names 'n1' twice"},
          {Asked(C::GROUP_SET, "web").with("PersistentState", "1"),
           "cannot set properties of group 'web': PersistentState cannot be set as a property (use: holdfast "
           "group online | offline)"},
          {Asked(C::GROUP_SET, "web").with("GroupStartDelay", "1"),
           "cannot set properties of group 'web': GroupStartDelay is not available in this release: nothing "
           "would act on it"},
          {Asked(C::GROUP_SET, "web").with("FailoverTreshold", "1"),
           "cannot set properties of group 'web': a group has no property 'FailoverTreshold' (did you mean "
           "FailoverThreshold?)"},
          {Asked(C::GROUP_DELETE, "web"),
           "cannot delete group 'web': it still has the resources 'disk', 'fs', 'ip' (delete them first, or "
           "use force to delete all)"},
          {Asked(C::GROUP_DELETE, "web").force(),
           "cannot delete group 'web': its resource 'disk' is Online (take it offline first: 'holdfast group "
           "offline web')"},
          {Asked(C::GROUP_DELETE, "we"),
           "cannot delete group 'we': there is no group 'we' (did you mean 'web'?)"},
          {Asked(C::GROUP_MOVE, ""),
           "cannot move group '': no group is named ('holdfast status' lists all groups)"},
          {Asked(C::GROUP_MOVE, "web", "n9"),
           "cannot move group 'web' to 'n9': there is no node 'n9' (nodes: n1, n2, n3)"},
          {Asked(C::GROUP_MOVE, "web", "n2"),
           "cannot move group 'web' to 'n2': node 'n2' is no possible owner of resource 'disk' (nodes that "
           "can take it: n1, n3)"},
          {Asked(C::GROUP_MOVE, "web", "n3"),
           "cannot move group 'web' to 'n3': node 'n3' is down (nodes that can take it: n1)", NodeSet(3)},
          {Asked(C::GROUP_MOVE, "web"),
           "cannot move group 'web': no other node can take it now (check its PossibleOwners and paused "
           "nodes)",
           NodeSet(3)},
          {Asked(C::GROUP_ONLINE, "web"),
           "cannot bring group 'web' online: no node that is up can own it now (check its PossibleOwners and "
           "paused nodes; with force it starts as soon as one can)",
           NodeSet(2)},
      });
  ASSERT_TRUE(run(tree, Asked(C::NODE_PAUSE, "n3")));
  expect_refusals(tree,
                  {{Asked(C::GROUP_MOVE, "web", "n3"),
                    "cannot move group 'web' to 'n3': node 'n3' is paused (nodes that can take it: n1)"}});
  ASSERT_TRUE(run(tree, Asked(C::NODE_RESUME, "n3")));
  ASSERT_TRUE(run(tree, Asked(C::GROUP_MOVE, "web", "n3")));
  expect_refusals(
      tree, {{Asked(C::GROUP_MOVE, "web", "n1"),
              "cannot move group 'web' to 'n1': it is being moved to 'n3' (wait for it, or use force)"}});
}

TEST(Refusals, Resources) {
  expect_refusals(
      small_cluster(),
      {
          {Asked(C::RESOURCE_CREATE, "x"),
           "cannot create resource 'x': no Group is given (every resource belongs to a group: Group=NAME)"},
          {Asked(C::RESOURCE_CREATE, "x").with("Group", "wwww"),
           "cannot create resource 'x': there is no group 'wwww' ('holdfast status' lists all groups)"},
          {Asked(C::RESOURCE_CREATE, "x").with("Group", "web"),
           "cannot create resource 'x': no Type is given (types: physical-disk, filesystem, ip-address, "
           "generic-program)"},
          {Asked(C::RESOURCE_CREATE, "x").with("Group", "web").with("Type", "ip"),
           "cannot create resource 'x': there is no resource type 'ip' (types: physical-disk, filesystem, "
           "ip-address, generic-program; force takes a type of a plug-in of your own)"},
          {Asked(C::RESOURCE_CREATE, "x").with("Group", "web").with("Type", "ip-address"),
           "cannot create resource 'x': a resource of type 'ip-address' needs Address (Address: IPv4 or IPv6 "
           "address)"},
          {Asked(C::RESOURCE_CREATE, "x")
               .with("Group", "web")
               .with("Type", "ip-address")
               .with("Adress", "1.2.3.4"),
           "cannot create resource 'x': a resource of type 'ip-address' has no property 'Adress' (did you "
           "mean Address?)"},
          {Asked(C::RESOURCE_CREATE, "x").with("Group", "web").with("Type", "ip-address").with("Address", ""),
           "cannot create resource 'x': Address is required and cannot be empty"},
          {Asked(C::RESOURCE_CREATE, "IP").with("Group", "web").with("Type", "ip-address"),
           "cannot create resource 'IP': 'ip' exists already (names must differ by more than the case of "
           "letters)"},
          {Asked(C::RESOURCE_CREATE, "x")
               .with("Group", "db")
               .with("Type", "generic-program")
               .with("Dependencies", "disk"),
           "cannot create resource 'x': it depends on 'disk' of group 'web' (dependencies stay within group "
           "'db'; move one of them first)"},
          {Asked(C::RESOURCE_CREATE, "x")
               .with("Group", "db")
               .with("Type", "generic-program")
               .with("Dependencies", "y"),
           "cannot create resource 'x': it depends on 'y', which does not exist (create 'y' first)"},
          {Asked(C::RESOURCE_SET, "disk").with("Dependencies", "ip"),
           "cannot set properties of resource 'disk': the dependencies would go round: disk -> ip -> fs -> "
           "disk (remove one of them)"},
          {Asked(C::RESOURCE_SET, "disk").with("Dependencies", "disk"),
           "cannot set properties of resource 'disk': it cannot depend on itself"},
          {Asked(C::RESOURCE_SET, "ip").with("PossibleOwners", "n2"),
           "cannot set properties of resource 'ip': no node could own group 'web' any more, since 'disk' "
           "runs only on 'n1', 'n3'"},
          {Asked(C::RESOURCE_SET, "ip").with("Group", "db"),
           "cannot set properties of resource 'ip': Group cannot be set as a property (use: holdfast "
           "resource move)"},
          {Asked(C::RESOURCE_SET, "ip").with("RestartAction", "3"),
           "cannot set properties of resource 'ip': '3' does not suit RestartAction: it takes 0 to 2 "
           "(0=DontRestart,1=RestartNoNotify,2=RestartNotify)"},
          {Asked(C::RESOURCE_DELETE, "ip"),
           "cannot delete resource 'ip': it is Online (take it offline first: 'holdfast resource offline "
           "ip')"},
          {Asked(C::RESOURCE_DELETE, "ip").force(),
           "cannot delete resource 'ip': it is Online (take it offline first: 'holdfast resource offline "
           "ip')"},
          {Asked(C::RESOURCE_MOVE, "ip", "db"),
           "cannot move resource 'ip' to group 'db': it hangs together with other resources: 'disk', 'fs', "
           "'ip' (use force to move all of them, or remove the dependencies first)"},
          {Asked(C::RESOURCE_MOVE, "ip", "db").force(),
           "cannot move resource 'ip' to group 'db': 'disk' is Online (take it offline first: 'holdfast "
           "resource offline disk')"},
          {Asked(C::RESOURCE_FAIL, "dbd"),
           "cannot fail resource 'dbd': it is Offline (only a resource that is Online can fail)"},
          {Asked(C::RESOURCE_ONLINE, "dbdd"),
           "cannot bring resource 'dbdd' online: there is no resource 'dbdd' (did you mean 'dbd'?)"},
      });
}

}  // namespace
}  // namespace holdfast::core
