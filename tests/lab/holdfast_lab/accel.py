"""Which accelerator QEMU uses. Found out by booting, since a /dev/kvm that opens may still not run a stock kernel."""

from __future__ import annotations

import os
import subprocess

from . import config, images

#: Common to every guest. No HPET and no USB: both only cost interrupts under emulation.
MACHINE = ("-nodefaults", "-no-user-config", "-nographic", "-machine", "q35,usb=off,hpet=off", "-smp", "1")
KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet panic=-1 net.ifnames=0 mitigations=off tsc=reliable no_timer_check "
    "audit=0 random.trust_cpu=on"
)


def arguments(accel: str) -> list[str]:
    """QEMU arguments for `kvm` or `tcg`."""
    if accel == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi,tb-size=128", "-cpu", "Nehalem"]


def _kvm_boots(built: images.Images) -> bool:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    argv = [
        "qemu-system-x86_64", *MACHINE, *arguments("kvm"), "-m", "256M", "-no-reboot",
        "-kernel", str(built.kernel), "-initrd", str(built.initramfs),
        "-append", f"{KERNEL_ARGUMENTS} lab.role=probe", "-serial", "stdio", "-monitor", "none",
    ]  # fmt: skip
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=config.patient(20))
        return b"HOLDFAST-PROBE-OK" in done.stdout
    except subprocess.TimeoutExpired as error:
        return b"HOLDFAST-PROBE-OK" in (error.stdout or b"")
    except OSError:
        return False


def choose(built: images.Images) -> str:
    """`kvm` if a guest boots with it, else `tcg`. HOLDFAST_ACCEL overrides; the answer is kept per boot of the host."""
    forced = os.environ.get("HOLDFAST_ACCEL")
    if forced:
        return forced
    with open("/proc/sys/kernel/random/boot_id") as handle:
        boot = handle.read().strip()
    known = images.recall("accel")
    if isinstance(known, dict) and known.get("boot") == boot and known.get("kernel") == built.kernel_version:
        return str(known["accel"])
    accel = "kvm" if _kvm_boots(built) else "tcg"
    images.remember("accel", {"boot": boot, "kernel": built.kernel_version, "accel": accel})
    return accel
