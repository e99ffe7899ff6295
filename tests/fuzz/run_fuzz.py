#!/usr/bin/python3
"""Runs the fuzz targets of build/fuzz, each for a while, on its corpus; ends with 1 when one finds something.

What a run finds new is kept in build/fuzz/corpus/NAME, and the next run begins with it; only a slice (--in-all) begins with
the seeds and the inputs of tests/fuzz/corpus, and keeps nothing, so that it stays short. A finding is written as hex to
build/fuzz/findings/: once understood and repaired, it belongs into tests/fuzz/corpus/NAME.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import secrets
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
BUILD = ROOT / "build/fuzz"
PROGRAMS = BUILD / "fuzzers"
# Far above what any target needs, and far below what makes the machine swap.
LIMITS = ["-rss_limit_mb=1500", "-malloc_limit_mb=160", "-timeout=10", "-max_len=8192"]


def hex_lines(data: bytes) -> str:
    return "".join(data[i:i + 32].hex(" ") + "\n" for i in range(0, len(data), 32))


def keep_findings(name: str, folder: pathlib.Path) -> list[pathlib.Path]:
    out = []
    for artifact in sorted(folder.glob(f"{name}-*")):
        if artifact.suffix == ".hex":
            continue
        text = artifact.with_name(artifact.name + ".hex")
        text.write_text(hex_lines(artifact.read_bytes()))
        out.append(text)
    return out


class Budget:
    """Seconds for each target: always the same, or its part of what is left of a slice."""

    def __init__(self, each: int, in_all: int | None, targets: int, jobs: int):
        self.each, self.slice, self.left, self.jobs = each, in_all is not None, targets, jobs
        self.end = time.monotonic() + (in_all or 0)
        self.lock = threading.Lock()

    def next(self) -> int:
        with self.lock:
            if self.slice:
                rounds = -(-self.left // self.jobs)
                self.each = max(1, int((self.end - time.monotonic()) / rounds) - 1)  # starting one takes a second
                self.left -= 1
            return self.each


def run(name: str, budget: Budget, seed: int) -> tuple[str, bool]:
    """One target: a line about it, and whether it stood."""
    program = PROGRAMS / f"fuzz_{name}"
    seconds = budget.next()
    seeds, kept, findings = BUILD / "seeds" / name, BUILD / "corpus" / name, BUILD / "findings"
    for folder in (seeds, kept, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for old in [*seeds.iterdir(), *findings.glob(f"{name}-*")]:
        old.unlink()
    subprocess.run([program, "--write-corpus", seeds], check=True)
    before = sum(1 for _ in kept.iterdir())
    corpora = [seeds] if budget.slice else [kept, seeds]  # new inputs go to the first
    command = [program, *corpora, f"-max_total_time={seconds}", f"-seed={seed}", "-print_final_stats=1",
               f"-artifact_prefix={findings}/{name}-", *LIMITS]
    dictionary = HERE / "dict" / f"{name}.dict"
    if dictionary.exists():
        command.append(f"-dict={dictionary}")
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=0",
                       UBSAN_OPTIONS="print_stacktrace=1")
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace", env=environment)
    log = findings.parent / "logs" / f"{name}.txt"
    log.parent.mkdir(exist_ok=True)
    log.write_text(done.stderr)
    stats = dict(re.findall(r"^stat::(\w+):\s+(\d+)", done.stderr, re.M))
    coverage = re.findall(r"cov: (\d+) ft: (\d+)", done.stderr)
    cov, ft = coverage[-1] if coverage else ("?", "?")
    new = stats.get("new_units_added", "?") if budget.slice else sum(1 for _ in kept.iterdir()) - before
    line = (f"{name:18} {stats.get('number_of_executed_units', '?'):>9} runs  {stats.get('average_exec_per_sec', '?'):>7}/s  "
            f"cov {cov:>5}  ft {ft:>6}  new {new:>4}  {seconds:>4} s  {stats.get('peak_rss_mb', '?'):>5} MB")
    if done.returncode == 0:
        return line + "  stands", True
    reason = re.search(r"(assertion failed: .*|ERROR: \w+Sanitizer: .*|runtime error: .*|ERROR: libFuzzer: .*)", done.stderr)
    line += f"  FOUND SOMETHING: {reason.group(1) if reason else 'exit status ' + str(done.returncode)}"
    for finding in keep_findings(name, findings):
        line += f"\n    {finding}"
    return line + f"\n    {log}", False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="for each target")
    parser.add_argument("--in-all", type=int, metavar="SECONDS", help="a slice: for all targets together")
    parser.add_argument("--seed", type=int, help="of every target; default: a fresh one")
    parser.add_argument("--target", action="append", help="only this one; may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    given = parser.parse_args()
    known = sorted(p.name.removeprefix("fuzz_") for p in PROGRAMS.glob("fuzz_*") if os.access(p, os.X_OK))
    names = given.target or known
    if not names or set(names) - set(known):
        print(f"run_fuzz: unknown target; built are: {' '.join(known) or 'none (./run fuzz builds them)'}", file=sys.stderr)
        return 2
    seed = given.seed or secrets.randbelow(2**32 - 1) + 1
    print(f"fuzz: seed {seed} (again: --seed {seed})", flush=True)
    budget = Budget(given.seconds, given.in_all, len(names), given.jobs)
    good = True
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        for line, stood in pool.map(lambda name: run(name, budget, seed), names):
            print(line, flush=True)
            good = good and stood
    print("fuzz: every target stands" if good else "fuzz: something was found, see above")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
