// report: one .tar.gz with what explains a problem. Every part is optional: what could not be had is listed
// in CONTENTS.txt with the reason, and a stopped service is the usual case, not an error.
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

#include "base/version.h"
#include "cli/actions.h"
#include "cli/files.h"
#include "cli/output.h"
#include "cli/redact.h"
#include "cli/service.h"

namespace holdfast::cli {
namespace {

class Collection {
 public:
  Collection(Context& context, std::string folder) : context_(context), folder_(std::move(folder)) {}

  void text(const std::string& name, const std::string& content) { store(name, redact(content)); }
  void json(const std::string& name, Json content) {
    redact(content);
    std::ostringstream out;
    print_json(out, content);
    store(name, out.str());
  }
  void missing(const std::string& name, const std::string& why) { missing_.push_back({name, redact(why)}); }
  void file(const std::string& name, const std::string& path) {
    auto content = read_file(path);
    content ? text(name, *content) : missing(name, content.error().text());
  }
  void program(const std::string& name, const std::vector<std::string>& argv) {
    auto result = context_.environment.run(argv, Duration::seconds(20));
    if (!result.output.empty()) text(name, result.output);
    if (result.exit_code == 127)
      missing(name, "there is no program " + argv[0]);
    else if (result.exit_code != 0)
      missing(name, argv[0] + " ended with " + std::to_string(result.exit_code) +
                        (result.output.empty() ? "" : ", its output is there"));
  }

  const std::vector<std::string>& stored() const { return stored_; }
  const std::vector<std::pair<std::string, std::string>>& missing() const { return missing_; }

 private:
  void store(const std::string& name, const std::string& content) {
    auto written = write_new_file(folder_ + "/" + name, content, 0600);
    if (written)
      stored_.push_back(name);
    else
      missing(name, written.error().text());
  }
  Context& context_;
  std::string folder_;
  std::vector<std::string> stored_;
  std::vector<std::pair<std::string, std::string>> missing_;
};

void collect_from_service(Context& context, Collection& parts) {
  auto client = connect(context);
  if (!client) {
    for (const char* name : {"status.json", "database.json", "events.txt"})
      parts.missing(name, client.error().text());
    return;
  }
  auto status = client->status(service_timeout);
  status ? parts.json("status.json", to_json(*status)) : parts.missing("status.json", status.error().text());
  auto tree = client->read_tree("", service_timeout);
  tree ? parts.json("database.json", to_json(*tree)) : parts.missing("database.json", tree.error().text());
  auto sent = client->subscribe(true, service_timeout);
  std::ostringstream events;
  for (int i = 0; sent && i < 100000; ++i) {
    auto event = client->next_event(Duration::milliseconds(300));
    if (!event) break;
    print_event(events, *event);
  }
  sent ? parts.text("events.txt", events.str()) : parts.missing("events.txt", sent.error().text());
}

void collect_quorum(Context& context, Collection& parts) {
  auto config = load_node_config(context.config_path);
  if (!config) {
    parts.missing("quorum.json", config.error().text());
    return;
  }
  auto q = context.environment.inspect_quorum(*config);
  if (!q) {
    parts.missing("quorum.json", q.error().text());
    return;
  }
  parts.json("quorum.json", Json{{"device", config->quorum.device},
                                 {"hardware", q->device},
                                 {"blank", q->blank},
                                 {"foreign", q->foreign},
                                 {"cluster_id", q->cluster_id},
                                 {"cluster_name", q->cluster_name},
                                 {"epoch", q->epoch},
                                 {"beacon_moves", q->alive},
                                 {"orderly_shutdown", q->orderly},
                                 {"reservation", q->reservation},
                                 {"registered_keys", q->registered_keys},
                                 {"superblock", q->superblock_text}});
}

void collect_host(Collection& parts) {
  parts.text("versions.txt", "holdfast " + version_text() + "\n");
  parts.program("uname.txt", {"uname", "-a"});
  parts.file("os-release.txt", "/etc/os-release");
  parts.program("packages.txt",
                {"dpkg-query", "-W", "holdfast*", "libiscsi*", "libprotobuf-lite*", "linux-image-*"});
  parts.program("service.txt", {"systemctl", "status", "--no-pager", "--lines=0", "holdfastd.service"});
  parts.program("journal.txt", {"journalctl", "--no-pager", "-o", "short-precise", "-n", "20000", "-u",
                                "holdfastd.service"});
  parts.program("ip-address.txt", {"ip", "-d", "address"});
  parts.program("ip-route.txt", {"ip", "route", "show", "table", "all"});
  parts.program("neighbours.txt", {"ip", "neighbour"});
  parts.file("mounts.txt", "/proc/self/mountinfo");
  parts.program("disks.txt",
                {"lsblk", "-o", "NAME,KNAME,TYPE,SIZE,FSTYPE,UUID,WWN,VENDOR,MODEL,MOUNTPOINTS"});
  parts.program("device-mapper.txt", {"dmsetup", "status"});
  parts.program("iscsi-sessions.txt", {"iscsiadm", "-m", "session", "-P", "1"});
  parts.file("modules.txt", "/proc/modules");
  parts.program("kernel-log.txt", {"sh", "-c", "dmesg -T | tail -n 2000"});
  for (const char* name : {"cpu", "memory", "io"})
    parts.file(std::string("pressure-") + name + ".txt", std::string("/proc/pressure/") + name);
}

}  // namespace

int make_report(Context& context, const ReportOptions& o) {
  auto refuse = [&](const Error& error) { return report(context, error); };
  auto config = load_node_config(context.config_path);
  char when[32];
  time_t seconds = static_cast<time_t>(context.environment.unix_time());
  tm utc{};
  gmtime_r(&seconds, &utc);
  strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &utc);
  std::string name = "holdfast-report-" + (config ? config->node_name : std::string("node")) + "-" + when;
  std::string output = o.output.empty() ? name + ".tar.gz" : o.output;
  if (exists(output))
    return refuse(
        {ErrorCode::already_exists, 0, output + " is there already", "choose another name with --output"});
  const char* tmp = getenv("TMPDIR");
  std::string scratch = std::string(tmp && *tmp ? tmp : "/tmp") + "/holdfast-report-XXXXXX";
  if (!mkdtemp(scratch.data()))
    return refuse({ErrorCode::io, errno, "cannot make a folder below " + scratch, "set TMPDIR"});
  std::string folder = scratch + "/" + name;
  Status made = make_dir(folder, 0700);
  Collection parts(context, folder);
  parts.file("holdfast.toml", context.config_path);
  collect_from_service(context, parts);
  collect_quorum(context, parts);
  collect_host(parts);
  std::ostringstream contents;
  contents << "Holdfast report, made " << when << " with holdfast " << version_text() << "\n\nIn it:\n";
  for (const auto& part : parts.stored()) contents << "  " << part << "\n";
  contents << "\nMissing:\n";
  for (const auto& [part, why] : parts.missing()) contents << "  " << part << ": " << why << "\n";
  parts.text("CONTENTS.txt", contents.str());
  // Made beside its place, mode 0600: the report says much about the host.
  umask(0077);
  auto packed = context.environment.run(
      {"tar", "-C", scratch, "-czf", std::filesystem::absolute(output).string(), name},
      Duration::seconds(120));
  std::error_code ignored;
  std::filesystem::remove_all(scratch, ignored);
  if (!made) return refuse(made.error());
  if (packed.exit_code != 0)
    return refuse({ErrorCode::io, 0, "cannot write " + output + ": " + packed.output, ""});
  if (context.json) {
    Json missing = Json::array();
    for (const auto& [part, why] : parts.missing()) missing.push_back({{"part", part}, {"reason", why}});
    print_json(context.out, Json{{"report", output}, {"parts", parts.stored()}, {"missing", missing}});
    return exit_ok;
  }
  context.out << output << "\n";
  for (const auto& [part, why] : parts.missing())
    context.err << "holdfast: not in the report: " << cut(part + ": " + why, 200) << "\n";
  return exit_ok;
}

}  // namespace holdfast::cli
