#include "cli/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

namespace holdfast::cli {

bool exists(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

Status make_dir(const std::string& path, mode_t mode, bool* created) {
  if (created) *created = false;
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    bool last = slash == std::string::npos;
    if (mkdir(part.c_str(), last ? mode : 0755) == 0) {
      if (last && created) *created = true;
    } else if (errno != EEXIST) {
      return fail(ErrorCode::io, "cannot make the folder " + part, errno);
    }
    if (last) break;
  }
  if (chmod(path.c_str(), mode) != 0)
    return fail(ErrorCode::io, "cannot set the permissions of " + path, errno);
  return {};
}

Status write_new_file(const std::string& path, const std::string& content, mode_t mode) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0)
    return fail(errno == EEXIST ? ErrorCode::already_exists : ErrorCode::io, "cannot create " + path, errno);
  Status result;
  for (size_t done = 0; result && done < content.size();) {
    ssize_t n = write(fd, content.data() + done, content.size() - done);
    if (n > 0)
      done += static_cast<size_t>(n);
    else if (errno != EINTR)
      result = fail(ErrorCode::io, "cannot write " + path, errno);
  }
  // The umask may have taken bits away.
  if (result && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
    result = fail(ErrorCode::io, "cannot write " + path, errno);
  close(fd);
  if (!result) unlink(path.c_str());
  return result;
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io, "cannot read " + path, errno);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> Undo::run() {
  std::vector<std::string> lines;
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    Status done = step->how();
    lines.push_back(done ? "undone: " + step->what
                         : "NOT undone: " + step->what + ": " + done.error().text());
  }
  steps_.clear();
  return lines;
}

}  // namespace holdfast::cli
