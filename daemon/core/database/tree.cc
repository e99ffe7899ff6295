#include "core/database/tree.h"

#include "base/assert.h"
#include "base/crc32c.h"

namespace holdfast::core {
namespace {

using tree::Change;
using tree::Precondition;

size_t value_bytes(const Value& v) {
  switch (v.kind_case()) {
    case Value::kText:
      return v.text().size();
    case Value::kNumber:
      return 8;
    case Value::kBinary:
      return v.binary().size();
    case Value::kList: {
      size_t n = 0;
      for (const auto& item : v.list().items()) n += item.size() + 4;
      return n;
    }
    default:
      return 0;
  }
}

bool below_or_equal(std::string_view path, std::string_view root) {
  if (root.empty()) return true;
  return path.substr(0, root.size()) == root && (path.size() == root.size() || path[root.size()] == '/');
}

void digest_string(uint32_t& crc, std::string_view s) {
  uint64_t size = s.size();
  crc = crc32c(&size, sizeof size, crc);
  crc = crc32c(s.data(), s.size(), crc);
}

void digest_value(uint32_t& crc, const Value& v) {
  uint32_t kind = v.kind_case();
  crc = crc32c(&kind, sizeof kind, crc);
  if (v.has_text()) digest_string(crc, v.text());
  if (v.has_number()) {
    uint64_t n = v.number();
    crc = crc32c(&n, sizeof n, crc);
  }
  if (v.has_binary()) digest_string(crc, v.binary());
  if (v.has_list())
    for (const auto& item : v.list().items()) digest_string(crc, item);
}

}  // namespace

bool valid_component(std::string_view name) {
  if (name.empty() || name.size() > TreeLimits::name_bytes_max || name == "." || name == "..") return false;
  if (name.front() == ' ' || name.back() == ' ') return false;
  for (char c : name)
    if (c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  return true;
}

bool valid_path(std::string_view path) {
  if (path.empty() || path.size() > TreeLimits::path_bytes_max) return false;
  while (true) {
    auto slash = path.find('/');
    if (!valid_component(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

std::string parent_path(std::string_view path) {
  auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

const Tree::Key* Tree::find(std::string_view path) const {
  auto it = keys_.find(path);
  return it == keys_.end() ? nullptr : &it->second;
}

const Tree::Key& Tree::key(std::string_view path) const {
  static const Key none;
  const Key* key = find(path);
  return key ? *key : none;
}

const Value* Tree::Key::find(std::string_view name) const {
  auto it = values.find(name);
  return it == values.end() ? nullptr : &it->second;
}

std::string Tree::Key::text(std::string_view name, std::string_view fallback) const {
  const Value* v = find(name);
  return v && v->has_text() ? v->text() : std::string(fallback);
}

uint64_t Tree::Key::number(std::string_view name, uint64_t fallback) const {
  const Value* v = find(name);
  return v && v->has_number() ? v->number() : fallback;
}

std::vector<std::string> Tree::Key::list(std::string_view name) const {
  const Value* v = find(name);
  if (!v || !v->has_list()) return {};
  return {v->list().items().begin(), v->list().items().end()};
}

const Value* Tree::find_value(std::string_view path, std::string_view name) const {
  return key(path).find(name);
}

std::string Tree::text(std::string_view path, std::string_view name, std::string_view fallback) const {
  return key(path).text(name, fallback);
}

uint64_t Tree::number(std::string_view path, std::string_view name, uint64_t fallback) const {
  return key(path).number(name, fallback);
}

std::vector<std::string> Tree::list(std::string_view path, std::string_view name) const {
  return key(path).list(name);
}

std::vector<std::string> Tree::subtree(std::string_view path) const {
  std::vector<std::string> out;
  for (auto it = keys_.lower_bound(path); it != keys_.end(); ++it) {
    if (!path.empty() && it->first.compare(0, path.size(), path) != 0) break;
    if (below_or_equal(it->first, path)) out.push_back(it->first);
  }
  return out;
}

std::vector<std::string> Tree::children(std::string_view path) const {
  std::vector<std::string> out;
  for (auto it = keys_.lower_bound(path); it != keys_.end(); ++it) {
    const std::string& key = it->first;
    if (!path.empty() && key.compare(0, path.size(), path) != 0) break;
    if (key == path || !below_or_equal(key, path)) continue;
    std::string_view rest = std::string_view(key).substr(path.empty() ? 0 : path.size() + 1);
    if (rest.find('/') == std::string_view::npos) out.emplace_back(rest);
  }
  return out;
}

Status Tree::check(const Transaction& t) const {
  if (static_cast<size_t>(t.changes_size()) > TreeLimits::changes_max)
    return fail(ErrorCode::full,
                "a transaction may hold " + std::to_string(TreeLimits::changes_max) +
                    " changes, this one has " + std::to_string(t.changes_size()),
                0, "split it");
  if (t.ByteSizeLong() > TreeLimits::transaction_bytes_max)
    return fail(ErrorCode::full, "the transaction is larger than 1 MiB", 0, "split it");
  for (const auto& p : t.preconditions()) {
    const Key* key = find(p.key());
    switch (p.kind()) {
      case Precondition::KEY_EXISTS:
        if (!key) return fail(ErrorCode::conflict, "'" + p.key() + "' does not exist");
        break;
      case Precondition::KEY_ABSENT:
        if (key) return fail(ErrorCode::conflict, "'" + p.key() + "' exists already");
        break;
      case Precondition::VALUE_EQUALS: {
        const Value* v = find_value(p.key(), p.name());
        bool wanted = p.has_value() && p.value().kind_case() != Value::KIND_NOT_SET;
        if (wanted != (v != nullptr) || (v && wanted && !same_value(*v, p.value())))
          return fail(ErrorCode::conflict, "'" + p.name() + "' of '" + p.key() + "' is " +
                                               (v ? "'" + display(*v) + "'" : "not set") + ", not " +
                                               (wanted ? "'" + display(p.value()) + "'" : "unset") +
                                               " as expected");
        break;
      }
      case Precondition::KEY_UNCHANGED:
        for (const auto& path : subtree(p.key()))
          if (find(path)->changed_at > p.sequence())
            return fail(ErrorCode::conflict, "'" + path + "' was changed by update " +
                                                 std::to_string(find(path)->changed_at) + ", after update " +
                                                 std::to_string(p.sequence()));
        break;
      default:
        return fail(ErrorCode::invalid_argument, "unknown kind of precondition");
    }
  }
  size_t growth = 0;
  for (const auto& c : t.changes()) {
    if (!valid_path(c.key()))
      return fail(ErrorCode::invalid_argument, "'" + c.key() + "' is no valid key", 0,
                  "components are 1 to 128 bytes, without control characters or leading and trailing blanks");
    if (c.kind() == Change::SET_VALUE || c.kind() == Change::DELETE_VALUE) {
      if (!valid_component(c.name()))
        return fail(ErrorCode::invalid_argument, "'" + c.name() + "' is no valid value name");
    }
    if (c.kind() == Change::SET_VALUE) {
      if (c.value().kind_case() == Value::KIND_NOT_SET)
        return fail(ErrorCode::invalid_argument, "value '" + c.name() + "' of '" + c.key() + "' has no type");
      size_t size = value_bytes(c.value());
      if (size > TreeLimits::value_bytes_max)
        return fail(ErrorCode::full, "value '" + c.name() + "' of '" + c.key() + "' has " +
                                         std::to_string(size) + " bytes; 64 KiB is the limit");
      growth += size + c.key().size() + c.name().size();
    }
    if (!Change::Kind_IsValid(c.kind())) return fail(ErrorCode::invalid_argument, "unknown kind of change");
  }
  if (growth > 0 && bytes_ + growth > TreeLimits::tree_bytes_max)
    return fail(ErrorCode::full, "the cluster database is full (8 MiB)", 0,
                "delete what is no longer needed");
  return {};
}

void Tree::touch_parent(const std::string& path, Sequence sequence) {
  auto parent = parent_path(path);
  if (parent.empty()) return;
  if (auto it = keys_.find(parent); it != keys_.end()) it->second.changed_at = sequence.value;
}

void Tree::create(const std::string& path, Sequence sequence, std::vector<ChangeNotice>* notices) {
  if (keys_.count(path)) return;
  if (auto parent = parent_path(path); !parent.empty()) create(parent, sequence, notices);
  keys_[path].changed_at = sequence.value;
  bytes_ += path.size();
  touch_parent(path, sequence);
  if (notices) notices->push_back({ChangeNotice::Kind::key_created, path, {}, {}, {}});
}

void Tree::erase(const std::string& path, Sequence sequence, std::vector<ChangeNotice>* notices) {
  auto doomed = subtree(path);
  if (doomed.empty()) return;
  for (auto it = doomed.rbegin(); it != doomed.rend(); ++it) {  // children first
    auto key = keys_.find(*it);
    bytes_ -= key->first.size();
    for (const auto& [name, value] : key->second.values) bytes_ -= name.size() + value_bytes(value);
    keys_.erase(key);
    if (notices) notices->push_back({ChangeNotice::Kind::key_deleted, *it, {}, {}, {}});
  }
  touch_parent(path, sequence);
}

std::vector<ChangeNotice> Tree::apply(const Transaction& t, Sequence sequence) {
  std::vector<ChangeNotice> notices;
  for (const auto& c : t.changes()) {
    if (!valid_path(c.key())) continue;
    switch (c.kind()) {
      case Change::CREATE_KEY:
        create(c.key(), sequence, &notices);
        break;
      case Change::DELETE_KEY:
        erase(c.key(), sequence, &notices);
        break;
      case Change::SET_VALUE: {
        if (!valid_component(c.name()) || c.value().kind_case() == Value::KIND_NOT_SET) break;
        create(c.key(), sequence, &notices);
        Key& key = keys_.find(c.key())->second;
        auto it = key.values.find(c.name());
        if (it != key.values.end() && same_value(it->second, c.value())) break;
        ChangeNotice notice{ChangeNotice::Kind::value_set, c.key(), c.name(), {}, c.value()};
        if (it != key.values.end()) {
          notice.old_value = it->second;
          bytes_ -= value_bytes(it->second);
          it->second = c.value();
        } else {
          key.values.emplace(c.name(), c.value());
          bytes_ += c.name().size();
        }
        bytes_ += value_bytes(c.value());
        key.changed_at = sequence.value;
        notices.push_back(std::move(notice));
        break;
      }
      case Change::DELETE_VALUE: {
        auto k = keys_.find(c.key());
        if (k == keys_.end()) break;
        auto it = k->second.values.find(c.name());
        if (it == k->second.values.end()) break;
        notices.push_back({ChangeNotice::Kind::value_deleted, c.key(), c.name(), it->second, {}});
        bytes_ -= it->first.size() + value_bytes(it->second);
        k->second.values.erase(it);
        k->second.changed_at = sequence.value;
        break;
      }
      default:
        break;
    }
  }
  return notices;
}

tree::Tree Tree::to_proto(std::string_view prefix) const {
  tree::Tree out;
  for (const auto& path : subtree(prefix)) {
    const Key& key = *find(path);
    auto* k = out.add_keys();
    k->set_path(path);
    k->set_changed_at(key.changed_at);
    for (const auto& [name, value] : key.values) (*k->mutable_values())[name] = value;
  }
  return out;
}

Status Tree::load(const tree::Tree& proto) {
  Tree fresh;
  for (const auto& k : proto.keys()) {
    if (!valid_path(k.path()))
      return fail(ErrorCode::corrupt, "the database holds the malformed key '" + k.path() + "'");
    fresh.create(k.path(), Sequence{k.changed_at()}, nullptr);
    for (const auto& [name, value] : k.values()) {
      if (!valid_component(name) || value.kind_case() == Value::KIND_NOT_SET)
        return fail(ErrorCode::corrupt, "the database holds a malformed value in '" + k.path() + "'");
      // A key that is there twice counts once.
      if (fresh.keys_.find(k.path())->second.values.emplace(name, value).second)
        fresh.bytes_ += name.size() + value_bytes(value);
    }
  }
  // A child that came after its parent has touched the parent: put the stored numbers back.
  for (const auto& k : proto.keys()) fresh.keys_.find(k.path())->second.changed_at = k.changed_at();
  *this = std::move(fresh);
  return {};
}

uint32_t Tree::digest() const {
  uint32_t crc = 0;
  for (const auto& [path, key] : keys_) {
    digest_string(crc, path);
    crc = crc32c(&key.changed_at, sizeof key.changed_at, crc);
    for (const auto& [name, value] : key.values) {
      digest_string(crc, name);
      digest_value(crc, value);
    }
  }
  return crc;
}

void Tree::check_invariants() const {
  // Siblings stand together in the order of the keys: one look for all of them.
  std::string_view found;
  for (const auto& [path, key] : keys_) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) continue;
    const std::string_view parent = std::string_view(path).substr(0, slash);
    if (parent == found) continue;
    HOLDFAST_ASSERT(keys_.count(parent));  // R1
    found = parent;
  }
}

Value text_value(std::string text) {
  Value v;
  v.set_text(std::move(text));
  return v;
}
Value number_value(uint64_t number) {
  Value v;
  v.set_number(number);
  return v;
}
Value list_value(std::vector<std::string> items) {
  Value v;
  v.mutable_list();
  for (auto& item : items) v.mutable_list()->add_items(std::move(item));
  return v;
}

bool same_value(const Value& a, const Value& b) {
  if (a.kind_case() != b.kind_case()) return false;
  switch (a.kind_case()) {
    case Value::kText:
      return a.text() == b.text();
    case Value::kNumber:
      return a.number() == b.number();
    case Value::kBinary:
      return a.binary() == b.binary();
    case Value::kList: {
      if (a.list().items_size() != b.list().items_size()) return false;
      for (int i = 0; i < a.list().items_size(); ++i)
        if (a.list().items(i) != b.list().items(i)) return false;
      return true;
    }
    default:
      return true;
  }
}

std::string display(const Value& v) {
  if (v.has_text()) return v.text();
  if (v.has_number()) return std::to_string(v.number());
  if (v.has_binary()) return "<" + std::to_string(v.binary().size()) + " bytes>";
  std::string out;
  for (const auto& item : v.list().items()) out += (out.empty() ? "" : ",") + item;
  return out;
}

namespace {
Change* add_change(Transaction& t, Change::Kind kind, std::string key) {
  auto* c = t.add_changes();
  c->set_kind(kind);
  c->set_key(std::move(key));
  return c;
}
Precondition* add_precondition(Transaction& t, Precondition::Kind kind, std::string key) {
  auto* p = t.add_preconditions();
  p->set_kind(kind);
  p->set_key(std::move(key));
  return p;
}
}  // namespace

Edit& Edit::create(std::string key) {
  add_change(transaction_, Change::CREATE_KEY, std::move(key));
  return *this;
}
Edit& Edit::remove(std::string key) {
  add_change(transaction_, Change::DELETE_KEY, std::move(key));
  return *this;
}
Edit& Edit::set(std::string key, std::string name, Value value) {
  auto* c = add_change(transaction_, Change::SET_VALUE, std::move(key));
  c->set_name(std::move(name));
  *c->mutable_value() = std::move(value);
  return *this;
}
Edit& Edit::set(std::string key, std::string name, std::string text) {
  return set(std::move(key), std::move(name), text_value(std::move(text)));
}
Edit& Edit::set(std::string key, std::string name, uint64_t number) {
  return set(std::move(key), std::move(name), number_value(number));
}
Edit& Edit::set(std::string key, std::string name, std::vector<std::string> items) {
  return set(std::move(key), std::move(name), list_value(std::move(items)));
}
Edit& Edit::unset(std::string key, std::string name) {
  add_change(transaction_, Change::DELETE_VALUE, std::move(key))->set_name(std::move(name));
  return *this;
}
Edit& Edit::require_key(std::string key) {
  add_precondition(transaction_, Precondition::KEY_EXISTS, std::move(key));
  return *this;
}
Edit& Edit::require_absent(std::string key) {
  add_precondition(transaction_, Precondition::KEY_ABSENT, std::move(key));
  return *this;
}
Edit& Edit::require_equal(std::string key, std::string name, Value value) {
  auto* p = add_precondition(transaction_, Precondition::VALUE_EQUALS, std::move(key));
  p->set_name(std::move(name));
  *p->mutable_value() = std::move(value);
  return *this;
}
Edit& Edit::require_unset(std::string key, std::string name) {
  add_precondition(transaction_, Precondition::VALUE_EQUALS, std::move(key))->set_name(std::move(name));
  return *this;
}
Edit& Edit::require_unchanged(std::string key, Sequence since) {
  add_precondition(transaction_, Precondition::KEY_UNCHANGED, std::move(key))->set_sequence(since.value);
  return *this;
}

}  // namespace holdfast::core
