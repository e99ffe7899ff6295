"""Versions: the next release joins this one, the one after it is refused with the reason, and a cluster is upgraded node by node.

The next releases are the same objects with other versions compiled in (`holdfast_program` in cmake/Holdfast.cmake).
"""
from __future__ import annotations

import pathlib

import pytest
from hfcluster import BUILD, Cluster, wait_for
from scenario import make_group, online_on

NEXT = BUILD / "next-1"
NEXT_NEXT = BUILD / "next-2"


def need(build: pathlib.Path) -> None:
    assert (build / "bin/holdfastd").exists(), f"no holdfastd in {build}/bin: './run build' first"


@pytest.fixture(autouse=True)
def builds():
    need(NEXT)
    need(NEXT_NEXT)


def test_next_release_joins():
    with Cluster(2, builds={2: NEXT}) as c:
        versions = {n["name"]: n["version_max"] for n in c.nodes[0].status()["nodes"]}
        assert versions["n2"] == versions["n1"] + 1
        make_group(c, "web", 100)
        online_on(c, "web", c.nodes[1])
        c.nodes[1].cli("group", "create", "made-by-the-next")
        assert "made-by-the-next" in [g["name"] for g in c.nodes[0].status()["groups"]]
        # A client of either release talks to a service of the other.
        done = c.nodes[0].exec(str(NEXT / "bin/holdfast"), "--socket", str(c.nodes[0].socket), "cluster", "status")
        assert "made-by-the-next" in done.stdout


def test_release_after_the_next_is_refused_with_the_reason():
    with Cluster(2) as c:
        late = c.nodes[1]
        late.stop()
        c.wait_members([c.nodes[0]], 30)
        late.build = NEXT_NEXT
        late.localise()
        late.start()
        speaks = lambda node: "speaks protocol" in node.log.read_text()  # noqa: E731
        wait_for("both say that they have no version in common", lambda: speaks(late) and speaks(c.nodes[0]), 30)
        assert not late.is_member()
        c.wait_members([c.nodes[0]], 5)


def test_three_nodes_are_upgraded_one_by_one():
    with Cluster(3) as c:
        make_group(c, "web", 100)
        online_on(c, "web", c.nodes[0])
        level = c.nodes[0].status()["functional_level"]
        for node in c.nodes:
            done = c.nodes[0].json("cluster", "upgrade")
            assert done["text"] == str(level), "the level rises only when every node speaks more"
            node.stop()
            c.wait_members([n for n in c.nodes if n is not node], 30)
            node.build = NEXT
            node.localise()
            node.start()
            c.wait_members(c.nodes, 40)
            assert online_on(c, "web", node, 30)
        c.nodes[1].cli("cluster", "upgrade")
        wait_for("every node knows", lambda: all(n.status()["functional_level"] == level + 1 for n in c.nodes), 10)
        # There is no way back: the old release stays outside and says why.
        old = c.nodes[2]
        old.stop()
        c.wait_members(c.nodes[:2], 30)
        old.build = BUILD
        old.localise()
        old.start()
        wait_for("it says why", lambda: "functional level" in old.status()["phase_reason"], 30)
        assert not old.is_member()
