#include <gtest/gtest.h>

#include <chrono>

#include "core/properties/property.h"
#include "core/properties/timing.h"

namespace holdfast::core {
namespace {

PropertyInput in(std::string text) {
  return {std::move(text), {}, false};
}
PropertyInput in(std::vector<std::string> list) {
  return {{}, std::move(list), true};
}

std::string refusal(Scope scope, std::string_view type, std::string_view name, const PropertyInput& input) {
  auto value = parse_property(scope, type, name, input);
  return value ? "accepted: " + display(*value) : value.error().text();
}

TEST(Properties, ParsesByType) {
  EXPECT_EQ(parse_property(Scope::group, "", "FailoverThreshold", in("nodes-1"))->number(), 0xFFFFFFFFu);
  EXPECT_EQ(parse_property(Scope::group, "", "FailoverThreshold", in("0xA"))->number(), 10u);
  EXPECT_EQ(parse_property(Scope::resource, "", "RestartAction", in("restartnonotify"))->number(), 1u);
  EXPECT_EQ(parse_property(Scope::resource, "ip-address", "FailOnCarrierLoss", in("yes"))->text(), "1");
  EXPECT_EQ(parse_property(Scope::group, "", "PreferredOwners", in("n1,n2"))->list().items_size(), 2);
  EXPECT_EQ(parse_property(Scope::group, "", "PreferredOwners", in(""))->list().items_size(), 0);
  EXPECT_EQ(parse_property(Scope::group, "", "FailbackWindowStart", in("-1"))->kind_case(),
            Value::KIND_NOT_SET);
  auto parameter = parse_property(Scope::resource, "ip-address", "ProbeCount", in("0x3"));
  EXPECT_EQ(parameter->text(), "3") << "plug-ins get text";
  EXPECT_EQ(parse_property(Scope::resource, "my-type", "Anything", in("x"))->text(), "x");
  EXPECT_EQ(parse_property(Scope::resource, "my-type", "Any", in(std::vector<std::string>{"x"}))
                ->list()
                .items_size(),
            1);
}

TEST(Properties, RefusalsNameTheWayOut) {
  struct Case {
    Scope scope;
    const char* type;
    const char* name;
    PropertyInput input;
    const char* text;
  };
  const Case cases[] = {
      {Scope::cluster, "", "HeartbeatInterval", in("5"),
       "a cluster has no property 'HeartbeatInterval' (did you mean HeartbeatIntervalMs?)"},
      {Scope::cluster, "", "HeartbeatIntervalMs", in("5"),
       "'5' does not suit HeartbeatIntervalMs: it takes 20 to 2000 ms"},
      {Scope::cluster, "", "HeartbeatIntervalMs", in("soon"),
       "'soon' does not suit HeartbeatIntervalMs: it takes 20 to 2000 ms"},
      {Scope::cluster, "", "HeartbeatIntervalMs", in("-1"),
       "'-1' does not suit HeartbeatIntervalMs: it takes 20 to 2000 ms"},
      {Scope::cluster, "", "HeartbeatIntervalMs", in("99999999999999999999"),
       "'99999999999999999999' does not suit HeartbeatIntervalMs: it takes 20 to 2000 ms"},
      {Scope::cluster, "", "Name", in("x"), "Name cannot be set as a property (use: a new cluster)"},
      {Scope::cluster, "", "QuarantineDuration", in("1"),
       "QuarantineDuration is not available in this release: nothing would act on it"},
      {Scope::group, "", "RestartAction", in("1"),
       "a group has no property 'RestartAction' (RestartAction is a property of a resource)"},
      {Scope::group, "", "AutoFailbackType", in("2"),
       "'2' does not suit AutoFailbackType: it takes 0 to 1 (0=Prevent,1=Allow)"},
      {Scope::group, "", "Zzzzz", in("2"), "a group has no property 'Zzzzz' (docs/properties.md lists all)"},
      {Scope::group, "", "Description", in("a\nb"),
       "'a\nb' does not suit Description: it takes text without control characters"},
      {Scope::resource, "filesystem", "MountPint", in("/x"),
       "a resource of type 'filesystem' has no property 'MountPint' (did you mean MountPoint?)"},
      {Scope::resource, "my-type", "RestartThreshhold", in("1"),
       "a resource of type 'my-type' has no property 'RestartThreshhold' (did you mean RestartThreshold?)"},
      {Scope::resource, "ip-address", "FailOnCarrierLoss", in("2"),
       "'2' does not suit FailOnCarrierLoss: it takes 0 or 1"},
      {Scope::resource, "", "PossibleOwners", in("n1,,n2"),
       "'' does not suit PossibleOwners: it takes a list of non-empty items without control characters"},
  };
  for (const auto& c : cases) EXPECT_EQ(refusal(c.scope, c.type, c.name, c.input), c.text);
}

TEST(Properties, DefaultsPassTheirOwnCheck) {
  for (const auto& p : all_properties()) {
    if (!p.has_default || p.access != PropertyAccess::open) continue;
    Value value = default_value(p);
    PropertyInput input{value.has_list() ? "" : display(value), {}, value.has_list()};
    auto parsed = parse_value(p, input);
    ASSERT_TRUE(parsed) << p.name << ": " << parsed.error().text();
    EXPECT_TRUE(same_value(*parsed, value)) << p.name;
  }
}

TEST(Properties, Display) {
  auto show = [](Scope s, const char* name, uint64_t n) {
    return display_property(*find_property(s, "", name), number_value(n));
  };
  EXPECT_EQ(show(Scope::resource, "RestartAction", 2), "2 RestartNotify");
  EXPECT_EQ(show(Scope::group, "FailoverThreshold", 0xFFFFFFFF), "4294967295 nodes-1");
  EXPECT_EQ(show(Scope::cluster, "LeaseMarginMs", 300), "300 ms");
  EXPECT_EQ(display_property(*find_property(Scope::group, "", "FailbackWindowEnd"), Value()), "none");
}

// The whole cluster waits while the locker looks for what a client may have meant.
TEST(Properties, NoNameIsTooLongToBeRefusedQuickly) {
  const auto begin = std::chrono::steady_clock::now();
  auto refused = parse_property(Scope::resource, "", std::string(2'000'000, 'x'), in("1"));
  EXPECT_FALSE(refused);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

TEST(Properties, NumbersStayInTheirRange) {
  Tree tree;
  tree.apply(Edit().set("cluster", "HeartbeatIntervalMs", UINT64_MAX).done(), Sequence{1});
  EXPECT_EQ(property_number(tree, "cluster", Scope::cluster, "HeartbeatIntervalMs"), 2000u);
  EXPECT_EQ(timing_from(tree).heartbeat_interval, Duration::milliseconds(2000));
  tree.apply(Edit().set("cluster", "HeartbeatIntervalMs", uint64_t{0}).done(), Sequence{2});
  EXPECT_EQ(property_number(tree, "cluster", Scope::cluster, "HeartbeatIntervalMs"), 20u);
}

}  // namespace
}  // namespace holdfast::core
