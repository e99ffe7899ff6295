#!/usr/bin/python3
"""clang-tidy over the base and the core (.clang-tidy says what for), from the build's compile_commands.json."""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
PARTS = ("daemon/base/", "daemon/core/")


def lint(entry: dict) -> str:
    """What is wrong with one file, or nothing."""
    words = shlex.split(entry["command"])
    # GCC's own options mean nothing to clang, and its coroutines header asks for a macro that clang does not set.
    keep = [w for w in words if re.match(r"-(D|I|std=|isystem|O\d|fPIC)", w)]
    out = subprocess.run(["clang-tidy", "--quiet", entry["file"], "--", *keep, "-D__cpp_impl_coroutine=201902L", "-Wno-everything"],
                         cwd=entry["directory"], capture_output=True, text=True)
    return "" if out.returncode == 0 else f"{entry['file']}: clang-tidy ended with {out.returncode}\n{out.stdout}{out.stderr}"


def main() -> int:
    entries = {e["file"]: e for e in json.loads((BUILD / "compile_commands.json").read_text())}
    mine = [e for f, e in sorted(entries.items())
            if (rel := os.path.relpath(f, ROOT)).startswith(PARTS) and not rel.endswith("_test.cc") and "/tests/" not in rel]
    if not mine:
        print("lint: no file of the core in build/release/compile_commands.json: build first", file=sys.stderr)
        return 2
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [p for p in pool.map(lint, mine) if p]
    print("\n".join(problems) if problems else f"lint: {len(mine)} files are clean")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
