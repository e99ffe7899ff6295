"""The lab's networks: one network namespace, one bridge a network, one tap a guest and network.

Everything is inside the namespace, so names never clash between labs, nothing is reachable from the host's own
networks, and deleting the namespace deletes it all.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class NetworkError(RuntimeError):
    """A network command failed."""


@dataclass(frozen=True)
class Nic:
    """One interface of a guest."""

    net: str
    tap: str
    mac: str
    ip: str
    ip6: str
    prefix: int = 24

    def kernel_argument(self) -> str:
        return f"{self.net}|{self.mac}|{self.ip}/{self.prefix}|{self.ip6}/64"


def _run(argv: Sequence[str], check: bool = True) -> str:
    done = subprocess.run(list(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if check and done.returncode:
        raise NetworkError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


class Network:
    """`nets` become the bridges br-NAME with 10.77.1.0/24, 10.77.2.0/24 … in that order; the host side is .1."""

    def __init__(self, namespace: str, nets: Sequence[str]) -> None:
        self.namespace = namespace
        self.nets = tuple(nets)
        self._pairs: set[tuple[str, str, str]] = set()

    # -- life ------------------------------------------------------------------------------------------------
    def create(self) -> None:
        _run(["ip", "netns", "add", self.namespace])
        self.ip("link", "set", "lo", "up")
        for net in self.nets:
            bridge = f"br-{net}"
            # No spanning tree and no forward delay: a port that comes back forwards at once.
            self.ip("link", "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0",
                    "mcast_snooping", "0")  # fmt: skip
            self.run(["sysctl", "-qw", f"net.ipv6.conf.{bridge}.accept_dad=0"], check=False)
            self.ip("addr", "add", f"{self.address(net, 1)}/24", "dev", bridge)
            self.ip("addr", "add", f"{self.address6(net, 1)}/64", "dev", bridge, check=False)
            self.ip("link", "set", bridge, "up")

    def delete(self) -> None:
        if Path("/run/netns", self.namespace).exists():
            _run(["ip", "netns", "del", self.namespace], check=False)

    # -- names -----------------------------------------------------------------------------------------------
    def address(self, net: str, host: int) -> str:
        return f"10.77.{self.nets.index(net) + 1}.{host}"

    def address6(self, net: str, host: int) -> str:
        return f"fd77:0:{self.nets.index(net) + 1}::{host}"

    def nic(self, machine: str, net: str, host: int) -> Nic:
        """Addresses and names that stay the same for every boot, so that a node keeps its identity."""
        digest = hashlib.sha256(f"{machine}/{net}".encode()).hexdigest()
        mac = f"52:54:00:{digest[0:2]}:{digest[2:4]}:{digest[4:6]}"
        return Nic(net, f"t{digest[:8]}", mac, self.address(net, host), self.address6(net, host))

    # -- commands --------------------------------------------------------------------------------------------
    def enter(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside the namespace. nsenter executes it in place: same process id."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "--", *argv]

    def run(self, argv: Sequence[str], check: bool = True) -> str:
        return _run(self.enter(argv), check)

    def ip(self, *argv: str, check: bool = True) -> str:
        return _run(["ip", "-n", self.namespace, *argv], check)

    # -- taps and faults -------------------------------------------------------------------------------------
    def add_tap(self, nic: Nic) -> None:
        if not self.run(["ip", "-br", "link", "show", "dev", nic.tap], check=False):
            self.ip("tuntap", "add", "dev", nic.tap, "mode", "tap")
            self.run(["sysctl", "-qw", f"net.ipv6.conf.{nic.tap}.disable_ipv6=1"], check=False)
        self.attach(nic)
        self.ip("link", "set", nic.tap, "up")

    def detach(self, nic: Nic) -> None:
        """Silent loss: the guest still sees a carrier, its frames go nowhere."""
        self.ip("link", "set", nic.tap, "nomaster")

    def attach(self, nic: Nic) -> None:
        self.ip("link", "set", nic.tap, "master", f"br-{nic.net}")

    def block_pair(self, first: Nic, second: Nic) -> None:
        """Two guests do not hear each other on this network; everybody else hears both."""
        self._pairs |= {(first.net, first.tap, second.tap), (first.net, second.tap, first.tap)}
        self._write_pairs()

    def block_one_way(self, sender: Nic, receiver: Nic) -> None:
        """Frames from `sender` no longer reach `receiver`; the other direction works."""
        self._pairs.add((sender.net, sender.tap, receiver.tap))
        self._write_pairs()

    def unblock_all(self) -> None:
        self._pairs.clear()
        self._write_pairs()

    def _write_pairs(self) -> None:
        rules = "".join(f'    iifname "{a}" oifname "{b}" drop\n' for _, a, b in sorted(self._pairs))
        text = (
            "table bridge lab\ndelete table bridge lab\n"
            "table bridge lab {\n  chain forward {\n    type filter hook forward priority 0;\n" + rules + "  }\n}\n"
        )
        done = subprocess.run(self.enter(["nft", "-f", "-"]), input=text, capture_output=True, text=True)
        if done.returncode:
            raise NetworkError(f"nft: {done.stderr.strip()}")
