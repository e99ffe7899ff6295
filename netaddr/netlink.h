// Interfaces and addresses of this machine's network namespace, by netlink. Every function may be called from
// any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "netaddr/address.h"

namespace holdfast::netaddr {

struct Interface {
  int index = 0;
  std::string name;
  bool up = false;       // taken up by the administrator
  bool carrier = false;  // a cable, or what stands for it
  bool resolves = true;  // speaks ARP or neighbour discovery: not loopback, not point-to-point
  std::array<uint8_t, 6> mac{};
};

struct InterfaceAddress {
  Address address;
  unsigned prefix = 0;
  int interface = 0;
  uint32_t valid_s = 0;  // remaining lifetime; UINT32_MAX = for ever
};

Result<Interface> find_interface(const std::string& name);
// The interface that already has an address in the subnet; the error says which subnet was looked for.
Result<Interface> find_interface_of_subnet(const Address& address, unsigned prefix);
Result<std::vector<InterfaceAddress>> list_addresses();

// Adds the address, or renews its lifetime. The kernel removes it by itself after `valid_s` seconds
// (UINT32_MAX = never). No duplicate detection by the kernel: the caller has probed.
Status put_address(const Interface& interface, const Address& address, unsigned prefix, uint32_t valid_s);
// Removing an address that is not there is no error.
Status delete_address(const std::string& interface, const Address& address, unsigned prefix);

// Reports changes of links and addresses.
class Watcher {
 public:
  static Result<std::unique_ptr<Watcher>> open();
  ~Watcher();
  int fd() const { return fd_; }  // readable when something changed
  // Reads what is waiting; the caller then looks at what it is interested in.
  void drain();

 private:
  explicit Watcher(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace holdfast::netaddr
