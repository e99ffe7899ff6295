// What an administrator writes into the parameters of a resource, as the plug-ins read it: command lines,
// signals, mount options, the settings of an address, disks and LUN addresses.
#include <cstring>

#include "input.h"
#include "iscsi/lun.h"
#include "resources/filesystem/mount_options.h"
#include "resources/generic-program/command_line.h"
#include "resources/ip-address/settings.h"
#include "resources/physical-disk/device.h"
#include "target.h"

using namespace holdfast;

namespace {

void command_line(const std::string& text) {
  auto words = program::split_command_line(text);
  if (!words) {
    HOLDFAST_ASSERT(words.error().code == ErrorCode::invalid_argument);
    return;
  }
  // The words, quoted, are the same words again.
  std::string quoted;
  for (const auto& word : *words) {
    quoted += " '";
    for (char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    quoted += '\'';
  }
  auto again = program::split_command_line(quoted);
  HOLDFAST_ASSERT(!words->empty() && again && *again == *words);
}

void lun_address(const std::string& text) {
  auto attachment = scsi::Attachment::parse(text);
  if (!attachment) {
    HOLDFAST_ASSERT(attachment.error().code == ErrorCode::invalid_argument);
    return;
  }
  const std::string said = attachment->text();
  auto again = scsi::Attachment::parse(said);
  HOLDFAST_ASSERT(again && again->text() == said && again->user.empty());
  HOLDFAST_ASSERT(again->host == attachment->host && again->target == attachment->target &&
                  again->lun == attachment->lun && again->port == attachment->port);
}

void address(fuzz::Input& in) {
  static constexpr const char* names[] = {"Address",         "SubnetMask",       "PrefixLength",
                                          "Network",         "ValidLifetime",    "ProbeCount",
                                          "ProbeInterval",   "AwaitConflict",    "AnnounceCount",
                                          "RefreshInterval", "AnnounceInterval", "FailOnCarrierLoss"};
  std::string values[std::size(names)];
  holdfast_parameter parameters[std::size(names)];
  holdfast_context context{};
  context.resource = "ip";
  for (size_t i = 0; i < std::size(names); ++i) {
    values[i] = in.text();
    parameters[i] = {names[i], values[i].c_str(), nullptr, 0};
  }
  context.parameters = parameters;
  context.parameters_size = std::size(names);
  const auto settings = ip::Settings::read(sdk::Context(&context));
  if (!settings) {
    HOLDFAST_ASSERT(settings.error().code == ErrorCode::invalid_argument);
    return;
  }
  HOLDFAST_ASSERT(settings->prefix <= settings->address.prefix_max());
  HOLDFAST_ASSERT(settings->valid_s >= 1 && settings->refresh_interval.ms() * 2 <= settings->valid_s * 1000);
  HOLDFAST_ASSERT(settings->probe.count >= 0 && settings->probe.interval.ns > 0 &&
                  settings->announce_count >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in(data, size);
  const uint8_t kind = in.byte();
  if (kind % 4 == 1) {
    address(in);
    return 0;
  }
  const std::string text = in.rest();
  if (kind % 4 == 2) {
    lun_address(text);
    if (text.starts_with("iscsi://")) {
      const auto device = disk::find_device(text, "", "/nowhere");
      HOLDFAST_ASSERT(device && device->paths.front() == text);
      // The identity is shown: never the login.
      const auto parsed = scsi::Attachment::parse(text);
      if (parsed)
        HOLDFAST_ASSERT(device->identity.find('@') == std::string::npos ||
                        parsed->target.find('@') != std::string::npos);
    }
    return 0;
  }
  command_line(text);
  if (auto signal = program::parse_signal(text)) HOLDFAST_ASSERT(*signal > 0 && *signal <= 64);
  const auto options = files::parse_mount_options(text);
  HOLDFAST_ASSERT(options.data.size() <= text.size());
  const auto again = files::parse_mount_options(options.data);
  HOLDFAST_ASSERT(again.data == options.data && again.flags == 0);
  return 0;
}

namespace holdfast::fuzz {

std::vector<std::string> seeds() {
  Recipe ip, six;
  ip.byte(1);
  for (const char* v :
       {"192.0.2.9", "255.255.255.0", "", "lan", "2", "3", "20", "3000", "5", "500", "500", "yes"})
    ip.text(v);
  six.byte(1);
  for (const char* v : {"2001:db8::9", "", "64", "", "5", "0", "1", "0", "0", "100", "10", "0"}) six.text(v);
  return {ip.done(),
          six.done(),
          Recipe().byte(0).raw("/usr/bin/env -i 'A B=c d' \"x\\\"y\" \\ z").done(),
          Recipe().byte(0).raw("ro,noatime,data=ordered,_netdev").done(),
          Recipe().byte(0).raw("SIGTERM").done(),
          Recipe().byte(2).raw("iscsi://user%pa@ss@[2001:db8::1]:3260/iqn.2026-11.example:disk/7").done(),
          Recipe().byte(2).raw("iscsi://192.0.2.1/iqn.x/a/16383").done(),
          Recipe().byte(2).raw("/dev/disk/by-id/x").done()};
}

}  // namespace holdfast::fuzz
