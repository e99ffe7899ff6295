// A small cluster for tests of commands: n1, n2, n3; group "web" online on n1 (disk <- fs <- ip), group "db"
// offline.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "core/commands/initial_database.h"
#include "core/commands/plan.h"

namespace holdfast::core::testing_cluster {

struct Asked {
  api::Command command;
  Asked(api::Command::Verb verb, std::string object, std::string target = {}) {
    command.set_verb(verb);
    command.set_object(std::move(object));
    command.set_target(std::move(target));
  }
  Asked& with(const std::string& name, const std::string& value) {
    auto* p = command.add_properties();
    p->set_name(name);
    p->set_value(value);
    return *this;
  }
  Asked& force() {
    command.set_force(true);
    return *this;
  }
};

constexpr uint64_t wall_time_ms = 1'800'000'000'000;

inline CommandContext context(NodeSet members = NodeSet(7)) {
  CommandContext c{NodeId{1}, members, {}, wall_time_ms, "root via test"};
  for (NodeId id : members) c.version_max[id] = 3;
  return c;
}

inline uint64_t next_sequence(const Tree& tree) {
  uint64_t last = 0;
  for (const auto& key : tree.subtree("")) last = std::max(last, tree.find(key)->changed_at);
  return last + 1;
}

inline void apply(Tree& tree, const Transaction& transaction) {
  tree.apply(transaction, Sequence{next_sequence(tree)});
}

inline Status run(Tree& tree, const Asked& asked, NodeSet members = NodeSet(7)) {
  HOLDFAST_TRY(auto plan, plan_command(tree, asked.command, context(members)));
  HOLDFAST_CHECK(tree.check(plan.transaction));
  apply(tree, plan.transaction);
  return {};
}

inline Tree small_cluster() {
  using C = api::Command;
  Tree tree;
  apply(tree, initial_database({"c0ffee", "demo", 2, "n1", {"lan=192.0.2.1"}, 0, std::string(64, 'a')}));
  auto must = [&](const Asked& asked) {
    auto status = run(tree, asked);
    if (!status) fprintf(stderr, "%s\n", status.error().text().c_str()), abort();
  };
  must(Asked(C::NODE_ADD, "n2").with("Addresses", "lan=192.0.2.2").with("Fingerprint", std::string(64, 'b')));
  must(Asked(C::NODE_ADD, "n3").with("Addresses", "lan=192.0.2.3").with("Fingerprint", std::string(64, 'c')));
  must(Asked(C::GROUP_CREATE, "web").with("PreferredOwners", "n1,n3"));
  must(Asked(C::RESOURCE_CREATE, "disk")
           .with("Group", "web")
           .with("Type", "physical-disk")
           .with("Device", "naa.5000")
           .with("PossibleOwners", "n1,n3"));
  must(Asked(C::RESOURCE_CREATE, "fs")
           .with("Group", "web")
           .with("Type", "filesystem")
           .with("MountPoint", "/srv")
           .with("Dependencies", "disk"));
  must(Asked(C::RESOURCE_CREATE, "ip")
           .with("Group", "web")
           .with("Type", "ip-address")
           .with("Address", "192.0.2.9")
           .with("Dependencies", "fs"));
  must(Asked(C::GROUP_CREATE, "db").with("PersistentState", "0"));
  must(Asked(C::RESOURCE_CREATE, "dbd")
           .with("Group", "db")
           .with("Type", "generic-program")
           .with("CommandLine", "/bin/dbd"));
  Edit online;
  online.set("groups/web", "Owner", uint64_t{1}).set("groups/web", "Generation", uint64_t{4});
  for (const char* name : {"resources/disk", "resources/fs", "resources/ip"})
    online.set(name, "State", uint64_t{2}).set(name, "StateGeneration", uint64_t{4});
  apply(tree, online.done());
  return tree;
}

}  // namespace holdfast::core::testing_cluster
