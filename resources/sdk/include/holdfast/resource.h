/* The resource plug-in interface of Holdfast, version 1. Plain C: a plug-in may be written in any language.
 *
 * A plug-in is a shared object `<type>.so` in a plug-in directory that exports one data symbol,
 *     const struct holdfast_plugin holdfast_resource_plugin;
 * The monitor reads `abi` and `size` before it calls anything, so that a plug-in of another version is
 * refused with a sentence instead of a crash. A plug-in shares the monitor's process: when it crashes, the
 * monitor dies, the service notices, and everything the monitor had online is ended. Put risky work into a
 * child process.
 *
 * Threads. For one instance at most one of open, online, offline, looks_alive, is_alive, control and close
 * runs at a time. `terminate`, `hold` and `release` come from another thread and may run beside any of them
 * (but not beside each other): lock what they share. A terminate may even run just before the online that it
 * overtakes begins: let online look at host->cancelled, and never reset a flag of its own that terminate set.
 * Different instances are called in parallel.
 *
 * Time. Calls may block: each instance has a thread of its own. looks_alive should answer within 5 ms,
 * is_alive within 300 ms, terminate within 1 s. online and offline must report progress (host->progress) more
 * often than PendingTimeout, otherwise the monitor terminates the resource.
 *
 * Results. Every entry point returns HOLDFAST_OK, HOLDFAST_PENDING (online and offline only) or an error
 * code, and writes a sentence for people into answer->text: what failed, on which object, why, what to do
 * next.
 */
#ifndef HOLDFAST_RESOURCE_H
#define HOLDFAST_RESOURCE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HOLDFAST_RESOURCE_ABI 1u
#define HOLDFAST_PLUGIN_SYMBOL "holdfast_resource_plugin"
#define HOLDFAST_ANSWER_MAX 2048

/* Results. Positive values are the project's error codes (daemon/base/error.h has the same numbers). */
enum {
  HOLDFAST_PENDING = -1, /* goes on in the background; host->complete says how it ended */
  HOLDFAST_OK = 0,
  HOLDFAST_INVALID_ARGUMENT = 1,
  HOLDFAST_NOT_FOUND = 2,
  HOLDFAST_ALREADY_EXISTS = 3,
  HOLDFAST_CONFLICT = 4,
  HOLDFAST_UNREACHABLE = 5,
  HOLDFAST_TIMEOUT = 6,
  HOLDFAST_UNSUPPORTED = 9,
  HOLDFAST_CORRUPT = 10,
  HOLDFAST_FOREIGN = 11,
  HOLDFAST_PERMISSION = 12,
  HOLDFAST_BUSY = 14,
  HOLDFAST_IO = 18,
  HOLDFAST_INTERNAL = 19,
  HOLDFAST_CANCELLED = 20
};

/* Properties of a type. */
enum {
  /* No reservation guards what this type brings up (addresses, programs): when the node's working lease
   * lapses the monitor calls `hold`, and `release` when a grant returns. Such a type must have both entry
   * points. */
  HOLDFAST_UNGUARDED = 1u << 0
};

/* A private property of the resource: a text, or a list of texts when `list_size` > 0. */
struct holdfast_parameter {
  const char* name;
  const char* value;
  const char* const* list;
  size_t list_size;
};

/* What a resource that this one depends on has published, such as "Device" of a physical-disk. */
struct holdfast_provided {
  const char* resource;
  const char* type; /* may be empty */
  const char* name;
  const char* value;
};

/* Handed to open and online; valid only during the call. */
struct holdfast_context {
  uint32_t size; /* sizeof of the monitor's version; fields beyond it do not exist */
  uint32_t node_id;
  const char* resource;
  const char* node_name;
  const char* cluster_name;
  const char* cluster_id;
  const struct holdfast_parameter* parameters;
  size_t parameters_size;
  const struct holdfast_provided* provided;
  size_t provided_size;
  uint64_t generation;           /* ownership generation of the group; 0 in open */
  uint64_t reservation_key;      /* our key for this generation; 0 = none */
  uint64_t victim_key;           /* the previous owner's key; 0 = none */
  uint64_t deadline_boottime_ns; /* do nothing irrevocable after this time; 0 = no limit */
};

/* Where an entry point puts what it has to say. Zeroed before each call. */
struct holdfast_answer {
  char text[HOLDFAST_ANSWER_MAX]; /* NUL-terminated UTF-8 */
  int dirty; /* offline, terminate: ended by force, or something is left; `text` says what */
};

/* Services of the monitor for one instance. Every function may be called from any thread until `close`
 * returns. */
struct holdfast_host {
  uint32_t size;
  void* opaque; /* the monitor's */

  /* The pending online or offline makes progress; restarts PendingTimeout. `text` may be NULL. */
  void (*progress)(const struct holdfast_host*, const char* text);
  /* Ends an online or offline that returned HOLDFAST_PENDING. */
  void (*complete)(const struct holdfast_host*, int result, const char* text);
  /* An online resource has failed: the monitor terminates it and reports it as Failed. */
  void (*fail)(const struct holdfast_host*, const char* text);
  /* A value for dependents and for the database; NULL withdraws it. Cleared when the resource goes offline.
   */
  void (*publish)(const struct holdfast_host*, const char* name, const char* value);
  /* A line for the journal; priority as in syslog (3 error, 4 warning, 6 information, 7 debug). */
  void (*log)(const struct holdfast_host*, int priority, const char* text);
  /* Milliseconds left of the node's working lease; <= 0 when it has lapsed. Cheap, never blocks. */
  int64_t (*lease_remaining_ms)(const struct holdfast_host*);
  /* Not 0 when terminate was asked for: the running call should return soon. */
  int (*cancelled)(const struct holdfast_host*);
  /* Notes what could outlive a killed monitor, *before* it is brought up; `holdfast-monitor --sweep` removes
   * it. kind "address": key = "INTERFACE ADDRESS/PREFIX". kind "process": key = "PID START_TICKS", detail =
   * environment entry ("NAME=VALUE") that marks all its processes. kind "cgroup": key = its directory. kind
   * "mount": key = mount point, detail = "MAJOR:MINOR". kind "device": key = identity, kept for people only.
   * Returns 0, or an errno when the note could not be written: do not go on then. */
  int (*record)(const struct holdfast_host*, const char* kind, const char* key, const char* detail);
  void (*forget)(const struct holdfast_host*, const char* kind, const char* key);
};

struct holdfast_plugin {
  uint32_t abi;  /* HOLDFAST_RESOURCE_ABI */
  uint32_t size; /* sizeof(struct holdfast_plugin) */
  const char* type;
  const char* description;
  uint32_t flags;

  /* Makes an instance, which is offline: checks the parameters and ends what an earlier life left. `host`
   * stays valid until close returns. */
  int (*open)(const struct holdfast_host* host, const struct holdfast_context*, void** instance,
              struct holdfast_answer*);
  /* Frees the instance, which is offline. */
  void (*close)(void* instance);

  /* Brings it up with the parameters of this context. *event_fd may be set to a descriptor that becomes
   * readable when the resource fails (a pidfd, an eventfd); looks_alive is not polled then. It stays the
   * plug-in's, and open until offline or terminate is called. */
  int (*online)(void* instance, const struct holdfast_context*, int* event_fd, struct holdfast_answer*);
  /* Orderly end. */
  int (*offline)(void* instance, struct holdfast_answer*);
  /* End at once, whatever state it is in; must succeed. Not HOLDFAST_OK = something is left, answer->text
   * says what. May be called twice and on a resource that never came online. */
  int (*terminate)(void* instance, struct holdfast_answer*);

  /* Cheap and thorough check of an online resource; anything but HOLDFAST_OK = failed. After the event
   * descriptor fired is_alive is called once for its sentence. */
  int (*looks_alive)(void* instance, struct holdfast_answer*);
  int (*is_alive)(void* instance, struct holdfast_answer*);

  /* Optional (NULL): private verbs; the answer is text. */
  int (*control)(void* instance, const char* verb, struct holdfast_answer*);

  /* Optional, needed with HOLDFAST_UNGUARDED. hold: withhold without ending (remove the address, freeze the
   * program). release: undo. hold may come while online runs: then nothing may become active before release.
   */
  int (*hold)(void* instance, struct holdfast_answer*);
  int (*release)(void* instance, struct holdfast_answer*);
};

#ifdef __cplusplus
}
#endif
#endif
