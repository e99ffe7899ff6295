"""A whole lab: networks, nodes, target, and the certainty that nothing of it stays behind."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from . import accel as accelerator
from . import config, images
from .machine import Disk, Machine, Node, Spec, make_disk
from .network import Network, Nic
from .storage import Lun, Storage

NODE_MEMORY = 512
STORAGE_MEMORY = 256
STORAGE_HOST = 10
NODE_HOST = 11


class LabError(RuntimeError):
    """A lab cannot be made or found."""


def _initiator(name: str) -> str:
    return f"iqn.2026-11.example.holdfast:{name}"


class Lab:
    """Three nodes, one target, two networks by default; several labs may exist at the same time.

        with Lab(product=Path("build/stage")) as lab:
            lab.start()
            lab.nodes[0].run("uname -r")

    Hosts of every network: .1 the outside (this host's side of the namespace), .10 the target, .11 … the nodes.
    `product` is a DESTDIR tree, laid over the root of every node.
    """

    def __init__(
        self,
        nodes: int = 3,
        nets: Sequence[str] = ("front", "back"),
        storage_nets: Sequence[str] | None = None,
        luns: Sequence[int] = (128, 512),
        product: Path | None = None,
        backend: str = "iblock",
        name: str | None = None,
        node_memory: int = NODE_MEMORY,
        keep: bool = False,
    ) -> None:
        """`luns` are sizes in MiB, LUN 0 (quorum) first; `storage_nets` have portals, the last network by default."""
        if os.geteuid() != 0:
            raise LabError("the lab needs root (network namespaces, taps)")
        self.name = name or f"hf{secrets.token_hex(3)}"
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", self.name):
            raise LabError(f"not a name for a lab: {self.name!r}")
        self.description = {
            "nodes": nodes,
            "nets": list(nets),
            "storage_nets": list(storage_nets or nets[-1:]),
            "luns": list(luns),
            "product": str(product) if product else None,
            "backend": backend,
            "node_memory": node_memory,
            "keep": keep,
        }
        self._closed = False
        self._guardian: subprocess.Popen[bytes] | None = None
        if (config.RUN / self.name).exists():
            raise LabError(f"a lab named {self.name} exists already (lab.py clean)")
        self._build(create=True)

    # -- construction ----------------------------------------------------------------------------------------
    @classmethod
    def attach(cls, name: str) -> Lab:
        """A lab that another process keeps (`lab.py shell`). Closing it here removes it as well."""
        lab = cls.__new__(cls)
        lab.name = name
        try:
            lab.description = json.loads((config.RUN / name / "lab.json").read_text())
        except OSError as error:
            raise LabError(f"no lab named {name}") from error
        lab._closed = False
        lab._guardian = None
        lab._build(create=False)
        return lab

    @staticmethod
    def running() -> list[str]:
        """Names of all labs on this host."""
        return sorted(p.parent.name for p in config.RUN.glob("*/lab.json"))

    def _build(self, create: bool) -> None:
        d = self.description
        self.run_dir = config.RUN / self.name
        self.state_dir = config.CACHE / "labs" / self.name
        self.namespace = f"lab-{self.name}"
        self.network = Network(self.namespace, d["nets"])  # type: ignore[arg-type]
        try:
            if create:
                self.run_dir.mkdir(parents=True)
                self.state_dir.mkdir(parents=True, exist_ok=True)
                (self.run_dir / "lab.json").write_text(json.dumps(d))
                if not d["keep"]:
                    self._guard()
            self.images = images.build()
            self.accel = accelerator.choose(self.images)
            if create:
                self.network.create()
            self._make_machines(create)
        except BaseException:
            if create:
                self.close()
            raise

    def _make_machines(self, create: bool) -> None:
        d = self.description
        nets: list[str] = d["nets"]  # type: ignore[assignment]
        storage_nets: list[str] = d["storage_nets"]  # type: ignore[assignment]
        names = [f"node{n + 1}" for n in range(int(d["nodes"]))]  # type: ignore[call-overload]
        product = self.state_dir / "product.squashfs"
        if create and d["product"]:
            images.pack_product(Path(str(d["product"])), product)
        luns = [Lun(number, size) for number, size in enumerate(d["luns"])]  # type: ignore[arg-type,var-annotated]

        def disk(file: str, serial: str, megabytes: int, ext4: bool = False) -> Disk:
            path = self.state_dir / file
            if create:
                make_disk(path, megabytes, ext4)
            return Disk(serial, path)

        def nics(machine: str, host: int, on: Sequence[str]) -> list[Nic]:
            # Taps of different labs never meet, but their MAC addresses are made distinct all the same.
            return [self.network.nic(machine, net, host) for net in on]

        place = (self.network, self.images, self.accel, self.run_dir, self.state_dir)
        spec = Spec("storage", "storage", STORAGE_MEMORY, nics("storage", STORAGE_HOST, storage_nets), "")
        spec.disks.append(disk("storage.disk", "persist", 64, ext4=True))
        spec.disks += [disk(f"lun{lun.number}.img", f"lun{lun.number}", lun.megabytes) for lun in luns]
        self.storage = Storage(
            spec, *place, luns=luns, initiators=[_initiator(n) for n in names], nets=storage_nets,
            backend=str(d["backend"]),
        )  # fmt: skip
        self.nodes: list[Node] = []
        for index, name in enumerate(names):
            memory = int(d["node_memory"])  # type: ignore[call-overload]
            spec = Spec(name, "node", memory, nics(name, NODE_HOST + index, nets), _initiator(name))
            spec.disks.append(disk(f"{name}.disk", "persist", 256, ext4=True))
            if product.exists():
                spec.disks.append(Disk("holdfast", product, readonly=True))
            self.nodes.append(Node(spec, *place))

    def _guard(self) -> None:
        """A process that removes the lab when this one ends in any way, SIGKILL included."""
        self._guardian = subprocess.Popen(
            [sys.executable, "-m", "holdfast_lab.guardian", self.name],
            cwd=config.LAB_DIR, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "HOLDFAST_CACHE": str(config.CACHE), "HOLDFAST_LAB_RUN": str(config.RUN)},
        )  # fmt: skip
        atexit.register(self.close)

    # -- life ------------------------------------------------------------------------------------------------
    @property
    def machines(self) -> list[Machine]:
        return [self.storage, *self.nodes]

    def machine(self, name: str) -> Machine:
        for machine in self.machines:
            if machine.name == name:
                return machine
        raise LabError(f"no machine named {name}")

    def start(self, machines: Iterable[Machine] | None = None, timeout: float | None = None) -> Lab:
        """Boots machines (all by default) side by side and waits until they are ready."""
        chosen = [m for m in (self.machines if machines is None else machines) if not m.running]
        for machine in chosen:
            machine.start()
        self.each(lambda m: m.wait_boot(timeout), chosen)
        return self

    def each(self, action, machines: Iterable[Machine] | None = None) -> list:  # type: ignore[no-untyped-def,type-arg]
        """Does the same with several machines at once (the nodes by default); returns the results in order."""
        chosen = list(self.nodes if machines is None else machines)
        if not chosen:
            return []
        with ThreadPoolExecutor(len(chosen)) as pool:
            return list(pool.map(action, chosen))

    def close(self) -> None:
        """Removes everything: machines, namespace, disks. Never leaves anything behind; may be called again."""
        if self._closed:
            return
        self._closed = True
        remove(self.name)
        if self._guardian and self._guardian.stdin:
            with contextlib.suppress(OSError):
                self._guardian.stdin.close()
            self._guardian.wait(60)

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- the outside -----------------------------------------------------------------------------------------
    def outside(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs a program of the host on the lab's networks (as host .1)."""
        return self.network.enter(argv)

    def outside_run(self, argv: Sequence[str], timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.outside(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=config.patient(timeout),
        )  # fmt: skip

    def outside_popen(self, argv: Sequence[str], **options) -> subprocess.Popen:  # type: ignore[no-untyped-def,type-arg]
        """Starts a program on the lab's networks; whoever starts it ends it."""
        return subprocess.Popen(self.outside(argv), **options)

    # -- addresses -------------------------------------------------------------------------------------------
    def free_ip(self, net: str, number: int = 0) -> str:
        """An address of this network that no machine has: for the cluster to hand around."""
        return self.network.address(net, 100 + number)

    # -- faults between machines -----------------------------------------------------------------------------
    def block_pair(self, first: Machine, second: Machine, nets: Sequence[str] | None = None) -> None:
        """The two do not hear each other (on these networks, or on all they share); others hear both."""
        for net in nets or [n for n in first.nics if n in second.nics]:
            self.network.block_pair(first.nics[net], second.nics[net])

    def block_one_way(self, sender: Machine, receiver: Machine, nets: Sequence[str] | None = None) -> None:
        for net in nets or [n for n in sender.nics if n in receiver.nics]:
            self.network.block_one_way(sender.nics[net], receiver.nics[net])

    def partition(self, *sides: Sequence[Machine], nets: Sequence[str] | None = None) -> None:
        """Splits the network: machines of different sides do not hear each other. The target is on no side."""
        for index, side in enumerate(sides):
            for other in sides[index + 1 :]:
                for first in side:
                    for second in other:
                        self.block_pair(first, second, nets)

    def heal(self) -> None:
        """Ends every block_pair, block_one_way and partition."""
        self.network.unblock_all()

    # -- data disks ------------------------------------------------------------------------------------------
    def attach_data(
        self, nodes: Iterable[Node] | None = None, luns: Sequence[int] | None = None, replacement_timeout: int = 5
    ) -> dict[str, dict[int, str]]:
        """Attaches the data LUNs (all but 0) to nodes, now and at every boot; returns node → LUN → device."""
        chosen = list(self.nodes if nodes is None else nodes)
        numbers = [lun.number for lun in self.storage.luns[1:]] if luns is None else list(luns)
        found = self.each(
            lambda n: n.attach_data(self.storage.portal, self.storage.iqn, numbers, replacement_timeout), chosen
        )
        return {node.name: disks for node, disks in zip(chosen, found, strict=True)}

    # -- what happened ---------------------------------------------------------------------------------------
    def dump(self, directory: Path | None = None) -> Path:
        """Saves consoles, journals and states of all machines; returns where."""
        target = directory or config.ARTIFACTS / self.name
        target.mkdir(parents=True, exist_ok=True)
        self.each(lambda m: m.dump(target), self.machines)
        (target / "bridges.txt").write_text(
            self.network.run(["ip", "-d", "link"], check=False) + self.network.run(["nft", "list", "ruleset"], check=False)
        )
        return target

    def times(self) -> Mapping[str, tuple[float | None, float | None]]:
        """Boot times: machine → (agent answered, ready), in seconds."""
        return {m.name: (m.agent_seconds, m.boot_seconds) for m in self.machines}

    def describe(self) -> str:
        """How to reach everything, for people."""
        lines = [f"lab {self.name}: accelerator {self.accel}, kernel {self.images.kernel_version}"]
        lines.append(f"  outside     ip netns exec {self.namespace} COMMAND   (" + ", ".join(
            f"{net} {self.network.address(net, 1)}" for net in self.network.nets) + ")")  # fmt: skip
        for machine in self.machines:
            state = f"pid {machine.pid}" if machine.running else "off"
            where = ", ".join(f"{net} {nic.ip}" for net, nic in machine.nics.items())
            lines.append(f"  {machine.name:<11} {state:<11} {where}   console {machine.console_path}")
        lines.append(f"  target      {self.storage.iqn} at {self.storage.portal}:3260, LUNs " + ", ".join(
            f"{lun.number} ({lun.megabytes} MiB, {lun.naa})" for lun in self.storage.luns))  # fmt: skip
        lines.append(f"  run a command:  {config.LAB_DIR}/lab.py run {self.name} node1 'uname -a'")
        lines.append(f"  remove it:      {config.LAB_DIR}/lab.py clean {self.name}")
        return "\n".join(lines)

    def as_json(self) -> str:
        """The description for programs."""
        return json.dumps(
            {
                "name": self.name,
                "namespace": self.namespace,
                "accel": self.accel,
                "machines": {m.name: {"pid": m.pid, "nics": [asdict(n) for n in m.spec.nics]} for m in self.machines},
            },
            indent=2,
        )

    @contextlib.contextmanager
    def healed(self) -> Iterator[None]:
        """Whatever happens inside, the networks between machines are whole afterwards."""
        try:
            yield
        finally:
            self.heal()


_removing = threading.Lock()


def remove(name: str) -> bool:
    """Ends and deletes whatever exists of a lab of this name; True if there was anything."""
    from .process import Process

    run, state = config.RUN / name, config.CACHE / "labs" / name
    with _removing:
        existed = run.exists()
        for record in run.glob("*.pid"):
            Process(record).kill()
        Network(f"lab-{name}", ()).delete()
        shutil.rmtree(state, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)
    return existed
