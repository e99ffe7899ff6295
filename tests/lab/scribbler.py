#!/usr/bin/python3
"""Writes increasing numbers to one block of a disk, without the page cache, for ever: scribbler.py DISK OFFSET STATUS

STATUS holds "TRIED REFUSED WHY": how many writes were tried, how many of them failed, and the last failure. It is replaced
atomically, and only after the write has ended, so TRIED never runs ahead of the disk.
"""

import mmap
import os
import sys
import time


def main() -> None:
    disk, offset, status = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    block = mmap.mmap(-1, 4096)  # O_DIRECT wants an aligned buffer
    fd = os.open(disk, os.O_WRONLY | os.O_DIRECT)
    # Every life of the scribbler begins above all earlier ones.
    number, tried, refused, why = time.time_ns() // 1000, 0, 0, ""
    while True:
        number += 1
        block[:8] = number.to_bytes(8, "little")
        tried += 1
        try:
            os.pwrite(fd, block, offset)
        except OSError as error:
            refused, why = refused + 1, str(error)
        with open(status + ".new", "w") as out:
            out.write(f"{tried} {refused} {why}")
        os.rename(status + ".new", status)
        time.sleep(0.01)


if __name__ == "__main__":
    main()
