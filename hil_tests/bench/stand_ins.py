"""Bad units on a serial line, to try the bench with: no unit of ours, one that floods the line, one
that ends in the middle of a test, one that answers late, none at all, another one of ours.

    python stand_ins.py babbling /dev/pts/3
"""

from __future__ import annotations

import os
import sys
import time

GREETING = b"\r\nalpr-edge 0.1.0 on %s\r\n"
NEW = b"\r\nfirst-boot secret: "


def main() -> None:
    """Be that unit until ended."""
    kind, port = sys.argv[1:3]
    line = os.open(port, os.O_RDWR | os.O_NOCTTY)
    while True:
        if kind == "babbling":
            os.write(line, b"\x00\xff\x55garbage" * 300)
            continue
        typed = os.read(line, 256)
        if kind == "late":
            time.sleep(3600)
        if kind == "wrong" and typed:
            os.write(line, b"\r\nDebian GNU/Linux 12 other ttyS0\r\n\r\nlogin: ")
        if kind == "another" and typed:
            os.write(line, GREETING % b"other-0009" + NEW)
        if kind == "slow" and typed:
            os.write(line, b"alpr-edge is starting\r\n")
        if kind == "dying" and typed:
            # It greets, and is gone with the first answer.
            os.write(line, GREETING % b"bad-0001" + b"Secret of this unit: aaaa\r\n" + NEW)
            if typed.strip(b"\r\n\x03"):
                return


if __name__ == "__main__":
    main()
