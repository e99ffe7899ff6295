// Resource type ip-address. The address has a finite lifetime in the kernel, which a thread of this plug-in
// renews only while the node's working lease is valid: when service or monitor hang, the kernel itself
// removes the address.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "sdk/plugin.h"
#include "settings.h"

namespace holdfast::ip {
namespace {

class IpAddress : public sdk::Instance {
 public:
  static Result<std::unique_ptr<IpAddress>> open(sdk::Host host, const sdk::Context& context) {
    std::unique_ptr<IpAddress> made(new IpAddress(host));
    HOLDFAST_TRY(made->settings_, Settings::read(context));
    return made;
  }
  ~IpAddress() override {
    (void)terminate();
    join();
    close(wake_fd_);
    close(event_fd_);
  }

  Result<std::string> online(const sdk::Context& context, int* event_fd) override {
    HOLDFAST_TRY(Settings settings, Settings::read(context));
    HOLDFAST_TRY(netaddr::Interface interface,
                 settings.network.empty()
                     ? netaddr::find_interface_of_subnet(settings.address, settings.prefix)
                     : netaddr::find_interface(settings.network));
    if (!interface.up || (settings.fail_on_carrier_loss && !interface.carrier))
      return fail(ErrorCode::unreachable,
                  "network interface " + interface.name + (interface.up ? " has no carrier" : " is down"));
    HOLDFAST_CHECK(refuse_static(settings));
    HOLDFAST_TRY(std::string remark, wait_until_free(interface, settings));
    join();
    {
      std::lock_guard lock(mutex_);
      settings_ = settings;
      interface_ = interface;
      key_ = interface.name + " " + settings.address.to_string() + "/" + std::to_string(settings.prefix);
      if (host_.cancelled()) return fail(ErrorCode::cancelled, "terminate overtook online");
      HOLDFAST_CHECK(host_.record("address", key_));
      active_ = true;
      failure_.clear();
      announcements_left_ = settings.announce_count;
      if (!held_) HOLDFAST_CHECK(put_locked());
    }
    eventfd_t ignored;
    eventfd_read(event_fd_, &ignored);
    keeper_ = std::thread([this] { keep(); });
    *event_fd = event_fd_;
    host_.publish("Address", settings.address.to_string());
    host_.publish("Network", interface.name);
    return remark;
  }

  Result<sdk::Ended> offline() override { return terminate(); }

  Result<sdk::Ended> terminate() override {
    std::lock_guard lock(mutex_);
    held_ = false;
    eventfd_write(wake_fd_, 1);
    if (!active_) return sdk::Ended{};
    active_ = false;
    HOLDFAST_CHECK(netaddr::delete_address(interface_.name, settings_.address, settings_.prefix));
    host_.forget("address", key_);
    return sdk::Ended{};
  }

  Status looks_alive() override {
    std::lock_guard lock(mutex_);
    if (!failure_.empty()) return fail(ErrorCode::unreachable, failure_);
    return {};
  }

  Status is_alive() override {
    HOLDFAST_CHECK(looks_alive());
    std::lock_guard lock(mutex_);
    if (!active_ || held_) return {};
    HOLDFAST_CHECK(check_carrier_locked());
    HOLDFAST_TRY(auto all, netaddr::list_addresses());
    for (const auto& item : all)
      if (item.address == settings_.address && item.interface == interface_.index) return {};
    return fail(ErrorCode::not_found,
                "Address " + settings_.address.to_string() + " is no longer on " + interface_.name + ".");
  }

  Status hold() override {
    std::lock_guard lock(mutex_);
    held_ = true;
    if (!active_) return {};
    return netaddr::delete_address(interface_.name, settings_.address, settings_.prefix);
  }

  Status release() override {
    std::lock_guard lock(mutex_);
    held_ = false;
    if (!active_) return {};
    announcements_left_ = settings_.announce_count;
    HOLDFAST_CHECK(put_locked());
    eventfd_write(wake_fd_, 1);
    return {};
  }

 private:
  explicit IpAddress(sdk::Host host)
      : host_(host),
        wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        event_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  // An address that somebody configured for good on this node is not ours to move.
  Status refuse_static(const Settings& settings) const {
    HOLDFAST_TRY(auto all, netaddr::list_addresses());
    for (const auto& item : all)
      if (item.address == settings.address && item.valid_s == UINT32_MAX)
        return fail(
            ErrorCode::already_exists,
            "address " + settings.address.to_string() + " is configured on this node without Holdfast", 0,
            "remove it from the network configuration");
    return {};
  }

  // Waits for an owner whose kernel still has to expire the address; then takes it and says so.
  Result<std::string> wait_until_free(const netaddr::Interface& interface, const Settings& settings) {
    Instant until = boottime_now() + settings.await_conflict;
    bool told = false;
    while (true) {
      HOLDFAST_TRY(auto owner, netaddr::arp_probe(interface, settings.address, settings.probe));
      if (host_.cancelled()) return fail(ErrorCode::cancelled, "terminate overtook online");
      if (!owner) return std::string();
      std::string who = "Address " + settings.address.to_string() + " is still answered for by " + *owner;
      if (boottime_now() >= until) {
        host_.warn(who + "; taking it and announcing it.");
        return who + "; it was taken and is announced.";
      }
      if (!told) host_.progress(who + "; waiting until it is given up.");
      told = true;
      host_.sleep(Duration::milliseconds(50));
    }
  }

  Status put_locked() {
    return netaddr::put_address(interface_, settings_.address, settings_.prefix, settings_.valid_s);
  }

  Status check_carrier_locked() {
    if (!settings_.fail_on_carrier_loss) return {};
    auto now = netaddr::find_interface(interface_.name);
    if (!now) return fail(now.error());
    if (now->up && now->carrier) return {};
    return fail(ErrorCode::unreachable, "Network interface " + interface_.name +
                                            (now->up ? " lost its carrier." : " was taken down."));
  }

  // The keeper thread: refreshes, announces, watches the carrier.
  void keep() {
    auto watcher = netaddr::Watcher::open();
    Instant announce_at = boottime_now(), refresh_at = announce_at;
    while (true) {
      pollfd p[2] = {{wake_fd_, POLLIN, 0}, {watcher ? (*watcher)->fd() : -1, POLLIN, 0}};
      Instant next = announcements_left_ > 0 ? std::min(announce_at, refresh_at) : refresh_at;
      int64_t wait_ms = std::max<int64_t>(0, (next - boottime_now()).ms() + 1);
      poll(p, 2, static_cast<int>(wait_ms));
      eventfd_t ignored;
      if (p[0].revents != 0) eventfd_read(wake_fd_, &ignored);
      if (p[1].revents != 0) (*watcher)->drain();
      std::lock_guard lock(mutex_);
      if (!active_) return;
      if (p[1].revents != 0) watch_locked();
      Instant now = boottime_now();
      if (now >= refresh_at) {
        refresh_at = now + settings_.refresh_interval;
        refresh_locked();
      }
      if (now >= announce_at && announcements_left_ > 0 && !held_) {
        announce_at = now + settings_.announce_interval;
        --announcements_left_;
        if (auto done = netaddr::announce(interface_, settings_.address); !done)
          host_.warn(done.error().text() + ", ignoring");
      }
    }
  }

  void refresh_locked() {
    if (held_ || !host_.lease_valid()) return;
    if (auto done = put_locked(); !done) fail_locked(done.error().text());
    // This thread may have been stopped between the check and the call.
    if (!host_.lease_valid())
      (void)netaddr::delete_address(interface_.name, settings_.address, settings_.prefix);
  }

  void watch_locked() {
    if (auto fine = check_carrier_locked(); !fine) fail_locked(fine.error().text());
  }

  void fail_locked(const std::string& why) {
    if (!failure_.empty()) return;
    failure_ = why;
    eventfd_write(event_fd_, 1);
  }

  void join() {
    if (keeper_.joinable()) keeper_.join();
  }

  sdk::Host host_;
  const int wake_fd_;   // something changed for the keeper
  const int event_fd_;  // the monitor's: failed
  std::thread keeper_;  // touched by serialised calls only

  std::mutex mutex_;  // guards what follows
  Settings settings_;
  netaddr::Interface interface_;
  std::string key_;
  bool active_ = false;
  bool held_ = false;
  std::atomic<int> announcements_left_{0};
  std::string failure_;
};

}  // namespace
}  // namespace holdfast::ip

HOLDFAST_PLUGIN(holdfast::ip::IpAddress, "ip-address", "an address with a lease in the kernel",
                HOLDFAST_UNGUARDED)
