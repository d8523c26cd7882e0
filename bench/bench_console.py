"""How fast the console echoes while the service reads at full load, and what memory it takes.

    python -m bench.bench_console [--keys 200] [--baud 115200]

A real `alpr-edge run` reads the simulated street as fast as it can; a terminal types on a
pseudo-terminal. The time of a key is what the process takes, from the byte written to its echo
read; a line at the baud rate adds two bytes' time, which is told apart. Memory is the resident size
with the console (after a login and some commands) less the one without it, both a minute after the
service began to read: it grows meanwhile by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import select
import statistics
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Iterator
from pathlib import Path

from alpr_edge.console.access import Level
from alpr_edge.console.accounts import Accounts
from alpr_edge.console.secrets_of import totp_code
from alpr_edge.delivery.clocks import SystemClocks

PASSWORD = "four words that differ"
CONFIG = """\
[device]
id = "bench"
site = "bench"
[source]
kind = "street"
duration_s = 600.0
vehicles = 40
[exclusion]
mask_file = "masks.json"
[outbox]
path = "outbox.sqlite3"
keep_key_in = "file"
[mqtt]
host = "127.0.0.1"
port = 1
[trust]
require_signatures = false
keep_key_in = "file"
[clock]
accept = "assumed"
[site]
required = false
[run]
status_file = "status.json"
"""


def resident_mb(pid: int) -> float:
    """Resident size of a process in 10^6 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def service(folder: Path, console: str) -> Iterator[subprocess.Popen[bytes]]:
    """A service that reads."""
    config = folder / "device.toml"
    config.write_text(CONFIG + console)
    with subprocess.Popen(
        [sys.executable, "-m", "alpr_edge", "run", "--config", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        try:
            end = time.monotonic() + 120
            while '"reading"' not in _text(folder / "status.json"):
                if running.poll() is not None or time.monotonic() > end:
                    raise SystemExit("the service does not read")
                time.sleep(0.2)
            time.sleep(2.0)
            yield running
        finally:
            running.kill()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _until(master: int, wanted: bytes) -> bytes:
    seen, end = b"", time.monotonic() + 60
    while wanted not in seen:
        if time.monotonic() > end:
            raise SystemExit(f"no {wanted!r} in {seen[-500:]!r}")
        if select.select([master], [], [], 1.0)[0]:
            seen += os.read(master, 4096)
    return seen


def echoes_ms(master: int, keys: int) -> list[float]:
    """Milliseconds from a key to its echo."""
    found = []
    for number in range(keys):
        began = time.monotonic()
        os.write(master, b"x")
        _until(master, b"x")
        found.append(1000 * (time.monotonic() - began))
        if number % 40 == 39:
            os.write(master, b"\x15")
            time.sleep(0.1)
            while select.select([master], [], [], 0)[0]:
                os.read(master, 4096)
        time.sleep(0.02)
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--settle", type=float, default=60.0, metavar="S")
    parser.add_argument("--baud", type=int, default=115_200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "masks.json").write_text('{"masks": [], "nothing_protected": true}')
        with service(folder, "") as running:
            time.sleep(args.settle)
            without = resident_mb(running.pid)
        (folder / "status.json").unlink()
        clocks = SystemClocks()
        accounts = Accounts(folder / "console", clocks)
        first = accounts.add("anna", Level.SUPERVISOR)
        enrolment = accounts.enrolment("anna", "bench")
        code = totp_code(enrolment.totp, clocks.wall_s())
        accounts.set_up("anna", PASSWORD, enrolment, code, first=first)
        master, slave = pty.openpty()
        tty.setraw(slave)
        port = os.ttyname(slave)
        with service(folder, f'[console]\nport = "{port}"\nbaud = {args.baud}\n') as running:
            began = time.monotonic()
            os.write(master, b"\r")
            _until(master, b"login: ")
            os.write(master, b"anna\r" + PASSWORD.encode() + b"\r")
            os.write(master, enrolment.recovery[0].encode() + b"\r")
            _until(master, b"alpr-edge> ")
            found = echoes_ms(master, args.keys)
            os.write(master, b"\x15user add vera viewer\rshow users | no-more\rhelp | no-more\r")
            os.write(master, b"show health | no-more\rshow version\rterminal length 0\r")
            time.sleep(max(3.0, args.settle - (time.monotonic() - began)))
            with_console = resident_mb(running.pid)
        os.close(slave)
        os.close(master)
    line_ms = 1000 * 20 / args.baud
    found.sort()
    print(
        f"echo of {len(found)} keys while the service reads: "
        f"p50 {statistics.median(found):.1f} ms, p95 {found[int(len(found) * 0.95)]:.1f} ms, "
        f"most {found[-1]:.1f} ms; the line adds {line_ms:.2f} ms at {args.baud} baud"
    )
    print(
        f"resident: {with_console:.1f} MB with the console, {without:.1f} MB without: "
        f"{with_console - without:+.1f} MB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
