"""A small QMP client: QEMU's own control channel, used for pause, link state and reset."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

from .config import patient


class QmpError(RuntimeError):
    """QEMU refused a command or does not answer (it may be stopped by a signal)."""


class Qmp:
    """Connects on first use; one command at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._lock = threading.Lock()

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None
        self._buffer = b""

    def _line(self, deadline: float) -> dict[str, Any]:
        assert self._socket
        while b"\n" not in self._buffer:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise QmpError(f"{self.path.name}: no answer")
            self._socket.settimeout(remaining)
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                raise QmpError(f"{self.path.name}: {error}") from error
            if not data:
                raise QmpError(f"{self.path.name}: QEMU is gone")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return dict(json.loads(line))

    def _exchange(self, command: dict[str, Any], deadline: float) -> Any:
        assert self._socket
        self._socket.settimeout(max(0.1, deadline - time.monotonic()))
        self._socket.sendall(json.dumps(command).encode() + b"\n")
        while True:
            answer = self._line(deadline)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise QmpError(f"{command['execute']}: {answer['error'].get('desc')}")

    def command(self, name: str, /, timeout: float = 20.0, **arguments: Any) -> Any:
        """Executes one command and returns its result."""
        deadline = time.monotonic() + patient(timeout)
        with self._lock:
            try:
                if not self._socket:
                    self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
                    self._socket.settimeout(max(0.1, deadline - time.monotonic()))
                    self._socket.connect(str(self.path))
                    self._line(deadline)  # greeting
                    self._exchange({"execute": "qmp_capabilities"}, deadline)
                return self._exchange({"execute": name, "arguments": arguments}, deadline)
            except (QmpError, OSError) as error:
                self.close()  # whatever comes later on this connection belongs to the failed command
                raise error if isinstance(error, QmpError) else QmpError(f"{name}: {error}") from error
