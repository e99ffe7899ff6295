#!/usr/bin/python3
"""Writes numbered records through the cluster's address and keeps the books: what was acknowledged must be there.

    record_client.py --connect ADDR:PORT [--count N | --seconds S] [--log FILE]

Runs on the outside of the lab. One record at a time, repeated until it is acknowledged, over as many connections as
it takes. At the end (count or time reached, or SIGTERM/SIGINT) it reads everything back and prints one JSON line:
acknowledged, lost, longest outage. Exit status 0 only if nothing was lost.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, TextIO

from record_service import decode, parse_address


@dataclass
class Report:
    """The books."""

    acked: int = 0
    lost: int = 0
    verified: bool = False
    damaged: int = 0
    #: Longest time between two acknowledgements (or the start and the first), and when it began (seconds from start).
    longest_outage: float = 0.0
    outage_began: float = 0.0
    #: Acknowledgements that took longer than half a second, one after the other.
    outages: list[tuple[float, float]] = field(default_factory=list)
    connections: int = 0
    failures: int = 0
    seconds: float = 0.0
    lost_numbers: list[int] = field(default_factory=list)


class RecordClient:
    """One writer. `stop` may be called from a signal handler or another thread."""

    def __init__(
        self,
        address: str,
        connect_timeout: float = 0.5,
        io_timeout: float = 1.0,
        interval: float = 0.02,
        log: TextIO | None = None,
        first: int = 1,
    ) -> None:
        self.address = parse_address(address)
        self.connect_timeout = connect_timeout
        self.io_timeout = io_timeout
        self.interval = interval
        self.log = log
        self.next = first
        self.acked: set[int] = set()
        self.report = Report()
        self._stopped = False
        self._link: socket.socket | None = None
        self._file: BinaryIO | None = None

    def stop(self) -> None:
        self._stopped = True

    def _close(self) -> None:
        if self._file:
            self._file.close()
        if self._link:
            self._link.close()
        self._link = self._file = None

    def _connection(self) -> tuple[socket.socket, BinaryIO]:
        if not self._link or not self._file:
            self._link = socket.create_connection(self.address, self.connect_timeout)
            self._link.settimeout(self.io_timeout)
            self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._file = self._link.makefile("rb")
            self.report.connections += 1
        return self._link, self._file

    def _put(self, number: int) -> bool:
        try:
            link, file = self._connection()
            link.sendall(b"PUT %d\n" % number)
            if file.readline() == b"OK %d\n" % number:
                return True
        except OSError:
            pass
        # Whatever comes late on this connection would be taken for the answer to something else.
        self._close()
        self.report.failures += 1
        return False

    def write(self, count: int | None = None, seconds: float | None = None) -> Report:
        """Writes until the count, the time or `stop`."""
        start = last = time.monotonic()
        report = self.report
        while not self._stopped and (count is None or len(self.acked) < count):
            now = time.monotonic()
            if seconds is not None and now - start >= seconds:
                break
            if not self._put(self.next):
                time.sleep(min(0.05, self.connect_timeout))
                continue
            now = time.monotonic()
            gap = now - last
            if gap > report.longest_outage:
                report.longest_outage, report.outage_began = gap, last - start
            if gap > 0.5:
                report.outages.append((round(last - start, 3), round(gap, 3)))
            last = now
            self.acked.add(self.next)
            if self.log:
                self.log.write(f"{now:.6f} {self.next}\n")
                self.log.flush()
            self.next += 1
            if self.interval:
                time.sleep(self.interval)
        # An outage that never ended counts as well.
        end = time.monotonic()
        if end - last > max(report.longest_outage, 2 * self.interval):
            report.longest_outage, report.outage_began = end - last, last - start
        report.acked = len(self.acked)
        report.seconds = end - start
        self._close()
        return report

    def verify(self, timeout: float = 60.0) -> Report:
        """Reads everything back; tries until the service answers or the time is over."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                found, damaged = self._fetch()
                break
            except (OSError, ValueError):
                self._close()
                if time.monotonic() >= deadline:
                    return self.report
                time.sleep(0.2)
        missing = sorted(self.acked - found)
        self.report.verified = True
        self.report.lost = len(missing)
        self.report.lost_numbers = missing[:20]
        self.report.damaged = damaged
        self._close()
        return self.report

    def _fetch(self) -> tuple[set[int], int]:
        link, file = self._connection()
        link.settimeout(max(self.io_timeout, 10.0))
        link.sendall(b"GET\n")
        found: set[int] = set()
        damaged = 0
        while True:
            line = file.readline()
            if line.startswith(b"END "):
                return found, damaged
            if not line.endswith(b"\n"):
                raise ValueError("cut off")
            number = decode(line)
            if number is None:
                damaged += 1
            else:
                found.add(number)

    def who(self) -> str | None:
        """Which host serves now."""
        try:
            link, file = self._connection()
            link.sendall(b"WHO\n")
            return file.readline().decode().split()[1]
        except (OSError, IndexError):
            self._close()
            return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connect", required=True, metavar="ADDR:PORT")
    parser.add_argument("--count", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--interval", type=float, default=0.02, help="pause between records")
    parser.add_argument("--first", type=int, default=1, help="number of the first record")
    parser.add_argument("--connect-timeout", type=float, default=0.5)
    parser.add_argument("--io-timeout", type=float, default=1.0)
    parser.add_argument("--verify-timeout", type=float, default=60.0)
    parser.add_argument("--log", type=Path, help='a line "monotonic-time number" for each acknowledgement')
    options = parser.parse_args()
    log = open(options.log, "w") if options.log else None
    client = RecordClient(
        options.connect, options.connect_timeout, options.io_timeout, options.interval, log, options.first
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: client.stop())
    client.write(options.count, options.seconds)
    report = client.verify(options.verify_timeout)
    if log:
        log.close()
    print(json.dumps(asdict(report)), flush=True)
    return 0 if report.verified and not report.lost and not report.damaged else 1


if __name__ == "__main__":
    sys.exit(main())
