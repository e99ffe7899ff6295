#include "netaddr/netlink.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace holdfast::netaddr {
namespace {

struct Free {
  void operator()(nl_sock* p) const { nl_socket_free(p); }
  void operator()(nl_cache* p) const { nl_cache_free(p); }
  void operator()(rtnl_addr* p) const { rtnl_addr_put(p); }
  void operator()(rtnl_link* p) const { rtnl_link_put(p); }
  void operator()(nl_addr* p) const { nl_addr_put(p); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

constexpr uint32_t no_dad =
    0x02;  // IFA_F_NODAD, by its number: <linux/if_addr.h> and libnl both define names

tl::unexpected<Error> failed(const std::string& what, int nl_error) {
  ErrorCode code = -nl_error == NLE_PERM ? ErrorCode::permission : ErrorCode::io;
  return fail(code, what + ": " + nl_geterror(nl_error));
}

Result<Owned<nl_sock>> connect() {
  Owned<nl_sock> socket(nl_socket_alloc());
  if (!socket) return fail(ErrorCode::internal, "no memory for a netlink socket");
  if (int e = nl_connect(socket.get(), NETLINK_ROUTE); e < 0)
    return failed("cannot open a netlink socket", e);
  return socket;
}

Interface from_link(rtnl_link* link) {
  Interface out;
  out.index = rtnl_link_get_ifindex(link);
  out.name = rtnl_link_get_name(link);
  unsigned flags = rtnl_link_get_flags(link);
  out.up = (flags & IFF_UP) != 0;
  out.carrier = (flags & (1u << 16)) != 0;  // IFF_LOWER_UP
  nl_addr* mac = rtnl_link_get_addr(link);
  bool has_mac = mac != nullptr && nl_addr_get_len(mac) == out.mac.size();
  if (has_mac) memcpy(out.mac.data(), nl_addr_get_binary_addr(mac), out.mac.size());
  out.resolves = has_mac && (flags & (IFF_LOOPBACK | IFF_NOARP | IFF_POINTOPOINT)) == 0;
  return out;
}

Result<Interface> get_link(int index, const char* name) {
  HOLDFAST_TRY(auto socket, connect());
  rtnl_link* raw = nullptr;
  if (int e = rtnl_link_get_kernel(socket.get(), index, name, &raw); e < 0) {
    std::string which = name != nullptr ? std::string("'") + name + "'" : "number " + std::to_string(index);
    if (-e == NLE_OBJ_NOTFOUND || -e == NLE_NODEV || -e == NLE_RANGE || -e == NLE_INVAL)
      return fail(ErrorCode::not_found, "there is no network interface " + which);
    return failed("cannot read network interface " + which, e);
  }
  Owned<rtnl_link> link(raw);
  return from_link(link.get());
}

Result<Owned<rtnl_addr>> make(int index, const Address& address, unsigned prefix) {
  Owned<rtnl_addr> out(rtnl_addr_alloc());
  Owned<nl_addr> local(nl_addr_build(address.family, address.bytes.data(), address.size()));
  if (!out || !local) return fail(ErrorCode::internal, "no memory for a netlink message");
  nl_addr_set_prefixlen(local.get(), static_cast<int>(prefix));
  rtnl_addr_set_ifindex(out.get(), index);
  rtnl_addr_set_family(out.get(), address.family);
  rtnl_addr_set_prefixlen(out.get(), static_cast<int>(prefix));
  if (int e = rtnl_addr_set_local(out.get(), local.get()); e < 0) return failed("cannot build an address", e);
  return out;
}

}  // namespace

Result<Interface> find_interface(const std::string& name) {
  return get_link(0, name.c_str());
}

Result<std::vector<InterfaceAddress>> list_addresses() {
  HOLDFAST_TRY(auto socket, connect());
  nl_cache* raw = nullptr;
  if (int e = rtnl_addr_alloc_cache(socket.get(), &raw); e < 0) return failed("cannot list addresses", e);
  Owned<nl_cache> cache(raw);
  std::vector<InterfaceAddress> out;
  for (nl_object* o = nl_cache_get_first(cache.get()); o != nullptr; o = nl_cache_get_next(o)) {
    auto* entry = reinterpret_cast<rtnl_addr*>(o);
    nl_addr* local = rtnl_addr_get_local(entry);
    InterfaceAddress item;
    item.address.family = rtnl_addr_get_family(entry);
    if (local == nullptr || nl_addr_get_len(local) != item.address.size()) continue;
    memcpy(item.address.bytes.data(), nl_addr_get_binary_addr(local), item.address.size());
    item.prefix = static_cast<unsigned>(rtnl_addr_get_prefixlen(entry));
    item.interface = rtnl_addr_get_ifindex(entry);
    item.valid_s = rtnl_addr_get_valid_lifetime(entry);
    out.push_back(item);
  }
  return out;
}

Result<Interface> find_interface_of_subnet(const Address& address, unsigned prefix) {
  HOLDFAST_TRY(auto all, list_addresses());
  for (const auto& item : all)
    if (item.address != address && item.prefix == prefix && item.address.same_subnet(address, prefix))
      return get_link(item.interface, nullptr);
  return fail(ErrorCode::not_found, "no interface has an address in the subnet of " + address.to_string() +
                                        "/" + std::to_string(prefix) + " (name one in the property Network)");
}

Status put_address(const Interface& interface, const Address& address, unsigned prefix, uint32_t valid_s) {
  HOLDFAST_TRY(auto socket, connect());
  HOLDFAST_TRY(auto entry, make(interface.index, address, prefix));
  rtnl_addr_set_valid_lifetime(entry.get(), valid_s);
  rtnl_addr_set_preferred_lifetime(entry.get(), valid_s);
  if (address.family == AF_INET6) rtnl_addr_set_flags(entry.get(), no_dad);
  if (int e = rtnl_addr_add(socket.get(), entry.get(), NLM_F_REPLACE); e < 0)
    return failed("cannot put address " + address.to_string() + " on " + interface.name, e);
  return {};
}

Status delete_address(const std::string& name, const Address& address, unsigned prefix) {
  auto interface = find_interface(name);
  if (!interface && interface.error().code == ErrorCode::not_found) return {};
  if (!interface) return fail(interface.error());
  HOLDFAST_TRY(auto socket, connect());
  HOLDFAST_TRY(auto entry, make(interface->index, address, prefix));
  int e = rtnl_addr_delete(socket.get(), entry.get(), 0);
  if (e < 0 && -e != NLE_NOADDR && -e != NLE_OBJ_NOTFOUND)
    return failed("cannot delete address " + address.to_string() + " from " + name, e);
  return {};
}

Result<std::unique_ptr<Watcher>> Watcher::open() {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return fail(ErrorCode::io, "cannot open a netlink socket", errno);
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  to.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  std::unique_ptr<Watcher> watcher(new Watcher(fd));
  if (bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    return fail(ErrorCode::io, "cannot subscribe to link events", errno);
  return watcher;
}

Watcher::~Watcher() {
  close(fd_);
}

void Watcher::drain() {
  char chunk[8192];
  // ENOBUFS means that events were lost; the caller looks at the state itself, so nothing is missed.
  while (recv(fd_, chunk, sizeof chunk, 0) > 0 || errno == ENOBUFS) {
  }
}

}  // namespace holdfast::netaddr
