"""The cluster on real parts in network namespaces: membership, quorum on tgtd, updates, addresses and programs."""
from __future__ import annotations

import signal
import time

import pytest
from conftest import REPEAT
from hfcluster import Cluster, Prober, boot_now, run, wait_for
from scenario import PORT, holders, make_group, never_twice, online_on


def test_three_nodes_form_one_cluster(three):
    status = three.nodes[2].status()
    assert sorted(n["name"] for n in status["nodes"]) == ["n1", "n2", "n3"]
    assert status["quorum"]["owner"]
    assert status["phase"] == "member"


def test_planned_move(three):
    address = make_group(three, "web", 100)
    first = online_on(three, "web", three.nodes[0])
    probe = Prober(three, address, PORT)
    try:
        wait_for("the service answers", lambda: probe.first_answer_after(0), 5)
        target = next(n for n in three.nodes if n.name != first)
        target.cli("group", "move", "web", target.name)
        assert online_on(three, "web", target) == target.name
        asked = boot_now()
        wait_for("it answers there", lambda: probe.first_answer_after(asked), 5)
        assert probe.longest_outage() < 1.0
        assert holders(three, address) == [target.name]
    finally:
        probe.stop()


def test_power_loss_of_the_owner(three):
    address = make_group(three, "web", 100)
    probe = Prober(three, address, PORT)
    try:
        for _ in range(1 + REPEAT):
            owner = three.node(online_on(three, "web", three.nodes[0]))
            rest = [n for n in three.nodes if n is not owner]
            wait_for("the service answers", lambda: probe.first_answer_after(boot_now() - 0.2), 5)
            began = boot_now()
            owner.power_loss()
            wait_for("the service answers again", lambda: probe.first_answer_after(began + 0.2), 10)
            three.wait_members(rest)
            owner.power_on()
            three.wait_members(three.nodes, 40)
    finally:
        probe.stop()


def test_killed_service_and_monitor_with_the_link_up(three):
    """SIGKILL of both leaves an address behind that only the kernel can end; it is never served by two."""
    address = make_group(three, "web", 100)
    for _ in range(REPEAT):
        owner = three.node(online_on(three, "web", three.nodes[0]))
        rest = [n for n in three.nodes if n is not owner]
        began = time.monotonic()
        owner.kill_service_and_monitors()

        def elsewhere():
            never_twice(three, address)
            found = three.group_online("web", rest[0])
            return found if found != owner.name else None

        wait_for("the group is online elsewhere", elsewhere, 10)
        assert time.monotonic() - began < 1.0 + 3.0 + 1.0
        owner.start()
        three.wait_members(three.nodes, 40)


def test_hung_service_loses_its_addresses(three):
    address = make_group(three, "web", 100)
    for _ in range(REPEAT):
        owner = three.node(online_on(three, "web", three.nodes[0]))
        rest = [n for n in three.nodes if n is not owner]
        # The Popen is `ip netns exec`, which became holdfastd itself.
        owner.signal_service(signal.SIGSTOP)
        began = time.monotonic()
        wait_for("its addresses are gone", lambda: not owner.has_address(address), 5)
        assert time.monotonic() - began < 3.5
        wait_for("the group runs elsewhere", lambda: three.group_online("web", rest[0]) in [n.name for n in rest], 10)
        owner.signal_service(signal.SIGCONT)
        three.wait_members(three.nodes, 40)


def test_monitor_dies_alone(three):
    address = make_group(three, "web", 100)
    owner = three.node(online_on(three, "web", three.nodes[0]))
    for pid in owner.monitor_pids():
        run("kill", "-9", str(pid), check=False)
    wait_for("another monitor runs", lambda: owner.monitor_pids(), 10)
    assert online_on(three, "web", three.nodes[0], 20)
    never_twice(three, address)


def test_loss_of_one_network_changes_nothing(three):
    make_group(three, "web", 100)
    epoch = three.nodes[0].status()["epoch"]
    victim = three.nodes[1]
    victim.port("b", False)
    victim.block(three.nodes[0], three.nodes[2], nets=("b",))
    wait_for("status shows it", lambda: any(n["state"] in ("down", "partitioned") for n in victim.status()["networks"]), 10)
    three.nodes[2].cli("group", "create", "while-cut")
    assert three.nodes[0].status()["epoch"] == epoch
    victim.unblock()
    victim.port("b", True)


@pytest.mark.parametrize("shape", [("n1", "n2n3"), ("n2", "n1n3"), ("n3", "n1n2"), ("n1", "n2", "n3")], ids=lambda s: "|".join(s))
def test_every_partition_leaves_exactly_one_part(three, shape):
    address = make_group(three, "web", 100)
    parts = [[n for n in three.nodes if n.name in part] for part in shape]
    for _ in range(REPEAT):
        three.partition(*parts)

        def one_part_lives():
            never_twice(three, address)
            alive = [p for p in parts if all(len([x for x in n.status()["nodes"] if x["state_text"] == "Up"]) == len(p) and n.is_member()
                                             for n in p)]
            return len(alive) == 1 and alive[0]

        living = wait_for("exactly one part lives", one_part_lives, 20)
        wait_for("the group is online in it", lambda: never_twice(three, address) or
                 three.group_online("web", living[0]) in [n.name for n in living], 20)
        three.heal()
        three.wait_members(three.nodes, 60)
        never_twice(three, address)


def test_frozen_quorum_lun_stops_nothing(three):
    make_group(three, "web", 100)
    owner = online_on(three, "web", three.nodes[0])
    lives = {n.name: n.process.pid for n in three.nodes}
    for _ in range(REPEAT):
        three.target.freeze()
        time.sleep(15)
        assert all(n.is_member() for n in three.nodes)
        assert three.group_online("web", three.nodes[0]) == owner
        three.target.thaw()
        wait_for("updates go on", lambda: three.nodes[1].cli("group", "set", "web", f"Description={time.monotonic()}", check=False).returncode == 0,
                 30)
        assert three.group_online("web", three.nodes[0]) == owner
    assert {n.name: n.process.pid for n in three.nodes} == lives
    assert all(n.process.poll() is None for n in three.nodes)


def test_target_that_forgot_all_reservations(three):
    make_group(three, "web", 100)
    owner = online_on(three, "web", three.nodes[0])
    for round_ in range(2 * REPEAT):
        three.target.restart()
        wait_for("the quorum is held again", lambda: three.nodes[0].status()["quorum"]["state"] in ("held", "observed") and
                 any(n.status()["quorum"]["state"] == "held" for n in three.nodes), 20)
        wait_for("updates go on", lambda: three.nodes[1].cli("group", "set", "web", f"Description={round_}", check=False).returncode == 0, 30)
        assert three.group_online("web", three.nodes[0]) == owner
        assert all(n.process.poll() is None for n in three.nodes)


def test_all_nodes_at_once(three):
    make_group(three, "web", 100)
    for node in three.nodes:
        node.kill_all()
    for node in three.nodes:
        run("ip", "-n", node.ns, "addr", "del", "10.99.1.100/24", "dev", "a", check=False)
        node.start()
    three.wait_members(three.nodes, 60)
    assert online_on(three, "web", three.nodes[0], 20)


def test_acknowledged_update_survives_the_locker(three):
    for round_ in range(3 * REPEAT):
        status = three.wait_members(three.nodes, 40)
        quorum_owner = next(n["name"] for n in status["nodes"] if n["quorum_owner"])
        locker = three.node(quorum_owner)
        asker = next(n for n in three.nodes if n is not locker)
        asker.cli("group", "create", f"g{round_}")
        locker.kill_all()
        rest = [n for n in three.nodes if n is not locker]
        three.wait_members(rest, 20)
        for node in rest:
            assert f"g{round_}" in [g["name"] for g in node.status()["groups"]]
        locker.start()


def test_node_that_was_away_has_every_update():
    with Cluster(2) as two:
        away, busy = two.nodes[1], two.nodes[0]
        away.kill_all()
        two.wait_members([busy], 20)
        for i in range(50):
            busy.cli("group", "create", f"g{i}")
        busy.kill_all()
        away.start()
        wait_for("it forms alone", away.is_member, 60)
        assert len(away.status()["groups"]) == 50


def test_orderly_stop_moves_groups(three):
    address = make_group(three, "web", 100)
    owner = three.node(online_on(three, "web", three.nodes[0]))
    rest = [n for n in three.nodes if n is not owner]
    owner.stop()
    assert cluster_online_elsewhere(three, owner, rest)
    assert holders(three, address) != [owner.name]
    log = owner.log.read_text()
    assert "by force" not in log


def cluster_online_elsewhere(cluster, owner, rest):
    return wait_for("online elsewhere", lambda: cluster.group_online("web", rest[0]) in [n.name for n in rest], 15)


def test_evicted_node_is_refused(three):
    victim = three.nodes[2]
    victim.stop()
    three.wait_members(three.nodes[:2], 20)
    three.nodes[0].cli("--yes", "node", "evict", victim.name)
    victim.start()
    wait_for("it is told why", lambda: "evict" in victim.status()["phase_reason"] or "revoked" in victim.log.read_text() or
             "not a node" in victim.log.read_text(), 20)
    assert not victim.is_member()
