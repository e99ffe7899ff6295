#include "iscsi/tests/tgtd_target.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace holdfast::scsi {
namespace {

// Any number: the control socket lives in the temporary directory of this target.
constexpr const char* control_port = "4711";
constexpr int start_attempts_max = 5;       // another program may take the free port first
constexpr int control_attempts_max = 1000;  // 5 ms each

// A port that was free a moment ago.
uint16_t free_port(const std::string& address) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  inet_pton(AF_INET, address.c_str(), &a.sin_addr);
  socklen_t size = sizeof a;
  if (bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size) != 0) {
    close(fd);
    throw std::runtime_error("no free port on " + address);
  }
  close(fd);
  return ntohs(a.sin_port);
}

// Starts a program with its output in `log`. It dies with this process.
pid_t spawn(const std::vector<std::string>& arguments, const std::string& socket_path,
            const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(out, 1);
  dup2(out, 2);
  setenv("TGT_IPC_SOCKET", socket_path.c_str(), 1);
  execvp(argv[0], argv.data());
  _exit(127);
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

TgtdTarget::TgtdTarget(Options options) : options_(std::move(options)) {
  char name[] = "/tmp/holdfast-tgtd-XXXXXX";
  if (mkdtemp(name) == nullptr) throw std::runtime_error("no temporary directory");
  directory_ = name;
  for (size_t i = 0; i < options_.lun_bytes.size(); ++i) {
    int fd = open(file(static_cast<int>(i) + 1).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(options_.lun_bytes[i])) != 0)
      throw std::runtime_error("cannot create " + file(static_cast<int>(i) + 1));
    close(fd);
  }
  start();
}

TgtdTarget::~TgtdTarget() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string TgtdTarget::file(int lun) const {
  return directory_ + "/lun" + std::to_string(lun) + ".img";
}

std::string TgtdTarget::url(int lun) const {
  std::string login = options_.user.empty() ? "" : options_.user + "%" + options_.password + "@";
  return "iscsi://" + login + options_.address + ":" + std::to_string(port_) + "/" + target_ + "/" +
         std::to_string(lun);
}

bool TgtdTarget::tgtadm(std::vector<std::string> arguments) const {
  std::vector<std::string> all = {"tgtadm", "-C", control_port, "--lld", "iscsi"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return wait_for(spawn(all, directory_ + "/control", directory_ + "/tgtadm.log")) == 0;
}

bool TgtdTarget::wait_for_control() {
  for (int i = 0; i < control_attempts_max; ++i) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) return false;
    if (access((directory_ + "/control." + control_port).c_str(), F_OK) == 0 &&
        tgtadm({"--op", "show", "--mode", "system"}))
      return true;
    poll(nullptr, 0, 5);
  }
  return false;
}

bool TgtdTarget::launch() {
  std::error_code ignored;
  for (const char* rest : {"", ".lock"})
    std::filesystem::remove(directory_ + "/control." + control_port + rest, ignored);
  pid_ = spawn({"tgtd", "-f", "-C", control_port, "-p", directory_ + "/pid", "--iscsi",
                "portal=" + options_.address + ":" + std::to_string(port_)},
               directory_ + "/control", directory_ + "/tgtd.log");
  return wait_for_control() && configure();
}

bool TgtdTarget::configure() {
  if (!tgtadm({"--op", "new", "--mode", "target", "--tid", "1", "-T", target_})) return false;
  for (size_t i = 0; i < options_.lun_bytes.size(); ++i) {
    int lun = static_cast<int>(i) + 1;
    if (!tgtadm({"--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", std::to_string(lun), "-b",
                 file(lun)}))
      return false;
  }
  if (!options_.user.empty() &&
      (!tgtadm(
           {"--op", "new", "--mode", "account", "--user", options_.user, "--password", options_.password}) ||
       !tgtadm({"--op", "bind", "--mode", "account", "--tid", "1", "--user", options_.user})))
    return false;
  return tgtadm({"--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL"});
}

void TgtdTarget::start() {
  bool port_is_ours = port_ != 0;
  for (int i = 0; i < start_attempts_max; ++i) {
    if (!port_is_ours) port_ = free_port(options_.address);
    if (launch()) return;
    kill();
  }
  throw std::runtime_error("tgtd does not start; is the package tgt installed, and are we root?");
}

void TgtdTarget::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);  // SIGTERM is ignored while a target exists
  wait_for(pid_);
  pid_ = -1;
}

void TgtdTarget::restart() {
  kill();
  start();
}

void TgtdTarget::freeze() {
  ::kill(pid_, SIGSTOP);
  int status = 0;
  waitpid(pid_, &status, WUNTRACED);  // returns when it has stopped
}

void TgtdTarget::thaw() {
  ::kill(pid_, SIGCONT);
}

}  // namespace holdfast::scsi
