/* Plug-ins that are wrong, one way each. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "holdfast/resource.h"

static int open_it(const struct holdfast_host* h, const struct holdfast_context* c, void** i,
                   struct holdfast_answer* a) {
  (void)h, (void)c, (void)i, (void)a;
  abort();
}
static void close_it(void* i) {
  (void)i;
}
static int online_it(void* i, const struct holdfast_context* c, int* e, struct holdfast_answer* a) {
  (void)i, (void)c, (void)e, (void)a;
  abort();
}
static int any(void* i, struct holdfast_answer* a) {
  (void)i, (void)a;
  abort();
}

#ifdef BAD_CRASH
__attribute__((constructor)) static void crash(void) {
  raise(SIGSEGV);
}
#endif
#ifdef BAD_HANG
__attribute__((constructor)) static void hang(void) {
  while (1) pause();
}
#endif
#ifdef BAD_SYMBOL
#define holdfast_resource_plugin holdfast_something_else
#endif
#ifdef BAD_ABI
#define ABI 99u
#else
#define ABI HOLDFAST_RESOURCE_ABI
#endif
#ifdef BAD_ENTRY
#define TERMINATE NULL
#else
#define TERMINATE any
#endif
#ifdef BAD_HOLD
#define FLAGS HOLDFAST_UNGUARDED
#else
#define FLAGS 0
#endif

extern const struct holdfast_plugin holdfast_resource_plugin;
const struct holdfast_plugin holdfast_resource_plugin = {
    .abi = ABI,
    .size = sizeof(struct holdfast_plugin),
    .type = "bad",
    .flags = FLAGS,
    .open = open_it,
    .close = close_it,
    .online = online_it,
    .offline = any,
    .terminate = TERMINATE,
    .looks_alive = any,
    .is_alive = any,
};
