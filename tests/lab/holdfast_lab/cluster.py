"""A Holdfast cluster on the lab's machines, made with the real command line, and the group of the main job."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from .config import patient
from .lab import Lab
from .machine import Machine

HERE = Path(__file__).resolve().parents[1]
RECORDS = "/usr/local/lib/holdfast-demo/record_service.py"
PORT = 9000
TAIL_MB = 16
SCRIBBLER = "/usr/local/lib/holdfast-demo/scribbler.py"


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
        # The command line enabled the unit, but the root of a guest forgets that at every boot.
        self.lab.each(lambda node: node.enable("holdfastd.service"))
        # Four emulated machines share two cores: heartbeats get more patience than on real hardware.
        first.check(f"holdfast cluster set HeartbeatTimeoutMs={self.timeout_ms} UpdateTimeoutMs=15000", timeout=60)

    def status(self, node: Machine) -> dict[str, Any]:
        return json.loads(node.check("holdfast cluster status --json", timeout=30))

    def wait(self, what: str, condition: Any, timeout: float = 120.0) -> Any:
        limit = time.monotonic() + patient(timeout)
        seen: Any = None
        while True:
            try:
                seen = condition()
                if seen:
                    return seen
            except Exception as error:  # noqa: BLE001 - a machine that is down answers nothing: not yet
                seen = error
            if time.monotonic() > limit:
                raise AssertionError(f"not within {patient(timeout):.0f} s: {what}; last seen: {seen}")
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
        self.lab.each(lambda node: node.put(RECORDS, HERE / "record_service.py", mode=0o755, persist=True))
        disk = self.lab.attach_data()[first.name][1]
        # The file system ends before the disk does: what lies behind it belongs to `Scribbler`.
        first.check(f"wipefs -qa {disk}; mkfs.ext4 -q -F {disk} {self.lab.storage.luns[1].megabytes - TAIL_MB}M && sync", timeout=120)
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
        return self.lab.outside_popen(["/usr/bin/python3", str(HERE / "record_client.py"), "--connect", f"{self.address}:{PORT}",
                                       "--interval", str(interval), "--log", str(log)],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def events(self, node: Machine) -> list[dict[str, Any]]:
        text = node.check("timeout 5 holdfast events --json", timeout=30)
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    # -- what is really on the shared disk ---------------------------------------------------------------------
    @property
    def disk_image(self) -> Path:
        """The data LUN as the host sees it: what arrived at the target, whatever any guest believes."""
        return self.lab.storage.lun_image(1)

    def fsck(self, group: str = "records") -> None:
        """Takes the group offline and has the file system on the LUN's image checked in full; it must be clean."""
        witness = next(n for n in self.nodes if n.running)
        witness.check(f"holdfast --wait 60 group offline {group}", timeout=90)
        done = subprocess.run(["/sbin/e2fsck", "-fn", str(self.disk_image)], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, f"e2fsck found something ({done.returncode}):\n{done.stdout}"
        # -n does not replay: a journal that needs it would mean that the unmount was not a clean one.
        state = subprocess.run(["/sbin/dumpe2fs", "-h", str(self.disk_image)], text=True, capture_output=True, check=True).stdout
        assert "needs_recovery" not in state and "Filesystem state:         clean" in state, state
        witness.check(f"holdfast --wait 120 group online {group}", timeout=150)


class Scribbler:
    """A program on one node that writes to the shared disk behind everybody's back, past the page cache.

    It is the old owner's write that must not arrive: it numbers its writes and notes in the guest which of them the
    disk took. It writes behind the end of the file system, so it harms nobody; the number that is really on the disk
    is read on the host.
    """

    def __init__(self, cluster: LabCluster, node: Machine):
        self.cluster, self.node = cluster, node
        self.offset = (cluster.lab.storage.luns[1].megabytes << 20) - 4096

    def __enter__(self) -> Scribbler:
        self.node.put(SCRIBBLER, HERE / "scribbler.py", mode=0o755)
        disk = self.node.data_disks([1])[1]
        # A unit of its own: nothing of the cluster's knows of it or ends it.
        self.node.check(f"rm -f /run/scribbler; systemd-run --quiet --unit=scribbler --collect "
                        f"/usr/bin/python3 {SCRIBBLER} {disk} {self.offset} /run/scribbler")
        start = self.on_disk()
        self.cluster.wait("the scribbler writes", lambda: self.on_disk() not in (start, 0), 60)
        return self

    def on_disk(self) -> int:
        """The number of the last write that arrived."""
        with open(self.cluster.disk_image, "rb") as image:
            image.seek(self.offset)
            return int.from_bytes(image.read(8), "little")

    def tried(self) -> tuple[int, int, str]:
        """How many writes the guest tried, how many the disk refused, and the last refusal."""
        tried, refused, *why = self.node.check("cat /run/scribbler").split(maxsplit=2)
        return int(tried), int(refused), why[0] if why else ""

    def __exit__(self, *error: Any) -> None:
        self.node.run("systemctl stop scribbler.service", timeout=60)
