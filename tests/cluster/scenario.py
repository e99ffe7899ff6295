"""What several cluster tests share: groups, and who serves an address."""
from __future__ import annotations

from hfcluster import BUILD, Cluster, Failure, Node, wait_for

PORT = 8000


def make_group(cluster: Cluster, name: str, last_byte: int, at: Node | None = None) -> str:
    """An address and a program that serves on it; online. Returns the address."""
    node = at or cluster.nodes[0]
    address = f"10.99.1.{last_byte}"
    node.cli("group", "create", name)
    node.cli("resource", "create", f"{name}-ip", "--group", name, "--type", "ip-address", f"Address={address}", "PrefixLength=24",
             "Network=a")
    node.cli("resource", "create", f"{name}-srv", "--group", name, "--type", "generic-program",
             f"CommandLine={BUILD}/tests/greeter {address} {PORT} {name}", f"Dependencies={name}-ip")
    node.cli("group", "online", name)
    return address


def holders(cluster: Cluster, address: str) -> list[str]:
    """Nodes that have the address at this moment."""
    return [n.name for n in cluster.nodes if n.has_address(address)]


def online_on(cluster: Cluster, group: str, seen_by: Node, timeout: float = 15) -> str:
    return wait_for(f"group {group} is online, seen by {seen_by.name}", lambda: cluster.group_online(group, seen_by), timeout)


def never_twice(cluster: Cluster, address: str) -> None:
    found = holders(cluster, address)
    if len(found) > 1:
        raise Failure(f"{address} is on {found} at once")
