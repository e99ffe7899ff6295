#include "simulation/client.h"

#include <iterator>
#include <vector>

#include "core/properties/property.h"

namespace holdfast::sim {

using api::Command;

namespace {

std::string number(uint64_t n) {
  return std::to_string(n);
}

class Author {
 public:
  Author(Random& random, const core::Tree& tree) : random_(random), tree_(tree) {}

  api::Request write() {
    api::Request q;
    q.set_id(random_.below(100));
    q.set_version_min(1);
    q.set_version_max(random_.chance(3) ? 0 : 9);
    q.set_client("somebody");
    switch (random_.below(12)) {
      case 0:
        q.mutable_status();
        break;
      case 1:
        q.mutable_read_tree()->set_prefix(random_.chance(50) ? "" : "groups");
        break;
      case 2:
        q.mutable_subscribe()->set_history(random_.chance(30));
        break;
      case 3:
        fill(q.mutable_transact());
        break;
      case 4:
        if (random_.chance(80)) fill_shared(q.mutable_command());
        break;
      default:
        fill_own(q.mutable_command());
    }
    return q;
  }

 private:
  template <typename T, size_t N>
  T one_of(const T (&items)[N]) {
    return items[random_.below(N)];
  }
  std::string own_group() { return random_.chance(8) ? word() : "odd" + number(1 + random_.below(3)); }
  std::string own_resource() { return random_.chance(8) ? word() : "oddr" + number(1 + random_.below(6)); }
  std::string node() { return random_.chance(8) ? word() : "n" + number(1 + random_.below(6)); }
  // Nothing that exists, but for the case of its letters.
  std::string word() {
    static const char* words[] = {"",        "ODD1",     "oDDR2", "a/b",    "odd such", " x",
                                  "oddnone", "odd none", ".",     "odd\n1", "ODD",      "odd1odd1"};
    return random_.chance(5) ? std::string(200, 'x') : one_of(words);
  }

  // A value for `p`: mostly one that it takes.
  std::string value_of(const core::Property& p) {
    if (random_.chance(15)) return word();
    switch (p.kind) {
      case core::PropertyType::boolean: {
        static const char* flags[] = {"0", "1", "true", "false", "yes", "no", "on", "2"};
        return one_of(flags);
      }
      case core::PropertyType::number: {
        if (!p.labels.empty() && random_.chance(40)) {
          const std::string labels(p.labels);
          const size_t at = labels.find('=');
          return labels.substr(at + 1, labels.find(',') - at - 1);
        }
        const uint64_t any[] = {p.min, p.max, p.default_number, p.min + random_.below(100), p.max + 1};
        static const char* units[] = {"", "", "", "ms", "s", "min", " h", "d", "x"};
        return number(one_of(any)) + one_of(units);
      }
      case core::PropertyType::list:
        return node() + (random_.chance(50) ? "" : "," + node()) + (random_.chance(10) ? "," : "");
      case core::PropertyType::text:
        return text_for(p.name);
    }
    return "";
  }

  std::string text_for(std::string_view name) {
    static const char* addresses[] = {"10.0.9.21",       "10.0.9.22", "fd00::21",   "fd00:0:0:0::22",
                                      "::ffff:10.0.9.2", "10.0.9",    "10.0.9.256", "fd00:::1",
                                      "10.0.0.1",        "0.0.0.0",   "fe80::1",    "1:2:3:4:5:6:7",
                                      "10.0.9.1x",       "12345::1",  "224.0.0.1"};
    static const char* paths[] = {"/srv/odd", "/srv/odd/", "relative", "/", "/srv/../etc", "/srv/1"};
    static const char* devices[] = {"naa.6009", "naa.6008", "/dev/sdx", "eui.1", "NAA.6001"};
    if (name == "Address") return one_of(addresses);
    if (name == "MountPoint") return one_of(paths);
    if (name == "Device") return one_of(devices);
    if (name == "CommandLine") return random_.chance(80) ? "/bin/odd --x 'a b'" : "odd \"";
    if (name == "Group") return own_group();
    if (name == "Type") return type();
    if (name == "Dependencies") return own_resource() + (random_.chance(50) ? "" : "," + own_resource());
    return random_.chance(50) ? "something" : word();
  }
  std::string type() {
    static const char* types[] = {"physical-disk", "filesystem", "ip-address", "generic-program", "mine", ""};
    return one_of(types);
  }

  void set(Command* c, const std::string& name, const std::string& value) {
    auto* p = c->add_properties();
    p->set_name(name);
    p->set_value(value);
    if (random_.chance(6)) p->set_unset(true);
    if (random_.chance(4)) {
      p->set_is_list(true);
      p->add_list(value);
    }
  }

  // Some properties of the table, of this scope mostly.
  void set_some(Command* c, core::Scope scope) {
    const auto all = core::all_properties();
    for (uint64_t n = random_.below(4); n > 0; --n) {
      const core::Property* p = &all[random_.below(all.size())];
      for (int attempt = 0; attempt < 6 && p->scope != scope; ++attempt) p = &all[random_.below(all.size())];
      if (scope == core::Scope::resource && random_.chance(40))
        for (int attempt = 0; attempt < 6 && p->scope != core::Scope::parameter; ++attempt)
          p = &all[random_.below(all.size())];
      set(c, random_.chance(90) ? std::string(p->name) : std::string(p->name) + "x", value_of(*p));
    }
  }

  void create_resource(Command* c) {
    c->set_verb(Command::RESOURCE_CREATE);
    c->set_object(own_resource());
    set(c, "Group", own_group());
    const std::string t = type();
    set(c, "Type", t);
    for (const auto& p : core::all_properties())
      if (p.scope == core::Scope::parameter && p.type == t && p.required && random_.chance(92))
        set(c, std::string(p.name), value_of(p));
    if (random_.chance(30)) set_some(c, core::Scope::resource);
  }

  void fill_own(Command* c) {
    if (random_.chance(30)) c->set_wait_ms(static_cast<uint32_t>(random_.below(4000)));
    c->set_force(random_.chance(30));
    static constexpr Command::Verb of_groups[] = {
        Command::GROUP_CREATE, Command::GROUP_CREATE,  Command::GROUP_SET,  Command::GROUP_ONLINE,
        Command::GROUP_ONLINE, Command::GROUP_OFFLINE, Command::GROUP_MOVE, Command::GROUP_DELETE};
    static constexpr Command::Verb of_resources[] = {
        Command::RESOURCE_SET,  Command::RESOURCE_SET,  Command::RESOURCE_ONLINE, Command::RESOURCE_OFFLINE,
        Command::RESOURCE_MOVE, Command::RESOURCE_FAIL, Command::RESOURCE_DELETE};
    switch (random_.below(8)) {
      case 0:
      case 1:
        return create_resource(c);
      case 2:
      case 3:
      case 4:
        c->set_verb(one_of(of_resources));
        c->set_object(own_resource());
        if (c->verb() == Command::RESOURCE_MOVE) c->set_target(own_group());
        if (c->verb() == Command::RESOURCE_SET) {
          set_some(c, core::Scope::resource);
          if (random_.chance(30)) set(c, "Dependencies", text_for("Dependencies"));
        }
        return;
      case 5:
        c->set_verb(Command::CLUSTER_MAINTENANCE);
        c->set_object(random_.chance(50) ? "group:" + own_group() : "resource:" + own_resource());
        return set(c, random_.chance(95) ? "Maintenance" : "Maintenancex", number(random_.below(2)));
      default:
        c->set_verb(one_of(of_groups));
        c->set_object(own_group());
        if (c->verb() == Command::GROUP_MOVE || (c->verb() == Command::GROUP_ONLINE && random_.chance(40)))
          c->set_target(node());
        if (c->verb() == Command::GROUP_SET || (c->verb() == Command::GROUP_CREATE && random_.chance(40)))
          set_some(c, core::Scope::group);
    }
  }

  // About what everybody shares: nothing that keeps a group of others from coming online.
  void fill_shared(Command* c) {
    const auto groups = tree_.children("groups");
    c->set_wait_ms(static_cast<uint32_t>(random_.below(3000)));
    switch (random_.below(10)) {
      case 0:
        c->set_verb(Command::GROUP_MOVE);
        if (!groups.empty()) c->set_object(groups[random_.below(groups.size())]);
        return c->set_target(random_.chance(60) ? node() : "");
      case 1:
        c->set_verb(Command::GROUP_ONLINE);
        if (!groups.empty()) c->set_object(groups[random_.below(groups.size())]);
        return;
      case 2:
        c->set_verb(Command::NODE_RESUME);
        return c->set_object(node());
      case 3:
        c->set_verb(random_.chance(50) ? Command::NODE_STOP : Command::QUORUM_MOVE);
        return c->verb() == Command::NODE_STOP ? c->set_object(node()) : c->set_target(node());
      case 4:
        c->set_verb(Command::CLUSTER_UPGRADE);
        return;
      case 5: {  // refused: there is no such value
        c->set_verb(Command::CLUSTER_SET);
        static const char* names[] = {"HeartbeatTimeoutMs", "HeartbeatIntervalMs", "LeaseMarginMs",
                                      "Nonsense",           "Maintenance",         "NextNode"};
        static const char* values[] = {"x", "1", "99999999", "", "-5", "1000 parsecs"};
        return set(c, one_of(names), one_of(values));
      }
      case 6: {  // refused: no such addresses
        c->set_verb(Command::NODE_ADD);
        c->set_object(random_.chance(50) ? "n1" : "n9");
        static const char* bad[] = {"",
                                    "x",
                                    "a=",
                                    "a=10.0.0",
                                    "a=b=c",
                                    "a=10.0.0.9,a=fd00::9",
                                    "a=10.0.0.9,a=1:2:3:4:5:6:7:8",
                                    "a=::ffff:10.0.0.9,a=1::",
                                    "a=fd00::1::2",
                                    "a=1:2:3:4:5:6:7:8:9",
                                    "a=1:2:",
                                    "a=12345::1",
                                    "a=::1.2.3",
                                    "a=1.2.3.4::",
                                    "zz=10.0.0.9",
                                    "a=10.0.0.2,b=10.1.0.2",
                                    "a=127.0.0.1",
                                    "=10.0.0.9",
                                    "a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8,i=9"};
        if (random_.chance(30)) set(c, random_.chance(50) ? "Fingerprint" : "TokenHash", word());
        if (random_.chance(10)) set(c, "Port", word());
        return set(c, "Addresses", one_of(bad));
      }
      case 7:
        c->set_verb(random_.chance(70) ? Command::NODE_PAUSE : Command::NODE_EVICT);
        c->set_object(c->verb() == Command::NODE_EVICT ? word() : node());
        if (c->verb() == Command::NODE_PAUSE) set(c, "Drain", random_.chance(80) ? "1" : word());
        return;
      case 8:  // taken back when everything is healed
        c->set_verb(Command::CLUSTER_MAINTENANCE);
        c->set_object(random_.chance(60) ? "" : word());
        return set(c, "Maintenance", number(random_.below(2)));
      default:
        c->set_verb(static_cast<Command::Verb>(90));
    }
  }

  void fill(api::Transact* t) {
    if (random_.chance(50)) t->set_cause("because");
    core::Edit edit;
    const std::string key = "odd/" + number(random_.below(5));
    if (random_.chance(30)) edit.require_key(key);
    if (random_.chance(20)) edit.require_absent(key);
    if (random_.chance(20)) edit.require_unset(key, "a");
    if (random_.chance(20)) edit.require_equal(key, "a", core::number_value(random_.below(3)));
    if (random_.chance(20)) edit.require_equal(key, "b", core::list_value({"x", "y"}));
    if (random_.chance(20)) edit.require_unchanged(key, Sequence{random_.below(500)});
    switch (random_.below(11)) {
      case 0:
        edit.remove(key);
        break;
      case 1:
        edit.set(key, "b", std::vector<std::string>{"x", random_.chance(50) ? "y" : "z"});
        break;
      case 2:
        edit.unset(key, random_.chance(50) ? "a" : "b");
        break;
      case 3:
        edit.create(key + "/below/that");
        break;
      case 4: {
        core::Value binary;
        binary.set_binary(std::string("\0\1\2", 3));
        edit.set(key, "a", binary);
        break;
      }
      case 5: {  // malformed
        static const char* bad[] = {"", "/", "a//b", " a", "a/../b"};
        edit.set(one_of(bad), "a", "x");
        break;
      }
      case 6:
        edit.set(key, random_.chance(50) ? std::string(200, 'n') : "", "x");
        break;
      case 7: {  // of the timing: judged like the command
        static const uint64_t margins[] = {1, 100, 300, 500, 99'999'999};
        edit.set("cluster", "LeaseMarginMs", one_of(margins));
        break;
      }
      case 8:
        edit.set(key, "a", std::string(70'000, 'x'));
        break;
      case 9: {  // of a kind that nobody knows
        core::Transaction odd = edit.done();
        auto* change = odd.add_changes();
        change->set_key(key);
        change->set_name("a");
        if (random_.chance(50)) change->set_kind(static_cast<tree::Change::Kind>(77));
        if (random_.chance(50)) odd.add_preconditions()->set_kind(static_cast<tree::Precondition::Kind>(77));
        *t->mutable_transaction() = std::move(odd);
        return;
      }
      default:
        edit.set(key, "a", random_.below(3));
    }
    *t->mutable_transaction() = edit.done();
  }

  Random& random_;
  const core::Tree& tree_;
};

}  // namespace

api::Request random_request(Random& random, const core::Tree& tree) {
  return Author(random, tree).write();
}

bool is_odd(const std::string& name) {
  return name.starts_with("odd") || name.starts_with("ODD") || name.starts_with("oDD");
}

}  // namespace holdfast::sim
