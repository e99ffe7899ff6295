#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "config/node_config.h"

namespace holdfast {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      char escape[8];
      snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string quoted(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const auto& item : items) out += (out.size() > 1 ? ", " : "") + quoted(item);
  return out + "]";
}

std::string line(const char* name, const std::string& value) {
  return std::string(name) + " = " + value + "\n";
}

Status write_and_sync(int fd, const std::string& text, const std::string& path) {
  for (size_t done = 0; done < text.size();) {
    ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(ErrorCode::io, "cannot write " + path, errno);
    done += static_cast<size_t>(n);
  }
  if (fsync(fd) != 0) return fail(ErrorCode::io, "cannot write " + path + " to the disk", errno);
  return {};
}

}  // namespace

std::string to_toml(const NodeConfig& c) {
  std::string out =
      "# This node of the Holdfast cluster. Every option: /usr/share/doc/holdfast/holdfast.toml.sample\n\n";
  out += "[cluster]\n" + line("id", quoted(c.cluster_id)) + line("name", quoted(c.cluster_name));
  out += "\n[node]\n" + line("name", quoted(c.node_name)) + line("id", std::to_string(c.node.value));
  for (const auto& n : c.networks)
    out += "\n[[network]]\n" + line("name", quoted(n.name)) + line("address", quoted(n.address)) +
           line("port", std::to_string(n.port));
  for (const auto& p : c.peers)
    out += "\n[[peer]]\n" + line("name", quoted(p.name)) + line("id", std::to_string(p.node.value)) +
           line("addresses", quoted(p.addresses)) + line("port", std::to_string(p.port));
  out += "\n[quorum]\n" + line("kind", quoted(c.quorum.kind)) + line("device", quoted(c.quorum.device));
  if (!c.quorum.initiator_name.empty()) out += line("initiator_name", quoted(c.quorum.initiator_name));
  out += "\n[paths]\n" + line("tls", quoted(c.tls_dir)) + line("state", quoted(c.state_dir)) +
         line("runtime", quoted(c.runtime_dir)) + line("plugins", quoted(c.plugin_dirs)) +
         line("monitor", quoted(c.monitor_program));
  out += "\n[log]\n" + line("level", quoted(c.log_level));
  return out;
}

Status save_node_config(const NodeConfig& config, const std::string& path) {
  std::string text = to_toml(config);
  if (auto read_back = parse_node_config(text, path); !read_back) return fail(read_back.error());
  std::string beside = path + ".new";
  unlink(beside.c_str());  // left by a crash
  int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return fail(errno == EACCES ? ErrorCode::permission : ErrorCode::io, "cannot create " + beside, errno,
                errno == EACCES ? "run it as root" : "");
  Status written = write_and_sync(fd, text, beside);
  close(fd);
  if (written && rename(beside.c_str(), path.c_str()) != 0)
    written = fail(ErrorCode::io, "cannot put " + path + " in place", errno);
  if (!written) {
    unlink(beside.c_str());
    return written;
  }
  // The rename itself must survive a power cut.
  std::string dir = path.find('/') == std::string::npos ? "." : path.substr(0, path.rfind('/') + 1);
  if (int dir_fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); dir_fd >= 0) {
    fsync(dir_fd);
    close(dir_fd);
  }
  return {};
}

}  // namespace holdfast
