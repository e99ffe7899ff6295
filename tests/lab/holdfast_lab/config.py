"""Where things are and how patient the lab is. Everything here can be changed by environment variables."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

LAB_DIR = Path(__file__).resolve().parent.parent
REPOSITORY = LAB_DIR.parent.parent

#: Images that take a minute to build; disks of running labs are kept there too.
CACHE = Path(os.environ.get("HOLDFAST_CACHE", "/var/cache/holdfast-lab"))
#: Sockets, process ids and descriptions of running labs. A short path: Unix sockets allow 107 characters.
RUN = Path(os.environ.get("HOLDFAST_LAB_RUN", "/run/holdfast-lab"))
#: Consoles and journals of failed tests.
ARTIFACTS = Path(os.environ.get("HOLDFAST_ARTIFACTS", str(REPOSITORY / "build" / "artifacts")))
MIRROR = os.environ.get("HOLDFAST_MIRROR", "http://deb.debian.org/debian")
SECURITY_MIRROR = os.environ.get("HOLDFAST_SECURITY_MIRROR", "http://deb.debian.org/debian-security")
SUITE = "bookworm"

#: Multiplies every limit: emulation on a busy machine is slow, and a limit only has to catch what never ends.
PATIENCE = float(os.environ.get("HOLDFAST_PATIENCE", "1"))

#: What the lab needs on a bare Debian 12 (`lab.py deps`).
DEBIAN_PACKAGES = (
    "qemu-system-x86",
    "qemu-block-extra",
    "qemu-utils",
    "mmdebstrap",
    "squashfs-tools",
    "busybox-static",
    "cpio",
    "e2fsprogs",
    "iproute2",
    "nftables",
    "util-linux",
    "procps",
    "gcc",
    "libc6-dev",
    "debian-archive-keyring",
    "ca-certificates",
    "python3",
    "python3-pytest",
)

T = TypeVar("T")


def patient(seconds: float) -> float:
    """A limit in seconds, stretched by HOLDFAST_PATIENCE."""
    return seconds * PATIENCE


def wait_for(what: str, condition: Callable[[], T], timeout: float, interval: float = 0.1) -> T:
    """Repeats `condition` until it is true; returns its value. Tests wait for facts, never for a time to pass."""
    deadline = time.monotonic() + patient(timeout)
    last: Exception | None = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = None
        except Exception as error:  # the next try may succeed; the last error is shown when none did
            last = error
        if time.monotonic() >= deadline:
            reason = f" ({last})" if last else ""
            raise TimeoutError(f"{what}: not within {patient(timeout):.0f} s{reason}") from last
        time.sleep(interval)
