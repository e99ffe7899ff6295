#!/usr/bin/python3
"""Checks the model of quorum, membership and one update with Spin, exhaustively within the bounds of each run.

    run_model.py --quick      the runs that belong to every change (default)
    run_model.py --full       all runs
    run_model.py --mutants    breaks the protocol in one place at a time; every one must be found
    run_model.py --only NAME  one run or mutant, and the trail when it fails

A search that was cut (depth, memory, time) counts as an error. Exit status 0: everything is as it must be.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from runs import FULL, MUTANTS, QUICK, Run

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE / "quorum.pml"
DEPTH = 10_000
MEMORY_MB = 11_000


@dataclasses.dataclass
class Found:
    verdict: str  # "holds", "violated" or why the search says nothing
    states: float = 0
    depth: int = 0
    seconds: float = 0
    memory_mb: float = 0
    detail: str = ""


def call(*command: str, cwd: str, seconds: int) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found.group(1)) if found else 0


def trail(run: Run, cwd: str) -> str:
    text = subprocess.run(["spin", *run.defines, "-k", "quorum.pml.trail", "-t", "-p", "-g", str(MODEL)], cwd=cwd,
                          capture_output=True, text=True).stdout
    return steps(text)


def steps(text: str) -> str:
    """One line a step: who, and which variables have other values afterwards."""
    scratch = {"i", "j", "e_", "p_", "bits", "ok", "nominee_"}
    known: dict[str, str] = {}
    lines: list[str] = []
    at, who, changed = "", "", dict[str, str]()

    def end() -> None:
        now = [f"{name}={value}" for name, value in changed.items() if known.get(name, "0") != value]
        known.update(changed)
        if now:
            lines.append(f"{at:>4} {who:8} {'; '.join(now)}")
        changed.clear()

    for line in text.splitlines():
        if step := re.match(r"\s*(\d+):\s+proc\s+(\d+) \((\w+)", line):
            if step.group(1) != at:
                end()
                at, who = step.group(1), f"{step.group(3)} {int(step.group(2)) - 1}"
        elif value := re.match(r"\s+([a-z_]+(?:\[\d+\])?(?:\.[a-z_]+)?) = (-?\d+)", line):
            if value.group(1) not in scratch:
                changed[value.group(1)] = value.group(2)
        elif "failed assertion" in line:
            lines.append(line.strip())
    end()
    return "\n".join(lines)


def check(run: Run, want_trail: bool) -> Found:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="holdfast-model-") as cwd:
        call("spin", *run.defines, "-a", str(MODEL), cwd=cwd, seconds=120)
        call("gcc", "-O2", "-w", "-DSAFETY", "-DNOFAIR", "-DSPACE", f"-DMEMLIM={MEMORY_MB}", "-DVECTORSZ=512", "-o", "pan",
             "pan.c", cwd=cwd, seconds=300)
        try:
            out = call("./pan", f"-m{DEPTH}", f"-w{run.hash_bits}", cwd=cwd, seconds=run.seconds_max)
        except subprocess.TimeoutExpired:
            return Found(f"no answer within {run.seconds_max} s", seconds=time.monotonic() - begun)
        found = Found("holds", number(r"([\d.e+]+) states, stored", out), int(number(r"depth reached (\d+)", out)),
                      time.monotonic() - begun, number(r"([\d.]+)\s+total actual memory usage", out))
        if "errors: 0" not in out:
            found.verdict = "violated"
            if what := re.search(r"assertion violated (.*) \(at depth \d+\)", out):
                found.detail = what.group(1)
            else:
                found.verdict = "pan: " + " ".join(out.split()[:12])
            if want_trail:
                found.detail += "\n" + trail(run, cwd)
        if "max search depth too small" in out or "out of memory" in out or "Search not completed" in out and found.verdict == "holds":
            found.verdict = "search was cut"
        return found


def check_steps() -> int:
    """The model marks just the steps that simulated histories are compared with."""
    named = set(re.findall(r"^MODEL_STEP\((\w+),", (HERE / "steps.inc").read_text(), re.M))
    marked = {m for f in HERE.glob("*.pml") for m in re.findall(r"(?<!define )\bSTEP\((\w+)\)", f.read_text())}
    for name in sorted(named ^ marked):
        print(f"step {name} is {'not marked in the model' if name in named else 'not in steps.inc'}")
    return len(named ^ marked)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true")
    which.add_argument("--full", action="store_true")
    which.add_argument("--mutants", action="store_true")
    which.add_argument("--only")
    args = parser.parse_args()
    if args.only:
        runs = [r for r in FULL + QUICK + MUTANTS if r.name == args.only]
        if not runs:
            parser.error("no such run: " + args.only + "; there are " + " ".join(r.name for r in FULL + QUICK + MUTANTS))
    else:
        runs = FULL if args.full else MUTANTS if args.mutants else QUICK

    failed = check_steps()
    print(f"{'run':22} {'states':>11} {'depth':>6} {'s':>6} {'MB':>6}  verdict", flush=True)
    for run in runs:
        found = check(run, want_trail=bool(args.only) or run not in MUTANTS)
        right = found.verdict == ("violated" if run in MUTANTS else "holds")
        failed += not right
        verdict = found.verdict if right else "WRONG: " + found.verdict
        print(f"{run.name:22} {found.states:11.0f} {found.depth:6} {found.seconds:6.0f} {found.memory_mb:6.0f}  {verdict}"
              f"  {' '.join(run.defines)}", flush=True)
        if not right or args.only:
            print(f"  {run.what}\n  {found.detail}", flush=True)
    print(f"model: {len(runs)} runs, {failed} not as they must be", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
