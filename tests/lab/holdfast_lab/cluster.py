"""A Holdfast cluster on the lab's machines, made with the real command line, and the group of the main job."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from .lab import Lab
from .machine import Machine

HERE = Path(__file__).resolve().parents[1]
RECORDS = "/usr/local/lib/holdfast-demo/record_service.py"
PORT = 9000


class LabCluster:
    """Three members on a booted lab with the product laid over it. `form()` first, then `make_group()`."""

    def __init__(self, lab: Lab, heartbeat_timeout_ms: int = 4000):
        self.lab, self.timeout_ms = lab, heartbeat_timeout_ms
        self.address = lab.free_ip("front", 0)

    @property
    def nodes(self) -> list[Machine]:
        return list(self.lab.nodes)

    def addresses(self, node: Machine) -> str:
        return " ".join(f"--address {net}={node.ip(net)}" for net in ("front", "back"))

    def form(self) -> None:
        first, *others = self.nodes
        storage = self.lab.storage
        first.check(f"holdfast cluster create --name demo --node {first.name} {self.addresses(first)} "
                    f"--quorum iscsi://{storage.portal}:3260/{storage.iqn}/0", timeout=120)
        self.wait_member(first)
        for node in others:
            token = json.loads(first.check(f"holdfast node add {node.name} {self.addresses(node)} --json", timeout=60))["token"]
            node.check(f"holdfast cluster join {token}", timeout=180)
        for node in self.nodes:
            self.wait_member(node)
            node.run("sync")
        # Four emulated machines share two cores: heartbeats get more patience than on real hardware.
        first.check(f"holdfast cluster set HeartbeatTimeoutMs={self.timeout_ms} UpdateTimeoutMs=15000", timeout=60)

    def status(self, node: Machine) -> dict[str, Any]:
        return json.loads(node.check("holdfast cluster status --json", timeout=30))

    def wait(self, what: str, condition: Any, timeout: float = 120.0) -> Any:
        limit = time.monotonic() + timeout
        seen: Any = None
        while True:
            try:
                seen = condition()
                if seen:
                    return seen
            except Exception as error:  # noqa: BLE001 - a machine that is down answers nothing: not yet
                seen = error
            if time.monotonic() > limit:
                raise AssertionError(f"not within {timeout:.0f} s: {what}; last seen: {seen}")
            time.sleep(0.2)

    def wait_member(self, node: Machine, timeout: float = 180.0) -> None:
        self.wait(f"{node.name} is a member", lambda: self.status(node)["phase"] == "member", timeout)

    def wait_all(self, timeout: float = 240.0) -> None:
        wanted = sorted(n.name for n in self.nodes)
        self.wait("all nodes are up", lambda: sorted(n["name"] for n in self.status(self.nodes[0])["nodes"]
                                                     if n["state_text"] == "Up") == wanted and
                  all(self.status(n)["phase"] == "member" for n in self.nodes), timeout)

    def make_group(self, group: str = "records") -> None:
        first = self.nodes[0]
        naa = "naa." + self.lab.storage.luns[1].naa.removeprefix("naa.")
        for node in self.nodes:
            node.put(RECORDS, HERE / "record_service.py", mode=0o755)
            node.check("mkdir -p /mnt/records")
        disk = self.lab.attach_data([first])[first.name][1]
        first.check(f"wipefs -qa {disk}; mkfs.ext4 -q -F {disk} && sync", timeout=120)
        self.lab.attach_data()
        make = f"holdfast resource create %s --group {group} --type %s %s"
        first.check(f"holdfast group create {group}")
        first.check(make % ("disk", "physical-disk", f"Device={naa} IsAlivePollInterval=3000"))
        first.check(make % ("files", "filesystem", "MountPoint=/mnt/records FileSystemType=ext4 Dependencies=disk"))
        first.check(make % ("address", "ip-address", f"Address={self.address} PrefixLength=24 Network=front"))
        first.check(make % ("service", "generic-program",
                            f"'CommandLine=/usr/bin/python3 {RECORDS} --listen {self.address}:{PORT} --file /mnt/records/records.log' "
                            "Dependencies=files,address"))
        first.check(f"holdfast --wait 120 group online {group}", timeout=150)

    def owner(self, seen_by: Machine, group: str = "records") -> Machine | None:
        """The machine that has the group online, as `seen_by` sees it."""
        g = next(g for g in self.status(seen_by)["groups"] if g["name"] == group)
        return self.lab.machine(g["owner"]) if g["state_text"] == "Online" else None

    def wait_owner(self, seen_by: Machine, group: str = "records", other_than: Machine | None = None, timeout: float = 120.0) -> Machine:
        return self.wait(f"group {group} is online", lambda: (lambda o: o if o is not None and o is not other_than else None)(
            self.owner(seen_by, group)), timeout)

    def client(self, log: Path, interval: float = 0.05) -> Any:
        """The outside client: writes numbered records through the address until it gets SIGTERM, then verifies."""
        import subprocess

        return self.lab.outside_popen(["/usr/bin/python3", str(HERE / "record_client.py"), "--connect", f"{self.address}:{PORT}",
                                       "--interval", str(interval), "--log", str(log)],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def events(self, node: Machine) -> list[dict[str, Any]]:
        text = node.check("timeout 5 holdfast events --json", timeout=30)
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
