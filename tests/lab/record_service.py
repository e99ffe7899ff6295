#!/usr/bin/python3
"""A small record server: the application that the cluster keeps alive in demonstrations and tests.

It runs inside a guest, its file on the shared disk. What it has acknowledged is on the disk (fdatasync), so a client
that counts acknowledgements can tell whether a failover lost anything.

Protocol, lines over TCP:  PUT n -> OK n (also when n is there already: a client repeats what was not acknowledged)
                           GET   -> the file's lines, then END count
                           WHO   -> WHO hostname
File: one line "n crc32" a record. At start a torn last line (the power went while it was written; it was never
acknowledged) is cut off; damage anywhere else is an error, because that would be a lost write.
"""

from __future__ import annotations

import argparse
import os
import socket
import socketserver
import sys
import threading
import zlib
from pathlib import Path


class Damaged(Exception):
    """The file holds something that this service cannot have left behind."""


def encode(number: int) -> bytes:
    text = str(number).encode()
    return b"%s %08x\n" % (text, zlib.crc32(text))


def decode(line: bytes) -> int | None:
    """The number of a whole and correct line, else None."""
    number, _, rest = line.partition(b" ")
    return int(number) if number.isdigit() and encode(int(number)) == number + b" " + rest else None


class Records:
    """The file. All methods may be called from several threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._numbers: set[int] = set()
        with os.fdopen(os.dup(self._fd), "rb") as handle:
            lines = handle.read().splitlines(keepends=True)
        good = 0
        for index, line in enumerate(lines):
            number = decode(line)
            if number is None:
                if index != len(lines) - 1:
                    raise Damaged(f"{path}: line {index + 1}: {line!r}")
                os.ftruncate(self._fd, good)
                print(f"cut off a torn record: {line!r}", flush=True)
                break
            self._numbers.add(number)
            good += len(line)
        # The file's name must last as well as its contents.
        os.fsync(self._fd)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)

    def __len__(self) -> int:
        return len(self._numbers)

    def put(self, number: int) -> None:
        """Returns when the record is durable; raises OSError when that is not known."""
        with self._lock:
            if number in self._numbers:
                return
            data = encode(number)
            if os.write(self._fd, data) != len(data):
                raise OSError("short write")
            os.fdatasync(self._fd)
            self._numbers.add(number)

    def all(self) -> bytes:
        with self._lock:
            size = os.fstat(self._fd).st_size
            return os.pread(self._fd, size, 0)


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        records: Records = self.server.records  # type: ignore[attr-defined]
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for line in self.rfile:
                verb, _, argument = line.decode(errors="replace").strip().partition(" ")
                if verb == "PUT" and argument.isdigit():
                    records.put(int(argument))
                    self.wfile.write(f"OK {argument}\n".encode())
                elif verb == "GET":
                    data = records.all()
                    self.wfile.write(data + b"END %d\n" % data.count(b"\n"))
                elif verb == "WHO":
                    self.wfile.write(f"WHO {socket.gethostname()}\n".encode())
                else:
                    self.wfile.write(b"ERR what?\n")
        except (ConnectionError, TimeoutError):
            pass
        except OSError as error:
            # After a failed fdatasync nobody knows what is on the disk: only a new start from the file can tell.
            try:
                print(f"the disk failed: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(4)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


def parse_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def make_server(listen: str, path: Path) -> Server:
    address = parse_address(listen)
    records = Records(path)

    class Chosen(Server):
        address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET

    server = Chosen(address, Handler)
    server.records = records  # type: ignore[attr-defined]
    return server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", required=True, metavar="ADDR:PORT")
    parser.add_argument("--file", required=True, type=Path)
    options = parser.parse_args()
    try:
        server = make_server(options.listen, options.file)
    except Damaged as error:
        print(f"damaged: {error}", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 2
    print(f"serving {len(server.records)} records", flush=True)  # type: ignore[attr-defined]
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
