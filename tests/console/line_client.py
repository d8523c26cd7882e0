"""A unit's files, a real `alpr-edge` process on them, and a technician's terminal program."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import serial
from tests.console.console_samples import CITY, PASSWORD, Login, ring_of, users_of_all_roles

from alpr_edge.config.store import load
from alpr_edge.console.accounts import Accounts
from alpr_edge.console.secrets_of import totp_code
from alpr_edge.delivery.clocks import SetClocks, SystemClocks
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.trust.keyring import persons_payload

WITHIN_S = 60.0
_CONFIG = """\
[device]
id = "unit-1"
site = "Elm Street"
camera = "cam0"
[source]
kind = "street"
width = 320
height = 192
realtime = true
duration_s = 600.0
vehicles = 5
[exclusion]
mask_store = "masks"
[outbox]
path = "outbox.sqlite3"
keep_key_in = "file"
[mqtt]
host = "127.0.0.1"
port = 1
[trust]
require_signatures = false
city_keys = "city-keys"
persons = "persons.json"
[clock]
accept = "assumed"
[site]
required = false
[run]
on_stop = "idle"
status_file = "status.json"
threads = 1
"""


@dataclass
class UnitFiles:
    """A unit that was set up: users with keys that the city has listed."""

    folder: Path
    config: Path
    logins: dict[str, Login]

    def code(self, name: str) -> str:
        """A second factor that was not used yet: recovery codes are each good once."""
        login = self.logins[name]
        first, *login.recovery = login.recovery  # type: ignore[assignment]
        return first


def make_unit(folder: Path, *, port: Path | None = None, baud: int = 115_200) -> UnitFiles:
    console = f'[console]\nport = "{port}"\nbaud = {baud}\n' if port is not None else ""
    config = folder / "device.toml"
    config.write_text(_CONFIG + console)
    clocks = SetClocks()
    logins = users_of_all_roles(folder / "console", clocks)
    (folder / "city-keys").write_text(f"{CITY.public}\n")
    ring = ring_of(logins)
    persons = sign(DocumentType.PERSONS, persons_payload(1, ring.persons), CITY)
    (folder / "persons.json").write_bytes(persons)
    load(config)
    return UnitFiles(folder, config, {k: Login(**vars(v)) for k, v in logins.items()})


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real `alpr-edge`; killed at the end if it still runs."""
    environment = {**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"}
    with subprocess.Popen(
        [sys.executable, "-m", "alpr_edge", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()


class Technician:
    """A terminal program at the laptop's end."""

    def __init__(self, path: Path) -> None:
        end = time.monotonic() + WITHIN_S
        while not path.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        self.port = serial.Serial(str(path), timeout=0.05, write_timeout=WITHIN_S)
        self.seen = ""

    def __enter__(self) -> Technician:
        return self

    def __exit__(self, *_: object) -> None:
        self.port.close()

    def send(self, text: str) -> None:
        self.port.write(text.encode())

    def until(self, *wanted: str) -> str:
        """What came up to the end of one of these; fails if none comes."""
        end = time.monotonic() + WITHIN_S
        while True:
            found = [self.seen.index(one) + len(one) for one in wanted if one in self.seen]
            if found:
                at = min(found)
                came, self.seen = self.seen[:at], self.seen[at:]
                return came
            assert time.monotonic() < end, f"no {wanted} in {self.seen[-2000:]!r}"
            self.seen += self.port.read(max(1, self.port.in_waiting)).decode("utf-8", "replace")

    def ask(self, line: str, prompt: str = "alpr-edge") -> str:
        """A command and its answer up to the next prompt."""
        self.send(f"{line}\r")
        self.until("\r\n")
        return self.until(f"{prompt}> ", f"{prompt}# ")

    def log_in(self, unit: UnitFiles, name: str) -> None:
        """Wake the line and come in; answers only what is asked."""
        self.send("\r")
        self.until("login: ")
        # Another one may be on its way, for Enter that was one too many.
        self.send(f"{name}\r")
        self.until("password: ")
        self.send(f"{PASSWORD}\r")
        self.until("code: ")
        self.send(f"{unit.code(name)}\r")
        self.until("alpr-edge> ", "alpr-edge# ")
        # No pager: how long an answer is must not matter.
        self.ask("terminal length 0")

    def narrow(self, unit: UnitFiles) -> None:
        """`commit`, up to the last secret; the answer is not waited for."""
        self.send("commit reason test\r")
        self.until("second person (empty: sign it elsewhere): ")
        self.send("sam\r")
        self.until("password of anna: ")
        self.send(f"{PASSWORD}\r")
        self.until("password of sam: ")
        self.send(f"{PASSWORD}\r")
        self.until("code of sam: ")
        self.send(f"{unit.code('sam')}\r")


def new_code(unit: UnitFiles, name: str) -> str:
    return totp_code(unit.logins[name].totp, SystemClocks().wall_s())


__all__ = ["Accounts", "Technician", "UnitFiles", "make_unit", "new_code", "process"]
