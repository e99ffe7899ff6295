"""One virtual machine: life, commands, and every fault that can be done to it from outside."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import accel as accelerator
from .agent import Agent, AgentError, CommandFailed, Result
from .config import patient, wait_for
from .images import Images
from .network import Network, Nic
from .process import Process
from .qmp import Qmp

AGENT_PORTS = 5


class MachineError(RuntimeError):
    """A machine is not in the state that the call needs."""


@dataclass(frozen=True)
class Disk:
    """A virtio disk; the guest finds it by `serial`."""

    serial: str
    path: Path
    readonly: bool = False


@dataclass
class Spec:
    """What a machine is made of. Plain data, so that a running lab can be described in a file."""

    name: str
    role: str
    memory: int
    nics: list[Nic]
    iqn: str
    disks: list[Disk] = field(default_factory=list)


def make_disk(path: Path, megabytes: int, ext4: bool = False) -> None:
    """A sparse raw disk, made once; what it holds survives every power cut of the machine."""
    if path.exists():
        return
    temporary = path.with_suffix(".new")
    with open(temporary, "wb") as handle:
        handle.truncate(megabytes << 20)
    if ext4:
        # Without lazy initialisation: a background thread that writes would disturb measurements.
        subprocess.run(
            ["/sbin/mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(temporary)],
            check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    temporary.rename(path)


def _beneath_usr(path: str) -> str:
    """/lib, /bin and /sbin are links into /usr; a directory of that name could not be copied over the link."""
    return f"/usr{path}" if path.split("/")[1] in ("bin", "sbin", "lib", "lib64") else path


class Machine:
    """A guest. `start`+`wait_agent` or `boot`; then `run`, `put`, `get`, and the faults."""

    #: Guests are ready when the agent answers; nodes wait for systemd as well.
    boot_limit = 180.0

    def __init__(self, spec: Spec, network: Network, images: Images, accel: str, run: Path, state: Path) -> None:
        self.spec = spec
        self.name = spec.name
        self.nics = {nic.net: nic for nic in spec.nics}
        self.network = network
        self.images = images
        self.accel = accel
        self.console_path = state / f"{spec.name}.console"
        self._log_path = state / f"{spec.name}.qemu"
        self._run_dir = run
        self._process = Process(run / f"{spec.name}.pid")
        self._ports = [run / f"{spec.name}.a{n}" for n in range(AGENT_PORTS)]
        self._agent = Agent(self._ports)
        self._qmp = Qmp(run / f"{spec.name}.qmp")
        #: Seconds from the start of QEMU to the first answer, and to `boot` being done.
        self.agent_seconds: float | None = None
        self.boot_seconds: float | None = None
        self._started_at = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    # -- addresses -------------------------------------------------------------------------------------------
    def ip(self, net: str) -> str:
        return self.nics[net].ip

    def ip6(self, net: str) -> str:
        return self.nics[net].ip6

    # -- life ------------------------------------------------------------------------------------------------
    def _argv(self) -> list[str]:
        machine_id = hashlib.sha256(f"holdfast-lab/{self.name}".encode()).hexdigest()[:32]
        words = [
            accelerator.KERNEL_ARGUMENTS,
            f"lab.role={self.spec.role} lab.name={self.name} lab.iqn={self.spec.iqn} lab.agents={AGENT_PORTS}",
            "lab.nets=" + ",".join(nic.kernel_argument() for nic in self.spec.nics),
            # Also over reboots the same machine, as one with a disk would be.
            f"systemd.machine_id={machine_id} systemd.hostname={self.name}",
            "systemd.show_status=0 systemd.gpt_auto=0 rd.systemd.gpt_auto=0 fsck.mode=skip",
        ]
        argv = [
            "qemu-system-x86_64", "-name", self.name, *accelerator.MACHINE, *accelerator.arguments(self.accel),
            "-m", f"{self.spec.memory}M", "-rtc", "base=utc",
            "-kernel", str(self.images.kernel), "-initrd", str(self.images.initramfs), "-append", " ".join(words),
            "-chardev", f"file,id=console,path={self.console_path},append=on", "-serial", "chardev:console",
            "-qmp", f"unix:{self._qmp.path},server=on,wait=off",
            "-object", "rng-random,filename=/dev/urandom,id=rng", "-device", "virtio-rng-pci,rng=rng",
            "-device", f"virtio-serial-pci,max_ports={AGENT_PORTS + 1}",
        ]  # fmt: skip
        for number, path in enumerate(self._ports):
            argv += [
                "-chardev", f"socket,id=agent{number},path={path},server=on,wait=off",
                "-device", f"virtserialport,chardev=agent{number},name=holdfast.agent.{number}",
            ]  # fmt: skip
        for disk in [Disk("root", self.images.root, True), *self.spec.disks]:
            # cache=unsafe leaves out the host's fsync only: a power cut here kills QEMU, not the host, so what the
            # guest wrote is in the host's page cache and stays.
            mode = "readonly=on" if disk.readonly else "readonly=off,discard=unmap"
            argv += [
                "-drive", f"if=none,id=disk-{disk.serial},file={disk.path},format=raw,cache=unsafe,{mode}",
                "-device", f"virtio-blk-pci,drive=disk-{disk.serial},serial={disk.serial}",
            ]  # fmt: skip
        for nic in self.spec.nics:
            argv += [
                "-netdev", f"tap,id=net-{nic.net},ifname={nic.tap},script=no,downscript=no,vhost=off",
                "-device", f"virtio-net-pci,id=nic-{nic.net},netdev=net-{nic.net},mac={nic.mac},romfile=",
            ]  # fmt: skip
        return self.network.enter(argv)

    @property
    def running(self) -> bool:
        """Whether the machine is powered (it may still be paused, hung or crashed)."""
        return self._process.pid is not None

    @property
    def pid(self) -> int | None:
        """Process id of QEMU."""
        return self._process.pid

    def start(self) -> None:
        """Powers the machine on and returns at once."""
        if self.running:
            raise MachineError(f"{self.name} is running already")
        self._forget()
        for nic in self.spec.nics:
            self.network.add_tap(nic)
        self._started_at = time.monotonic()
        self._process.start(self._argv(), self._log_path)

    def _forget(self) -> None:
        self._agent.close()
        self._qmp.close()

    def _hello(self) -> str:
        with self._agent.port(5, emergency=True) as port:
            return port.hello(2.0)

    def wait_agent(self, timeout: float | None = None, other_than: str | None = None) -> str:
        """Waits until the agent answers (as another boot than `other_than`); returns the boot id."""

        def answered() -> str | None:
            if not self.running:
                raise MachineError(f"{self.name}: QEMU ended: {self._log_path.read_text()[-1000:]}")
            boot = self._hello()
            return boot if boot != other_than else None

        boot = wait_for(f"agent of {self.name}", answered, timeout or self.boot_limit)
        if self.agent_seconds is None or other_than is None:
            self.agent_seconds = time.monotonic() - self._started_at
        return boot

    def wait_ready(self, timeout: float | None = None) -> None:
        """Waits until the machine does its work; more than the agent for machines with systemd."""
        self.wait_agent(timeout)

    def boot(self, timeout: float | None = None) -> None:
        """Powers on and waits until the machine is ready."""
        self.start()
        self.wait_boot(timeout)

    def wait_boot(self, timeout: float | None = None) -> None:
        """The second half of `boot`, for machines that were started together."""
        self.wait_agent(timeout)
        self.wait_ready(timeout)
        self.boot_seconds = time.monotonic() - self._started_at

    def boot_id(self) -> str:
        return self._hello()

    # -- commands --------------------------------------------------------------------------------------------
    def run(
        self,
        command: str | Sequence[str],
        timeout: float = 30.0,
        stdin: bytes = b"",
        check: bool = False,
        emergency: bool = False,
        on_output: Callable[[str, bytes], None] | None = None,
    ) -> Result:
        """Runs a shell command (or an argument list) as root. Never takes longer than `timeout` plus a grace.

        Raises CommandTimeout when it had to be killed, CommandFailed when `check` is set and it failed.
        """
        text = command if isinstance(command, str) else shlex.join(command)
        limit = patient(timeout)
        with self._agent.port(limit, emergency) as port:
            rc, out, err = port.run(text, limit, stdin, on_output)
        result = Result(rc, out.decode(errors="replace"), err.decode(errors="replace"))
        if check and rc:
            raise CommandFailed(f"{self.name}: {text!r} ended with {rc}\n{result.out[-4000:]}{result.err[-4000:]}")
        return result

    def check(self, command: str | Sequence[str], timeout: float = 30.0, stdin: bytes = b"") -> str:
        """Runs a command that must succeed; returns its standard output."""
        return self.run(command, timeout, stdin, check=True).out

    def put(
        self, path: str, data: bytes | str | Path, mode: int = 0o644, timeout: float = 60.0, persist: bool = False
    ) -> None:
        """Writes a file in the guest (a Path is a file of the host). With `persist` it is there after a reboot too."""
        if isinstance(data, Path):
            data = data.read_bytes()
        if isinstance(data, str):
            data = data.encode()
        with self._agent.port(patient(timeout)) as port:
            port.put(path, data, mode, patient(timeout))
            if persist:
                port.put(f"/persist/overlay{_beneath_usr(path)}", data, mode, patient(timeout))
                # A power cut takes what is only in the guest's page cache.
                port.run("sync -f /persist", patient(timeout))

    def get(self, path: str, timeout: float = 60.0) -> bytes:
        """Reads a file of the guest."""
        with self._agent.port(patient(timeout)) as port:
            return port.get(path, patient(timeout))

    # -- power -----------------------------------------------------------------------------------------------
    def power_cut(self) -> None:
        """Power loss: QEMU is killed. Disks keep what the guest had written; everything else is gone."""
        self._process.kill()
        self._forget()

    def power_off(self, timeout: float = 60.0) -> None:
        """Orderly shutdown by the guest itself, awaited."""
        self.quietly("systemctl poweroff" if self.spec.role == "node" else "sync; echo o >/proc/sysrq-trigger")
        self._process.wait_gone(timeout)
        self._process.kill()
        self._forget()

    def reboot(self, timeout: float | None = None) -> None:
        """Orderly reboot, awaited until the machine is ready again. Only its own disk and the shared ones persist."""
        before = self.boot_id()
        self._restarted()
        self.quietly("systemctl reboot" if self.spec.role == "node" else "sync; echo b >/proc/sysrq-trigger")
        self.wait_reboot(before, timeout)

    def wait_reboot(self, before: str, timeout: float | None = None) -> None:
        """Waits for a boot other than `before`, until ready."""
        self.wait_agent(timeout, other_than=before)
        self.wait_ready(timeout)
        self.boot_seconds = time.monotonic() - self._started_at

    def reset(self) -> None:
        """The reset button: restarts at once, without the guest having a say. Use `wait_reboot` afterwards."""
        self._restarted()
        self._qmp.command("system_reset")

    def panic(self) -> None:
        """A kernel panic; the machine reboots by itself (panic=-1). Use `wait_reboot` afterwards."""
        self._restarted()
        self.quietly("echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger")

    def _restarted(self) -> None:
        self._started_at = time.monotonic()

    def quietly(self, command: str) -> None:
        """A command after which the agent may not answer any more."""
        try:
            # Not the emergency port: the hello that watches for the reboot would kill the command there.
            with self._agent.port(10) as port:
                port.send_only(command)
        except AgentError:
            pass

    # -- clocks and hangs ------------------------------------------------------------------------------------
    def pause(self) -> None:
        """Snapshot or migration: everything stops, *the guest's clocks too*. It does not know that time passed."""
        self._qmp.command("stop")

    def resume(self) -> None:
        self._qmp.command("cont")

    def hang(self) -> None:
        """The machine stands still while its clocks go on, as under a host that swaps or a firmware that takes over."""
        self._process.signal(signal.SIGSTOP)

    def unhang(self) -> None:
        self._process.signal(signal.SIGCONT)

    # -- networks --------------------------------------------------------------------------------------------
    def link_down(self, net: str) -> None:
        """Cable pulled: the guest sees the carrier go."""
        self._qmp.command("set_link", name=f"nic-{net}", up=False)

    def link_up(self, net: str) -> None:
        self._qmp.command("set_link", name=f"nic-{net}", up=True)

    def silent_loss(self, net: str) -> None:
        """The switch drops everything; the guest sees a perfect link."""
        self.network.detach(self.nics[net])

    def silent_heal(self, net: str) -> None:
        self.network.attach(self.nics[net])

    def netem(self, net: str, rule: str = "") -> None:
        """Delay, loss, reordering of what this machine sends ("delay 20ms loss 5%"); empty: none."""
        self.run(f"tc qdisc del dev {net} root", timeout=20)
        if rule:
            self.check(f"modprobe sch_netem; tc qdisc add dev {net} root netem {rule}")

    # -- what happened ---------------------------------------------------------------------------------------
    def console(self) -> str:
        """Everything the machine wrote to its console, over all boots."""
        try:
            return self.console_path.read_text(errors="replace")
        except OSError:
            return ""

    def journal(self, arguments: str = "-b", timeout: float = 60.0) -> str:
        """The journal (of this boot, or as `journalctl` arguments say); the kernel log for guests without one."""
        command = f"journalctl --no-pager -o short-precise {arguments}" if self.spec.role == "node" else "dmesg"
        return self.run(command, timeout, emergency=True).out

    def dump(self, directory: Path) -> None:
        """Saves console, journal and state for whoever must find out why a test failed. Never raises."""
        directory.mkdir(parents=True, exist_ok=True)
        for path in (self.console_path, self._log_path):
            if path.exists():
                shutil.copy2(path, directory / path.name)
        if not self.running:
            return
        node = self.spec.role == "node"
        for name, command in (
            ("journal", "journalctl --no-pager -o short-precise" if node else "dmesg"),
            ("state", "ps axfo pid,stat,wchan:20,args; ip addr; ip neigh; cat /proc/mounts; ss -tanp; systemctl "
                      "--no-pager --failed; /usr/lib/holdfast-lab/disks" if node
                      else "ps axf; ip addr; /usr/lib/holdfast-lab/lio show; /usr/lib/holdfast-lab/lio sessions"),
        ):  # fmt: skip
            try:
                # Short limits: the machine may be hung on purpose, and every machine is asked.
                with self._agent.port(5, emergency=True) as port:
                    port.hello(5.0)
                    _, out, err = port.run(command, patient(30))
                (directory / f"{self.name}.{name}").write_bytes(out + err)
            except (AgentError, OSError) as error:
                (directory / f"{self.name}.{name}").write_text(f"not to be had: {error}\n")

    def wait(self, what: str, command: str, timeout: float = 60.0, interval: float = 0.3) -> str:
        """Repeats a command in the guest until it succeeds; returns its output."""

        def tried() -> Result | None:
            result = self.run(command, timeout=20)
            if result.rc:
                raise CommandFailed(f"{command!r}: {result.rc} {result.out[-500:]}{result.err[-500:]}")
            return result

        return wait_for(f"{self.name}: {what}", tried, timeout, interval).out

    def close(self) -> None:
        self._process.kill()
        self._forget()


class Node(Machine):
    """A cluster node: systemd, its own small disk below /etc/holdfast, /var/lib/holdfast and the journal."""

    boot_limit = 300.0

    def wait_ready(self, timeout: float | None = None) -> None:
        self.wait_agent(timeout)
        self.wait("multi-user.target", "systemctl is-active multi-user.target", timeout or self.boot_limit)

    def enable(self, *units: str, now: bool = False) -> None:
        """Enables units for this and every later boot (the root itself forgets at reboot)."""
        for unit in units:
            wants = "/etc/systemd/system/multi-user.target.wants"
            self.check(
                f"mkdir -p /persist/overlay{wants} {wants} && "
                f"ln -sf /lib/systemd/system/{unit} /persist/overlay{wants}/{unit} && "
                f"ln -sf /lib/systemd/system/{unit} {wants}/{unit} && sync && systemctl daemon-reload"
            )
            if now:
                self.check(f"systemctl start {unit}", timeout=120)

    def disable(self, *units: str) -> None:
        for unit in units:
            link = f"/etc/systemd/system/multi-user.target.wants/{unit}"
            self.check(f"rm -f /persist/overlay{link} {link}; systemctl daemon-reload")

    def attach_data(
        self, portal: str, target: str, luns: Sequence[int], replacement_timeout: int = 5, timeout: float = 120.0
    ) -> dict[int, str]:
        """Attaches data LUNs with the kernel's initiator, now and at every boot; returns LUN number → device.

        Only the numbers given are scanned: the quorum LUN is the cluster service's, which speaks iSCSI itself.
        """
        text = (
            f"PORTAL={portal}:3260\nTARGET={target}\nLUNS='{' '.join(map(str, luns))}'\n"
            f"REPLACEMENT_TIMEOUT={replacement_timeout}\n"
        )
        self.put("/persist/lab/attach.conf", text)
        self.check("sync; systemctl restart holdfast-lab-attach.service", timeout=timeout)
        return self.data_disks(luns)

    def data_disks(self, luns: Sequence[int], timeout: float = 60.0) -> dict[int, str]:
        """Waits for the kernel disks of these LUNs; returns LUN number → /dev/sdX.

        From sysfs, not from /dev/disk/by-id: udev removes those links when it happens to probe a disk while the target
        is away, and does not bring them back when it returns.
        """

        def found() -> dict[int, str] | None:
            disks = {int(lun): dev for dev, lun, *_ in map(str.split, self.disks())}
            return {lun: disks[lun] for lun in luns} if all(lun in disks for lun in luns) else None

        return wait_for(f"{self.name}: LUNs {list(luns)}", found, timeout)

    def disks(self) -> list[str]:
        """Lines "device LUN identity" of the SCSI disks."""
        return self.check("/usr/lib/holdfast-lab/disks").splitlines()

    def detach_data(self) -> None:
        """Logs out and forgets the data LUNs."""
        self.check(
            "rm -f /persist/lab/attach.conf; systemctl stop holdfast-lab-attach.service; "
            "iscsiadm -m node -u; iscsiadm -m node -o delete; true",
            timeout=60,
        )


def host_load() -> float:
    """Load average of the host, shown with measured times."""
    return os.getloadavg()[0]
