#include "spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

extern char** environ;

namespace holdfast::program {
namespace {

struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

Result<Account> look_up(const std::string& user) {
  passwd entry{}, *found = nullptr;
  std::vector<char> buffer(16384);
  if (int e = getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found); found == nullptr)
    return fail(ErrorCode::not_found, "there is no user '" + user + "' on this node", e);
  Account out{entry.pw_uid, entry.pw_gid, std::vector<gid_t>(256)};
  int count = static_cast<int>(out.groups.size());
  getgrouplist(user.c_str(), entry.pw_gid, out.groups.data(), &count);
  out.groups.resize(static_cast<size_t>(std::max(0, std::min(count, 256))));
  return out;
}

// The environment of the child: the monitor's, then the settings, later entries replacing earlier ones of
// that name.
std::vector<std::string> merged_environment(const ProgramSettings& settings) {
  std::vector<std::string> out;
  auto put = [&](const std::string& entry) {
    std::string name = entry.substr(0, entry.find('=') + 1);
    std::erase_if(out, [&](const std::string& e) { return e.starts_with(name); });
    out.push_back(entry);
  };
  for (char** e = environ; *e != nullptr; ++e)
    if (!std::string(*e).starts_with("NOTIFY_SOCKET=")) put(*e);  // the service's own affair
  for (const auto& e : settings.environment)
    if (e.find('=') != std::string::npos) put(e);
  put(settings.mark);
  return out;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const auto& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

struct Complaint {  // child to parent
  int error;
  char what[32];
};

[[noreturn]] void complain(int fd, const char* what) {
  Complaint c{errno, {}};
  strncpy(c.what, what, sizeof c.what - 1);
  (void)!write(fd, &c, sizeof c);
  _exit(127);
}

// Runs in the child: system calls only.
[[noreturn]] void become(char* const* argv, char* const* envp, const char* directory, const Account* account,
                         int go_fd, int complaint_fd, int output_fd) {
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  char go = 0;
  if (read(go_fd, &go, 1) != 1) _exit(127);  // the monitor died or thought better of it
  int null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  dup2(output_fd, 1);
  dup2(output_fd, 2);
  if (complaint_fd != 3) dup2(complaint_fd, 3);
  fcntl(3, F_SETFD, FD_CLOEXEC);
  syscall(SYS_close_range, 4, ~0U, 0);
  if (account != nullptr) {
    if (setgroups(account->groups.size(), account->groups.data()) != 0 || setgid(account->gid) != 0 ||
        setuid(account->uid) != 0)
      complain(3, "cannot become the user");
  }
  if (chdir(directory) != 0) complain(3, "cannot enter the directory");
  execvpe(argv[0], argv, envp);
  complain(3, "cannot execute");
}

}  // namespace

Result<pid_t> spawn(const ProgramSettings& settings, int output_fd,
                    const std::function<Status(pid_t)>& prepare) {
  Account account;
  if (!settings.user.empty()) {
    HOLDFAST_TRY(account, look_up(settings.user));
  }
  auto environment = merged_environment(settings);
  auto argv = pointers(settings.argv), envp = pointers(environment);
  std::string directory = settings.directory.empty() ? "/" : settings.directory;
  int go[2], complaint[2];
  if (pipe2(go, O_CLOEXEC) != 0) return fail(ErrorCode::internal, "cannot make a pipe", errno);
  if (pipe2(complaint, O_CLOEXEC) != 0) return fail(ErrorCode::internal, "cannot make a pipe", errno);
  pid_t pid = fork();
  if (pid == 0) {
    close(go[1]);
    become(argv.data(), envp.data(), directory.c_str(), settings.user.empty() ? nullptr : &account, go[0],
           complaint[1], output_fd);
  }
  int fork_errno = errno;
  close(go[0]);
  close(complaint[1]);
  auto give_up = [&](Error error) {
    close(go[1]);
    close(complaint[0]);
    if (pid > 0) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    return fail(std::move(error));
  };
  if (pid < 0) return give_up({ErrorCode::internal, fork_errno, "cannot start " + settings.argv[0], ""});
  if (auto prepared = prepare(pid); !prepared) return give_up(prepared.error());
  (void)!write(go[1], "g", 1);
  Complaint c{};
  if (read(complaint[0], &c, sizeof c) == static_cast<ssize_t>(sizeof c)) {
    std::string what = c.what, object = settings.argv[0];
    if (what == "cannot become the user") object = settings.user;
    if (what == "cannot enter the directory") object = directory;
    return give_up(
        {c.error == ENOENT ? ErrorCode::not_found : ErrorCode::permission, c.error, what + " " + object, ""});
  }
  close(go[1]);
  close(complaint[0]);
  return pid;
}

}  // namespace holdfast::program
