"""The figures of the release, measured in network namespaces: `./run bench [SECTION …] [--rounds N] [--json FILE]`.

Sections: move powerloss smallest arbitration killed hung partition frozen forgot locker away garbage idle stress.
Without a section: all but `smallest` and `stress` (half an hour each). Every section prints its figure and fails loudly;
the exit status is the number of sections that failed. Run it on a machine that does nothing else.
"""
from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from hfcluster import Cluster, Failure, Node, Prober, boot_now, run, wait_for  # noqa: E402
from scenario import PORT, holders, make_group, never_twice, online_on  # noqa: E402

FIGURES: dict[str, dict] = {}


def report(section: str, **values) -> None:
    FIGURES.setdefault(section, {}).update(values)
    print(f"{section:12}" + "  ".join(f"{k}={v}" for k, v in values.items()), flush=True)


def spread(name: str, seconds: list[float], bar_ms: float | None = None) -> dict:
    ms = sorted(round(s * 1000, 1) for s in seconds)
    out = {"n": len(ms), f"{name}_median_ms": statistics.median(ms), f"{name}_worst_ms": ms[-1]}
    if bar_ms is not None:
        out["bar_ms"] = bar_ms
        out["held"] = statistics.median(ms) <= bar_ms
    return out


def must(condition: bool, text: str) -> None:
    if not condition:
        raise Failure(text)


def settled(cluster: Cluster, group: str = "web") -> Node:
    """All members in one view, the group online; its owner."""
    cluster.wait_members(cluster.nodes, 60)
    return cluster.node(online_on(cluster, group, cluster.nodes[0], 30))


def outage_of(probe: Prober, since: float) -> float:
    """The longest pause between two answers, of the questions asked since that moment."""
    worst, last = 0.0, None
    for begin, end, ok, _ in probe.lines():
        if ok:
            if last is not None and end > since:
                worst = max(worst, end - last)
            last = end
    return worst


def arbitrations(cluster: Cluster) -> list[float]:
    """Seconds, as the nodes logged them."""
    found = []
    for node in cluster.nodes:
        if node.log.exists():
            found += [int(us) / 1e6 for us in re.findall(r"won \(arbitration took (\d+) us", node.log.read_text())]
    return found


# -- sections --


def move(rounds: int) -> None:
    """Planned move of an address and a program: the outage that a client outside sees."""
    with Cluster(3) as c:
        address = make_group(c, "web", 100)
        probe = Prober(c, address, PORT, every=0.002)
        outages = []
        for _ in range(rounds):
            owner = settled(c)
            wait_for("it answers", lambda: probe.first_answer_after(boot_now() - 0.1), 5)
            target = next(n for n in c.nodes if n is not owner)
            since = boot_now()
            target.cli("group", "move", "web", target.name)
            done = boot_now()
            wait_for("it answers there", lambda d=done: probe.first_answer_after(d), 5)
            outages.append(outage_of(probe, since))
        probe.stop()
        report("move", **spread("outage", outages, 150))


def set_timeout(c: Cluster, timeout_ms: int) -> None:
    c.nodes[0].cli("cluster", "set", f"HeartbeatTimeoutMs={timeout_ms}", f"HeartbeatIntervalMs={max(10, timeout_ms // 10)}")


def power_losses(rounds: int, timeout_ms: int | None) -> tuple[list[float], list[float]]:
    with Cluster(3) as c:
        if timeout_ms:
            set_timeout(c, timeout_ms)
        address = make_group(c, "web", 100)
        probe = Prober(c, address, PORT)
        outages = []
        for _ in range(rounds):
            owner = settled(c)
            wait_for("it answers", lambda: probe.first_answer_after(boot_now() - 0.1), 5)
            since = boot_now()
            owner.power_loss()
            wait_for("it answers again", lambda s=since: probe.first_answer_after(s + 0.1), 20)
            outages.append(outage_of(probe, since))
            c.wait_members([n for n in c.nodes if n is not owner], 20)
            owner.power_on()
            c.wait_members(c.nodes, 60)
            time.sleep(1.5)  # a node that has just joined waits a lease before it takes anything over: that is another case
        settled(c)
        probe.stop()
        return outages, arbitrations(c)


def powerloss(rounds: int) -> None:
    """Switch ports down and SIGKILL of every process of the owner, at stock settings."""
    outages, contests = power_losses(rounds, None)
    report("powerloss", heartbeat_timeout_ms=1000, **spread("outage", outages, 1500))
    report("arbitration", **spread("contest", contests, 20))


def smallest(rounds: int) -> None:
    """The smallest heartbeat timeout that holds ten minutes of stress, and the failover at that timeout."""
    for timeout_ms in (200, 300, 500, 750):
        try:
            under_stress(600, timeout_ms)
        except Failure as failure:
            print(f"  timeout {timeout_ms} ms does not hold: {failure}", flush=True)
            continue
        outages, _ = power_losses(rounds, timeout_ms)
        report("smallest", heartbeat_timeout_ms=timeout_ms, stress_s=600, **spread("outage", outages, timeout_ms + 500))
        return
    raise Failure("no timeout below the stock one holds")


def killed(rounds: int) -> None:
    """SIGKILL of service and monitor with the link up: only the kernel can end the address."""
    with Cluster(3) as c:
        address = make_group(c, "web", 100)
        taken = []
        for _ in range(rounds):
            owner = settled(c)
            rest = [n for n in c.nodes if n is not owner]
            began = time.monotonic()
            owner.kill_service_and_monitors()

            def elsewhere(owner=owner, rest=rest):
                never_twice(c, address)
                found = c.group_online("web", rest[0])
                return found and found != owner.name

            wait_for("the group is online elsewhere", elsewhere, 15)
            taken.append(time.monotonic() - began)
            never_twice(c, address)
            owner.start()
        settled(c)
        must(max(taken) <= 4.0, f"a takeover took {max(taken):.1f} s, the bar is heartbeat timeout + 3 s")
        report("killed", **spread("takeover", taken, 4000), twice=0)


def hung(rounds: int) -> None:
    """SIGSTOP of the owner's service: its addresses go without anyone's help."""
    with Cluster(3) as c:
        address = make_group(c, "web", 100)
        gone, taken = [], []
        for _ in range(rounds):
            owner = settled(c)
            rest = [n for n in c.nodes if n is not owner]
            owner.signal_service(signal.SIGSTOP)
            began = time.monotonic()
            wait_for("its addresses are gone", lambda o=owner: not o.has_address(address), 10)
            gone.append(time.monotonic() - began)
            wait_for("the group runs elsewhere", lambda r=rest: c.group_online("web", r[0]) in [n.name for n in r], 15)
            taken.append(time.monotonic() - began)
            never_twice(c, address)
            owner.signal_service(signal.SIGCONT)
        settled(c)
        must(max(gone) <= 3.0, f"an address stayed for {max(gone):.1f} s, the bar is 3 s")
        report("hung", **spread("address_gone", gone, 3000), **{"elsewhere_worst_ms": round(max(taken) * 1000)})


def partition(rounds: int) -> None:
    """Every partition of three nodes; and with the LUN out of reach of everybody."""
    shapes = [("n1", "n2n3"), ("n2", "n1n3"), ("n3", "n1n2"), ("n1", "n2", "n3")]
    with Cluster(3) as c:
        address = make_group(c, "web", 100)
        healed = []
        for shape in shapes:
            parts = [[n for n in c.nodes if n.name in part] for part in shape]
            for _ in range(rounds):
                settled(c)
                c.partition(*parts)

                def one_lives(parts=parts):
                    never_twice(c, address)
                    alive = []
                    for part in parts:
                        views = [n.status() for n in part]
                        if all(v["phase"] == "member" and len([x for x in v["nodes"] if x["state_text"] == "Up"]) == len(part) for v in views):
                            alive.append(part)
                    return len(alive) == 1 and alive[0]

                living = wait_for("exactly one part lives", one_lives, 30)
                wait_for("the group is online in it", lambda p=living: c.group_online("web", p[0]) in [n.name for n in p], 30)
                never_twice(c, address)
                c.heal()
                began = time.monotonic()
                settled(c)
                healed.append(time.monotonic() - began)
                never_twice(c, address)
        report("partition", shapes=len(shapes), rounds_each=rounds, **spread("healed", healed), twice=0)


def frozen(rounds: int) -> None:
    """The target stands still for 15 s."""
    with Cluster(3) as c:
        make_group(c, "web", 100)
        owner = settled(c)
        resumed = []
        for _ in range(rounds):
            c.target.freeze()
            end = time.monotonic() + 15
            while time.monotonic() < end:
                must(all(n.is_member() for n in c.nodes), "a node left while the LUN was frozen")
                must(c.group_online("web", c.nodes[0]) == owner.name, "the group went down while the LUN was frozen")
                time.sleep(0.5)
            c.target.thaw()
            resumed.append(updates_go_on(c))
            nothing_happened(c, owner)
        report("frozen", **spread("update_after", resumed), stall_s=15, moved=0)


def nothing_happened(c: Cluster, owner: Node) -> None:
    must(settled(c) is owner, "the group moved")
    must(all(n.process.poll() is None for n in c.nodes), "a service ended")


def updates_go_on(c: Cluster) -> float:
    began = time.monotonic()
    wait_for("updates go on", lambda: c.nodes[1].cli("group", "set", "web", f"Description={secrets.token_hex(4)}", check=False)
             .returncode == 0, 60)
    return time.monotonic() - began


def forgot(rounds: int) -> None:
    """The target restarts and has forgotten every reservation."""
    with Cluster(3) as c:
        make_group(c, "web", 100)
        owner = settled(c)
        resumed = []
        for _ in range(rounds):
            c.target.restart()
            resumed.append(updates_go_on(c))
            wait_for("the quorum is held again", lambda: any(n.status()["quorum"]["state"] == "held" for n in c.nodes), 30)
            nothing_happened(c, owner)
        report("forgot", **spread("update_after", resumed), moved=0)


def locker(rounds: int) -> None:
    """An update is acknowledged and the locker killed at once."""
    with Cluster(3) as c:
        for i in range(rounds):
            status = c.wait_members(c.nodes, 60)
            holder = c.node(next(n["name"] for n in status["nodes"] if n["quorum_owner"]))
            asker = [n for n in c.nodes if n is not holder][i % 2]
            asker.cli("group", "create", f"g{i}")
            holder.kill_all()
            rest = [n for n in c.nodes if n is not holder]
            c.wait_members(rest, 30)
            for node in rest:
                names = [g["name"] for g in node.status()["groups"]]
                must(all(f"g{k}" in names for k in range(i + 1)), f"an acknowledged update is lost on {node.name} in round {i}")
            holder.start()
        c.wait_members(c.nodes, 60)
        names = [g["name"] for g in c.nodes[0].status()["groups"]]
        must(all(f"g{k}" in names for k in range(rounds)), "an acknowledged update is lost")
        report("locker", kills=rounds, lost=0)


def away(updates: int = 1000) -> None:
    """A node is away while many updates are made; then only it is started."""
    with Cluster(2) as c:
        busy, gone = c.nodes
        gone.kill_all()
        c.wait_members([busy], 20)
        began = time.monotonic()
        busy.cli("group", "create", "g")
        for i in range(updates - 1):
            busy.cli("group", "set", "g", f"Description=update {i}")
        rate = updates / (time.monotonic() - began)
        busy.kill_all()
        began = time.monotonic()
        gone.start()
        wait_for("it forms alone", gone.is_member, 90)
        # A member replays the log before it knows any group.
        wait_for("it has recovered", lambda: any(g["name"] == "g" for g in gone.status()["groups"]), 30)
        group = gone.json("group", "show", "g")
        group = group[0] if isinstance(group, list) else group
        must(group["properties"].get("Description") == f"update {updates - 2}", f"it has {group['properties'].get('Description')}")
        report("away", updates=updates, updates_per_s=round(rate), formed_after_s=round(time.monotonic() - began, 1), missing=0)


def idle(seconds: int = 60) -> None:
    """CPU time and resident memory of service and monitor of a node with one group online."""
    with Cluster(3) as c:
        make_group(c, "web", 100)
        owner = settled(c)
        time.sleep(5)
        ticks = os.sysconf("SC_CLK_TCK")

        def used(pid: int) -> float:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / ticks

        def resident(pid: int) -> float:
            return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024

        pids = {n.name: [n.process.pid, *n.monitor_pids()] for n in c.nodes}
        before = {name: sum(used(p) for p in these) for name, these in pids.items()}
        time.sleep(seconds)
        cpu = {name: (sum(used(p) for p in these) - before[name]) / seconds * 100 for name, these in pids.items()}
        memory = {name: sum(resident(p) for p in these) for name, these in pids.items()}
        worst_cpu, worst_memory = max(cpu.values()), max(memory.values())
        report("idle", seconds=seconds, owner_cpu_percent=round(cpu[owner.name], 2), worst_cpu_percent=round(worst_cpu, 2),
               worst_rss_mib=round(worst_memory, 1), held=worst_cpu < 0.5 and worst_memory < 40)


def garbage(datagrams: int = 100_000) -> None:
    """Garbage to every port of a living node; a damaged quorum LUN; broken configuration files."""
    with Cluster(3) as c:
        address = make_group(c, "web", 100)
        owner = settled(c)
        epoch = c.nodes[0].status()["epoch"]
        program = f"""
import random, socket, struct
r = random.Random(7)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
base = bytearray(bytes.fromhex('48466862') + bytes([1, 0, 0, 0, 2, 1, 0, 0]) + bytes(28) + bytes(200))
for i in range({datagrams}):
    if i % 2:
        d = bytearray(base)
        for _ in range(r.randrange(1, 12)):
            d[r.randrange(len(d))] = r.randrange(256)
        d = d[:r.randrange(1, len(d))] if r.random() < 0.3 else d
    else:
        d = r.randbytes(r.randrange(0, 1400))
    s.sendto(d, ('{c.nodes[0].address['a']}', {port_of(c.nodes[0])}))
"""
        run("ip", "netns", "exec", c.switch, "/usr/bin/python3", "-c", program, timeout=300)
        for _ in range(50):
            run("ip", "netns", "exec", c.switch, "/usr/bin/python3", "-c",
                f"import socket,os; s=socket.create_connection(('{c.nodes[0].address['a']}',{port_of(c.nodes[0])}),1); "
                "s.sendall(os.urandom(4096)); s.close()", check=False, timeout=20)
        status = c.nodes[0].status()
        must(status["epoch"] == epoch, "garbage caused a regroup")
        must(settled(c) is owner, "the group moved")
        refused = sum(v for k, v in status["counters"].items() if k.startswith("datagram-") and k not in
                      ("datagram-received", "datagram-sent") and not k.startswith("datagram-not"))
        must(refused > 0, "nothing was counted as refused")
        report("garbage", datagrams=datagrams, counted_as_refused=refused, connections=50)
        del address
    damaged_lun()
    broken_files()


def port_of(node: Node) -> int:
    found = re.search(r"^\s*port\s*=\s*(\d+)", node.config.read_text(), re.M)
    return int(found[1]) if found else 7420


def damaged_lun() -> None:
    """Bits flipped and blocks torn on the LUN while everything is down; nothing acknowledged may be lost that a copy has."""
    import random

    r = random.Random(11)
    kinds = {"superblock copy 1": (0, 4096), "superblock copy 2": (4096, 4096), "beacon": (8192, 4096)}
    for what, (offset, size) in kinds.items():
        with Cluster(2) as c:
            for i in range(5):
                c.nodes[0].cli("group", "create", f"g{i}")
            for node in c.nodes:
                node.kill_all()
            flip(c, r, offset, size)
            for node in c.nodes:
                node.start()
            c.wait_members(c.nodes, 90)
            must(len(c.nodes[0].status()["groups"]) == 5, f"an update is lost after damage of {what}")
    with Cluster(2) as c:
        for i in range(20):
            c.nodes[0].cli("group", "create", f"g{i}")
        for node in c.nodes:
            node.kill_all()
        image = pathlib.Path(c.target.image)
        with open(image, "r+b") as f:  # the tail of the log, torn: half of its last record
            data = f.read()
            last = data.rfind(b"g19")
            must(last > 0, "the log does not hold the last update in plain sight")
            f.seek(last)
            f.write(bytes(512))
        for node in c.nodes:
            node.start()
        wait_for("a clear end or a clean recovery", lambda: all(n.process.poll() is None and n.status()["phase_reason"] for n in c.nodes), 60)
        c.wait_members(c.nodes, 90)
        groups = len(c.nodes[0].status()["groups"])
        must(groups >= 19, f"{20 - groups} updates are gone, one record was torn")
    with Cluster(2) as c:
        for node in c.nodes:
            node.kill_all()
        c.target.stop()
        os.truncate(c.target.image, 1 << 20)
        c.target.start()
        for node in c.nodes:
            node.start()
        wait_for("it says what is wrong", lambda: all(n.process.poll() is None and not n.is_member() for n in c.nodes) and
                 re.search(r"quorum|LUN", c.nodes[0].status()["phase_reason"] + c.nodes[0].log.read_text()), 60)
    report("garbage", damaged_lun="superblock x2, beacon, torn record, truncated LUN: recovered or refused")


def flip(c: Cluster, r, offset: int, size: int) -> None:
    with open(c.target.image, "r+b") as f:
        f.seek(offset)
        block = bytearray(f.read(size))
        for _ in range(20):
            block[r.randrange(min(size, 256))] ^= 1 << r.randrange(8)
        f.seek(offset)
        f.write(block)


def broken_files() -> None:
    import random

    r = random.Random(3)
    refused = 0
    with Cluster(1) as c:
        node = c.nodes[0]
        node.kill_all()
        good = node.config.read_text()
        for round_ in range(200):
            text = bytearray(good.encode())
            for _ in range(r.randrange(1, 8)):
                text[r.randrange(len(text))] = r.randrange(1, 256)
            if round_ % 5 == 0:
                text = text[: r.randrange(len(text))]
            node.config.write_bytes(bytes(text))
            done = node.exec(str(node.build / "bin/holdfastd"), "--config", str(node.config), "--check", check=False, timeout=20)
            must(done.returncode >= 0, f"holdfastd died of signal {-done.returncode} on a broken file")
            if done.returncode != 0:
                refused += 1
                must(bool(done.stderr.strip() or done.stdout.strip()), "a broken file is refused without a word")
        node.config.write_text(good)
        node.start()
        wait_for("it works again", node.is_member, 60)
    report("garbage", broken_files=200, refused_with_a_reason=refused)


def under_stress(seconds: int, timeout_ms: int | None = None) -> dict:
    with Cluster(3) as c:
        if timeout_ms:
            set_timeout(c, timeout_ms)
        make_group(c, "web", 100)
        settled(c)
        time.sleep(3)
        epoch = c.nodes[0].status()["epoch"]
        scratch = c.folder / "stress"
        scratch.mkdir()
        cores = os.cpu_count() or 2
        stress = subprocess.Popen(["stress-ng", "--cpu", str(cores), "--vm", "2", "--vm-bytes", "1G", "--hdd", "2", "--hdd-bytes", "512M", "--io", "2",
                                   "--temp-path", str(scratch), "--timeout", f"{seconds}s", "--quiet"], stdin=subprocess.DEVNULL)
        try:
            while stress.poll() is None:
                time.sleep(5)
                nobody_removed(c)
            nobody_removed(c)
            must(settled(c) is not None, "the group is not online")
            late = [int(x) for n in c.nodes for x in re.findall(r"core ran (\d+) ms late", n.log.read_text())]
            return {"worst_late_ms": max(late, default=0), "regroups": c.nodes[0].status()["epoch"] - epoch}
        finally:
            if stress.poll() is None:
                stress.terminate()
                stress.wait()


def nobody_removed(c: Cluster) -> None:
    for node in c.nodes:
        must(node.process.poll() is None, f"{node.name}: the service ended")
        removed = re.findall(r"NODE_REMOVED .*|heartbeat-timeout.*", node.log.read_text())
        must(not removed, f"{node.name}: {removed[:3]}")


def stress(seconds: int = 1800) -> None:
    """CPU, memory and I/O stress on the machine of all nodes, stock settings: no member is removed."""
    report("stress", seconds=seconds, removed=0, **under_stress(seconds))


ALL = {"move": (move, 20), "powerloss": (powerloss, 20), "killed": (killed, 20), "hung": (hung, 10), "partition": (partition, 5), "frozen": (frozen, 20),
       "forgot": (forgot, 20), "locker": (locker, 50), "away": (away, 1000), "garbage": (garbage, 100_000), "idle": (idle, 60), "smallest": (smallest, 20),
       "stress": (stress, 1800)}
LONG = ("smallest", "stress")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help="what to measure")
    parser.add_argument("--rounds", type=int, help="instead of the default of each section")
    parser.add_argument("--json", help="writes the figures there as well")
    options = parser.parse_args()
    unknown = [s for s in options.sections if s not in ALL]
    if unknown:
        parser.error(f"no such section: {', '.join(unknown)}; there are {', '.join(ALL)}")
    failed = 0
    for name in options.sections or [s for s in ALL if s not in LONG]:
        function, rounds = ALL[name]
        began = time.monotonic()
        try:
            function(options.rounds or rounds)
        except (Failure, OSError, subprocess.SubprocessError, socket.error) as error:
            failed += 1
            report(name, failed=str(error).splitlines()[0] if str(error) else repr(error))
        else:
            failed += FIGURES.get(name, {}).get("held") is False  # a median or a share beyond its bar
        print(f"{'':12}({name}: {time.monotonic() - began:.0f} s)", flush=True)
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(FIGURES, indent=1) + "\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
