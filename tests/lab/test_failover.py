"""The main job in virtual machines: disk, file system, address and program under load, with every way to lose the owner."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from holdfast_lab.cluster import LabCluster

LAB = {"nodes": 3, "product": True}
REPEAT = int(os.environ.get("HOLDFAST_REPEAT", "1"))


@pytest.fixture(scope="module")
def cluster(lab):
    made = LabCluster(lab)
    made.form()
    made.make_group()
    return made


class Client:
    """The outside client as a context: on leaving, nothing that was acknowledged may be missing."""

    def __init__(self, cluster: LabCluster, log):
        self.cluster, self.log = cluster, log

    def __enter__(self):
        self.process = self.cluster.client(self.log)
        self.progress()
        return self

    def progress(self) -> None:
        before = self.log.stat().st_size if self.log.exists() else 0
        self.cluster.wait("another record is acknowledged", lambda: self.log.exists() and self.log.stat().st_size > before, 90)

    def __exit__(self, kind, value, trace) -> None:
        self.process.send_signal(signal.SIGTERM)
        text, _ = self.process.communicate(timeout=150)
        if kind is None:
            report = json.loads(text.strip().splitlines()[-1])
            assert report["lost"] == 0 and report["verified"], report


def file_system_is_clean(owner) -> None:
    """The journal was replayed at the mount; the kernel and e2fsck had nothing to complain about."""
    log = owner.check("dmesg | grep -iE 'EXT4-fs (error|warning)' || true")
    assert "error" not in log.lower(), log


def test_orderly_move(cluster, tmp_path):
    owner = cluster.wait_owner(cluster.nodes[0])
    target = next(n for n in cluster.nodes if n is not owner)
    with Client(cluster, tmp_path / "acks") as client:
        target.check(f"holdfast --wait 60 group move records {target.name}", timeout=90)
        assert cluster.wait_owner(target, other_than=owner) is target
        client.progress()


def test_power_cut_of_the_owner(cluster, tmp_path):
    for round_ in range(REPEAT):
        cluster.wait_all()
        owner = cluster.wait_owner(cluster.nodes[0])
        survivor = next(n for n in cluster.nodes if n is not owner)
        with Client(cluster, tmp_path / f"acks{round_}") as client:
            owner.power_cut()
            now_at = cluster.wait_owner(survivor, other_than=owner)
            client.progress()
        file_system_is_clean(now_at)
        owner.boot()
        cluster.wait_member(owner)


def test_paused_owner_writes_nothing_after_the_takeover(cluster, tmp_path):
    for round_ in range(REPEAT):
        cluster.wait_all()
        owner = cluster.wait_owner(cluster.nodes[0])
        survivor = next(n for n in cluster.nodes if n is not owner)
        with Client(cluster, tmp_path / f"acks{round_}") as client:
            owner.pause()
            now_at = cluster.wait_owner(survivor, other_than=owner)
            client.progress()
            owner.resume()
            client.progress()
            time.sleep(5)  # whatever the old owner still holds has the time to do harm
            client.progress()
        file_system_is_clean(now_at)
        cluster.wait_all()


def test_reboot_of_the_owner_is_orderly(cluster, tmp_path):
    for round_ in range(REPEAT):
        cluster.wait_all()
        owner = cluster.wait_owner(cluster.nodes[0])
        survivor = next(n for n in cluster.nodes if n is not owner)
        before = len([e for e in cluster.events(survivor) if e["kind"] == "RESOURCE_DIRTY"])
        with Client(cluster, tmp_path / f"acks{round_}") as client:
            boot = owner.boot_id()
            owner.run("systemctl reboot", timeout=30)
            cluster.wait_owner(survivor, other_than=owner)
            client.progress()
            owner.wait_reboot(boot)
        assert len([e for e in cluster.events(survivor) if e["kind"] == "RESOURCE_DIRTY"]) == before
        cluster.wait_member(owner)
