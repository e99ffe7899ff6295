"""Clusters of real holdfastd processes, each in a network namespace of its own, for tests and benchmarks.

A cluster is: a "switch" namespace with one bridge per network, tgtd serving the quorum LUN in it, and one namespace a
node with one interface per network. Everything is made and removed here; processes are ended by their pid.
The outside world (clients) is the switch namespace, which has an address on every network.
"""
from __future__ import annotations

import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("HOLDFAST_BUILD", ROOT / "build/release"))
NETS = ("a", "b", "san")  # san carries only the quorum LUN
PATIENCE = float(os.environ.get("HOLDFAST_PATIENCE", "1"))


class Failure(AssertionError):
    """A condition that did not come true in time, with what was seen last."""


def run(*argv: str, check: bool = True, timeout: float = 60, **kw) -> subprocess.CompletedProcess:
    done = subprocess.run(list(argv), capture_output=True, text=True, timeout=timeout, **kw)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wait_for(what: str, condition, timeout: float = 30, every: float = 0.02):
    """Waits until condition() is true and returns it; an exception of it counts as not yet."""
    limit = time.monotonic() + timeout * PATIENCE
    seen = None
    while True:
        try:
            seen = condition()
            if seen:
                return seen
        except (Failure, subprocess.TimeoutExpired, OSError, KeyError, StopIteration, ValueError) as error:
            seen = error
        if time.monotonic() > limit:
            raise Failure(f"not within {timeout} s: {what}; last seen: {seen}")
        time.sleep(every)


def ip_in(ns: str, *argv: str, check: bool = True) -> subprocess.CompletedProcess:
    return run("ip", "-n", ns, *argv, check=check)


class Target:
    """tgtd with one LUN, in a namespace. Forgets every reservation when it restarts."""

    def __init__(self, ns: str, address: str, folder: pathlib.Path, megabytes: int = 64):
        self.ns, self.address, self.folder = ns, address, folder
        self.port, self.control = 3260, 100 + secrets.randbelow(30000)
        self.iqn = "iqn.2026-11.org.holdfast.test:quorum"
        self.image = folder / "quorum.img"
        with open(self.image, "wb") as f:
            f.truncate(megabytes << 20)
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"iscsi://{self.address}:{self.port}/{self.iqn}/1"

    def adm(self, *argv: str) -> None:
        run("ip", "netns", "exec", self.ns, "tgtadm", "-C", str(self.control), "--lld", "iscsi", *argv)

    def start(self) -> None:
        os.makedirs("/run/tgtd", exist_ok=True)
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.ns, "tgtd", "-f", "-C", str(self.control), "-p", str(self.folder / "tgtd.pid"),
             "--iscsi", f"portal={self.address}:{self.port}"],
            stdout=subprocess.DEVNULL, stderr=open(self.folder / "tgtd.log", "a"))
        wait_for("tgtd answers", lambda: run("ip", "netns", "exec", self.ns, "tgtadm", "-C", str(self.control), "--op", "show",
                                             "--mode", "system", check=False).returncode == 0)
        self.adm("--op", "new", "--mode", "target", "--tid", "1", "-T", self.iqn)
        self.adm("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", str(self.image))
        self.adm("--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL")

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()  # it ignores SIGTERM while a target exists
            self.process.wait()
            self.process = None
        for leftover in pathlib.Path("/run/tgtd").glob(f"socket.{self.control}*"):
            leftover.unlink(missing_ok=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class Node:
    def __init__(self, cluster: "Cluster", number: int, build: pathlib.Path | None = None):
        self.cluster, self.number, self.name = cluster, number, f"n{number}"
        self.ns = f"{cluster.prefix}-{self.name}"
        self.folder = cluster.folder / self.name
        self.folder.mkdir()
        self.build = build or BUILD
        self.process: subprocess.Popen | None = None
        self.address = {net: f"10.99.{i + 1}.{number}" for i, net in enumerate(NETS)}
        run("ip", "netns", "add", self.ns)
        ip_in(self.ns, "link", "set", "dev", "lo", "up")
        for net in NETS:
            port = f"{net}{number}"
            ip_in(cluster.switch, "link", "add", port, "type", "veth", "peer", "name", net, "netns", self.ns)
            ip_in(cluster.switch, "link", "set", "dev", port, "master", f"br-{net}", "up")
            ip_in(self.ns, "addr", "add", f"{self.address[net]}/24", "dev", net)
            ip_in(self.ns, "link", "set", "dev", net, "up")

    # -- configuration and life --

    @property
    def config(self) -> pathlib.Path:
        return self.folder / "etc/holdfast.toml"

    @property
    def socket(self) -> pathlib.Path:
        return self.folder / "run/holdfast.sock"

    @property
    def log(self) -> pathlib.Path:
        return self.folder / "log"

    def localise(self) -> None:
        """Points the configuration at this build and at this node's own folders."""
        replace = {
            "tls": f'"{self.folder}/etc/tls"', "state": f'"{self.folder}/state"', "runtime": f'"{self.folder}/run"',
            "plugins": f'["{self.build}/lib/holdfast/resources"]',
            "monitor": f'"{self.build}/bin/holdfast-monitor"', "level": '"debug"'}
        out = []
        for line in self.config.read_text().splitlines():
            name = line.split("=")[0].strip()
            out.append(f"{name} = {replace[name]}" if name in replace else line)
        self.config.write_text("\n".join(out) + "\n")

    def exec(self, *argv: str, **kw) -> subprocess.CompletedProcess:
        return run("ip", "netns", "exec", self.ns, *argv, **kw)

    def start(self) -> None:
        assert self.process is None
        self.process = subprocess.Popen(["ip", "netns", "exec", self.ns, str(self.build / "bin/holdfastd"), "--config", str(self.config)],
                                        stdout=open(self.log, "a"), stderr=subprocess.STDOUT, start_new_session=True)

    def monitor_pids(self) -> list[int]:
        """The resource monitors of this node: processes of its namespace by that name."""
        out = []
        for pid in run("ip", "netns", "pids", self.ns, check=False).stdout.split():
            try:
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "holdfast-monito":
                    out.append(int(pid))
            except OSError:
                pass
        return out

    def signal_service(self, number: int) -> None:
        self.process.send_signal(number)

    def kill_service(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def kill_service_and_monitors(self) -> None:
        """SIGKILL to both, and to nothing else: what they ran stays for the kernel to end."""
        monitors = self.monitor_pids()
        self.kill_service()
        for pid in monitors:
            run("kill", "-9", str(pid), check=False)

    def kill_all(self) -> None:
        """SIGKILL to every process of the namespace, as a power loss does."""
        while True:
            found = run("ip", "netns", "pids", self.ns, check=False).stdout.split()
            for pid in found:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if self.process:  # it may not have entered the namespace yet
                self.process.kill()
                self.process.wait()
                self.process = None
            elif not found:
                return
            time.sleep(0.002)

    def power_loss(self) -> None:
        """Switch ports down and every process dead; the addresses it had are gone with it."""
        for net in NETS:
            self.port(net, False)
        self.kill_all()
        for net in NETS:
            ip_in(self.ns, "addr", "flush", "dev", net, check=False)

    def power_on(self) -> None:
        for net in NETS:
            ip_in(self.ns, "addr", "replace", f"{self.address[net]}/24", "dev", net)
            self.port(net, True)
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        self.start()

    def stop(self, timeout: float = 60) -> None:
        """Orderly: SIGTERM, as systemctl stop does."""
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=timeout * PATIENCE)
            self.process = None

    # -- network faults --

    def port(self, net: str, up: bool) -> None:
        """The switch port: carrier loss."""
        ip_in(self.cluster.switch, "link", "set", "dev", f"{net}{self.number}", "up" if up else "down")

    def block(self, *others: "Node", nets=("a", "b")) -> None:
        """Silently drops what comes from the others on these networks."""
        rules = "".join(f"    ip saddr {other.address[net]} drop\n" for other in others for net in nets)
        text = "table inet cut {\n  chain in {\n    type filter hook input priority 0;\n" + rules + "  }\n}\n"
        run("ip", "netns", "exec", self.ns, "nft", "-f", "-", input=text)

    def unblock(self) -> None:
        run("ip", "netns", "exec", self.ns, "nft", "delete", "table", "inet", "cut", check=False)

    def has_address(self, address: str) -> bool:
        return f" {address}/" in ip_in(self.ns, "-4", "-o", "addr", check=False).stdout

    # -- the cluster as this node sees it --

    def cli(self, *argv: str, check: bool = True, timeout: float = 90) -> subprocess.CompletedProcess:
        return self.exec(str(self.build / "bin/holdfast"), "--socket", str(self.socket), *argv, check=check, timeout=timeout)

    def json(self, *argv: str, timeout: float = 30) -> dict:
        return json.loads(self.cli(*argv, "--json", timeout=timeout).stdout)

    def status(self) -> dict:
        return self.json("cluster", "status", timeout=10)

    def is_member(self) -> bool:
        return self.status()["phase"] == "member"


class Cluster:
    """Use as a context manager. `Cluster(3)` gives three nodes that form one cluster, all members."""

    def __init__(self, nodes: int, start: bool = True, builds: dict[int, pathlib.Path] | None = None):
        self.prefix = f"hf{secrets.token_hex(2)}"
        self.switch = f"{self.prefix}-sw"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-cluster-"))
        self.nodes: list[Node] = []
        self.target: Target | None = None
        self.count, self.start_now, self.builds = nodes, start, builds or {}
        self.failed = False

    def __enter__(self) -> "Cluster":
        try:
            self.make()
        except BaseException:
            self.failed = True
            self.close()
            raise
        return self

    def __exit__(self, kind, value, trace) -> None:
        self.failed = self.failed or kind is not None
        self.close()

    def make(self) -> None:
        run("ip", "netns", "add", self.switch)
        ip_in(self.switch, "link", "set", "dev", "lo", "up")
        # A switch does not ask a packet filter; where the host's bridges do, it costs more than the heartbeat itself.
        run("ip", "netns", "exec", self.switch, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0",
            "net.bridge.bridge-nf-call-ip6tables=0", "net.bridge.bridge-nf-call-arptables=0", check=False)
        for i, net in enumerate(NETS):
            ip_in(self.switch, "link", "add", f"br-{net}", "type", "bridge")
            ip_in(self.switch, "link", "set", "dev", f"br-{net}", "up")
            ip_in(self.switch, "addr", "add", f"10.99.{i + 1}.254/24", "dev", f"br-{net}")
        self.target = Target(self.switch, "10.99.3.254", self.folder)
        self.target.start()
        for number in range(1, self.count + 1):
            self.nodes.append(Node(self, number, self.builds.get(number)))
        if self.start_now:
            self.form()

    def form(self) -> None:
        first = self.nodes[0]
        first.exec(str(first.build / "bin/holdfast"), "cluster", "create", "--name", "test", "--node", first.name,
                   "--address", f"a={first.address['a']}", "--address", f"b={first.address['b']}", "--quorum", self.target.url,
                   "--dir", str(first.folder / "etc"), "--no-start")
        first.localise()
        first.start()
        wait_for("n1 forms", first.is_member, 30)
        for node in self.nodes[1:]:
            self.join(node)
        self.wait_members(self.nodes)

    def join(self, node: Node) -> None:
        first = self.nodes[0]
        token = first.json("--config", str(first.config), "node", "add", node.name, "--address", f"a={node.address['a']}", "--address",
                           f"b={node.address['b']}")["token"]
        node.exec(str(node.build / "bin/holdfast"), "cluster", "join", token, "--dir", str(node.folder / "etc"), "--no-start")
        node.localise()
        node.start()

    def wait_members(self, nodes: list[Node], timeout: float = 30) -> dict:
        """Waits until exactly these nodes are one view, and each of them says so."""
        wanted = sorted(n.name for n in nodes)

        def agreed():
            epochs = set()
            for n in nodes:
                s = n.status()
                up = sorted(x["name"] for x in s["nodes"] if x["state_text"] in ("Up", "Paused"))
                if s["phase"] != "member" or up != wanted:
                    return False
                epochs.add(s["epoch"])
            return len(epochs) == 1

        wait_for(f"{wanted} are one view", agreed, timeout)
        return nodes[0].status()

    def node(self, name: str) -> Node:
        return next(n for n in self.nodes if n.name == name)

    def partition(self, *parts: list[Node]) -> None:
        for part in parts:
            others = [n for p in parts if p is not part for n in p]
            for node in part:
                node.unblock()
                node.block(*others)

    def heal(self) -> None:
        for node in self.nodes:
            node.unblock()

    def owner_of(self, group: str, seen_by: Node) -> str:
        return next(g for g in seen_by.status()["groups"] if g["name"] == group)["owner"]

    def group_online(self, group: str, seen_by: Node) -> str | None:
        """Name of the owner when the group is online there."""
        g = next(g for g in seen_by.status()["groups"] if g["name"] == group)
        return g["owner"] if g["state_text"] == "Online" else None

    def close(self) -> None:
        for node in self.nodes:
            try:
                node.kill_all()
            except (Failure, OSError):
                pass
            run("ip", "netns", "del", node.ns, check=False)
        if self.target:
            self.target.stop()
        run("ip", "netns", "del", self.switch, check=False)
        if self.failed or os.environ.get("HOLDFAST_KEEP"):
            keep = pathlib.Path(os.environ.get("HOLDFAST_ARTIFACTS", ROOT / "build/artifacts")) / self.prefix
            keep.mkdir(parents=True, exist_ok=True)
            for node in self.nodes:
                if node.log.exists():
                    shutil.copy(node.log, keep / f"{node.name}.log")
            print(f"logs: {keep}")
        shutil.rmtree(self.folder, ignore_errors=True)


class Prober:
    """Asks an address from outside (the switch namespace) every few milliseconds; knows the outages it saw."""

    PROGRAM = r"""
import socket, sys, time, select
address, port, every = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
n = 0
while True:
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    ok, text = False, ""
    try:
        with socket.create_connection((address, port), timeout=0.04) as s:
            s.settimeout(0.04)
            text = s.recv(64).decode().strip()
            ok = bool(text)
    except OSError:
        pass
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    print(f"{began:.4f} {now:.4f} {int(ok)} {text}", flush=True)
    time.sleep(max(0, every - (now - began)))
"""

    def __init__(self, cluster: Cluster, address: str, port: int, every: float = 0.005):
        self.out = cluster.folder / f"probe-{secrets.token_hex(3)}"
        self.process = subprocess.Popen(["ip", "netns", "exec", cluster.switch, "/usr/bin/python3", "-c", self.PROGRAM, address, str(port),
                                         str(every)], stdout=open(self.out, "w"), stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def lines(self) -> list[tuple[float, float, bool, str]]:
        out = []
        for line in self.out.read_text().splitlines():
            part = line.split(" ", 3)
            if len(part) == 4:
                out.append((float(part[0]), float(part[1]), part[2] == "1", part[3]))
        return out

    def first_answer_after(self, moment: float) -> float | None:
        """When the first successful answer to a question asked after `moment` (CLOCK_BOOTTIME) was complete."""
        return next((end for begin, end, ok, _ in self.lines() if ok and begin > moment), None)

    def longest_outage(self) -> float:
        worst, last = 0.0, None
        for begin, end, ok, _ in self.lines():
            if ok:
                if last is not None:
                    worst = max(worst, end - last)
                last = end
        return worst

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def boot_now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
