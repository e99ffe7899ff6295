// The local replica: a SQLite file whose rows say anything, as an earlier life or a broken disk left them.
#include <sqlite3.h>
#include <unistd.h>

#include <cstdlib>

#include "adapters/replica/replica.h"
#include "target.h"
#include "tree_words.h"

using namespace holdfast;

namespace {

// One file for all runs, in memory where there is such a place.
struct File {
  File() {
    char shm[] = "/dev/shm/holdfast-fuzz-XXXXXX", tmp[] = "/tmp/holdfast-fuzz-XXXXXX";
    const bool in_memory = mkdtemp(shm) != nullptr;
    if (!in_memory) HOLDFAST_ASSERT(mkdtemp(tmp));
    folder = in_memory ? shm : tmp;
    path = folder + "/replica.db";
    {
      Replica empty(path, [](const std::string&) { abort(); });
    }  // makes the tables
    HOLDFAST_ASSERT(sqlite3_open(path.c_str(), &handle) == SQLITE_OK);
    sqlite3_busy_timeout(handle, 10'000);  // its thread may still be closing the file
    run("PRAGMA synchronous=OFF");
    atexit([] {
      sqlite3_close(the_one().handle);
      for (const char* end : {"", "-wal", "-shm"}) unlink((the_one().path + end).c_str());
      rmdir(the_one().folder.c_str());
    });
  }
  static File& the_one() {
    static File& file = *new File;
    return file;
  }
  void run(const char* sql) {
    HOLDFAST_ASSERT(sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  void put(const std::string& path, const std::string& blob) {
    sqlite3_stmt* s = nullptr;
    HOLDFAST_ASSERT(sqlite3_prepare_v2(handle, "INSERT OR REPLACE INTO keys VALUES(?1,?2)", -1, &s,
                                       nullptr) == SQLITE_OK);
    sqlite3_bind_text(s, 1, path.data(), static_cast<int>(path.size()), SQLITE_TRANSIENT);
    sqlite3_bind_blob(s, 2, blob.data(), static_cast<int>(blob.size()), SQLITE_TRANSIENT);
    HOLDFAST_ASSERT(sqlite3_step(s) == SQLITE_DONE);
    sqlite3_finalize(s);
  }

  std::string folder, path;
  sqlite3* handle = nullptr;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  File& file = File::the_one();
  file.run("BEGIN; DELETE FROM keys");
  size_t stored = 0;
  for (int rows = 0; !in.done() && rows < 16; ++rows) {
    const std::string path = fuzz::word(in), blob = in.text();
    stored += path.size() + blob.size();
    file.put(path, blob);
  }
  file.run("COMMIT");
  auto tree = Replica::load(file.path);
  if (!tree) {
    HOLDFAST_ASSERT(tree.error().code == ErrorCode::corrupt);
    return 0;
  }
  tree->check_invariants();
  HOLDFAST_ASSERT(tree->bytes() <= 256 * stored);
  core::Tree again;
  HOLDFAST_ASSERT(again.load(tree->to_proto()) && again.digest() == tree->digest());
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  Recipe rows;
  for (const char* path : {"cluster", "nodes", "nodes/1", "groups/web"}) {
    tree::Key key;
    key.set_path(path);
    key.set_changed_at(3);
    (*key.mutable_values())["Name"].set_text("n1");
    rows.byte(word_number(path)).text(key.SerializeAsString());
  }
  return {rows.done(), Recipe().byte(word_number("cluster")).text("").done()};
}

}  // namespace holdfast::fuzz
