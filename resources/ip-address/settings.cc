#include "settings.h"

#include <sys/socket.h>

#include "base/lifetimes.h"

namespace holdfast::ip {

Result<Settings> Settings::read(const sdk::Context& context) {
  Settings s;
  HOLDFAST_TRY(std::string text, context.required("Address"));
  HOLDFAST_TRY(s.address, netaddr::Address::parse(text));
  std::string mask = context.text("SubnetMask");
  if (!mask.empty() && s.address.family == AF_INET) {
    HOLDFAST_TRY(s.prefix, netaddr::prefix_of_mask(mask));
  } else {
    HOLDFAST_TRY(int64_t prefix, context.number("PrefixLength", s.address.family == AF_INET ? 24 : 64, 1,
                                                s.address.prefix_max()));
    s.prefix = static_cast<unsigned>(prefix);
  }
  s.network = context.text("Network");
  HOLDFAST_TRY(int64_t valid, context.number("ValidLifetime", address_lifetime_default.ms() / 1000, 1, 3600));
  s.valid_s = static_cast<uint32_t>(valid);
  // At least two refreshes within a lifetime, so that one late refresh does not cost the address.
  HOLDFAST_TRY(s.refresh_interval,
               context.milliseconds("RefreshInterval", address_refresh(Duration::seconds(valid)).ms(), 50,
                                    valid * 500));
  HOLDFAST_TRY(int64_t probes, context.number("ProbeCount", address_probe_count, 0, 20));
  s.probe.count = static_cast<int>(probes);
  HOLDFAST_TRY(s.probe.interval, context.milliseconds("ProbeInterval", address_probe_interval.ms(), 1, 2000));
  HOLDFAST_TRY(s.await_conflict,
               context.milliseconds("AwaitConflict", address_conflict_wait.ms(), 0, 600000));
  HOLDFAST_TRY(int64_t announcements, context.number("AnnounceCount", 5, 0, 100));
  s.announce_count = static_cast<int>(announcements);
  HOLDFAST_TRY(s.announce_interval, context.milliseconds("AnnounceInterval", 500, 10, 60000));
  HOLDFAST_TRY(s.fail_on_carrier_loss, context.boolean("FailOnCarrierLoss", true));
  return s;
}

}  // namespace holdfast::ip
