#!/usr/bin/python3
"""What is delivered beside the programs: unit file, maintainer scripts, completion, manual."""
import pathlib
import re
import shutil
import subprocess
import sys

folder = pathlib.Path(sys.argv[1])
problems = []


def run(*argv: str) -> subprocess.CompletedProcess:
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


unit = (folder / "holdfastd.service").read_text()
options = {line.split("=", 1)[0]: line.split("=", 1)[1] for line in unit.splitlines() if re.match(r"^[A-Z]\w+=", line)}
# A mount namespace of its own would hide the cluster's mounts from the host.
for name in ("PrivateMounts", "PrivateTmp", "PrivateDevices", "ProtectSystem", "ProtectHome", "ProtectKernelTunables",
             "ProtectKernelModules", "ProtectControlGroups", "ProtectKernelLogs", "ReadWritePaths", "ReadOnlyPaths",
             "InaccessiblePaths", "TemporaryFileSystem", "BindPaths", "RootDirectory", "DynamicUser", "ProtectProc"):
    if name in options:
        problems.append(f"holdfastd.service: {name} unshares the mount namespace")
for name, value in {"Type": "notify", "KillMode": "process", "Delegate": "yes", "LimitMEMLOCK": "infinity",
                    "RuntimeDirectory": "holdfast", "StateDirectory": "holdfast"}.items():
    if options.get(name) != value:
        problems.append(f"holdfastd.service: {name}={options.get(name)}, expected {value}")
if shutil.which("systemd-analyze"):
    verified = run("systemd-analyze", "verify", "--man=no", str(folder / "holdfastd.service"))
    for line in verified.stderr.splitlines():
        # The program is not installed where this runs.
        if "holdfastd.service" in line and "not executable" not in line and "is not executable" not in line:
            problems.append(line)

for script in sorted((folder / "debian").iterdir()):
    if run("sh", "-n", str(script)).returncode != 0:
        problems.append(f"{script.name}: does not parse")
    if not script.stat().st_mode & 0o111:
        problems.append(f"{script.name}: not executable")
    for line in script.read_text().splitlines():
        if re.match(r"\s*(systemctl|deb-systemd-invoke)\s+(re|try-re)?start", line) or "try-restart" in line:
            problems.append(f"{script.name}: restarts the service: {line.strip()}")
if run("bash", "-n", str(folder / "holdfast.bash-completion")).returncode != 0:
    problems.append("holdfast.bash-completion does not parse")
if shutil.which("man"):
    manual = run("man", "--warnings", "-l", "-Tutf8", str(folder / "holdfast.8"))
    if manual.returncode != 0 or manual.stderr.strip():
        problems.append(f"holdfast.8: {manual.stderr.strip()}")

print("\n".join(problems) or "packaging: fine")
sys.exit(bool(problems))
