#!/usr/bin/python3
"""clang-format over every C and C++ file of the tree; --write repairs."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "*.cc", "*.h", "*.c"], cwd=ROOT, capture_output=True, text=True)
    files = [f for f in listed.stdout.split() if not f.startswith("kmod/")]
    if "--write" in sys.argv:
        return subprocess.run(["clang-format", "-i", *files], cwd=ROOT).returncode
    result = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        bad = sorted({line.split(":")[0] for line in result.stderr.splitlines() if "error:" in line})
        print("\n".join(f"{f}: not formatted" for f in bad) + "\nrepair with: ./run format")
        return 1
    print(f"format: {len(files)} files are as clang-format wants them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
