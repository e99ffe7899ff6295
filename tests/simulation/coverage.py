#!/usr/bin/python3
"""What of the core the scenarios and random histories reach.

    coverage.py [--histories N] [--list FILE]      needs: cmake --preset coverage && cmake --build --preset coverage

Counts lines and branches of daemon/core that the compiler made from the sources, without branches to exception
handlers, and without assertions, which are there to be never taken. --list writes what was not reached.
"""
import argparse
import collections
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/coverage"
CORE = "daemon/core/"
# Of unit tests, and what no simulation is meant to reach: the documents that are printed from the code.
NOT_CORE = re.compile(r"_test\.cc$|/tests/|properties_doc_main\.cc$|markdown\.cc$")
NEVER = re.compile(r"HOLDFAST_ASSERT|__builtin_unreachable")


def play(histories):
    for old in BUILD.rglob("*.gcda"):
        old.unlink()
    program = BUILD / "bin/holdfast-sim"
    for what in (["--scenario", ROOT / "tests/simulation/scenarios"], ["--seed", "1", "--count", str(histories)]):
        done = subprocess.run([program, *what], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        print(done.stdout.strip().splitlines()[-1] if done.stdout else done.stderr[-300:], flush=True)


def measure():
    """{file: {line: (count, {branch: count})}}: what several objects made of one line is added up."""
    lines = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, collections.Counter()]))
    for notes in sorted(BUILD.glob("daemon/core/**/*.gcno")):
        done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", str(notes)],
                              cwd=BUILD, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
        for document in done.stdout.splitlines():
            if not document.strip():
                continue
            for file in json.loads(document)["files"]:
                path = Path(file["file"])
                path = path if path.is_absolute() else BUILD / path
                try:
                    name = str(path.resolve().relative_to(ROOT))
                except ValueError:
                    continue
                if not name.startswith(CORE) or NOT_CORE.search(name):
                    continue
                for line in file["lines"]:
                    entry = lines[name][line["line_number"]]
                    entry[0] += line["count"]
                    real = [b for b in line["branches"] if not b["throw"]]
                    for number, branch in enumerate(real):
                        entry[1][number] += branch["count"]
    return lines


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--histories", type=int, default=2000)
    options.add_argument("--list", type=Path)
    o = options.parse_args()
    if not (BUILD / "bin/holdfast-sim").exists():
        sys.exit("coverage: there is no build: cmake --preset coverage && cmake --build --preset coverage")
    play(o.histories)
    totals, unreached = [0, 0, 0, 0], []
    for name, lines in sorted(measure().items()):
        text = (ROOT / name).read_text().splitlines()
        found = [0, 0, 0, 0]
        for number, (count, branches) in sorted(lines.items()):
            source = text[number - 1].strip() if number <= len(text) else ""
            if NEVER.search(source):
                continue
            found[1] += 1
            found[0] += count > 0
            found[3] += len(branches)
            found[2] += sum(1 for taken in branches.values() if taken)
            if not count:
                unreached.append(f"{name}:{number}: line: {source}")
            elif any(not taken for taken in branches.values()):
                never = sum(1 for taken in branches.values() if not taken)
                unreached.append(f"{name}:{number}: {never} of {len(branches)} branches: {source}")
        totals = [a + b for a, b in zip(totals, found)]
        share = lambda part, whole: f"{100 * part / whole:5.1f} %" if whole else "   -   "
        print(f"{name:60} lines {share(found[0], found[1])} of {found[1]:4}   branches {share(found[2], found[3])} of {found[3]:4}")
    print(f"daemon/core: {100 * totals[0] / totals[1]:.1f} % of {totals[1]} lines, {100 * totals[2] / totals[3]:.1f} % of {totals[3]} branches")
    if o.list:
        o.list.write_text("\n".join(unreached) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
