"""A process that can be found again by another harness: its id together with its start time, kept in a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from .config import wait_for


def _start_time(pid: int) -> int | None:
    """Start time in clock ticks, or None when the process is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


class Process:
    """Starts, signals and ends exactly one process, never by name."""

    def __init__(self, record: Path) -> None:
        self.record = record
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self, argv: list[str], log: Path) -> None:
        with open(log, "ab") as output:
            self._popen = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        pid = self._popen.pid
        temporary = self.record.with_suffix(".new")
        temporary.write_text(json.dumps({"pid": pid, "started": _start_time(pid)}))
        temporary.rename(self.record)

    @property
    def pid(self) -> int | None:
        """The id while the process lives."""
        if self._popen:
            if self._popen.poll() is not None:
                return None
            return self._popen.pid
        try:
            known = json.loads(self.record.read_text())
        except (OSError, ValueError):
            return None
        pid = int(known["pid"])
        return pid if known["started"] is not None and _start_time(pid) == known["started"] else None

    def signal(self, number: int) -> None:
        pid = self.pid
        if pid is None:
            raise ProcessLookupError(f"{self.record.stem} is not running")
        os.kill(pid, number)

    def kill(self) -> None:
        """SIGKILL, and waits until it is really gone. No error when it was gone already."""
        deadline = time.monotonic() + 30
        while (pid := self.pid) is not None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {pid} does not die")
            time.sleep(0.005)
        self._popen = None
        self.record.unlink(missing_ok=True)

    def wait_gone(self, timeout: float) -> None:
        wait_for(f"end of {self.record.stem}", lambda: self.pid is None, timeout)
