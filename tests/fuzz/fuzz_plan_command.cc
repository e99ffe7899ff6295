// Commands of the API against a small sound cluster, one after the other: whatever is accepted keeps the
// schema and can be ordered; whatever is refused says why with a code that is documented.
#include "core/commands/schema.h"
#include "core/commands/test_cluster.h"
#include "target.h"
#include "tree_words.h"

using namespace holdfast;
using namespace holdfast::core;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Tree small = testing_cluster::small_cluster();
  fuzz::Input in(data, size);
  Tree tree = small;
  for (int commands = 0; !in.done() && commands < 32; ++commands) {
    api::Command command;
    if (in.below(8) == 7) {
      if (!command.ParseFromString(in.text())) continue;
    } else {
      fuzz::fill_command(in, &command);
    }
    const auto context = testing_cluster::context(NodeSet(in.flag() ? 7 : in.byte()));
    auto plan = plan_command(tree, command, context);
    if (!plan) {
      switch (plan.error().code) {
        case ErrorCode::invalid_argument:
        case ErrorCode::not_found:
        case ErrorCode::already_exists:
        case ErrorCode::busy:
        case ErrorCode::permission:
        case ErrorCode::unsupported:
        case ErrorCode::full:
          break;
        default:
          HOLDFAST_ASSERT(!"an error code that plan.h does not name");
      }
      HOLDFAST_ASSERT(!plan.error().message.empty());
      continue;
    }
    auto orderable = tree.check(plan->transaction);
    HOLDFAST_ASSERT(orderable || orderable.error().code == ErrorCode::full);
    if (!orderable) continue;
    testing_cluster::apply(tree, plan->transaction);
    if (auto sound = check_schema(tree); !sound) {
      fprintf(stderr, "%s\n", sound.error().text().c_str());
      HOLDFAST_ASSERT(sound);
    }
    HOLDFAST_ASSERT(judge(tree, context.members, plan->wait).kind != WaitVerdict::Kind::failed ||
                    plan->wait.kind != Wait::Kind::nothing);
  }
  tree.check_invariants();
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  using C = api::Command;
  auto asked = [](int verb, const char* object, const char* target, const char* name = nullptr,
                  const char* value = nullptr) {
    static constexpr int verbs[] = {0,  1,  2,  3,  4,  10, 11, 12, 13, 14, 20, 21, 22,
                                    23, 24, 25, 40, 41, 42, 43, 44, 45, 46, 60, 61};
    Recipe r;
    r.byte(0).byte(
        static_cast<uint64_t>(std::find(std::begin(verbs), std::end(verbs), verb) - std::begin(verbs)));
    r.byte(word_number(object)).byte(word_number(target)).byte(name ? 1 : 0);
    if (name) r.byte(word_number(name)).byte(0).byte(word_number(value));
    return r.byte(1).done();
  };
  return {asked(C::GROUP_MOVE, "web", "n3") + asked(C::GROUP_OFFLINE, "web", "") +
              asked(C::GROUP_ONLINE, "web", ""),
          asked(C::GROUP_CREATE, "g3", "") + asked(C::RESOURCE_CREATE, "r1", "", "Group", "g3"),
          asked(C::RESOURCE_SET, "ip", "", "Address", "192.0.2.9") + asked(C::RESOURCE_MOVE, "dbd", "web"),
          asked(C::NODE_ADD, "n4", "", "Addresses", "lan=192.0.2.77") +
              asked(C::NODE_PAUSE, "n2", "", "Drain", "1") + asked(C::NODE_RESUME, "n2", "") +
              asked(C::NODE_EVICT, "n2", ""),
          asked(C::CLUSTER_SET, "", "", "HeartbeatTimeoutMs", "1000") + asked(C::CLUSTER_SHUTDOWN, "", "") +
              asked(C::CLUSTER_MAINTENANCE, "group:web", "", "Maintenance", "1") +
              asked(C::QUORUM_MOVE, "", "n2"),
          asked(C::RESOURCE_DELETE, "ip", "") + asked(C::RESOURCE_DELETE, "fs", "") +
              asked(C::RESOURCE_FAIL, "disk", "") + asked(C::GROUP_DELETE, "web", "") +
              asked(C::RESOURCE_OFFLINE, "dbd", "") + asked(C::RESOURCE_ONLINE, "dbd", ""),
          asked(C::GROUP_SET, "web", "", "PreferredOwners", "n1,n3") + asked(C::CLUSTER_UPGRADE, "", "") +
              asked(C::NODE_STOP, "n3", "")};
}

}  // namespace holdfast::fuzz
