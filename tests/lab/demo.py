#!/usr/bin/python3
"""The main job, end to end, on virtual machines: a disk, a file system, an address and a program fail over.

Boots three nodes and a storage machine, forms a cluster with the real command line, lets a client outside write numbered
records through the address, moves the group once in an orderly way, then cuts the power of its owner. Prints what happened
when; the exit status is the verdict: 0 = every acknowledged record is there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from holdfast_lab import Lab, config  # noqa: E402
from holdfast_lab.cluster import LabCluster  # noqa: E402


def say(text: str) -> None:
    print(f"[{time.monotonic() - BEGAN:6.1f} s] {text}", flush=True)


BEGAN = time.monotonic()


def stage(folder: Path) -> Path:
    build = Path(os.environ.get("HOLDFAST_BUILD", config.REPOSITORY / "build" / "release"))
    subprocess.run(["cmake", "--install", str(build), "--prefix", "/usr", "--strip"], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "DESTDIR": str(folder)})
    return folder


def timeline(cluster: LabCluster, survivors: list, cut_wall_ms: float, first_record_ms: float | None) -> None:
    """What the events of all surviving nodes say, in milliseconds after the cut.

    No single node sees everything: who detected first, who arbitrated and who brought the group online may be three
    nodes. Each node's clock is compared with ours when its events are read; the error is the time the question took.
    """
    rows = []
    for node in survivors:
        asked = time.time() * 1000
        theirs = float(node.check("date +%s%3N").strip())
        offset = (asked + time.time() * 1000) / 2 - theirs
        for e in cluster.events(node):
            at = float(e["wall_time_ms"]) + offset - cut_wall_ms
            if at < 0:
                continue
            kind, obj, new = e["kind"], e["object"], e["new_value"]
            if kind == "REGROUP":
                rows.append((at, node.name, f"detection: {new} ({e['cause']})"))
            elif kind == "QUORUM_STATE" and new == "won":
                rows.append((at, node.name, f"arbitration won ({e['cause']})"))
            elif kind == "VIEW":
                rows.append((at, node.name, f"regroup ended: {obj}"))
            elif kind == "CLUSTER_STATE" and new == "ready":
                rows.append((at, node.name, f"updates go on ({obj})"))
            elif kind == "GROUP_OWNER":
                rows.append((at, node.name, f"group {obj} is given to {new} ({e['cause']})"))
            elif kind == "RESOURCE_STATE" and new == "Online":
                rows.append((at, node.name, f"{obj} online"))
    if first_record_ms is not None:
        rows.append((first_record_ms, "outside", "first record served again"))
    print("\nTimeline, milliseconds after the power was cut:")
    for at, who, text in sorted(rows):
        print(f"  {at:8.0f}  {who:<8} {text}")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as folder:
        product = stage(Path(folder) / "product")
        say("booting three nodes and the storage machine")
        with Lab(nodes=3, product=product) as lab:
            lab.start()
            cluster = LabCluster(lab)
            say("forming the cluster: create on node1, join on node2 and node3")
            cluster.form()
            say("making the group: disk, ext4 on it, address, record service")
            cluster.make_group()
            witness = cluster.nodes[0]
            owner = cluster.wait_owner(witness)
            log = Path(folder) / "acks"
            client = cluster.client(log)

            def records() -> int:
                return log.read_text().count("\n")

            try:
                cluster.wait("the first records are acknowledged", lambda: log.exists() and records() >= 50, 60)
                say(f"the client writes; {owner.name} owns the group. Orderly move:")
                target = next(n for n in cluster.nodes if n is not owner)
                target.check(f"holdfast --wait 60 group move records {target.name}", timeout=90)
                cluster.wait_owner(target, other_than=owner)
                acked = records()
                cluster.wait("records go on", lambda: records() >= acked + 50, 60)
                survivor = next(n for n in cluster.nodes if n is not target)
                say(f"moved to {target.name}. Cutting its power:")
                cut_mono, cut_wall = time.monotonic(), time.time() * 1000
                target.power_cut()
                cluster.wait_owner(survivor, other_than=target)
                acked = records()
                cluster.wait("records go on after the cut", lambda: records() >= acked + 50, 60)
                say("the group is online again")
            finally:
                client.send_signal(signal.SIGTERM)
                text, _ = client.communicate(timeout=120)
            report = json.loads(text.strip().splitlines()[-1])
            acks = [float(line.split()[0]) for line in log.read_text().splitlines()]
            # What the owner acknowledged in its last moment may be noted after the cut: the end of the longest silence counts.
            first = max(((b - a, b) for a, b in zip(acks, acks[1:]) if b > cut_mono), default=(0.0, None))[1]
            timeline(cluster, [n for n in cluster.nodes if n is not target], cut_wall, (first - cut_mono) * 1000 if first else None)
            print(f"\nrecords acknowledged: {report['acked']}\nrecords lost:         {report['lost']}\n"
                  f"longest outage:       {report['longest_outage']:.1f} s")
            good = client.returncode == 0 and report["lost"] == 0 and report["verified"]
            print("verdict: " + ("nothing that was acknowledged is lost" if good else "FAILED"))
            return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
