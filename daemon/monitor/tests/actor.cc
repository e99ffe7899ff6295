// A plug-in that does what its parameters say. Each call appends "<entry> <resource>" to the file `Trace`.
//   Online = ok | fail | hang (until terminate) | deaf (ignores terminate for `Delay` ms, then succeeds) |
//   slow (reports
//            progress every 20 ms for `Delay` ms) | async | crash | mumble (no UTF-8);  Offline, IsAlive,
//            Terminate = ok | fail | hang
//   control "fail-now" reports a failure, "fail-event" fires the event descriptor, "fail-check" makes the
//   checks fail
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "holdfast/resource.h"

namespace {

struct Actor {
  const holdfast_host* host;
  std::string name;
  std::mutex mutex;  // guards parameters: terminate, hold and release come from another thread
  std::map<std::string, std::string> parameters;
  int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::atomic<bool> check_fails{false};
  std::thread background;

  void read(const holdfast_context* c) {
    std::lock_guard lock(mutex);
    if (name.empty()) name = c->resource;
    for (size_t i = 0; i < c->parameters_size; ++i)
      parameters[c->parameters[i].name] = c->parameters[i].value;
  }
  std::string get(const char* key) {
    std::lock_guard lock(mutex);
    auto it = parameters.find(key);
    return it == parameters.end() ? "" : it->second;
  }
  int delay_ms() { return atoi(get("Delay").c_str()); }
  void trace(const char* entry) {
    if (get("Trace").empty()) return;
    int fd = ::open(get("Trace").c_str(), O_WRONLY | O_APPEND | O_CREAT, 0600);
    std::string line = std::string(entry) + " " + name + "\n";
    (void)!write(fd, line.data(), line.size());
    close(fd);
  }
};

Actor& of(void* p) {
  return *static_cast<Actor*>(p);
}

int say(holdfast_answer* answer, const char* text, int code) {
  strncpy(answer->text, text, sizeof answer->text - 1);
  return code;
}

int simple(void* p, const char* entry, const char* key, holdfast_answer* answer) {
  Actor& a = of(p);
  a.trace(entry);
  if (a.get(key) == "fail") return say(answer, "it was told to fail", HOLDFAST_IO);
  while (a.get(key) == "hang") pause();
  return HOLDFAST_OK;
}

int open_actor(const holdfast_host* host, const holdfast_context* context, void** instance,
               holdfast_answer* answer) {
  auto* a = new Actor;
  a->host = host;
  a->read(context);
  *instance = a;
  return simple(a, "open", "Open", answer);
}

void close_actor(void* p) {
  of(p).trace("close");
  if (of(p).background.joinable()) of(p).background.join();
  close(of(p).event);
  delete &of(p);
}

int online(void* p, const holdfast_context* context, int* event_fd, holdfast_answer* answer) {
  Actor& a = of(p);
  a.read(context);
  a.check_fails = false;
  a.trace("online");
  eventfd_t old;
  eventfd_read(a.event, &old);
  std::string how = a.get("Online");
  if (how == "fail") return say(answer, "it was told to fail", HOLDFAST_NOT_FOUND);
  if (how == "crash") abort();
  if (how == "mumble") {
    a.host->log(a.host, 5, "caf\xe9");
    a.host->publish(a.host, "Node", "n\xff");
    return say(answer, "cut in a character: \xe2\x82", HOLDFAST_OK);
  }
  while (how == "hang" && a.host->cancelled(a.host) == 0) usleep(1000);
  if (how == "deaf") usleep(static_cast<useconds_t>(a.delay_ms()) * 1000);
  for (int ms = 0; how == "slow" && ms < a.delay_ms() && !a.host->cancelled(a.host); ms += 20) {
    usleep(20000);
    a.host->progress(a.host, "still at it");
  }
  *event_fd = a.get("Event") == "1" ? a.event : -1;
  if (context->provided_size > 0) a.host->publish(a.host, "Seen", context->provided[0].value);
  a.host->publish(a.host, "Node", context->node_name);
  if (how == "async") {
    if (a.background.joinable()) a.background.join();
    a.background = std::thread([&a] {
      usleep(static_cast<useconds_t>(a.delay_ms()) * 1000);
      a.host->complete(a.host, HOLDFAST_OK, "came up in the background");
    });
    return HOLDFAST_PENDING;
  }
  return HOLDFAST_OK;
}

int offline(void* p, holdfast_answer* answer) {
  return simple(p, "offline", "Offline", answer);
}
int terminate(void* p, holdfast_answer* answer) {
  return simple(p, "terminate", "Terminate", answer);
}
int check(void* p, holdfast_answer* answer) {
  if (of(p).check_fails) return say(answer, "it was told not to be alive", HOLDFAST_IO);
  return simple(p, "check", "IsAlive", answer);
}
int hold(void* p, holdfast_answer* answer) {
  return simple(p, "hold", "Hold", answer);
}
int release(void* p, holdfast_answer* answer) {
  return simple(p, "release", "Release", answer);
}

int control(void* p, const char* verb, holdfast_answer* answer) {
  Actor& a = of(p);
  if (strcmp(verb, "fail-now") == 0) a.host->fail(a.host, "it was told to fail now");
  if (strcmp(verb, "fail-check") == 0) a.check_fails = true;
  if (strcmp(verb, "fail-event") == 0) {
    a.check_fails = true;
    eventfd_write(a.event, 1);
  }
  return say(answer, (std::string("did ") + verb).c_str(), HOLDFAST_OK);
}

}  // namespace

#ifdef ACTOR_UNGUARDED
#define ACTOR_TYPE "floating"
#define ACTOR_FLAGS HOLDFAST_UNGUARDED
#else
#define ACTOR_TYPE "actor"
#define ACTOR_FLAGS 0
#endif

extern "C" {
extern const holdfast_plugin holdfast_resource_plugin;
const holdfast_plugin holdfast_resource_plugin = {HOLDFAST_RESOURCE_ABI,
                                                  sizeof(holdfast_plugin),
                                                  ACTOR_TYPE,
                                                  "acts as told",
                                                  ACTOR_FLAGS,
                                                  open_actor,
                                                  close_actor,
                                                  online,
                                                  offline,
                                                  terminate,
                                                  check,
                                                  check,
                                                  control,
                                                  hold,
                                                  release};
}
