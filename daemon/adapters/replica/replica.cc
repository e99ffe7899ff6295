#include "adapters/replica/replica.h"

#include <sqlite3.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace holdfast {
namespace {

struct Work {
  bool whole = false;
  Sequence sequence;
  std::vector<std::pair<std::string, std::string>> keys;  // path, serialised tree::Key; empty = deleted
};

struct Database {
  sqlite3* handle = nullptr;
  ~Database() { sqlite3_close(handle); }
  Status run(const char* sql) {
    char* message = nullptr;
    if (sqlite3_exec(handle, sql, nullptr, nullptr, &message) == SQLITE_OK) return {};
    std::string text = message ? message : "unknown";
    sqlite3_free(message);
    return fail(ErrorCode::io, "the local replica failed: " + text);
  }
  Status open(const std::string& path) {
    if (sqlite3_open(path.c_str(), &handle) != SQLITE_OK)
      return fail(ErrorCode::io,
                  "the local replica " + path + " cannot be opened: " + sqlite3_errmsg(handle));
    sqlite3_busy_timeout(handle, 2000);
    HOLDFAST_CHECK(run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"));
    return run(
        "CREATE TABLE IF NOT EXISTS keys(path TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;");
  }
  Status put(const std::string& path, const std::string& data) {
    sqlite3_stmt* s = nullptr;
    const char* sql = data.empty() ? "DELETE FROM keys WHERE path=?1"
                                   : "INSERT OR REPLACE INTO keys(path,data) VALUES(?1,?2)";
    if (sqlite3_prepare_v2(handle, sql, -1, &s, nullptr) != SQLITE_OK)
      return fail(ErrorCode::io, std::string("the local replica failed: ") + sqlite3_errmsg(handle));
    sqlite3_bind_text(s, 1, path.data(), static_cast<int>(path.size()), SQLITE_TRANSIENT);
    if (!data.empty()) sqlite3_bind_blob(s, 2, data.data(), static_cast<int>(data.size()), SQLITE_TRANSIENT);
    int code = sqlite3_step(s);
    sqlite3_finalize(s);
    if (code != SQLITE_DONE)
      return fail(ErrorCode::io, std::string("the local replica failed: ") + sqlite3_errmsg(handle));
    return {};
  }
  Status apply(const Work& work) {
    HOLDFAST_CHECK(run("BEGIN IMMEDIATE"));
    Status status = work.whole ? run("DELETE FROM keys") : Status{};
    for (const auto& [path, data] : work.keys)
      if (status) status = put(path, data);
    if (status)
      status =
          run(("INSERT OR REPLACE INTO meta VALUES('sequence'," + std::to_string(work.sequence.value) + ")")
                  .c_str());
    if (status) return run("COMMIT");
    (void)run("ROLLBACK");
    return status;
  }
};

std::string serialise(const core::Tree& tree, const std::string& path) {
  const core::Tree::Key* key = tree.find(path);
  if (!key) return {};
  tree::Key k;
  k.set_path(path);
  k.set_changed_at(key->changed_at);
  for (const auto& [name, value] : key->values) (*k.mutable_values())[name] = value;
  return k.SerializeAsString();
}

}  // namespace

struct Replica::State {
  std::string path;
  std::function<void(const std::string&)> trouble;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Work> queue;
  bool stopping = false, stopped = false;
};

Replica::Replica(std::string path, std::function<void(const std::string&)> trouble)
    : state_(std::make_shared<State>()) {
  state_->path = std::move(path);
  state_->trouble = std::move(trouble);
  std::thread([state = state_] {
    Database database;
    std::string last_trouble;
    auto opened = database.open(state->path);
    if (!opened) state->trouble(last_trouble = opened.error().text());
    while (true) {
      Work work;
      {
        std::unique_lock lock(state->mutex);
        state->changed.wait(lock, [&] { return state->stopping || !state->queue.empty(); });
        if (state->queue.empty()) break;
        work = std::move(state->queue.front());
        state->queue.pop_front();
      }
      if (!opened) continue;
      auto written = database.apply(work);
      if (!written && written.error().text() != last_trouble)
        state->trouble(last_trouble = written.error().text());
      if (written) last_trouble.clear();
    }
    std::lock_guard lock(state->mutex);
    state->stopped = true;
    state->changed.notify_all();
  }).detach();
}

Replica::~Replica() {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, std::chrono::seconds(3), [&] { return state_->stopped; });
}

void Replica::write_keys(const core::Tree& tree, const std::vector<std::string>& keys, Sequence sequence) {
  Work work;
  work.sequence = sequence;
  for (const auto& path : keys) work.keys.emplace_back(path, serialise(tree, path));
  std::lock_guard lock(state_->mutex);
  state_->queue.push_back(std::move(work));
  state_->changed.notify_all();
}

void Replica::write_all(const core::Tree& tree, Sequence sequence) {
  Work work;
  work.whole = true;
  work.sequence = sequence;
  for (const auto& path : tree.subtree("")) work.keys.emplace_back(path, serialise(tree, path));
  std::lock_guard lock(state_->mutex);
  state_->queue.clear();  // all of it is in this one
  state_->queue.push_back(std::move(work));
  state_->changed.notify_all();
}

Result<core::Tree> Replica::load(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) return fail(ErrorCode::not_found, "there is no local replica yet");
  Database database;
  HOLDFAST_CHECK(database.open(path));
  sqlite3_stmt* s = nullptr;
  if (sqlite3_prepare_v2(database.handle, "SELECT data FROM keys ORDER BY path", -1, &s, nullptr) !=
      SQLITE_OK)
    return fail(ErrorCode::corrupt,
                std::string("the local replica cannot be read: ") + sqlite3_errmsg(database.handle));
  tree::Tree proto;
  int code;
  while ((code = sqlite3_step(s)) == SQLITE_ROW)
    if (!proto.add_keys()->ParseFromArray(sqlite3_column_blob(s, 0), sqlite3_column_bytes(s, 0))) break;
  sqlite3_finalize(s);
  if (code != SQLITE_DONE)
    return fail(ErrorCode::corrupt, "the local replica " + path + " is damaged", 0,
                "it is written anew once the node has joined");
  core::Tree tree;
  HOLDFAST_CHECK(tree.load(proto));
  return tree;
}

}  // namespace holdfast
