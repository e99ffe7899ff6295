// The lab's agent: runs inside a guest and does what the harness asks over virtio-serial ports.
//
// Why not ssh or qemu-guest-agent: a command here costs some 30 ms instead of seconds under emulation, keeps
// working when the guest's networks are cut (that is what the tests do), and gives exact output and exit
// status.
//
// One process serves one port, one command at a time; several ports make sure that a command that hangs never
// blocks the harness. Every command has a limit; what it started is killed through its own control group, so
// that children that left the process group die too. A command stuck in the kernel (D state) is abandoned,
// not awaited.
//
// Frames in both directions, little endian:  magic[8]  u32 seq  u32 type  u32 length  payload[length]
// The receiver skips anything until the magic; the harness drops answers to older sequence numbers. That is
// all the resynchronisation needed after a power cut, a reboot or a harness that went away in the middle.
//
//   requests   'H' (empty)                                     -> 'H' boot id
//              'R' u32 limit_ms, u32 cmdlen, command, stdin    -> 'O'/'E' chunks, then 'X' i32 status, u32
//              timed_out 'P' u32 mode, u32 pathlen, path, data           -> 'X' errno 'G' path -> 'O' chunks,
//              then 'X' errno 'K' (empty)                                     -> nothing; kills the running
//              command
//
// A new request while a command runs kills that command as well: the harness has given it up.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAGIC "HFAGENT1"
#define PORT_PREFIX "holdfast.agent."
#define MAX_PORTS 16
#define CHUNK 32768

struct header {
  char magic[8];
  uint32_t seq, type, len;
} __attribute__((packed));

static int g_port = -1;          // the virtio-serial port of this process
static int g_number;             // which one it is
static struct header g_pending;  // a request that arrived while a command ran
static int g_has_pending;
static int g_in_frame;
static jmp_buf g_restart;

// The command that runs now, if any.
static pid_t g_child;
static int64_t g_deadline_ms;
static int g_timed_out;
static char g_cgroup[512];

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int write_text(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = write(fd, text, strlen(text));
  close(fd);
  return n < 0 ? -1 : 0;
}

// ---- control groups: the only reliable way to kill everything a command started
// --------------------------------
static void cgroup_make(void) {
  static unsigned counter;
  char line[256], base[256] = "";
  g_cgroup[0] = 0;
  FILE* f = fopen("/proc/self/cgroup", "re");
  if (!f) return;
  while (fgets(line, sizeof line, f))
    if (!strncmp(line, "0::", 3)) {
      line[strcspn(line, "\n")] = 0;
      snprintf(base, sizeof base, "%s", line + 3);
    }
  fclose(f);
  if (!base[0]) return;
  snprintf(g_cgroup, sizeof g_cgroup, "/sys/fs/cgroup%s/cmd-%d-%u", strcmp(base, "/") ? base : "", g_number,
           counter++);
  if (mkdir(g_cgroup, 0755) && errno != EEXIST) g_cgroup[0] = 0;
}

static void kill_command(void) {
  if (!g_child) return;
  if (g_cgroup[0]) {
    char path[600];
    snprintf(path, sizeof path, "%s/cgroup.kill", g_cgroup);
    write_text(path, "1");
  }
  kill(-g_child, SIGKILL);
  kill(g_child, SIGKILL);
}

static void check_deadline(void) {
  if (g_child && g_deadline_ms && !g_timed_out && now_ms() >= g_deadline_ms) {
    g_timed_out = 1;
    kill_command();
  }
}

// ---- port I/O: never blocks for good, so that the command's limit is kept even when nobody listens
// ------------
static void write_all(const void* data, size_t len) {
  const char* p = data;
  while (len) {
    ssize_t n = write(g_port, p, len);
    if (n > 0) {
      p += n;
      len -= n;
    } else {
      check_deadline();
      struct pollfd pf = {g_port, POLLOUT, 0};
      poll(&pf, 1, 100);
      if (pf.revents & (POLLHUP | POLLERR)) usleep(50000);  // the harness is away: wait for it
    }
  }
}

// Inside a frame a harness that goes away or falls silent ends the frame: what comes next is a new one.
static void read_all(void* data, size_t len) {
  char* p = data;
  int64_t last = now_ms();
  while (len) {
    ssize_t n = read(g_port, p, len);
    if (n > 0) {
      p += n;
      len -= n;
      last = now_ms();
    } else {
      if (g_in_frame && (n == 0 || now_ms() - last > 20000)) {
        if (!g_child) longjmp(g_restart, 1);
      }
      check_deadline();
      struct pollfd pf = {g_port, POLLIN, 0};
      poll(&pf, 1, 1000);
      if (pf.revents & (POLLHUP | POLLERR)) usleep(50000);
    }
  }
}

static void read_header(struct header* h) {
  g_in_frame = 0;
  read_all(h->magic, sizeof h->magic);
  while (memcmp(h->magic, MAGIC, sizeof h->magic)) {
    memmove(h->magic, h->magic + 1, sizeof h->magic - 1);
    read_all(h->magic + sizeof h->magic - 1, 1);
  }
  g_in_frame = 1;
  read_all(&h->seq, sizeof *h - sizeof h->magic);
}

static void reply(uint32_t seq, char type, const void* data, uint32_t len) {
  struct header h = {.seq = seq, .type = (uint32_t)type, .len = len};
  memcpy(h.magic, MAGIC, sizeof h.magic);
  write_all(&h, sizeof h);
  write_all(data, len);
}

static void reply_exit(uint32_t seq, int32_t status, uint32_t timed_out) {
  struct {
    int32_t status;
    uint32_t timed_out;
  } x = {status, timed_out};
  reply(seq, 'X', &x, sizeof x);
}

static void skip(size_t len) {
  char waste[4096];
  while (len) {
    size_t n = len < sizeof waste ? len : sizeof waste;
    read_all(waste, n);
    len -= n;
  }
}

// ---- requests
// -------------------------------------------------------------------------------------------------- Forwards
// what a pipe holds now; returns 0 at its end.
static int forward(int fd, uint32_t seq, char type) {
  static char buffer[CHUNK];
  for (;;) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n > 0)
      reply(seq, type, buffer, n);
    else if (n == 0)
      return 0;
    else if (errno == EINTR)
      continue;
    else
      return errno == EAGAIN;
    if (n < (ssize_t)sizeof buffer) return 1;
  }
}

static void do_run(const struct header* h) {
  uint32_t head[2];
  if (h->len < sizeof head) return skip(h->len);
  read_all(head, sizeof head);
  uint32_t limit = head[0], cmdlen = head[1];
  if (cmdlen > h->len - sizeof head) return skip(h->len - sizeof head);
  char* cmd = calloc(1, cmdlen + 1);
  read_all(cmd, cmdlen);
  int in = memfd_create("stdin", MFD_CLOEXEC);
  size_t rest = h->len - sizeof head - cmdlen;
  while (rest) {
    char part[4096];
    size_t n = rest < sizeof part ? rest : sizeof part;
    read_all(part, n);
    if (write(in, part, n) != (ssize_t)n) { /* out of memory: the command sees a short input */
    }
    rest -= n;
  }
  lseek(in, 0, SEEK_SET);
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) {
    free(cmd);
    close(in);
    return reply_exit(h->seq, 127, 0);
  }
  cgroup_make();
  g_timed_out = 0;
  g_deadline_ms = limit ? now_ms() + limit : 0;
  pid_t pid = fork();
  if (pid == 0) {
    setsid();
    if (g_cgroup[0]) {
      char path[600];
      snprintf(path, sizeof path, "%s/cgroup.procs", g_cgroup);
      write_text(path, "0");
    }
    signal(SIGPIPE, SIG_DFL);
    dup2(in, 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    if (chdir("/")) _exit(126);
    execl("/bin/sh", "sh", "-c", cmd, (char*)NULL);
    _exit(127);
  }
  free(cmd);
  close(in);
  close(out[1]);
  close(err[1]);
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  fcntl(err[0], F_SETFL, O_NONBLOCK);
  g_child = pid > 0 ? pid : 0;
  int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
  int status = 127 << 8, done = pid < 0, out_open = 1, err_open = 1, given_up = 0;
  int64_t killed_at = 0;
  while (!done) {
    check_deadline();
    if (g_timed_out && !killed_at) killed_at = now_ms();
    if (killed_at && now_ms() - killed_at > 2000) {  // stuck in the kernel: leave it behind
      given_up = 1;
      break;
    }
    struct pollfd pf[4] = {{pidfd, POLLIN, 0},
                           {out_open ? out[0] : -1, POLLIN, 0},
                           {err_open ? err[0] : -1, POLLIN, 0},
                           {g_has_pending ? -1 : g_port, POLLIN, 0}};
    int64_t wait = g_deadline_ms ? g_deadline_ms - now_ms() : 1000;
    if (wait < 1) wait = 1;
    if (wait > 1000 || killed_at) wait = killed_at ? 100 : 1000;
    poll(pf, 4, (int)wait);
    if (out_open && pf[1].revents) out_open = forward(out[0], h->seq, 'O');
    if (err_open && pf[2].revents) err_open = forward(err[0], h->seq, 'E');
    if (pf[3].revents & POLLIN) {
      read_header(&g_pending);
      g_has_pending = g_pending.type != 'K';
      kill_command();
      if (!killed_at) killed_at = now_ms();
    } else if (pf[3].revents & (POLLHUP | POLLERR)) {
      usleep(50000);
    }
    if (waitpid(pid, &status, WNOHANG) == pid) done = 1;
  }
  // Only what is in the pipes now: a child in the background may keep them open for ever.
  if (out_open) forward(out[0], h->seq, 'O');
  if (err_open) forward(err[0], h->seq, 'E');
  close(out[0]);
  close(err[0]);
  if (pidfd >= 0) close(pidfd);
  g_child = 0;
  g_deadline_ms = 0;
  if (g_cgroup[0]) rmdir(g_cgroup);  // stays if something runs on in the background
  int32_t code = given_up ? -SIGKILL : WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  reply_exit(h->seq, code, g_timed_out);
}

static void make_parents(const char* path) {
  char copy[4096];
  snprintf(copy, sizeof copy, "%s", path);
  for (char* p = copy + 1; *p; ++p)
    if (*p == '/') {
      *p = 0;
      mkdir(copy, 0755);
      *p = '/';
    }
}

// Written beside the target and renamed: nobody ever sees half a file.
static void do_put(const struct header* h) {
  uint32_t head[2];
  if (h->len < sizeof head) return skip(h->len);
  read_all(head, sizeof head);
  uint32_t mode = head[0], pathlen = head[1];
  size_t rest = h->len - sizeof head;
  if (pathlen > rest || pathlen >= 4000) {
    skip(rest);
    return reply_exit(h->seq, ENAMETOOLONG, 0);
  }
  char path[4096], temporary[4128];
  read_all(path, pathlen);
  path[pathlen] = 0;
  rest -= pathlen;
  make_parents(path);
  snprintf(temporary, sizeof temporary, "%s.put-%d", path, g_number);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), error = fd < 0 ? errno : 0;
  static char buffer[CHUNK];
  while (rest) {
    size_t n = rest < sizeof buffer ? rest : sizeof buffer;
    read_all(buffer, n);
    if (!error && write(fd, buffer, n) != (ssize_t)n) error = errno ? errno : ENOSPC;
    rest -= n;
  }
  if (!error && fchmod(fd, mode)) error = errno;
  if (fd >= 0) close(fd);
  if (!error && rename(temporary, path)) error = errno;
  if (error) unlink(temporary);
  reply_exit(h->seq, error, 0);
}

static void do_get(const struct header* h) {
  char path[4096];
  if (h->len >= sizeof path) {
    skip(h->len);
    return reply_exit(h->seq, ENAMETOOLONG, 0);
  }
  read_all(path, h->len);
  path[h->len] = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC), error = fd < 0 ? errno : 0;
  static char buffer[CHUNK];
  ssize_t n = 0;
  while (!error && (n = read(fd, buffer, sizeof buffer)) > 0) reply(h->seq, 'O', buffer, n);
  if (n < 0) error = errno;
  if (fd >= 0) close(fd);
  reply_exit(h->seq, error, 0);
}

static void do_hello(const struct header* h) {
  char id[64] = "";
  skip(h->len);
  int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? 0 : read(fd, id, sizeof id);
  if (fd >= 0) close(fd);
  reply(h->seq, 'H', id, n > 0 ? n : 0);
}

static void serve(const char* device, int number) {
  g_number = number;
  while ((g_port = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0) usleep(100000);
  setjmp(g_restart);
  for (;;) {
    struct header h;
    if (g_has_pending) {
      h = g_pending;
      g_has_pending = 0;
    } else {
      read_header(&h);
    }
    while (waitpid(-1, NULL, WNOHANG) > 0) { /* commands that were left behind */
    }
    switch (h.type) {
      case 'H':
        do_hello(&h);
        break;
      case 'R':
        do_run(&h);
        break;
      case 'P':
        do_put(&h);
        break;
      case 'G':
        do_get(&h);
        break;
      default:
        skip(h.len);
    }
  }
}

// agent COUNT: waits for that many ports, because the host announces them one after the other.
int main(int argc, char** argv) {
  int expected = argc > 1 ? atoi(argv[1]) : 1;
  struct {
    pid_t pid;
    int number;
    char device[300];
  } ports[MAX_PORTS] = {0};
  signal(SIGPIPE, SIG_IGN);
  int count = 0;
  while (count < expected) {
    count = 0;
    DIR* dir = opendir("/sys/class/virtio-ports");
    for (struct dirent* e; dir && (e = readdir(dir));) {
      char path[400], name[128] = "";
      if (e->d_name[0] == '.' || count >= MAX_PORTS) continue;
      snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", e->d_name);
      FILE* f = fopen(path, "re");
      if (!f) continue;
      if (fgets(name, sizeof name, f) && !strncmp(name, PORT_PREFIX, strlen(PORT_PREFIX))) {
        ports[count].number = atoi(name + strlen(PORT_PREFIX));
        snprintf(ports[count++].device, sizeof ports[0].device, "/dev/%s", e->d_name);
      }
      fclose(f);
    }
    if (dir) closedir(dir);
    if (count < expected) usleep(100000);
  }
  for (;;) {
    for (int i = 0; i < count; ++i)
      if (!ports[i].pid && (ports[i].pid = fork()) == 0) serve(ports[i].device, ports[i].number);
    pid_t dead = wait(NULL);
    for (int i = 0; i < count; ++i)
      if (ports[i].pid == dead) ports[i].pid = 0;
  }
}
