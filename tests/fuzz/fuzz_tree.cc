// The database: a tree as a snapshot, a checkpoint or a replica gives it, and transactions on it.
#include "core/commands/schema.h"
#include "core/database/tree.h"
#include "target.h"
#include "tree_words.h"

using namespace holdfast;
using namespace holdfast::core;

namespace {

void sound(const Tree& tree) {
  tree.check_invariants();
  const auto said = tree.to_proto();
  Tree again;
  HOLDFAST_ASSERT(again.load(said));
  HOLDFAST_ASSERT(again.digest() == tree.digest() && again.bytes() == tree.bytes());
  HOLDFAST_ASSERT(again.key_count() == tree.key_count());
  tree::Tree parsed;
  HOLDFAST_ASSERT(parsed.ParseFromString(said.SerializeAsString()));
  size_t children = 0;
  for (const auto& key : tree.subtree("")) children += tree.children(key).size();
  HOLDFAST_ASSERT(children + tree.children("").size() == tree.key_count());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  Tree tree;
  tree::Tree stored;
  if (!stored.ParseFromString(in.text())) return 0;
  if (auto loaded = tree.load(stored); !loaded) {
    HOLDFAST_ASSERT(loaded.error().code == ErrorCode::corrupt && tree.key_count() == 0);
  } else {
    HOLDFAST_ASSERT(tree.bytes() <= stored.ByteSizeLong() * 256);  // a path makes all its parents
  }
  sound(tree);
  for (uint64_t sequence = 1; !in.done() && sequence < 64; ++sequence) {
    Transaction transaction;
    fuzz::fill_transaction(in, &transaction);
    const auto checked = tree.check(transaction);
    if (!checked) {
      const ErrorCode code = checked.error().code;
      HOLDFAST_ASSERT(code == ErrorCode::conflict || code == ErrorCode::invalid_argument ||
                      code == ErrorCode::full);
      continue;
    }
    const uint32_t before = tree.digest();
    const auto notices = tree.apply(transaction, Sequence{sequence});
    HOLDFAST_ASSERT(!notices.empty() || tree.digest() == before);
    HOLDFAST_ASSERT(tree.check({}));
  }
  sound(tree);
  (void)check_schema(tree);
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  Tree tree;
  tree.apply(Edit()
                 .set("cluster", "Name", "demo")
                 .set("nodes/1", "Addresses", std::vector<std::string>{"lan=192.0.2.1"})
                 .set("groups/web", "Owner", uint64_t{1})
                 .create("resources/ip/Parameters")
                 .done(),
             Sequence{1});
  const std::string stored = tree.to_proto().SerializeAsString();
  Recipe changes;
  changes.text(stored);
  changes.byte(1).byte(0).byte(word_number("groups/web")).byte(0).any(0).byte(0);  // precondition: exists
  changes.byte(2);
  changes.byte(2)
      .byte(word_number("groups"))
      .byte(1)
      .byte(word_number("db"))
      .byte(word_number("Owner"))
      .byte(1)
      .any(2);
  changes.byte(1).byte(word_number("nodes")).byte(0).byte(0).byte(4);
  auto twice = tree.to_proto();
  twice.MergeFrom(tree.to_proto("groups"));
  return {changes.done(), Recipe().text(stored).done(), Recipe().text(twice.SerializeAsString()).done()};
}

}  // namespace holdfast::fuzz
