"""The conformance tests of iscsi/ against the kernel's target (LIO): it has what tgtd, their usual target, has not
(PREEMPT AND ABORT, APTPL, READ FULL STATUS, registrations that survive a reconnect), and only here are there kernel disks
for the SG_IO backend.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from holdfast_lab import config

LAB = {"nodes": 1, "nets": ("san",), "luns": (128, 128)}
PROGRAM = "/usr/local/bin/iscsi_conformance"

#: May be skipped: they need a target of their own that they can stop, freeze or restart.
NEEDS_OWN_TARGET = ("SessionTest.", "HelperTest.", "ChapTest.")


@pytest.fixture(scope="module")
def node(lab, tmp_path_factory):
    build = Path(os.environ.get("HOLDFAST_BUILD", config.REPOSITORY / "build" / "release"))
    source = build / "tests" / "iscsi_conformance"
    if not source.exists():
        pytest.skip("no build to test (HOLDFAST_BUILD)")
    stripped = tmp_path_factory.mktemp("conformance") / "program"
    subprocess.run(["strip", "-o", str(stripped), str(source)], check=True)
    node = lab.nodes[0]
    node.put(PROGRAM, stripped, mode=0o755)
    # The root is a tmpfs, which knows no O_DIRECT; a test of the block queue wants it below /tmp.
    node.check("mkdir -p /persist/tmp && mount --bind /persist/tmp /tmp")
    return node


@pytest.fixture(scope="module")
def disks(lab, node):
    """LUN 1 three times as a kernel disk: three sessions of three initiators, in one machine."""
    storage = lab.storage
    at = f"-T {storage.iqn} -p {storage.portal}:3260"
    node.check("systemctl start iscsid.service")
    for number in (1, 2, 3):
        node.check(f"iscsiadm -m iface -I node{number} -o new && "
                   f"iscsiadm -m iface -I node{number} -o update -n iface.initiatorname "
                   f"-v iqn.2026-11.example.holdfast:node{number} && "
                   f"iscsiadm -m node {at} -I node{number} -o new && "
                   f"iscsiadm -m node {at} -I node{number} -o update -n node.session.scan -v manual && "
                   f"iscsiadm -m node {at} -I node{number} --login", timeout=60)
    # Each session is a SCSI host of its own; disks in the order of the initiators' names.
    text = node.check(r"""
        for session in /sys/class/iscsi_session/session*; do
          host=$(readlink -f "$session/device"); host=${host%/session*}; host=${host##*/}
          echo "0 0 1" >"/sys/class/scsi_host/$host/scan"
        done
        udevadm settle --timeout=30
        for session in /sys/class/iscsi_session/session*; do
          for disk in "$session"/device/target*/*/block/sd*; do echo "$(cat "$session/initiatorname") /dev/${disk##*/}"; done
        done | sort""", timeout=90)
    found = [line.split()[1] for line in text.splitlines()]
    assert len(found) == len(set(found)) == 3, text
    return found


def run(node, address: str, helper: bool) -> dict[str, list[str]]:
    """Runs the whole suite in the guest; returns what was skipped, by the reason's test names."""
    result = node.run(f"HOLDFAST_TEST_LUN='{address}' {'HOLDFAST_TEST_HELPER=1' if helper else ''} {PROGRAM} --gtest_color=no", timeout=240)
    assert result.rc == 0, result.out[-8000:] + result.err[-2000:]
    passed = re.findall(r"\[       OK \] (\S+)", result.out)
    skipped = re.findall(r"\[  SKIPPED \] (\S+)$", result.out, re.MULTILINE)
    # Every test that can run against LIO must have run: a suite that skips itself proves nothing.
    assert not [name for name in skipped if not name.startswith(NEEDS_OWN_TARGET)], skipped
    for wanted in ("ReservationTest.NothingOfTheVictimLandsAfterItsPreemption", "ReservationTest.FullStatusNamesTheNexus",
                   "ReservationTest.PowerLossSafetyIsAskedForWhenWanted", "RaceTest.HolderAgainstTwoChallengers",
                   "ReservationTest.ARegistrationBelongsToTheInitiatorNotToItsSession"):
        assert wanted in passed, (wanted, passed)
    return {"passed": passed, "skipped": skipped}


def test_libiscsi(lab, node, figures):
    done = run(node, f"iscsi://{lab.storage.portal}:3260/{lab.storage.iqn}/0", helper=False)
    figures(f"conformance, libiscsi: {len(done['passed'])} passed")


# The quorum uses a disk directly, the plug-in for disks through a helper process.
@pytest.mark.parametrize("helper", [False, True], ids=["in-process", "helper"])
def test_sg_io(node, disks, helper, figures):
    done = run(node, ",".join(disks), helper)
    figures(f"conformance, SG_IO{', helper' if helper else ''}: {len(done['passed'])} passed")


def test_lio_has_what_the_tests_rely_on(lab, node, disks):
    """The suite follows what the target says that it can; here is what LIO must say, over both ways."""
    node.check("command -v sg_persist")
    said = node.check(f"sg_persist --in --report-capabilities {disks[0]}")
    assert "Persist Through Power Loss Capable(PTPL_C): 1" in said, said
    assert "Write Exclusive, registrants only: 1" in said, said
