"""The harness's side of the agent (agent.c): commands and files over virtio-serial, each with a time limit."""

from __future__ import annotations

import os
import queue
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .config import patient

MAGIC = b"HFAGENT1"
HEADER = struct.Struct("<8sIII")
#: A guest that answers at all needs a few milliseconds; under emulation on a busy machine, seconds.
GRACE = 15.0
MAX_FRAME = 1 << 20


class AgentError(RuntimeError):
    """The agent cannot be reached or made no sense."""


class CommandTimeout(AgentError):
    """A command did not end within its limit and was killed (or the machine does not answer at all)."""


class CommandFailed(AgentError):
    """A command that had to succeed did not."""


class Result(NamedTuple):
    """What a command left: exit status (negative: the signal that killed it) and its exact output."""

    rc: int
    out: str
    err: str


@dataclass(frozen=True)
class _Frame:
    kind: str
    payload: bytes


class AgentPort:
    """One virtio-serial port. Not safe for several threads: `Agent` hands ports out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        # Starts at random, so that answers to an earlier harness are never taken for ours.
        self._seq = int.from_bytes(os.urandom(3), "little")

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None
        self._buffer.clear()

    def _connect(self) -> socket.socket:
        if not self._socket:
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                link.connect(str(self.path))
            except OSError as error:
                link.close()
                raise AgentError(f"{self.path.name}: {error}") from error
            link.setblocking(False)
            self._socket = link
            self._buffer.clear()
        return self._socket

    def _send(self, data: bytes, deadline: float) -> None:
        link = self._connect()
        view = memoryview(data)
        while view:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                self.close()  # half a request is on its way: the agent drops it when the line goes down
                raise CommandTimeout(f"{self.path.name}: the machine takes no input")
            # Reads meanwhile, so that neither side waits for the other with full buffers.
            readable, writable, _ = select.select([link], [link], [], min(remaining, 1.0))
            try:
                if readable:
                    self._receive(link)
                if writable:
                    view = view[link.send(view[:65536]) :]
            except OSError as error:
                self.close()
                raise AgentError(f"{self.path.name}: {error}") from error

    def _receive(self, link: socket.socket) -> None:
        try:
            data = link.recv(1 << 18)
        except BlockingIOError:
            return
        if not data:
            self.close()
            raise AgentError(f"{self.path.name}: the machine is gone")
        self._buffer += data

    def _frames(self, seq: int, deadline: float) -> Iterator[_Frame]:
        """Answers to request `seq`, until the deadline; everything else on the line is dropped."""
        while True:
            start = self._buffer.find(MAGIC)
            if start < 0:
                del self._buffer[: max(0, len(self._buffer) - len(MAGIC) + 1)]
            else:
                del self._buffer[:start]
                if len(self._buffer) >= HEADER.size:
                    _, got, kind, length = HEADER.unpack_from(self._buffer)
                    if got != seq or length > MAX_FRAME or kind > 127:
                        # An old answer, perhaps a torn one whose rest will never come: look for the next header.
                        del self._buffer[: len(MAGIC)]
                        continue
                    if len(self._buffer) >= HEADER.size + length:
                        payload = bytes(self._buffer[HEADER.size : HEADER.size + length])
                        del self._buffer[: HEADER.size + length]
                        yield _Frame(chr(kind), payload)
                        continue
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise CommandTimeout(f"{self.path.name}: no answer")
            link = self._connect()
            if select.select([link], [], [], min(remaining, 1.0))[0]:
                try:
                    self._receive(link)
                except OSError as error:
                    self.close()
                    raise AgentError(f"{self.path.name}: {error}") from error

    def _request(self, kind: str, payload: bytes, deadline: float) -> Iterator[_Frame]:
        self._seq = (self._seq + 1) & 0xFFFFFFFF
        seq = self._seq
        self._send(HEADER.pack(MAGIC, seq, ord(kind), len(payload)) + payload, deadline)
        return self._frames(seq, deadline)

    def hello(self, timeout: float) -> str:
        """The guest's boot id; proves that the agent answers."""
        for frame in self._request("H", b"", time.monotonic() + timeout):
            if frame.kind == "H":
                return frame.payload.decode().strip()
        raise AssertionError("unreachable")

    def run(
        self,
        command: str,
        timeout: float,
        stdin: bytes = b"",
        on_output: Callable[[str, bytes], None] | None = None,
    ) -> tuple[int, bytes, bytes]:
        text = command.encode()
        body = struct.pack("<II", max(1, int(timeout * 1000)), len(text)) + text + stdin
        out, err = bytearray(), bytearray()
        # Two limits: the agent kills the command after `timeout`; the grace is for a guest that is slow or dead.
        deadline = time.monotonic() + timeout + patient(GRACE)
        try:
            for frame in self._request("R", body, deadline):
                if frame.kind in "OE":
                    (out if frame.kind == "O" else err).extend(frame.payload)
                    if on_output:
                        on_output(frame.kind, frame.payload)
                elif frame.kind == "X":
                    status, timed_out = struct.unpack("<iI", frame.payload)
                    if timed_out:
                        raise CommandTimeout(
                            f"killed after {timeout:.1f} s: {command}\n{out.decode(errors='replace')[-2000:]}"
                            f"{err.decode(errors='replace')[-2000:]}"
                        )
                    return status, bytes(out), bytes(err)
        except CommandTimeout:
            self._abandon()
            raise
        raise AssertionError("unreachable")

    def send_only(self, command: str) -> None:
        """Starts a command without waiting for its end: a reboot, say."""
        text = command.encode()
        body = struct.pack("<II", 60000, len(text)) + text
        self._request("R", body, time.monotonic() + patient(5))

    def _abandon(self) -> None:
        """Asks to kill what runs; never waits. The next request does the same in any case."""
        if self._socket:
            try:
                self._socket.send(HEADER.pack(MAGIC, self._seq, ord("K"), 0))
            except OSError:
                pass

    def _status(self, frames: Iterator[_Frame], out: bytearray | None = None) -> int:
        for frame in frames:
            if frame.kind == "O" and out is not None:
                out.extend(frame.payload)
            elif frame.kind == "X":
                return int(struct.unpack("<iI", frame.payload)[0])
        raise AssertionError("unreachable")

    def put(self, path: str, data: bytes, mode: int, timeout: float) -> None:
        name = path.encode()
        body = struct.pack("<II", mode, len(name)) + name + data
        error = self._status(self._request("P", body, time.monotonic() + timeout))
        if error:
            raise OSError(error, os.strerror(error), path)

    def get(self, path: str, timeout: float) -> bytes:
        out = bytearray()
        error = self._status(self._request("G", path.encode(), time.monotonic() + timeout), out)
        if error:
            raise OSError(error, os.strerror(error), path)
        return bytes(out)


class Agent:
    """All ports of one machine. Several threads may use it: each command takes a free port.

    The last port is kept for `emergency` use (journals, killing things), so that a test whose commands hang on every
    other port can still be looked into.
    """

    def __init__(self, paths: list[Path]) -> None:
        self._ports = [AgentPort(p) for p in paths]
        self._free: queue.LifoQueue[AgentPort] = queue.LifoQueue()
        for port in self._ports[:-1]:
            self._free.put(port)
        self._emergency = threading.Lock()

    @contextmanager
    def port(self, timeout: float, emergency: bool = False) -> Iterator[AgentPort]:
        if emergency:
            with self._emergency:
                yield self._ports[-1]
            return
        try:
            port = self._free.get(timeout=max(timeout, 0.1))
        except queue.Empty:
            raise CommandTimeout("every port of the machine is busy") from None
        try:
            yield port
        finally:
            self._free.put(port)

    def close(self) -> None:
        """Drops the connections (the machine is off); they come back by themselves."""
        for port in self._ports:
            port.close()
