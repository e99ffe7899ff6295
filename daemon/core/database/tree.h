// Tree: the cluster configuration database in memory (M3). Keys are paths, each holds named, typed values.
//
// Pure and deterministic: the same transactions in the same order give the same tree on every node, byte for
// byte (see digest()). A transaction is judged once, by the locker, with check(); apply() of a transaction
// that passed check() against the same tree cannot fail. Not thread-safe: the core's thread owns it.
//
// Invariants:
//   R1  every key's parent exists.
//   R2  changed_at of a key is the sequence of the last transaction that touched it or created or deleted a
//   child.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "proto/tree.pb.h"

namespace holdfast::core {

using tree::Transaction;
using tree::Value;

// Limits of what a transaction may hold; check() names the one that is broken.
struct TreeLimits {
  static constexpr size_t path_bytes_max = 512;
  static constexpr size_t name_bytes_max = 128;
  static constexpr size_t value_bytes_max = 64 * 1024;
  static constexpr size_t changes_max = 4096;
  static constexpr size_t transaction_bytes_max = 1024 * 1024;
  static constexpr size_t tree_bytes_max = 8 * 1024 * 1024;
};

// One changed thing, for notification. `name` is empty when the key itself was created or deleted.
struct ChangeNotice {
  enum class Kind : uint8_t { key_created, key_deleted, value_set, value_deleted };
  Kind kind;
  std::string key;
  std::string name;
  Value old_value;  // kind not set when there was none
  Value new_value;
};

class Tree {
 public:
  struct Key {
    std::map<std::string, Value, std::less<>> values;
    uint64_t changed_at = 0;

    // nullptr when absent; typed: the fallback when it is absent or of another kind.
    const Value* find(std::string_view name) const;
    std::string text(std::string_view name, std::string_view fallback = {}) const;
    uint64_t number(std::string_view name, uint64_t fallback = 0) const;
    std::vector<std::string> list(std::string_view name) const;
  };

  // nullptr when absent. The pointer lives until the next apply().
  const Key* find(std::string_view path) const;
  // One without values when it is absent: for who reads several values of a key.
  const Key& key(std::string_view path) const;
  const Value* find_value(std::string_view path, std::string_view name) const;
  bool exists(std::string_view path) const { return find(path) != nullptr; }

  // Typed reads; the fallback when the value is absent or of another kind.
  std::string text(std::string_view path, std::string_view name, std::string_view fallback = {}) const;
  uint64_t number(std::string_view path, std::string_view name, uint64_t fallback = 0) const;
  std::vector<std::string> list(std::string_view path, std::string_view name) const;

  // Names of the direct children of `path`, in byte order. "" = the root.
  std::vector<std::string> children(std::string_view path) const;
  // All keys at or below `path`, in order.
  std::vector<std::string> subtree(std::string_view path) const;

  // Do the preconditions hold, and is every change well formed and within the limits?
  // conflict (precondition), invalid_argument (malformed), full (a limit).
  Status check(const Transaction& transaction) const;
  // Applies all changes as update `sequence`; returns what really changed, in order. Setting a value to what
  // it is already changes nothing and gives no notice. Malformed changes (never after check()) are skipped.
  std::vector<ChangeNotice> apply(const Transaction& transaction, Sequence sequence);

  tree::Tree to_proto(std::string_view prefix = {}) const;
  // Replaces everything. corrupt when a path is malformed.
  Status load(const tree::Tree& proto);

  // CRC32C over a canonical form: equal trees have equal digests.
  uint32_t digest() const;
  size_t bytes() const { return bytes_; }
  size_t key_count() const { return keys_.size(); }

  // Aborts when R1 does not hold.
  void check_invariants() const;

 private:
  using Keys = std::map<std::string, Key, std::less<>>;
  void create(const std::string& path, Sequence sequence, std::vector<ChangeNotice>* notices);
  void erase(const std::string& path, Sequence sequence, std::vector<ChangeNotice>* notices);
  void touch_parent(const std::string& path, Sequence sequence);
  Keys keys_;
  size_t bytes_ = 0;
};

// Paths: "groups/web": components without '/', control characters, leading or trailing blanks; not "." or
// "..".
bool valid_path(std::string_view path);
bool valid_component(std::string_view name);
std::string parent_path(std::string_view path);

Value text_value(std::string text);
Value number_value(uint64_t number);
Value list_value(std::vector<std::string> items);
bool same_value(const Value& a, const Value& b);
// For people: text as it is, lists joined with ",", binary as "<n bytes>".
std::string display(const Value& value);

// A builder that reads like the change: Edit().require(...).set("groups/web", "Owner", 2).done().
class Edit {
 public:
  Edit& create(std::string key);
  Edit& remove(std::string key);
  Edit& set(std::string key, std::string name, std::string text);
  Edit& set(std::string key, std::string name, const char* text) {
    return set(std::move(key), std::move(name), std::string(text));
  }
  Edit& set(std::string key, std::string name, uint64_t number);
  Edit& set(std::string key, std::string name, std::vector<std::string> items);
  Edit& set(std::string key, std::string name, Value value);
  Edit& unset(std::string key, std::string name);
  Edit& require_key(std::string key);
  Edit& require_absent(std::string key);
  Edit& require_equal(std::string key, std::string name, Value value);
  Edit& require_unset(std::string key, std::string name);
  Edit& require_unchanged(std::string key, Sequence since);
  bool empty() const { return transaction_.changes_size() == 0; }
  const Transaction& done() const { return transaction_; }

 private:
  Transaction transaction_;
};

}  // namespace holdfast::core
