"""The main job in virtual machines: disk, file system, address and program under load, with every way to lose the owner.

HOLDFAST_LAB_REPEAT=N repeats each loss N times within the one booted lab; HOLDFAST_LAB_REPEAT=20,10,10 says it for power cuts,
pauses and reboots. Every repetition prints its figures when it ends and all of them stand at the end of the run.
"""

from __future__ import annotations

import json
import os
import signal

import pytest
from holdfast_lab.cluster import LabCluster, Scribbler

LAB = {"nodes": 3, "product": True}
_repeat = [int(n) for n in os.environ.get("HOLDFAST_LAB_REPEAT", "1").split(",")]
CUTS, PAUSES, REBOOTS = _repeat if len(_repeat) == 3 else _repeat[:1] * 3


@pytest.fixture(scope="module")
def cluster(lab):
    made = LabCluster(lab)
    made.form()
    made.make_group()
    return made


class Client:
    """The outside client as a context: on leaving, nothing that was acknowledged may be missing."""

    def __init__(self, cluster: LabCluster, log, figures, what: str):
        self.cluster, self.log, self.figures, self.what = cluster, log, figures, what

    def __enter__(self):
        self.process = self.cluster.client(self.log)
        self.progress()
        return self

    def progress(self, records: int = 20) -> None:
        """Waits until so many more records are acknowledged."""
        count = lambda: self.log.read_text().count("\n") if self.log.exists() else 0  # noqa: E731
        before = count()
        self.cluster.wait(f"{records} more records are acknowledged", lambda: count() >= before + records, 90)

    def __exit__(self, kind, value, trace) -> None:
        self.process.send_signal(signal.SIGTERM)
        text, _ = self.process.communicate(timeout=150)
        if kind is None:
            report = json.loads(text.strip().splitlines()[-1])
            self.figures(f"{self.what}: outage {report['longest_outage']:5.1f} s, {report['acked']} acknowledged, "
                         f"{report['lost']} lost" + ("" if report["verified"] else " (could not be read back)"))
            assert report["verified"] and report["lost"] == 0 and report["damaged"] == 0, report


class KernelLog:
    """What the kernel of a node says about ext4 from now on: its messages outlive mounts, so earlier ones are left out."""

    def __init__(self, node):
        self.node, self.before = node, len(node.check("dmesg").splitlines())

    def ext4(self) -> list[str]:
        return [line for line in self.node.check("dmesg").splitlines()[self.before :] if "EXT4-fs" in line]

    def has_no_errors(self) -> None:
        assert not [line for line in self.ext4() if "error" in line.lower()], self.ext4()


def others(cluster, owner):
    return [n for n in cluster.nodes if n is not owner]


def test_orderly_move(cluster, tmp_path, figures):
    owner = cluster.wait_owner(cluster.nodes[0])
    target = others(cluster, owner)[0]
    kernel = KernelLog(target)
    with Client(cluster, tmp_path / "acks", figures, "orderly move") as client:
        target.check(f"holdfast --wait 60 group move records {target.name}", timeout=90)
        assert cluster.wait_owner(target, other_than=owner) is target
        client.progress()
    kernel.has_no_errors()
    assert not [line for line in kernel.ext4() if "recovery" in line], "the old owner had not unmounted"


def test_power_cut_of_the_owner(cluster, tmp_path, figures):
    for round_ in range(CUTS):
        cluster.wait_all()
        owner = cluster.wait_owner(cluster.nodes[0])
        survivors = others(cluster, owner)
        kernels = {node.name: KernelLog(node) for node in survivors}
        with Client(cluster, tmp_path / f"cut{round_}", figures, f"power cut {round_ + 1}/{CUTS} of {owner.name}") as client:
            owner.power_cut()
            now_at = cluster.wait_owner(survivors[0], other_than=owner)
            client.progress()
        kernels[now_at.name].has_no_errors()
        cluster.fsck()
        owner.boot()
        cluster.wait_member(owner)


def test_paused_owner_writes_nothing_after_the_takeover(cluster, tmp_path, figures):
    for round_ in range(PAUSES):
        cluster.wait_all()
        owner = cluster.wait_owner(cluster.nodes[0])
        survivors = others(cluster, owner)
        kernels = {node.name: KernelLog(node) for node in survivors}
        what = f"pause {round_ + 1}/{PAUSES} of {owner.name}"
        with Client(cluster, tmp_path / f"pause{round_}", figures, what) as client, Scribbler(cluster, owner) as scribbler:
            owner.pause()
            now_at = cluster.wait_owner(survivors[0], other_than=owner)
            client.progress()
            fenced_at = scribbler.on_disk()
            owner.resume()
            # It wakes up in the middle of writing and believes that nothing happened. That it goes on trying is part
            # of the test: without a refusal it would prove nothing.
            refused = cluster.wait("the old owner's writes are refused", lambda: scribbler.tried()[1] >= 20 and scribbler.tried(), 60)
            client.progress()
            # The old owner finds out, gives everything up, and comes back as a member that owns nothing.
            cluster.wait_all()
            client.progress()
            assert scribbler.on_disk() == fenced_at, "a write of the old owner reached the disk after the takeover"
            figures(f"{what}: {refused[1]} writes of the old owner refused ({refused[2]}), none arrived")
        assert cluster.wait_owner(survivors[0]) is now_at, "the group moved again"
        kernels[now_at.name].has_no_errors()
        cluster.fsck()


def test_reboot_of_the_owner_is_orderly(cluster, tmp_path, figures):
    for round_ in range(REBOOTS):
        cluster.wait_all()
        owner = cluster.wait_owner(cluster.nodes[0])
        survivors = others(cluster, owner)
        kernels = {node.name: KernelLog(node) for node in survivors}
        with Client(cluster, tmp_path / f"reboot{round_}", figures, f"reboot {round_ + 1}/{REBOOTS} of {owner.name}") as client:
            boot = owner.boot_id()
            owner.quietly("systemctl reboot")
            now_at = cluster.wait_owner(survivors[0], other_than=owner)
            client.progress()
            owner.wait_reboot(boot)
        # The journal of the life that ended is on the owner's own disk. Only its end counts: a pause earlier in the same
        # life left something dirty, as it should.
        _, asked, end = owner.journal("-b -1 -u holdfastd").rpartition("stopping: the service was asked to stop")
        assert asked, "the service was not stopped in an orderly way"
        for resource in ("service", "address", "files", "disk"):
            assert f"RESOURCE_STATE {resource}: Offline\n" in end, end
        assert "RESOURCE_DIRTY" not in end and "Deactivated successfully" in end, end
        # A journal that had to be replayed would mean that the file system was taken away under its owner.
        assert not [line for line in kernels[now_at.name].ext4() if "recovery" in line], "the old owner had not unmounted"
        kernels[now_at.name].has_no_errors()
        cluster.wait_member(owner)
        cluster.fsck()
