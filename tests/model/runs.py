"""The runs of the model: what is switched on in each, and what it is for."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Run:
    name: str
    defines: tuple[str, ...]
    what: str
    hash_bits: int = 24
    seconds_max: int = 1500


def run(name: str, defines: str, what: str, **more: int) -> Run:
    return Run(name, tuple("-D" + d for d in defines.split()), what, **more)


FULL = [
    run("everything", "EPOCHS=2 UPDATES=1 CRASHES=ANY RESTARTS=ANY LOST=ANY FORGETS=ANY STALES=ANY RESIGNS=ANY",
        "every fault in any number, one view change, one update"),
    run("everything-tgtd", "EPOCHS=2 UPDATES=1 CRASHES=ANY RESTARTS=ANY LOST=ANY FORGETS=ANY STALES=ANY RESIGNS=ANY TWINS LATE",
        "the same on a target with dead twins and late writes"),
    run("two-changes", "EPOCHS=3 CRASHES=ANY LOST=ANY FORGETS=ANY", "two view changes; the target forgets"),
    run("two-changes-tgtd", "EPOCHS=3 CRASHES=1 LOST=1 TWINS LATE", "dead twins and late writes"),
    run("stale", "EPOCHS=3 CRASHES=1 STALES=1", "the target brings an old reservation back"),
    run("two-changes-update", "EPOCHS=3 CRASHES=1 UPDATES=1", "an update over two view changes"),
    run("new-life", "EPOCHS=3 CRASHES=1 RESTARTS=1", "a life ends and the next forms or joins at once"),
    run("resigns", "EPOCHS=3 CRASHES=1 RESIGNS=1", "an owner ends in an orderly way"),
    run("moves", "EPOCHS=3 OWNER0=2 MOVES", "any member may be the nominee"),
]

# Where two defects are named, each alone is caught by the other check; with the second alone the run holds.
MUTANTS = [
    run("judge-once", "EPOCHS=3 RESIGNS=1 M_JUDGE_ONCE", "step 3 of the arbitration asks only whether this life was left out"),
    run("one-look", "EPOCHS=3 M_ONE_LOOK", "the superblock is not read again after the preempt"),
    run("race-key", "EPOCHS=2 M_RACE_KEY M_ONE_LOOK", "the victim is whatever key is found in the race"),
    run("no-judge", "EPOCHS=2 FORGETS=1 M_NO_JUDGE M_ONE_LOOK", "after a target forgot, any view may reserve"),
    run("no-removed", "EPOCHS=3 OWNER0=2 M_NO_REMOVED", "a superblock that left this life out is taken for a predecessor's"),
    run("early-win", "EPOCHS=3 FORGETS=1 M_EARLY_WIN", "won before the superblock is durable"),
    run("install-any", "EPOCHS=3 M_INSTALL_ANY", "a view is installed by a node that did not accept it"),
    run("form-any-key", "EPOCHS=2 CRASHES=1 RESTARTS=1 M_FORM_ANY_KEY M_ONE_LOOK", "a node that forms replaces any key, at once"),
    run("abandoned-won", "EPOCHS=4 CRASHES=1 RESTARTS=1 M_ABANDONED_LIVES M_JUDGE_ONCE M_NO_REMOVED",
        "an abandoned key is replaced although a superblock names it"),
    run("no-attention", "EPOCHS=3 RESIGNS=1 M_NO_ATTENTION", "a write is repeated after a unit attention"),
    run("no-r3", "EPOCHS=3 LOST=1 RESIGNS=1 M_NO_R3", "an owner writes over a session that has not re-keyed"),
    run("open-lane", "EPOCHS=3 LOST=1 RESIGNS=1 M_OPEN_LANE",
        "an owner whose contest reopened the session and ended unreachable writes what waited for the log"),
    run("ack-early", "EPOCHS=3 UPDATES=1 CRASHES=1 RESTARTS=1 M_ACK_EARLY", "committed before the log is durable"),
    run("members-only", "EPOCHS=3 UPDATES=1 CRASHES=1 RESTARTS=1 M_MEMBERS_ONLY", "recovery ignores the log"),
    run("log-only", "EPOCHS=2 UPDATES=1 CRASHES=1 LOST=1 M_LOG_ONLY", "recovery ignores what members have"),
    run("order-early", "EPOCHS=3 UPDATES=1 CRASHES=1 RESTARTS=1 M_ORDER_EARLY", "a sequence is given before recovery is complete"),
]

# What belongs to every change: complete searches that are small, and defects that are found at once.
QUICK = [
    run("one-change", "EPOCHS=2 UPDATES=1 CRASHES=ANY LOST=ANY FORGETS=ANY", "one view change, one update"),
    run("partitions", "EPOCHS=3", "two view changes; any partition, nothing breaks"),
] + [m for m in MUTANTS if m.name in ("judge-once", "open-lane")]
