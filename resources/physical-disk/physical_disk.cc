// Resource type physical-disk: owns a disk by a persistent reservation. A loss is reported and never repaired
// from here: reserving again is an order of the core, after it has proven the quorum anew. Nor is a
// reservation ever given back from here: see acquire.h.
#include <mutex>

#include "acquire.h"
#include "base/clock.h"
#include "device.h"
#include "sdk/plugin.h"

namespace holdfast::disk {
namespace {

class PhysicalDisk : public sdk::Instance {
 public:
  static Result<std::unique_ptr<PhysicalDisk>> open(sdk::Host host, const sdk::Context& context) {
    std::unique_ptr<PhysicalDisk> made(new PhysicalDisk(host));
    HOLDFAST_CHECK(made->configure(context));
    // Not attached yet is no error: it may come before Online. What it is now, it must be then.
    if (auto device = find_device(made->text_, ""); device) made->identity_ = device->identity;
    return made;
  }
  ~PhysicalDisk() override { (void)terminate(); }

  Result<std::string> online(const sdk::Context& context, int*) override {
    HOLDFAST_CHECK(configure(context));
    ReservationKey own{context.reservation_key()}, victim{context.victim_key()};
    if (own.is_none()) return fail(ErrorCode::invalid_argument, "the order carries no reservation key");
    HOLDFAST_TRY(Device device, find_device(text_, identity_));
    HOLDFAST_TRY(auto worker, make_worker(device, context));
    {
      std::lock_guard lock(mutex_);
      device_ = device;
      identity_ = device.identity;
      worker_ = worker;
      own_ = own;
    }
    HOLDFAST_CHECK(host_.record("device", device.identity));
    Claim claim{own, victim, device.identity, command_limit_};
    HOLDFAST_CHECK(worker->run([claim](Luns& luns) { return acquire(luns, claim); }, acquire_limit_));
    if (host_.cancelled()) return fail(ErrorCode::cancelled, "terminate overtook online");
    std::lock_guard lock(mutex_);
    good_at_ = boottime_now();
    // Of a URL only what may be seen: it can carry a password.
    host_.publish("Device", device.kernel() ? device.paths.front() : device.identity);
    host_.publish("Identity", device.identity);
    return "Disk " + device.identity + " is reserved for this node.";
  }

  Result<sdk::Ended> offline() override {
    auto [worker, device, own] = current();
    if (!worker) return sdk::Ended{};
    if (in_use(device)) return fail(ErrorCode::busy, "disk " + device.paths.front() + " is still in use");
    forget();
    return sdk::Ended{};
  }

  Result<sdk::Ended> terminate() override {
    auto [worker, device, own] = current();
    if (!worker) return sdk::Ended{};
    forget();
    if (in_use(device))
      return sdk::Ended{
          "Disk " + device.paths.front() + " is still in use; the next owner's PREEMPT ends that.", true};
    return sdk::Ended{};
  }

  Status is_alive() override {
    auto [worker, device, own] = current();
    if (!worker) return fail(ErrorCode::not_found, "The disk is not reserved.");
    auto checked = worker->run(
        [own = own, limit = command_limit_](Luns& luns) { return verify(*luns.front(), own, limit); },
        command_limit_ + command_limit_);
    std::lock_guard lock(mutex_);
    if (checked) {
      good_at_ = boottime_now();
      return {};
    }
    // Somebody else has it: certain. No answer: wait a while, paths come back.
    if (checked.error().code == ErrorCode::conflict) return checked;
    if (boottime_now() - good_at_ < tolerance_) {
      host_.warn(checked.error().text() + "; trying again");
      return {};
    }
    return fail(checked.error().code, "The disk has not answered for " +
                                          std::to_string((boottime_now() - good_at_).ms()) +
                                          " ms: " + checked.error().text());
  }

  Result<std::string> control(const std::string& verb) override {
    if (verb != "read-status") return Instance::control(verb);
    auto [worker, device, own] = current();
    if (!worker) return std::string("The disk is not reserved by this node.");
    auto text = std::make_shared<std::string>();
    HOLDFAST_CHECK(worker->run(
        [own = own, text, limit = command_limit_](Luns& luns) -> Status {
          scsi::Lun& lun = *luns.front();
          if (!lun.is_open()) HOLDFAST_CHECK(lun.open(limit));
          HOLDFAST_TRY(auto now, lun.read_reservation(limit));
          HOLDFAST_TRY(auto registered, lun.read_keys(limit));
          *text = now.held() ? "held by " + describe_key(now.key, own.tag()) + ", " +
                                   std::string(scsi::to_string(now.type))
                             : "held by nobody";
          *text += "; registered:";
          for (auto key : registered.keys) *text += " " + to_string(key);
          return {};
        },
        command_limit_ + command_limit_));
    return device.identity + ": " + *text;
  }

 private:
  explicit PhysicalDisk(sdk::Host host) : host_(host) {}

  Status configure(const sdk::Context& context) {
    HOLDFAST_TRY(text_, context.required("Device"));
    HOLDFAST_TRY(command_limit_, context.milliseconds("CommandTimeout", 2000, 50, 60000));
    HOLDFAST_TRY(acquire_limit_, context.milliseconds("AcquireTimeout", 20000, 100, 600000));
    HOLDFAST_TRY(tolerance_, context.milliseconds("UnreachableTolerance", 10000, 0, 600000));
    return {};
  }

  Result<std::shared_ptr<LunWorker>> make_worker(const Device& device, const sdk::Context& context) {
    std::vector<scsi::Attachment> attachments;
    for (const auto& path : device.paths) {
      HOLDFAST_TRY(auto attachment, scsi::Attachment::parse(path));
      attachment.initiator_name =
          context.text("InitiatorName", "iqn.2026-11.holdfast:" + context.node_name());
      HOLDFAST_TRY(int64_t qualifier, context.number("IsidQualifier", 1, 0, 65535));
      attachment.isid_qualifier = static_cast<uint32_t>(qualifier);
      attachments.push_back(std::move(attachment));
    }
    return std::make_shared<LunWorker>(std::move(attachments));
  }

  struct Current {
    std::shared_ptr<LunWorker> worker;
    Device device;
    ReservationKey own;
  };
  Current current() {
    std::lock_guard lock(mutex_);
    return {worker_, device_, own_};
  }
  void forget() {
    std::lock_guard lock(mutex_);
    if (worker_) host_.forget("device", device_.identity);
    worker_.reset();
  }

  sdk::Host host_;
  std::string text_;
  Duration command_limit_, acquire_limit_, tolerance_;

  std::mutex mutex_;  // guards what follows
  std::string identity_;
  Device device_;
  std::shared_ptr<LunWorker> worker_;
  ReservationKey own_;
  Instant good_at_;
};

}  // namespace
}  // namespace holdfast::disk

HOLDFAST_PLUGIN(holdfast::disk::PhysicalDisk, "physical-disk", "a disk, owned by a persistent reservation", 0)
