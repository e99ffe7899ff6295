#!/usr/bin/python3
"""The lab from the command line: install what it needs, build its images, keep a lab running to look around.

    lab.py deps                          what a bare Debian 12 needs
    lab.py build-images [--refresh]      build or rebuild what the guests boot from
    lab.py shell [--nodes 3] [--product DIR] [--name N] [--attach]     start a lab that stays
    lab.py run LAB MACHINE COMMAND...    a command in a guest; exit status and output are its own
    lab.py power LAB MACHINE cut|boot|reboot|off|pause|resume|hang|unhang
    lab.py status                        running labs and the cache
    lab.py clean [LAB...] [--images]     remove labs (all by default), and the cached images too
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from holdfast_lab import Lab, accel, config, images  # noqa: E402
from holdfast_lab import lab as lab_module  # noqa: E402


def deps(_: argparse.Namespace) -> int:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    missing = [
        name
        for name in config.DEBIAN_PACKAGES
        if b"install ok installed"
        not in subprocess.run(["dpkg-query", "-W", "-f=${Status}", name], capture_output=True).stdout
    ]
    if not missing:
        print("everything is installed")
        return 0
    print("installing", " ".join(missing), flush=True)
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
    return subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=environment
    ).returncode


def build_images(options: argparse.Namespace) -> int:
    built = images.build(options.refresh)
    print(f"kernel {built.kernel_version}, accelerator {accel.choose(built)}, in {config.CACHE}")
    return 0


def shell(options: argparse.Namespace) -> int:
    lab = Lab(
        nodes=options.nodes, product=options.product, name=options.name, nets=options.nets.split(","), keep=True
    )  # fmt: skip
    try:
        lab.start()
        if options.attach:
            print(lab.attach_data())
    except BaseException:
        print(f"consoles are in {lab.dump()}", file=sys.stderr)
        lab.close()
        raise
    for name, (agent, ready) in lab.times().items():
        print(f"{name}: agent after {agent:.1f} s, ready after {ready:.1f} s")
    print(lab.describe())
    return 0


def run(options: argparse.Namespace) -> int:
    machine = Lab.attach(options.lab).machine(options.machine)

    def show(kind: str, data: bytes) -> None:
        stream = sys.stdout.buffer if kind == "O" else sys.stderr.buffer
        stream.write(data)
        stream.flush()

    return machine.run(" ".join(options.command), options.timeout, on_output=show).rc & 0xFF


def power(options: argparse.Namespace) -> int:
    machine = Lab.attach(options.lab).machine(options.machine)
    {
        "cut": machine.power_cut, "boot": machine.boot, "reboot": machine.reboot, "off": machine.power_off,
        "pause": machine.pause, "resume": machine.resume, "hang": machine.hang, "unhang": machine.unhang,
    }[options.action]()  # fmt: skip
    return 0


def status(_: argparse.Namespace) -> int:
    for name in Lab.running():
        print(Lab.attach(name).describe())
    for entry in images.cached():
        print(f"cached {entry['name']}: {int(str(entry['bytes'])) >> 20} MiB")
    return 0


def clean(options: argparse.Namespace) -> int:
    for name in options.labs or sorted({*Lab.running(), *(p.name for p in config.RUN.glob("*"))}):
        print(f"{name}: {'removed' if lab_module.remove(name) else 'nothing there'}")
    if options.images:
        shutil.rmtree(config.CACHE, ignore_errors=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verbs.add_parser("deps").set_defaults(do=deps)
    verb = verbs.add_parser("build-images")
    verb.add_argument("--refresh", action="store_true")
    verb.set_defaults(do=build_images)
    verb = verbs.add_parser("shell")
    verb.add_argument("--nodes", type=int, default=3)
    verb.add_argument("--product", type=Path, help="a DESTDIR tree that is laid over the root of every node")
    verb.add_argument("--name")
    verb.add_argument("--nets", default="front,back")
    verb.add_argument("--attach", action="store_true", help="attach the data disks to every node")
    verb.set_defaults(do=shell)
    verb = verbs.add_parser("run")
    verb.add_argument("--timeout", type=float, default=300.0)
    verb.add_argument("lab")
    verb.add_argument("machine")
    verb.add_argument("command", nargs=argparse.REMAINDER)
    verb.set_defaults(do=run)
    verb = verbs.add_parser("power")
    verb.add_argument("lab")
    verb.add_argument("machine")
    verb.add_argument("action", choices=["cut", "boot", "reboot", "off", "pause", "resume", "hang", "unhang"])
    verb.set_defaults(do=power)
    verbs.add_parser("status").set_defaults(do=status)
    verb = verbs.add_parser("clean")
    verb.add_argument("labs", nargs="*")
    verb.add_argument("--images", action="store_true")
    verb.set_defaults(do=clean)
    options = parser.parse_args()
    return int(options.do(options))


if __name__ == "__main__":
    sys.exit(main())
