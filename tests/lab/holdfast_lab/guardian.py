"""Removes a lab when the harness is gone, however it went: started by `Lab` with a pipe that only the harness holds."""

from __future__ import annotations

import signal
import sys

from . import lab


def main() -> int:
    # The end of the harness may come with a signal to everybody; the guardian must outlive that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    lab.remove(sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
