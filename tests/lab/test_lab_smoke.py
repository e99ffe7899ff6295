"""The lab itself: machines boot, talk, share a disk with reservations, and every fault does what it says.

What is tested here is what all other tests on virtual machines rely on.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from holdfast_lab import CommandFailed, CommandTimeout, Lab, config
from holdfast_lab import lab as lab_module
from holdfast_lab.config import wait_for
from holdfast_lab.machine import host_load

HERE = Path(__file__).resolve().parent
KEYS = {"node1": "0x1111", "node2": "0x2222"}


@pytest.fixture(scope="module")
def lab_options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two nodes with a stand-in for the product, laid out the way `cmake --install` may do it."""
    tree = tmp_path_factory.mktemp("product")
    for name, mode, text in (
        ("usr/sbin/standin", 0o755, "#!/bin/sh\necho standing in\n"),
        ("lib/systemd/system/standin.service", 0o644, "[Service]\nType=oneshot\nExecStart=/usr/sbin/standin\n"),
        ("etc/holdfast/standin.toml", 0o600, "a = 1\n"),
    ):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    return {"nodes": 2, "product": tree}


@pytest.fixture(scope="module")
def device(lab: Lab) -> str:
    """The data LUN's kernel name; the only SCSI disk, so the same on every node."""
    disks = lab.attach_data()
    link = f"/dev/disk/by-id/wwn-0x{lab.storage.luns[1].naa}"
    for node in lab.nodes:
        assert node.wait("the link by identity", f"readlink -e {link}").strip() == disks[node.name][1]
    assert {disk for found in disks.values() for disk in found.values()} == {"/dev/sda"}
    return "/dev/sda"


def pings(lab: Lab, net: str) -> bool:
    """Whether node1 reaches node2."""
    return lab.nodes[0].run(f"ping -c 1 -W 1 {lab.nodes[1].ip(net)}", timeout=20).rc == 0


def test_boot_times(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\naccelerator {lab.accel}, load {host_load():.1f}")
        for name, (agent, ready) in lab.times().items():
            print(f"  {name}: agent {agent:.1f} s, ready {ready:.1f} s")
    assert all(ready for _, ready in lab.times().values())


def test_product_lies_over_the_root(lab: Lab) -> None:
    for node in lab.nodes:
        node.check("systemctl start standin.service", timeout=60)
        assert "standing in" in node.journal("-u standin")
        assert node.check("cat /etc/holdfast/standin.toml") == "a = 1\n"
        # The root's own links into /usr are still there.
        assert node.check("readlink /lib /bin /sbin").split() == ["usr/lib", "usr/bin", "usr/sbin"]
    assert lab.storage.run("test -e /usr/sbin/standin").rc == 1


def test_commands_are_exact(lab: Lab) -> None:
    for machine in lab.machines:
        assert machine.run("printf 'a\\nb'; printf c >&2; exit 7") == (7, "a\nb", "c")
        assert machine.run("kill -9 $$").rc == -9
        assert machine.run("cat", stdin=b"x" * 100000).out == "x" * 100000
        assert machine.run("head -c 3000000 /dev/zero | tr '\\0' y", timeout=60).out == "y" * 3000000
        assert machine.check(["echo", "two words", "$HOME"]) == "two words $HOME\n"
        with pytest.raises(CommandFailed):
            machine.check("false")


def test_a_command_that_hangs_blocks_nobody(lab: Lab) -> None:
    node = lab.nodes[0]
    with pytest.raises(CommandTimeout):
        # A child in a session of its own, and one that ignores everything it can.
        node.run("setsid sleep 7777 & trap '' TERM INT; sleep 7777", timeout=2)
    assert node.run("pgrep -f 'sleep 777[7]'").rc == 1
    # What runs on in the background after a command that ended is left alone, and does not hold the answer up.
    begun = time.monotonic()
    node.check("sleep 8888 & echo started")
    assert time.monotonic() - begun < 20
    assert node.run("pgrep -f 'sleep 888[8]'").rc == 0
    node.check("pkill -f 'sleep 888[8]'")

    def slow(number: int) -> str:
        return node.check(f"sleep 3; echo {number}", timeout=60)

    begun = time.monotonic()
    assert lab.each(slow, [1, 2, 3]) == ["1\n", "2\n", "3\n"]  # type: ignore[list-item]
    assert time.monotonic() - begun < 8 * config.PATIENCE


def test_files(lab: Lab) -> None:
    for machine in lab.machines:
        data = bytes(range(256)) * 5000 + b"HFAGENT1" * 100
        machine.put("/tmp/deep/er/file", data, mode=0o750)
        assert machine.get("/tmp/deep/er/file") == data
        assert machine.check("stat -c %a /tmp/deep/er/file").strip() == "750"
        with pytest.raises(FileNotFoundError):
            machine.get("/nowhere")


def test_networks_reach_each_other(lab: Lab) -> None:
    first, second = lab.nodes
    for net in lab.network.nets:
        assert pings(lab, net)
        first.check(f"ping -c 1 -W 3 {second.ip6(net)}", timeout=20)
        assert lab.outside_run(["ping", "-c", "1", "-W", "3", second.ip(net)]).returncode == 0
    first.check(f"ping -c 1 -W 3 {lab.storage.portal}", timeout=20)


def test_reservations_across_nodes(lab: Lab, device: str) -> None:
    """Register, reserve, be refused, preempt and abort: what the cluster's fencing rests on."""
    first, second = lab.nodes
    for node in lab.nodes:
        node.check(f"sg_persist --out --register-ignore --param-sark={KEYS[node.name]} {device}")
    first.check(f"sg_persist --out --reserve --param-rk={KEYS['node1']} --prout-type=5 {device}")
    assert "0x1111" in second.check(f"sg_persist --in --read-reservation {device}")
    write = f"dd if=/dev/zero of={device} bs=4096 count=1 oflag=direct"
    first.check(write)
    second.check(
        f"sg_persist --out --preempt-abort --param-rk={KEYS['node2']} --param-sark={KEYS['node1']} "
        f"--prout-type=5 {device}"
    )
    # The victim: a unit attention first, then conflicts for ever.
    assert wait_for("the victim's refusal", lambda: first.run(write).rc != 0, 10)
    second.check(write)
    keys = second.check(f"sg_persist --in --read-keys {device}")
    assert "0x2222" in keys and "0x1111" not in keys
    shown = lab.storage.reservations()
    assert lab.nodes[1].spec.iqn in shown
    status = second.check(f"sg_persist --in --read-full-status {device}")
    assert "0x2222" in status
    second.check(f"sg_persist --out --clear --param-rk={KEYS['node2']} {device}")


def test_target_amnesia_and_saved_reservations(lab: Lab, device: str) -> None:
    node, storage = lab.nodes[0], lab.storage

    def keys() -> str:
        def read() -> str | None:
            result = node.run(f"sg_persist --in --read-keys {device}", timeout=20)
            return result.out if result.rc == 0 and "PR generation" in result.out else None

        return wait_for("the target answers", read, 90, 0.5)

    def register(aptpl: bool) -> None:
        flag = "--param-aptpl" if aptpl else ""
        keys()
        node.check(f"sg_persist --out --register-ignore --param-sark=0xabc {flag} {device}")
        node.check(f"sg_persist --out --reserve --param-rk=0xabc --prout-type=5 {device}")
        assert "0xabc" in keys()

    register(aptpl=False)
    storage.restart_target()
    assert "0xabc" not in keys(), "a restarted target forgets"
    # Saved (APTPL) and loaded again after a power loss of the target, on the same data.
    register(aptpl=True)
    marker = f"printf persisted | dd of={device} bs=512 seek=64 conv=sync oflag=direct"
    node.check(marker)
    storage.check("sync")  # the kernel writes the file without
    storage.restore_aptpl = True
    try:
        storage.power_cycle()
    finally:
        storage.restore_aptpl = False
    assert "0xabc" in keys(), "restored"
    assert "0xabc" in node.check(f"sg_persist --in --read-reservation {device}")
    assert node.check(f"dd if={device} bs=512 skip=64 count=1 iflag=direct").startswith("persisted")
    # The same power loss with user space that loads nothing: everybody may write. (The real world's default.)
    storage.power_cycle()
    assert "0xabc" not in keys()


def test_frozen_target_and_short_replacement_timeout(lab: Lab, device: str) -> None:
    node = lab.nodes[0]
    read = f"dd if={device} of=/dev/null bs=512 count=1 iflag=direct"
    node.check(read)
    lab.storage.freeze()
    try:
        begun = time.monotonic()
        assert node.run(read, timeout=90).rc != 0, "a dead target turns into an error"
        assert time.monotonic() - begun < 60 * config.PATIENCE
    finally:
        lab.storage.thaw()
    node.wait("the disk after the thaw", read, timeout=90)
    assert node.data_disks([1]) == {1: device}


def test_links(lab: Lab) -> None:
    node = lab.nodes[1]
    assert pings(lab, "front")
    node.link_down("front")
    wait_for("carrier loss", lambda: node.run("cat /sys/class/net/front/carrier").out.strip() == "0", 20)
    assert not pings(lab, "front") and pings(lab, "back")
    node.link_up("front")
    wait_for("carrier", lambda: node.run("cat /sys/class/net/front/carrier").out.strip() == "1", 20)
    wait_for("ping after link_up", lambda: pings(lab, "front"), 30)

    node.silent_loss("front")
    assert not pings(lab, "front")
    assert node.check("cat /sys/class/net/front/carrier").strip() == "1"
    node.silent_heal("front")
    wait_for("ping after silent_heal", lambda: pings(lab, "front"), 30)

    with lab.healed():
        lab.block_pair(*lab.nodes, nets=["front"])
        assert not pings(lab, "front") and pings(lab, "back")
        assert lab.outside_run(["ping", "-c", "1", "-W", "3", node.ip("front")]).returncode == 0
    wait_for("ping after heal", lambda: pings(lab, "front"), 30)

    node.netem("front", "delay 200ms")
    shown = lab.nodes[0].check(f"ping -c 3 {node.ip('front')}", timeout=20)
    slowest = re.search(r"= [\d.]+/([\d.]+)/", shown)
    assert slowest and float(slowest.group(1)) >= 150
    node.netem("front")


def test_pause_stops_the_guests_clock_and_hang_does_not(lab: Lab) -> None:
    node = lab.nodes[0]

    def uptime() -> float:
        return float(node.check("cat /proc/uptime").split()[0])

    before, outside = uptime(), time.monotonic()
    node.pause()
    time.sleep(4)
    node.resume()
    assert uptime() - before < time.monotonic() - outside - 3

    before, outside = uptime(), time.monotonic()
    node.hang()
    time.sleep(4)
    node.unhang()
    assert uptime() - before > 3.5


def test_power_cut_and_reboot(lab: Lab, device: str) -> None:
    """The root forgets, the machine's own disk does not, and the data disks come back by themselves."""
    node = lab.nodes[0]
    identity = node.check("cat /etc/machine-id; hostname; cat /etc/iscsi/initiatorname.iscsi")
    node.check("echo kept >/etc/holdfast/probe; echo kept >/var/lib/holdfast/probe; echo gone >/root/probe; sync")
    node.put("/usr/local/bin/again", "#!/bin/sh\necho again\n", mode=0o755, persist=True)
    node.put(
        "/lib/systemd/system/probe.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/local/bin/again\n",
        persist=True,
    )
    node.enable("probe.service")

    def same_machine() -> None:
        assert node.check("cat /etc/machine-id; hostname; cat /etc/iscsi/initiatorname.iscsi") == identity
        assert node.check("cat /etc/holdfast/probe /var/lib/holdfast/probe") == "kept\nkept\n"
        assert node.run("test -e /root/probe").rc == 1
        assert node.check("systemctl is-active probe.service").strip() == "active"
        assert "again" in node.journal()
        assert node.data_disks([1], timeout=90) == {1: device}

    before = node.boot_id()
    node.power_cut()
    assert not node.running
    assert lab.nodes[1].run("true").rc == 0
    node.boot()
    assert node.boot_id() != before
    same_machine()
    assert len(node.check("journalctl --list-boots --no-pager").splitlines()) >= 2

    before = node.boot_id()
    pid = node.pid
    node.reboot()
    assert node.boot_id() != before and node.pid == pid
    same_machine()

    before = node.boot_id()
    node.panic()
    node.wait_reboot(before)
    assert "Kernel panic" in node.console()
    node.power_off()
    assert not node.running
    node.boot()
    same_machine()


def test_records_over_the_lab(lab: Lab, tmp_path: Path) -> None:
    """The demonstration's client on the outside, its server in a guest."""
    node = lab.nodes[1]
    node.put("/opt/record_service.py", HERE / "record_service.py")
    node.check(
        f"systemd-run --unit=records python3 /opt/record_service.py --listen {node.ip('front')}:7000 --file /tmp/records"
    )
    node.wait("the service listens", "ss -ltn | grep -q :7000")
    done = lab.outside_run(
        [sys.executable, str(HERE / "record_client.py"), "--connect", f"{node.ip('front')}:7000", "--count", "50"], 120
    )
    node.check("systemctl stop records")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["acked"] == 50 and report["lost"] == 0


def test_dump(lab: Lab, tmp_path: Path) -> None:
    lab.nodes[0].pause()
    try:
        where = lab.dump(tmp_path)
    finally:
        lab.nodes[0].resume()
    names = {p.name for p in where.iterdir()}
    assert {"node1.console", "node2.journal", "node2.state", "storage.journal", "bridges.txt"} <= names
    assert "not to be had" in (where / "node1.journal").read_text()


def test_nothing_stays_behind() -> None:
    """A harness that is killed, with its lab half made, leaves no process, no namespace and no file."""
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from holdfast_lab import Lab\n"
        "lab = Lab(nodes=1)\n"
        "lab.nodes[0].start()\n"
        "print(lab.name, lab.nodes[0].pid, flush=True); time.sleep(600)\n"
    )
    harness = subprocess.Popen([sys.executable, "-c", script, str(HERE)], stdout=subprocess.PIPE, text=True)
    assert harness.stdout
    name, pid = harness.stdout.readline().split()
    assert Path(f"/proc/{pid}").exists() and name in Lab.running()
    harness.kill()
    harness.wait()
    harness.stdout.close()
    wait_for("everything gone", lambda: not Path(f"/proc/{pid}").exists() and not (config.RUN / name).exists(), 30)
    assert not Path(f"/run/netns/lab-{name}").exists()
    assert not (config.CACHE / "labs" / name).exists()
    assert not lab_module.remove(name)
