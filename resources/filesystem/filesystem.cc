// Resource type filesystem: mounts, checks, and dismounts in bounded time, whoever holds it.
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "base/clock.h"
#include "fs-hooks/dismount.h"
#include "mount_options.h"
#include "prepare.h"
#include "sdk/plugin.h"

namespace holdfast::files {
namespace {

constexpr Duration progress_every = Duration::milliseconds(1000);
constexpr Duration statfs_limit = Duration::milliseconds(5000);
constexpr Duration terminate_flush = Duration::milliseconds(1500);
constexpr Duration terminate_kill = Duration::milliseconds(500);
constexpr Duration gone_patience = Duration::milliseconds(500);
constexpr int corrupted_errno = EUCLEAN;  // what ext4 and xfs answer for a damaged file system

struct Settings {
  std::string device;  // "" = from the provider
  std::string mount_point;
  std::string type;
  MountOptions options;
  bool check = true;
  Duration mount_limit, check_limit, ask, kill, flush;

  static Result<Settings> read(const sdk::Context& context) {
    Settings s;
    s.device = context.text("Device");
    HOLDFAST_TRY(s.mount_point, context.required("MountPoint"));
    while (s.mount_point.size() > 1 && s.mount_point.back() == '/') s.mount_point.pop_back();
    if (!s.mount_point.starts_with("/") || s.mount_point == "/")
      return fail(ErrorCode::invalid_argument,
                  "the property MountPoint = '" + s.mount_point + "' must be an absolute path below /");
    s.type = context.text("FileSystemType", "auto");
    if (s.type != "auto" && s.type != "ext4" && s.type != "xfs")
      return fail(ErrorCode::invalid_argument,
                  "the property FileSystemType = '" + s.type + "' is none of auto, ext4, xfs");
    s.options = parse_mount_options(context.text("MountOptions"));
    HOLDFAST_TRY(s.check, context.boolean("CheckOnMount", true));
    HOLDFAST_TRY(s.mount_limit, context.milliseconds("MountTimeout", 60000, 100, 3600000));
    HOLDFAST_TRY(s.check_limit, context.milliseconds("CheckTimeout", 600000, 100, 86400000));
    HOLDFAST_TRY(s.ask, context.milliseconds("HolderNotice", 1000, 0, 600000));
    HOLDFAST_TRY(s.kill, context.milliseconds("HolderKill", 1000, 0, 600000));
    HOLDFAST_TRY(s.flush, context.milliseconds("FlushTimeout", 120000, 100, 3600000));
    return s;
  }
};

class Filesystem : public sdk::Instance {
 public:
  static Result<std::unique_ptr<Filesystem>> open(sdk::Host host, const sdk::Context& context) {
    HOLDFAST_CHECK(Settings::read(context).map([](auto&&) {}));
    return std::unique_ptr<Filesystem>(new Filesystem(host));
  }
  ~Filesystem() override { (void)terminate(); }

  Result<std::string> online(const sdk::Context& context, int*) override {
    HOLDFAST_TRY(Settings settings, Settings::read(context));
    HOLDFAST_TRY(std::string node, device_of(settings, context));
    HOLDFAST_TRY(dev_t device, fs::block_device_number(node));
    HOLDFAST_CHECK(refuse_when_mounted(device, node, settings.mount_point));
    HOLDFAST_TRY(std::string type, decide_type(node, settings.type));
    if (settings.check && !settings.options.read_only())
      HOLDFAST_CHECK(check_file_system(node, type, settings.check_limit, pending("Checking " + node + ".")));
    std::error_code error;
    std::filesystem::create_directories(settings.mount_point, error);
    if (error) return fail(ErrorCode::io, "cannot make the directory " + settings.mount_point, error.value());
    HOLDFAST_CHECK(host_.record("mount", settings.mount_point, fs::device_number_text(device)));
    {
      std::lock_guard lock(mutex_);
      settings_ = settings;
      device_ = device;
      active_ = true;
    }
    Status mounted = mount_it(node, type, settings);
    if (host_.cancelled()) {
      // The terminate that ran beside this may have found nothing yet; the next one must look again.
      std::lock_guard lock(mutex_);
      active_ = true;
      (void)host_.record("mount", settings.mount_point, fs::device_number_text(device));
      return fail(ErrorCode::cancelled, "terminate overtook online");
    }
    if (!mounted) return fail(mounted.error());
    host_.publish("MountPoint", settings.mount_point);
    host_.publish("Device", node);
    host_.publish("FileSystemType", type);
    return node + " (" + type + ") is mounted on " + settings.mount_point + ".";
  }

  Result<sdk::Ended> offline() override {
    auto [active, settings, device] = current();
    if (!active) return sdk::Ended{};
    fs::DismountSettings how;
    how.flush = settings.flush;
    how.ask = settings.ask;
    how.kill = settings.kill;
    how.progress = [this](const std::string& text) { host_.progress(text); };
    how.cancelled = [this] { return host_.cancelled(); };
    how.go_on = pending("Unmounting " + settings.mount_point + ".");
    return end(how, device, settings);
  }

  Result<sdk::Ended> terminate() override {
    auto [active, settings, device] = current();
    if (!active) return sdk::Ended{};
    fs::DismountSettings how;
    how.flush = terminate_flush;
    how.ask = {};
    how.kill = terminate_kill;
    how.detach = true;
    return end(how, device, settings);
  }

  Status looks_alive() override {
    auto [active, settings, device] = current();
    for (const auto& mount : fs::read_mounts()) {
      if (!active || mount.device != device || mount.mount_point != settings.mount_point) continue;
      if (mount.read_only && !settings.options.read_only())
        return fail(ErrorCode::io, "The kernel made the file system on " + settings.mount_point +
                                       " read-only after an error.");
      return {};
    }
    return fail(ErrorCode::not_found, settings.mount_point + " is no longer mounted.");
  }

  Status is_alive() override {
    HOLDFAST_CHECK(looks_alive());
    std::string point = current().settings.mount_point;
    HOLDFAST_TRY(int error, run_in_helper(
                                [&] {
                                  struct statvfs s {};
                                  return statvfs(point.c_str(), &s) == 0 ? 0 : errno;
                                },
                                statfs_limit, "reading the state of " + point));
    if (error != 0) return fail(ErrorCode::io, "The file system on " + point + " does not answer", error);
    return {};
  }

  Result<std::string> control(const std::string& verb) override {
    if (verb != "list-holders") return Instance::control(verb);
    auto [active, settings, device] = current();
    if (!active) return std::string("It is not mounted.");
    auto holders = fs::find_holders(device);
    return holders.empty() ? "Nobody holds " + settings.mount_point + "."
                           : "Held by " + fs::describe(holders, 20) + ".";
  }

 private:
  explicit Filesystem(sdk::Host host) : host_(host) {}

  static Result<std::string> device_of(const Settings& settings, const sdk::Context& context) {
    std::string node = settings.device;
    if (node.empty()) node = context.provided("Device", "physical-disk").value_or("");
    if (node.empty())
      return fail(ErrorCode::invalid_argument,
                  "no Device is set for '" + context.resource() +
                      "' and no physical-disk that it depends on has published one");
    if (!node.starts_with("/"))
      return fail(ErrorCode::unsupported, node + " is not a block device of this node and cannot be mounted");
    return node;
  }

  // For long waits: reports progress about every second, and stops when terminate was asked for.
  GoOn pending(const std::string& text) {
    return [this, text, next = boottime_now() + progress_every]() mutable {
      if (boottime_now() >= next) {
        host_.progress(text);
        next = boottime_now() + progress_every;
      }
      return !host_.cancelled();
    };
  }

  Status mount_it(const std::string& node, const std::string& type, const Settings& settings) {
    HOLDFAST_TRY(int error, run_in_helper(
                                [&] {
                                  return mount(node.c_str(), settings.mount_point.c_str(), type.c_str(),
                                               settings.options.flags, settings.options.data.c_str()) == 0
                                             ? 0
                                             : errno;
                                },
                                settings.mount_limit, "mounting " + node, pending("Mounting " + node + ".")));
    if (error == corrupted_errno)
      return fail(
          ErrorCode::corrupt, "the file system on " + node + " is damaged", error,
          "run " + std::string(type == "xfs" ? "xfs_repair " : "e2fsck -f ") + node + " on this node");
    if (error != 0)
      return fail(ErrorCode::io, "cannot mount " + node + " (" + type + ") on " + settings.mount_point, error,
                  "see the kernel's messages");
    return {};
  }

  Result<sdk::Ended> end(const fs::DismountSettings& how, dev_t device, const Settings& settings) {
    HOLDFAST_TRY(auto outcome, fs::dismount(device, how));
    for (Instant until = boottime_now() + gone_patience; !fs::is_gone(device); usleep(5000))
      if (boottime_now() >= until)
        return fail(ErrorCode::busy,
                    "the file system of " + settings.mount_point + " is still active. " + outcome.text);
    std::lock_guard lock(mutex_);
    active_ = false;
    host_.forget("mount", settings.mount_point);
    return sdk::Ended{outcome.text, outcome.forced || outcome.detached};
  }

  struct Current {
    bool active;
    Settings settings;
    dev_t device;
  };
  Current current() {
    std::lock_guard lock(mutex_);
    return {active_, settings_, device_};
  }

  sdk::Host host_;
  std::mutex mutex_;  // guards what follows
  Settings settings_;
  dev_t device_ = 0;
  bool active_ = false;
};

}  // namespace
}  // namespace holdfast::files

HOLDFAST_PLUGIN(holdfast::files::Filesystem, "filesystem", "a mounted file system", 0)
