"""The storage machine: an iSCSI target (LIO) whose disks survive power cuts and whose reservations may not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .images import Images
from .machine import Machine, Spec
from .network import Network

IQN = "iqn.2026-11.example.holdfast:shared"
LIO = "/usr/lib/holdfast-lab/lio"
CONFIG = "/run/lio.conf"


@dataclass(frozen=True)
class Lun:
    """One logical unit. LUN 0 is the quorum."""

    number: int
    megabytes: int

    @property
    def unit_serial(self) -> str:
        """Decides the identity in VPD page 0x83; the same for every lab, so that it can be written in a test."""
        digest = hashlib.sha256(f"holdfast-lab/lun{self.number}".encode()).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"

    @property
    def naa(self) -> str:
        """The NAA identity that LIO makes of the unit serial: /dev/disk/by-id/wwn-0x…, scsi-3…"""
        return "6001405" + self.unit_serial.replace("-", "")[:25]


class Storage(Machine):
    """Verbs of the target. The image files of the LUNs are on the host and keep their data through everything."""

    def __init__(
        self,
        spec: Spec,
        network: Network,
        images: Images,
        accel: str,
        run: Path,
        state: Path,
        luns: Sequence[Lun],
        initiators: Sequence[str],
        nets: Sequence[str],
        backend: str,
    ) -> None:
        super().__init__(spec, network, images, accel, run, state)
        self.luns = tuple(luns)
        self.initiators = tuple(initiators)
        self.portal_nets = tuple(nets)
        self.backend = backend
        self.iqn = IQN
        #: Whether a power-up loads the reservations saved by the kernel (APTPL), as a target's user space is meant to.
        self.restore_aptpl = False

    @property
    def portal(self) -> str:
        """Address of the first portal (port 3260)."""
        return self.ip(self.portal_nets[0])

    def lun_image(self, number: int) -> Path:
        """The file of the host that is this LUN. Readable at any time: what was acknowledged to a guest is in it."""
        return next(disk.path for disk in self.spec.disks if disk.serial == f"lun{number}")

    def wait_ready(self, timeout: float | None = None) -> None:
        self.wait_agent(timeout)
        self.start_target()

    def start_target(self, restore: bool | None = None) -> None:
        """Builds the target's configuration; `restore` says whether saved reservations are loaded."""
        luns = " ".join(f"{lun.number}:{lun.unit_serial}" for lun in self.luns)
        portals = " ".join(f"{self.ip(net)}:3260" for net in self.portal_nets)
        self.put(
            CONFIG,
            f"IQN={self.iqn}\nPORTALS='{portals}'\nBACKEND={self.backend}\n"
            f"INITIATORS='{' '.join(self.initiators)}'\nLUNS='{luns}'\n",
        )
        wanted = self.restore_aptpl if restore is None else restore
        self.check(f"{LIO} start {CONFIG} {'restore' if wanted else ''}", timeout=90)

    def stop_target(self) -> None:
        """Takes the target down in good order: sessions end, registrations and reservations are forgotten."""
        self.check(f"{LIO} stop", timeout=90)

    def restart_target(self, restore: bool = False) -> None:
        """The target's amnesia: a restart after which every registration is gone (unless restored)."""
        self.stop_target()
        self.start_target(restore)

    def freeze(self) -> None:
        """The target takes no packet and answers none, but no connection breaks: a controller that is busy."""
        for net in self.portal_nets:
            self.silent_loss(net)

    def thaw(self) -> None:
        for net in self.portal_nets:
            self.silent_heal(net)

    def power_cycle(self, timeout: float | None = None) -> None:
        """Power loss of the target and its return."""
        self.power_cut()
        self.boot(timeout)

    def reservations(self) -> str:
        """What the target itself says about registrations and reservations of every LUN."""
        return self.check(f"{LIO} show")

    def sessions(self) -> list[str]:
        """Initiators that are logged in."""
        return self.check(f"{LIO} sessions").split()
