"""The Debian package on machines that never saw a build, and README's deployment section, taken literally."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from holdfast_lab import config

LAB = {"nodes": 2}
BUILD = Path(os.environ.get("HOLDFAST_BUILD", config.REPOSITORY / "build" / "release"))
README = (config.REPOSITORY / "README.md").read_text()

#: Run in the guest: libraries that the installed programs load, but whose packages `Depends` does not pull in.
CLOSURE = r"""
import re, subprocess, sys
def out(*argv): return subprocess.run(argv, capture_output=True, text=True).stdout
depends, provides = {}, {}
for line in out("dpkg-query", "-W", "-f", "${Package}|${Pre-Depends},${Depends}|${Provides}|${Essential}\n").splitlines():
    # Alternatives contain bars themselves.
    name, rest = line.split("|", 1)
    wanted, given, essential = rest.rsplit("|", 2)
    depends[name] = [word.split()[0].split(":")[0] for word in re.split(r"[,|]", wanted) if word.strip()]
    for word in given.split(","):
        if word.strip(): provides.setdefault(word.split()[0], []).append(name)
    if essential == "yes": depends.setdefault("", []).append(name)
seen, todo = set(), ["holdfast", *depends.get("", [])]
while todo:
    name = todo.pop()
    for real in [name, *provides.get(name, [])]:
        if real in depends and real not in seen:
            seen.add(real)
            todo += depends[real]
missing = set()
for path in out("dpkg", "-L", "holdfast").split():
    if not re.search(r"/s?bin/|\.so$|holdfast-monitor$", path): continue
    for line in out("ldd", path).splitlines():
        if "not found" in line: missing.add(path + ": " + line.strip())
        found = re.search(r"=> (/\S+)", line)
        if not found: continue
        owners = out("dpkg", "-S", found[1]) or out("dpkg", "-S", "/usr" + found[1]) or out("dpkg", "-S", found[1].removeprefix("/usr"))
        if not owners or owners.split(":")[0] not in seen: missing.add(path + " needs " + found[1] + " of " + (owners or "nobody"))
print("\n".join(sorted(missing)))
"""


@pytest.fixture(scope="module")
def deb(tmp_path_factory) -> Path:
    """The package as ./run package makes it."""
    if not (BUILD / "CPackConfig.cmake").exists():
        pytest.skip("no build to package (HOLDFAST_BUILD)")
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run(["cpack", "-G", "DEB", "-B", str(folder)], cwd=BUILD, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    (made,) = folder.glob("*.deb")
    return made


@pytest.fixture(scope="module")
def installed(lab, deb):
    """Every node with the package, installed as README says; without a network apt can use only what is there already."""
    command = re.search(r"^apt install (\S+)", README, re.MULTILINE)
    assert command and command[1] == f"./{deb.name}", f"README installs {command and command[1]}, the package is {deb.name}"

    def install(node) -> None:
        assert node.run("command -v holdfast holdfastd").rc != 0, "the guest has the product already"
        node.put(f"/root/{deb.name}", deb)
        node.check(f"cd /root && DEBIAN_FRONTEND=noninteractive apt-get install -y {command[1]} && sync", timeout=240)

    lab.each(install)
    return lab.nodes


def test_files_are_where_they_belong(deb):
    listed = subprocess.run(["dpkg-deb", "-c", str(deb)], check=True, capture_output=True, text=True).stdout
    files = {line.split(maxsplit=5)[5].removeprefix(".") for line in listed.splitlines() if not line.startswith("d")}
    for wanted in ("/usr/bin/holdfast", "/usr/sbin/holdfastd", "/usr/lib/holdfast/holdfast-monitor", "/usr/include/holdfast/resource.h",
                   "/lib/systemd/system/holdfastd.service", "/usr/share/man/man8/holdfast.8", "/usr/share/doc/holdfast/holdfast.toml.sample",
                   *(f"/usr/lib/holdfast/resources/{t}.so" for t in ("filesystem", "generic-program", "ip-address", "physical-disk"))):
        assert wanted in files, (wanted, sorted(files))
    # A second copy of a plug-in or of the monitor would be the one that is not upgraded, or not found.
    names = [Path(f).name for f in files if f.endswith(".so") or "/holdfast-monitor" in f]
    assert len(names) == len(set(names)), sorted(files)
    assert not [f for f in files if f.startswith(("/usr/local", "/usr/libexec", "/opt"))], sorted(files)


def test_plug_in_header_compiles(deb, tmp_path):
    subprocess.run(["dpkg-deb", "-x", str(deb), str(tmp_path)], check=True)
    source = tmp_path / "plug-in.c"
    source.write_text("#include <holdfast/resource.h>\n")
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                    "-I", str(tmp_path / "usr/include"), str(source)], check=True)  # fmt: skip


def test_installs_on_a_bare_machine(installed):
    node = installed[0]
    assert "cluster" in node.check("holdfast --help") and "holdfast 0.1.0" in node.check("dpkg-query -W -f '${Package} ${Version}' holdfast")
    assert node.check("holdfast version").strip()
    assert node.check("getent group holdfast-admin")
    verified = node.run("systemd-analyze verify --man=no holdfastd.service", timeout=60)
    assert verified.rc == 0 and "holdfastd" not in verified.out + verified.err, verified
    # Nothing starts before there is a cluster.
    assert node.run("systemctl is-active holdfastd").out.strip() == "inactive"
    node.put("/root/closure.py", CLOSURE)
    assert node.check("/usr/bin/python3 /root/closure.py", timeout=120).strip() == ""


def wait_status(node, what: str, condition: str, timeout: float = 90.0) -> None:
    node.wait(what, f"holdfast cluster status --json | /usr/bin/python3 -c 'import json,sys; s = json.load(sys.stdin); sys.exit(not ({condition}))'",
              timeout)


def test_one_machine_with_a_file_for_the_quorum(installed):
    """README: "To try the command line and plug-ins on one machine"."""
    node = installed[0]
    command = re.search(r"`(holdfast cluster create --name try[^`]*)`", README)
    assert command
    node.check(" ".join(command[1].split()), timeout=120)
    assert node.check("systemctl is-active holdfastd").strip() == "active" and node.check("systemctl is-enabled holdfastd").strip() == "enabled"
    wait_status(node, "it is a member", 's["phase"] == "member"')
    node.check("holdfast group create g && holdfast resource create p --group g --type generic-program 'CommandLine=/bin/sleep 100000'")
    node.check("holdfast group online g", timeout=90)
    sleeper = node.check("pgrep -xf '/bin/sleep 100000'").split()
    assert len(sleeper) == 1
    # What was configured is there after a restart, and brought online again.
    node.check("systemctl restart holdfastd", timeout=120)
    wait_status(node, "the group is online again", 's["groups"][0]["state_text"] == "Online"')
    assert node.check("pgrep -xf '/bin/sleep 100000'").split() != sleeper
    # An upgrade leaves the running service alone.
    before = node.check("systemctl show -P MainPID holdfastd")
    node.check("dpkg -i /root/holdfast_*.deb", timeout=120)
    assert node.check("systemctl show -P MainPID holdfastd") == before
    # Removal stops it and what it ran; a cluster's configuration is not the package's to delete.
    node.check("DEBIAN_FRONTEND=noninteractive apt-get purge -y holdfast", timeout=180)
    assert node.run("pgrep -x holdfastd").rc == 1 and node.run("pgrep -xf '/bin/sleep 100000'").rc == 1
    assert node.check("ls /etc/holdfast").strip()
    node.check("cd /root && apt-get install -y ./holdfast_*.deb", timeout=180)
    destroyed = node.run("holdfast cluster destroy --yes", timeout=120)
    # The lab mounts /var/lib/holdfast from the node's own disk, so that the empty directory itself cannot go.
    assert destroyed.rc == 0 or "not removed: /var/lib/holdfast (Device or resource busy)" in destroyed.err, destroyed
    # .seeded is the lab's mark of a disk that it has filled.
    assert node.check("find /etc/holdfast /var/lib/holdfast -type f ! -name .seeded 2>/dev/null; true") == ""


def test_the_deployment_of_the_readme(lab, installed, figures):
    """Every line of README's deployment, in its order, on the machine that its comment names."""
    n1, n2 = installed
    storage = lab.storage
    disk = {name: found[1] for name, found in lab.attach_data().items()}
    assert disk[n1.name] == disk[n2.name], "one line of README names the disk for both"
    literal = {
        "10.0.1.1 ": n1.ip("front") + " ", "10.0.2.1 ": n1.ip("back") + " ", "10.0.1.2 ": n2.ip("front") + " ", "10.0.2.2 ": n2.ip("back") + " ",
        "10.0.2.9:": storage.portal + ":", "10.0.1.50 ": lab.free_ip("front", 0) + " ", "iqn.2026-11.example:s/": storage.iqn + "/",
        "naa.6001405...": "naa." + storage.luns[1].naa, "/dev/sdb": disk[n1.name], "Network=eth0": "Network=front",
    }  # fmt: skip
    app = '#!/bin/sh\nwhile date +%s >>"$1/beat"; do sync -d "$1/beat"; sleep 0.2; done\n'
    for node in installed:
        node.put("/usr/bin/app", app, mode=0o755)
    section = README.split("## A real deployment", 1)[1].split("## Not yet", 1)[0]
    block = section.split("```")[1].replace("\\\n", " ")
    token, done, began = "", 0, time.monotonic()
    for line in filter(None, map(str.strip, block.splitlines())):
        command, _, comment = line.partition(" #")
        command = " ".join(command.split()) + " "
        for example, real in literal.items():
            command = command.replace(example, real)
        if command.startswith("apt install"):
            continue  # done by the fixture, literally
        where = n2 if comment.strip().startswith("on n2") else n1
        out = where.check(command.replace("TOKEN", token) if token else command, timeout=240)
        done += 1
        if "cluster create" in command:
            wait_status(where, "the first node is a member", 's["phase"] == "member"')
            # Emulated machines on shared cores: heartbeats get more patience than on real hardware.
            where.check("holdfast cluster set HeartbeatTimeoutMs=4000 UpdateTimeoutMs=15000", timeout=60)
        if "node add" in command:
            found = re.search(r"holdfast cluster join (\S+)", out)
            assert found, out
            token = found[1]
    assert done >= 11, "the section was not found"
    wait_status(n1, "n2 has the group", '[g["owner"] for g in s["groups"] if g["state_text"] == "Online"] == ["n2"]')
    assert "/srv/db ext4" in n2.check("cat /proc/mounts") and "/srv/db" not in n1.check("cat /proc/mounts")
    assert lab.free_ip("front", 0) in n2.check("ip -4 addr show dev front")
    n2.wait("the program writes", 'a=$(stat -c %s /srv/db/beat); sleep 1; [ "$(stat -c %s /srv/db/beat)" -gt "$a" ]')
    figures(f"README's deployment: {done} commands, {time.monotonic() - began:.0f} s")
