// Files in a plug-in directory that are no plug-ins, or not the right ones: a clear sentence each, and never
// a crash.
#include <filesystem>
#include <fstream>

#include "harness.h"

namespace holdfast::monitor {
namespace {

struct Bad {
  const char* type;
  ErrorCode code;
  const char* says;
};

TEST(Plugins, WrongOnesAreRefusedWithTheReason) {
  MonitorProcess m({});
  for (const Bad& bad : {Bad{"wrong-abi", ErrorCode::version, "interface version 99"},
                         Bad{"no-symbol", ErrorCode::corrupt, "does not export holdfast_resource_plugin"},
                         Bad{"no-entry", ErrorCode::corrupt, "lacks a mandatory entry point"},
                         Bad{"no-hold", ErrorCode::corrupt, "has no hold and release"},
                         Bad{"crashes", ErrorCode::corrupt, "crashes when it is loaded"},
                         Bad{"wrong-name", ErrorCode::corrupt, "is of type 'bad'"},
                         Bad{"nosuch", ErrorCode::not_found, "no plug-in for resource type 'nosuch'"},
                         Bad{"../tests/plugins/actor", ErrorCode::not_found, "no plug-in"}}) {
    auto r = m.run(Order::OPEN, "r", bad.type);
    EXPECT_EQ(r.error(), static_cast<uint32_t>(bad.code)) << bad.type;
    EXPECT_NE(r.message().find(bad.says), std::string::npos) << r.message();
  }
  EXPECT_EQ(m.bring_up("good", "actor", {}).state(), State::ONLINE);
}

TEST(Plugins, OneThatHangsWhenLoadedStopsNobody) {
  MonitorProcess m({.grant = false});
  m.grant_for(Duration::milliseconds(1500));
  m.bring_up("address", "floating", {});
  uint64_t open = m.order(Order::OPEN, "bad", "hangs");
  uint64_t online = m.order(Order::ONLINE, "bad", "hangs");
  auto held = m.wait_report([](const Report& r) { return r.held(); });
  ASSERT_TRUE(held) << "the lease is watched meanwhile";
  auto refused = m.result_of(open);
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->message().find("cannot be tried"), std::string::npos) << refused->message();
  EXPECT_EQ(m.result_of(online)->error(), static_cast<uint32_t>(ErrorCode::not_found));
}

TEST(Plugins, GarbageAndTruncatedFilesAreRefused) {
  std::string directory = TEST_PLUGINS;
  std::string garbage = "garbage-" + std::to_string(getpid()),
              truncated = "truncated-" + std::to_string(getpid());
  std::ofstream(directory + "/" + garbage + ".so") << "this is not a shared object";
  std::string whole = read_text(directory + "/actor.so");
  for (size_t size : {size_t{0}, size_t{64}, whole.size() / 3, whole.size() / 2}) {
    std::ofstream(directory + "/" + truncated + ".so", std::ios::binary) << whole.substr(0, size);
    MonitorProcess m({});
    for (const auto& type : {garbage, truncated}) {
      auto r = m.run(Order::OPEN, "r", type);
      EXPECT_EQ(r.error(), static_cast<uint32_t>(ErrorCode::corrupt)) << r.message();
      EXPECT_NE(r.message().find(type + ".so"), std::string::npos) << r.message();
    }
  }
  std::filesystem::remove(directory + "/" + garbage + ".so");
  std::filesystem::remove(directory + "/" + truncated + ".so");
}

}  // namespace
}  // namespace holdfast::monitor
