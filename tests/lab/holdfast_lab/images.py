"""Builds what the guests boot from, once, into the cache.

Three parts with different lives, so that changing one does not rebuild the others:

* the *system*: kernel, its modules and a Debian root as one read-only squashfs shared by all guests (a minute);
* the *initramfs*: busybox, a few modules, the agent and the files of `guest/root`, which it lays over the root
  (a second, rebuilt whenever something in `guest/` or the agent changes);
* the *product*: a second squashfs made from a DESTDIR tree of the build under test, laid between the two.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import config

ROOT_PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "udev", "kmod", "iproute2", "iputils-ping", "iputils-arping",
    "e2fsprogs", "xfsprogs", "open-iscsi", "sg3-utils", "util-linux", "procps", "psmisc", "python3",
    "libiscsi7", "liburing2", "libnl-3-200", "libnl-route-3-200", "libprotobuf-lite32", "libsqlite3-0", "libssl3",
    "libfmt9", "libspdlog1.10", "libldns3", "libmicrohttpd12", "libprometheus-cpp-core1.0", "libtomlplusplus3",
    "libncurses6", "ca-certificates",
    "netcat-openbsd", "nftables", "dmsetup", "strace", "openssl",
)  # fmt: skip

#: Loaded by the initramfs; everything else is loaded by the guest from its root.
BOOT_MODULES = (
    "virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng", "squashfs", "overlay",
)  # fmt: skip

#: Units of the minimal Debian that only cost time in a guest that lives for minutes, or that would touch the shared
#: disks by themselves (open-iscsi.service logs in to everything it knows).
MASKED_UNITS = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "getty@tty1.service", "serial-getty@ttyS0.service", "getty.target", "remote-fs.target",
    "open-iscsi.service", "systemd-pstore.service", "systemd-hwdb-update.service", "ldconfig.service",
    "systemd-update-done.service", "systemd-firstboot.service", "systemd-random-seed.service",
    "systemd-machine-id-commit.service", "modprobe@drm.service", "systemd-binfmt.service",
    "systemd-journal-catalog-update.service", "systemd-logind.service", "nftables.service",
    "dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
    "systemd-udev-settle.service", "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
    "systemd-user-sessions.service", "modprobe@configfs.service", "modprobe@dm_mod.service", "modprobe@fuse.service",
    "modprobe@loop.service", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount", "systemd-remount-fs.service",
    "proc-sys-fs-binfmt_misc.automount", "kmod-static-nodes.service", "systemd-modules-load.service",
    "systemd-boot-system-token.service", "systemd-ask-password-console.path", "systemd-ask-password-wall.path",
)  # fmt: skip

KERNEL_PATTERN = r"^linux-image-6\.1\.0-[0-9]+-cloud-amd64$"

#: Runs inside mmdebstrap, with the package lists of the new root, so that the host's own sources do not matter.
CUSTOMIZE_HOOK = r"""
set -e
root=$1 out=$2
export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
cd "$out"
name=$(apt-cache search --names-only '{pattern}' | cut -d' ' -f1 | sort -V | tail -1)
[ -n "$name" ]
apt-get -o APT::Sandbox::User=root download "$name"
dpkg -x "$name"_*.deb kernel
cp -a kernel/lib/modules "$root/usr/lib/"
version=$(ls kernel/lib/modules)
chroot "$root" /sbin/depmod "$version"
cp kernel/boot/vmlinuz-* vmlinuz
cp kernel/boot/config-* kernel-config
echo "$version" >kernel-version
rm -rf kernel ./*.deb
rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root/etc/machine-id"
: >"$root/etc/machine-id"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/*
"""

PACK = ("-noI", "-noD", "-noF", "-noX", "-no-progress", "-quiet", "-noappend")


class ImageError(RuntimeError):
    """An image could not be built; the message carries the output of what failed."""


@dataclass(frozen=True)
class Images:
    """Paths of one bootable set."""

    kernel: Path
    initramfs: Path
    root: Path
    kernel_version: str


def _command(argv: list[str | Path], **options: object) -> str:
    done = subprocess.run(
        [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, **options,  # type: ignore[call-overload]
    )  # fmt: skip
    if done.returncode:
        raise ImageError(f"{argv[0]} failed ({done.returncode}):\n{done.stdout[-4000:]}")
    return done.stdout


def _digest(*parts: str | bytes | Path) -> str:
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for file in sorted(p for p in [part, *part.rglob("*")] if p.is_file() or p.is_symlink()):
                state.update(f"{file.relative_to(part.parent)} {file.lstat().st_mode:o}\0".encode())
                state.update(file.read_bytes())
        else:
            state.update(part.encode() if isinstance(part, str) else part)
        state.update(b"\0")
    return state.hexdigest()[:16]


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Several labs may start at once; only one of them builds."""
    config.CACHE.mkdir(parents=True, exist_ok=True)
    with open(config.CACHE / f"{name}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _install(temporary: Path, target: Path) -> None:
    """Makes a finished image appear in the cache in one step."""
    os.chmod(temporary, 0o755)
    temporary.rename(target)


def _system_key() -> str:
    return _digest(config.SUITE, config.MIRROR, "\n".join(ROOT_PACKAGES), CUSTOMIZE_HOOK, KERNEL_PATTERN)


def build_system(refresh: bool = False) -> Path:
    """Kernel and Debian root; `refresh` rebuilds with today's packages."""
    target = config.CACHE / f"system-{_system_key()}"
    with _locked("system"):
        if target.exists() and not refresh:
            return target
        work = Path(tempfile.mkdtemp(prefix="build-", dir=config.CACHE))
        try:
            os.chmod(work, 0o755)  # apt fetches as a user of its own
            hook = work / "hook.sh"
            hook.write_text(CUSTOMIZE_HOOK.replace("{pattern}", KERNEL_PATTERN))
            out = work / "out"
            out.mkdir()
            sources = [
                f"deb {config.MIRROR} {config.SUITE} main",
                f"deb {config.MIRROR} {config.SUITE}-updates main",
                f"deb {config.SECURITY_MIRROR} {config.SUITE}-security main",
            ]
            _command([
                "mmdebstrap", "--variant=minbase", "--mode=root", f"--include={','.join(ROOT_PACKAGES)}",
                "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*", "--aptopt=Acquire::Retries \"5\"",
                f"--customize-hook=sh {hook} \"$1\" {out}", config.SUITE, work / "root", *sources,
            ])  # fmt: skip
            _command(["mksquashfs", work / "root", out / "root.squashfs", *PACK])
            shutil.rmtree(target, ignore_errors=True)
            _install(out, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


def _modules_for_boot(root_image: Path, version: str, work: Path) -> list[Path]:
    """The modules of the initramfs with what they need, in the order in which they must be loaded."""
    _command(["unsquashfs", "-no-progress", "-q", "-d", work / "modroot", root_image, f"usr/lib/modules/{version}"])
    top = work / "modroot" / "usr/lib/modules" / version
    needs: dict[str, tuple[str, list[str]]] = {}
    for line in (top / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[Path(path).name.split(".")[0].replace("-", "_")] = (path, rest.split())
    order: list[Path] = []
    for module in BOOT_MODULES:
        path, dependencies = needs[module]
        # modules.dep lists everything that is needed, what must be loaded first at the end.
        for name in [*reversed(dependencies), path]:
            if top / name not in order:
                order.append(top / name)
    return order


def build_initramfs(system: Path) -> Path:
    """busybox, modules, the agent and the files laid over the root."""
    guest, agent = config.LAB_DIR / "guest", config.LAB_DIR / "agent.c"
    version = (system / "kernel-version").read_text().strip()
    key = _digest(system.name, version, guest, agent, Path(__file__).read_bytes())
    target = config.CACHE / f"initramfs-{key}"
    with _locked("initramfs"):
        if target.exists():
            return target / "initramfs"
        work = Path(tempfile.mkdtemp(prefix="build-", dir=config.CACHE))
        try:
            tree = work / "tree"
            for name in ("bin", "proc", "sys", "dev", "modules"):
                (tree / name).mkdir(parents=True)
            shutil.copy2("/bin/busybox", tree / "bin" / "busybox")
            for applet in _command(["/bin/busybox", "--list"]).split():
                if applet != "busybox":
                    (tree / "bin" / applet).symlink_to("busybox")
            names = []
            for path in _modules_for_boot(system / "root.squashfs", version, work):
                shutil.copy2(path, tree / "modules" / path.name)
                names.append(path.name)
            (tree / "modules" / "order").write_text("".join(f"{n}\n" for n in names))
            shutil.copy2(guest / "init", tree / "init")
            os.chmod(tree / "init", 0o755)
            overlay = tree / "guest"
            shutil.copytree(guest / "root", overlay, symlinks=True)
            for program in [*(overlay / "usr/lib/holdfast-lab").iterdir(), overlay / "usr/sbin/lab-init"]:
                os.chmod(program, 0o755)
            _command([
                "gcc", "-static", "-O2", "-Wall", "-s", "-o", overlay / "usr/sbin/holdfast-lab-agent", agent,
            ])  # fmt: skip
            units = overlay / "etc/systemd/system"
            units.mkdir(parents=True, exist_ok=True)
            for unit in MASKED_UNITS:
                (units / unit).symlink_to("/dev/null")
            (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
            for wanted_by, unit in (
                ("sysinit.target", "holdfast-lab-agent.service"),
                ("multi-user.target", "holdfast-lab-attach.service"),
            ):
                (units / f"{wanted_by}.wants").mkdir(exist_ok=True)
                (units / f"{wanted_by}.wants" / unit).symlink_to(f"/lib/systemd/system/{unit}")
            out = work / "out"
            out.mkdir()
            _command([
                "sh", "-c",
                f"cd '{tree}' && find . | cpio --quiet -o -H newc -R 0:0 >'{out}/initramfs'",
            ])  # fmt: skip
            _install(out, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target / "initramfs"


def _forget_old(kept: Path) -> None:
    """Deletes images of the same kind that nobody used for two weeks; edits of the lab would pile them up."""
    os.utime(kept)
    for path in config.CACHE.glob(f"{kept.name.partition('-')[0]}-????????????????"):
        if path.stat().st_mtime < time.time() - 14 * 86400:
            shutil.rmtree(path, ignore_errors=True)


def build(refresh: bool = False) -> Images:
    """Everything needed to boot, from the cache where possible."""
    system = build_system(refresh)
    _forget_old(system)
    _forget_old(build_initramfs(system).parent)
    return Images(
        kernel=system / "vmlinuz",
        initramfs=build_initramfs(system),
        root=system / "root.squashfs",
        kernel_version=(system / "kernel-version").read_text().strip(),
    )


def pack_product(tree: Path, image: Path) -> Path:
    """Makes the image of the build under test from its DESTDIR tree.

    Debian's root has /lib, /bin and /sbin as links into /usr. A real directory of that name in an upper layer would
    hide the link and with it the whole system, so those are moved below /usr first.
    """
    with tempfile.TemporaryDirectory(prefix="product-", dir=image.parent) as name:
        stage = Path(name) / "tree"
        shutil.copytree(tree, stage, symlinks=True)
        for top in ("bin", "sbin", "lib", "lib64"):
            if (stage / top).is_dir() and not (stage / top).is_symlink():
                (stage / "usr").mkdir(exist_ok=True)
                shutil.copytree(stage / top, stage / "usr" / top, symlinks=True, dirs_exist_ok=True)
                shutil.rmtree(stage / top)
        _command(["mksquashfs", stage, image, "-all-root", *PACK])
    return image


def cached() -> list[dict[str, object]]:
    """What the cache holds, for `lab.py status`."""
    result: list[dict[str, object]] = []
    for path in sorted(config.CACHE.glob("*-????????????????")):
        size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
        result.append({"name": path.name, "bytes": size})
    return result


def remember(name: str, value: object) -> None:
    """Keeps a small fact about this machine (such as whether KVM works) beside the images."""
    config.CACHE.mkdir(parents=True, exist_ok=True)
    (config.CACHE / f"{name}.json").write_text(json.dumps(value))


def recall(name: str) -> object | None:
    """A fact kept by `remember`, or None."""
    try:
        return json.loads((config.CACHE / f"{name}.json").read_text())
    except (OSError, ValueError):
        return None
