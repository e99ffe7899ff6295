// A resource type as a C++ class: HOLDFAST_PLUGIN builds the C table around it. Exceptions end the process,
// as everywhere in the project.
#pragma once

#include <cstring>
#include <memory>
#include <string>

#include "sdk/context.h"
#include "sdk/host.h"

namespace holdfast::sdk {

struct Ended {
  std::string text;    // worth saying; may be empty
  bool dirty = false;  // by force, or something is left
};

// See resource.h for which functions may run beside which. A derived class also has
//   static Result<std::unique_ptr<Derived>> open(Host, const Context&);
class Instance {
 public:
  virtual ~Instance() = default;
  // The sentence to report with Online; may be empty.
  virtual Result<std::string> online(const Context& context, int* event_fd) = 0;
  virtual Result<Ended> offline() = 0;
  virtual Result<Ended> terminate() = 0;
  virtual Status looks_alive() { return is_alive(); }
  virtual Status is_alive() = 0;
  virtual Result<std::string> control(const std::string& verb) {
    return fail(ErrorCode::unsupported, "there is no control verb '" + verb + "'");
  }
  virtual Status hold() { return {}; }
  virtual Status release() { return {}; }
};

inline int put(holdfast_answer* answer, const std::string& text, int code) {
  size_t n = std::min(text.size(), sizeof answer->text - 1);
  memcpy(answer->text, text.data(), n);
  answer->text[n] = 0;
  return code;
}
inline int put(holdfast_answer* answer, const Status& status) {
  return status ? HOLDFAST_OK : put(answer, status.error().text(), static_cast<int>(status.error().code));
}
inline int put(holdfast_answer* answer, const Result<std::string>& result) {
  return result ? put(answer, *result, HOLDFAST_OK)
                : put(answer, result.error().text(), static_cast<int>(result.error().code));
}
inline int put(holdfast_answer* answer, const Result<Ended>& result) {
  if (!result) return put(answer, result.error().text(), static_cast<int>(result.error().code));
  answer->dirty = result->dirty ? 1 : 0;
  return put(answer, result->text, HOLDFAST_OK);
}

inline Instance& self(void* instance) {
  return *static_cast<Instance*>(instance);
}

template <typename Type>
holdfast_plugin plugin_table(const char* type, const char* description, uint32_t flags) {
  holdfast_plugin t{};
  t.abi = HOLDFAST_RESOURCE_ABI;
  t.size = sizeof t;
  t.type = type;
  t.description = description;
  t.flags = flags;
  t.open = [](const holdfast_host* host, const holdfast_context* context, void** instance,
              holdfast_answer* answer) {
    auto made = Type::open(Host(host), Context(context));
    if (!made) return put(answer, Status(tl::unexpected(made.error())));
    *instance = static_cast<Instance*>(made->release());
    return static_cast<int>(HOLDFAST_OK);
  };
  t.close = [](void* p) { delete static_cast<Instance*>(p); };
  t.online = [](void* p, const holdfast_context* context, int* event_fd, holdfast_answer* answer) {
    return put(answer, self(p).online(Context(context), event_fd));
  };
  t.offline = [](void* p, holdfast_answer* answer) { return put(answer, self(p).offline()); };
  t.terminate = [](void* p, holdfast_answer* answer) { return put(answer, self(p).terminate()); };
  t.looks_alive = [](void* p, holdfast_answer* answer) { return put(answer, self(p).looks_alive()); };
  t.is_alive = [](void* p, holdfast_answer* answer) { return put(answer, self(p).is_alive()); };
  t.control = [](void* p, const char* verb, holdfast_answer* answer) {
    return put(answer, self(p).control(verb));
  };
  t.hold = [](void* p, holdfast_answer* answer) { return put(answer, self(p).hold()); };
  t.release = [](void* p, holdfast_answer* answer) { return put(answer, self(p).release()); };
  return t;
}

}  // namespace holdfast::sdk

#define HOLDFAST_PLUGIN(Type, type, description, flags)              \
  extern "C" {                                                       \
  extern const holdfast_plugin holdfast_resource_plugin;             \
  const holdfast_plugin holdfast_resource_plugin =                   \
      ::holdfast::sdk::plugin_table<Type>(type, description, flags); \
  }
