#!/usr/bin/python3
"""Shows that the simulation has teeth: each deliberate protocol error of daemon/base/mutants.inc must be caught.

    teeth.py [--conform] [--count HISTORIES] [--jobs N] [MUTANT…]      needs: cmake --preset mutants && cmake --build --preset mutants
"""
import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/mutants/bin/holdfast-sim"


# What is no step of the model is seen as such, with --conform.
NO_STEP_OF_THE_MODEL = """victim_read_in_race twin_taken_for_won removal_ignored no_reset_after_reserve no_reset_after_preempt
win_before_superblock preempt_unknown_is_won superblock_write_unchecked writes_over_new_session contests_unaccepted
ack_before_durable late_log_write log_failure_ignored""".split()


def hunt(mutant, seed, count, more):
    """(histories until it was caught or None, how)"""
    done = subprocess.run([PROGRAM, "--mutant", mutant, "--seed", str(seed), "--count", str(count), "--first", "--no-shrink", *more],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    seeds = re.findall(r"seed (\d+)", done.stdout)
    if done.returncode == 0:
        return None, ""
    if done.returncode == 1:
        return int(seeds[-1]) - seed + 1, done.stdout.rsplit(f"seed {seeds[-1]} ", 1)[-1].strip()
    if done.returncode < 0 and "assertion failed" in done.stderr:
        return int(seeds[-1]) - seed + 1, done.stderr.strip().splitlines()[-1]
    sys.exit(f"teeth: {mutant}: holdfast-sim ended with {done.returncode}: {done.stderr[-500:]}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--conform", action="store_true", help="by the comparison with the model, those that it must refuse")
    options.add_argument("mutants", nargs="*")
    o = options.parse_args()
    names = o.mutants or subprocess.run([PROGRAM, "--list-mutants"], capture_output=True, text=True, check=True).stdout.split()
    if o.conform:
        names = o.mutants or NO_STEP_OF_THE_MODEL
    missed = []
    with ThreadPoolExecutor(o.jobs) as pool:
        found = {name: pool.submit(hunt, name, o.seed, o.count, ["--conform"] if o.conform else []) for name in names}
        for name in names:
            after, how = found[name].result()
            if after and o.conform and "not a step of the model" not in how:
                after = None
            if after is None:
                missed.append(name)
            print(f"{name:28} " + (f"caught in history {after:5}: {how}" if after else f"NOT CAUGHT in {o.count} histories"), flush=True)
    print(f"{len(names) - len(missed)} of {len(names)} mutants were caught" + (": not " + ", ".join(missed) if missed else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
