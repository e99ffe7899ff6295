#define TOML_EXCEPTIONS 0
// toml++ 3.3 asserts that the name of a table begins like a name, and refuses it properly right behind that.
#define TOML_ASSERT(expression) static_assert(true)
#include <sys/stat.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "config/node_config.h"
#include "config/toml_syntax.h"

namespace holdfast {
namespace {

// Reads one file top to bottom and keeps the first error. After an error every step returns defaults, so that
// the code below reads as a list of the options.
class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  void reject(const toml::node* at, const std::string& what, const std::string& hint = {}) {
    if (error_) return;
    auto line = at ? at->source().begin.line : 0;
    error_ = Error{ErrorCode::invalid_argument, 0,
                   file_ + (line ? ":" + std::to_string(line) : "") + ": " + what, hint};
  }
  void take(const Error& error, const toml::node* at, const std::string& prefix) {
    reject(at, prefix + error.message, error.hint);
  }
  const std::optional<Error>& error() const { return error_; }

  void only_known(const toml::table& table, const std::string& section,
                  const std::vector<std::string>& known) {
    for (auto&& [key, value] : table) {
      std::string name(key.str());
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      std::string like = nearest_word(name, known), all;
      for (const auto& k : known) all += (all.empty() ? "" : ", ") + k;
      std::string what = section.empty() ? "unknown section or option '" + name + "'"
                                         : "unknown option '" + name + "' in [" + section + "]";
      reject(&value, what, like.empty() ? "known: " + all : "did you mean '" + like + "'? known: " + all);
    }
  }

  const toml::table* section(const toml::table& root, const char* name, bool required) {
    const toml::node* node = root.get(name);
    if (!node) {
      if (required)
        reject(nullptr, std::string("section [") + name + "] is missing", "see packaging/holdfast.toml");
      return nullptr;
    }
    if (!node->is_table())
      reject(node, std::string("'") + name + "' must be a section, written [" + name + "]");
    return node->as_table();
  }

  std::vector<const toml::table*> sections(const toml::table& root, const char* name) {
    std::vector<const toml::table*> out;
    const toml::node* node = root.get(name);
    if (!node) return out;
    const toml::array* array = node->as_array();
    if (!array) {
      reject(node,
             std::string("'") + name + "' may be there several times, so it is written [[" + name + "]]");
      return out;
    }
    for (auto&& item : *array) {
      if (!item.is_table())
        reject(&item, std::string("'") + name + "' must be sections, written [[" + name + "]]");
      else
        out.push_back(item.as_table());
    }
    return out;
  }

  std::string text(const toml::table& table, const char* name, const std::string& fallback, bool required) {
    const toml::node* node = table.get(name);
    if (!node) {
      if (required) reject(&table, std::string("'") + name + "' is missing");
      return fallback;
    }
    if (!node->is_string()) {
      reject(node, std::string("'") + name + "' must be text in quotes");
      return fallback;
    }
    std::string value = **node->as_string();
    if (required && value.empty()) reject(node, std::string("'") + name + "' is empty");
    return value;
  }

  int64_t number(const toml::table& table, const char* name, int64_t fallback, int64_t low, int64_t high,
                 bool required) {
    const toml::node* node = table.get(name);
    if (!node) {
      if (required) reject(&table, std::string("'") + name + "' is missing");
      return fallback;
    }
    if (!node->is_integer() || **node->as_integer() < low || **node->as_integer() > high) {
      reject(node, std::string("'") + name + "' must be a number from " + std::to_string(low) + " to " +
                       std::to_string(high));
      return fallback;
    }
    return **node->as_integer();
  }

  std::vector<std::string> texts(const toml::table& table, const char* name,
                                 std::vector<std::string> fallback, bool required) {
    const toml::node* node = table.get(name);
    if (!node) {
      if (required) reject(&table, std::string("'") + name + "' is missing");
      return fallback;
    }
    std::vector<std::string> out;
    const toml::array* array = node->as_array();
    if (!array) {
      reject(node, std::string("'") + name + "' must be a list, written [\"…\", \"…\"]");
      return fallback;
    }
    for (auto&& item : *array) {
      if (item.is_string())
        out.push_back(**item.as_string());
      else
        reject(&item, std::string("'") + name + "' must hold texts in quotes");
    }
    return out;
  }

  void plain_name(const toml::table& table, const char* name, const std::string& value) {
    if (!is_plain_name(value))
      reject(table.get(name), "'" + value + "' is not allowed as a name",
             "1 to 63 letters, digits, '-', '.', '_', beginning with a letter or digit");
  }
  void absolute(const toml::table& table, const char* name, const std::string& path) {
    if (path.empty() || path[0] != '/')
      reject(table.get(name), std::string("'") + name + "' must be an absolute path, not '" + path + "'");
  }
  void address(const toml::node* at, const std::string& value) {
    if (auto ok = check_ip_address(value); !ok) take(ok.error(), at, "");
  }

 private:
  std::string file_;
  std::optional<Error> error_;
};

bool is_uuid(std::string_view s) {
  if (s.size() != 36) return false;
  for (size_t i = 0; i < s.size(); ++i) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? s[i] != '-' : !isxdigit(static_cast<unsigned char>(s[i]))) return false;
  }
  return true;
}

void read_identity(Reader& r, const toml::table& root, NodeConfig& c) {
  if (auto* t = r.section(root, "cluster", true)) {
    r.only_known(*t, "cluster", {"id", "name"});
    c.cluster_id = r.text(*t, "id", "", true);
    c.cluster_name = r.text(*t, "name", "", true);
    if (!is_uuid(c.cluster_id))
      r.reject(t->get("id"), "'" + c.cluster_id + "' is no cluster id",
               "it is a UUID made by 'holdfast cluster create'; copy it from another node's file");
    r.plain_name(*t, "name", c.cluster_name);
  }
  if (auto* t = r.section(root, "node", true)) {
    r.only_known(*t, "node", {"name", "id"});
    c.node_name = r.text(*t, "name", "", true);
    c.node = NodeId{static_cast<uint64_t>(r.number(*t, "id", 0, 1, nodes_max, true))};
    r.plain_name(*t, "name", c.node_name);
  }
}

void read_networks(Reader& r, const toml::table& root, NodeConfig& c) {
  std::set<std::string> names, addresses;
  for (auto* t : r.sections(root, "network")) {
    r.only_known(*t, "network", {"name", "address", "port"});
    NodeConfig::Network n;
    n.name = r.text(*t, "name", "", true);
    n.address = r.text(*t, "address", "", true);
    n.port = static_cast<uint16_t>(r.number(*t, "port", default_port, 1, 65535, false));
    r.plain_name(*t, "name", n.name);
    r.address(t->get("address"), n.address);
    if (!names.insert(n.name).second) r.reject(t->get("name"), "network '" + n.name + "' is there twice");
    if (!addresses.insert(n.address).second)
      r.reject(t->get("address"), "address '" + n.address + "' is there twice", "each network has its own");
    c.networks.push_back(std::move(n));
  }
  if (c.networks.empty())
    r.reject(nullptr, "no [[network]]", "give one to eight networks with this node's address on each");
  if (c.networks.size() > networks_max)
    r.reject(root.get("network"), std::to_string(c.networks.size()) + " networks, at most 8 are supported");
}

void read_peers(Reader& r, const toml::table& root, NodeConfig& c) {
  std::set<std::string> names{c.node_name};
  std::set<uint64_t> ids{c.node.value};
  for (auto* t : r.sections(root, "peer")) {
    r.only_known(*t, "peer", {"name", "id", "addresses", "port"});
    NodeConfig::Peer p;
    p.name = r.text(*t, "name", "", true);
    p.node = NodeId{static_cast<uint64_t>(r.number(*t, "id", 0, 1, nodes_max, true))};
    p.addresses = r.texts(*t, "addresses", {}, true);
    p.port = static_cast<uint16_t>(r.number(*t, "port", default_port, 1, 65535, false));
    r.plain_name(*t, "name", p.name);
    for (const auto& a : p.addresses) r.address(t->get("addresses"), a);
    if (p.addresses.size() != c.networks.size())
      r.reject(t->get("addresses"),
               "peer '" + p.name + "' has " + std::to_string(p.addresses.size()) +
                   " addresses, but there are " + std::to_string(c.networks.size()) + " networks",
               "give one address for each [[network]], in the same order");
    if (!names.insert(p.name).second) r.reject(t->get("name"), "node name '" + p.name + "' is there twice");
    if (!ids.insert(p.node.value).second)
      r.reject(t->get("id"), "node id " + std::to_string(p.node.value) + " is there twice");
    c.peers.push_back(std::move(p));
  }
}

void read_quorum(Reader& r, const toml::table& root, NodeConfig& c) {
  auto* t = r.section(root, "quorum", true);
  if (!t) return;
  r.only_known(*t, "quorum", {"kind", "device", "initiator_name"});
  auto& q = c.quorum;
  q.kind = r.text(*t, "kind", "", true);
  q.device = r.text(*t, "device", "", true);
  q.initiator_name = r.text(*t, "initiator_name", "", false);
  bool iscsi = q.device.rfind("iscsi://", 0) == 0;
  if (q.kind == "local") {
    r.absolute(*t, "device", q.device);
  } else if (q.kind == "lun") {
    if (!iscsi && q.device.rfind("/dev/", 0) != 0)
      r.reject(t->get("device"), "'" + q.device + "' is no quorum device",
               "iscsi://ADDRESS:3260/TARGET/LUN, or /dev/disk/by-id/… for a disk that the kernel attached");
    if (iscsi && q.initiator_name.empty())
      r.reject(t, "'initiator_name' is missing",
               "an iSCSI quorum needs the initiator name of this node: " +
                   default_initiator_name(c.cluster_id, c.node_name));
  } else {
    r.reject(t->get("kind"), "quorum kind '" + q.kind + "' is not known", "known: lun, local");
  }
  bool iqn = q.initiator_name.rfind("iqn.", 0) == 0 || q.initiator_name.rfind("eui.", 0) == 0 ||
             q.initiator_name.rfind("naa.", 0) == 0;
  if (!q.initiator_name.empty() && (!iqn || q.initiator_name.size() > 223))
    r.reject(t->get("initiator_name"), "'" + q.initiator_name + "' is no iSCSI initiator name",
             "it begins with iqn., eui. or naa. and has at most 223 characters");
}

void read_paths(Reader& r, const toml::table& root, NodeConfig& c) {
  if (auto* t = r.section(root, "paths", false)) {
    r.only_known(*t, "paths", {"tls", "state", "runtime", "plugins", "monitor"});
    struct {
      const char* name;
      std::string& value;
    } paths[] = {{"tls", c.tls_dir},
                 {"state", c.state_dir},
                 {"runtime", c.runtime_dir},
                 {"monitor", c.monitor_program}};
    for (auto& [name, value] : paths) {
      value = r.text(*t, name, value, false);
      r.absolute(*t, name, value);
    }
    c.plugin_dirs = r.texts(*t, "plugins", c.plugin_dirs, false);
    for (const auto& dir : c.plugin_dirs) r.absolute(*t, "plugins", dir);
  }
  if (auto* t = r.section(root, "log", false)) {
    r.only_known(*t, "log", {"level"});
    c.log_level = r.text(*t, "level", c.log_level, false);
    std::vector<std::string> levels = {"trace", "debug", "info", "warning", "error"};
    if (std::find(levels.begin(), levels.end(), c.log_level) == levels.end())
      r.reject(t->get("level"), "log level '" + c.log_level + "' is not known",
               "known: trace, debug, info, warning, error");
  }
}

}  // namespace

Result<NodeConfig> parse_node_config(std::string_view text, const std::string& name_for_errors) {
  if (size_t line = line_of_stray_character(text); line != 0)
    return fail(ErrorCode::invalid_argument,
                name_for_errors + ":" + std::to_string(line) + ": a character that belongs into quotes", 0,
                "names and numbers are plain ASCII; text stands in \" or ', not in typographic quotes");
  toml::parse_result parsed = toml::parse(text, name_for_errors);
  if (!parsed) {
    const auto& e = parsed.error();
    return fail(
        ErrorCode::invalid_argument,
        name_for_errors + ":" + std::to_string(e.source().begin.line) + ": " + std::string(e.description()),
        0, "the file is TOML: [section], name = \"text\", lists in [ ]");
  }
  const toml::table& root = parsed.table();
  Reader r(name_for_errors);
  NodeConfig c;
  r.only_known(root, "", {"cluster", "node", "network", "peer", "quorum", "paths", "log"});
  read_identity(r, root, c);
  read_networks(r, root, c);
  read_peers(r, root, c);
  read_quorum(r, root, c);
  read_paths(r, root, c);
  if (r.error()) return fail(*r.error());
  return c;
}

Result<NodeConfig> load_node_config(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  struct stat st {};
  if (!in || stat(path.c_str(), &st) != 0 || S_ISDIR(st.st_mode)) {
    int why = in ? EISDIR : errno;
    if (why == ENOENT)
      return fail(ErrorCode::not_found, "there is no configuration " + path, 0,
                  "this node is in no cluster: 'holdfast cluster create' or 'holdfast cluster join'");
    return fail(why == EACCES ? ErrorCode::permission : ErrorCode::io, "cannot read " + path, why,
                why == EACCES ? "run it as root" : "");
  }
  std::stringstream text;
  text << in.rdbuf();
  return parse_node_config(text.str(), path);
}

}  // namespace holdfast
