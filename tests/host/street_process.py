"""A unit of its own process at the end of a serial line: text, channel, real accounts, the street.

    python street_process.py PORT FOLDER

Prints one line of JSON when it is ready: the second factors of its users. The end of its standard
input stops it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import serial

from alpr_edge.config.mask_store import load_masks
from alpr_edge.console.access import Level
from alpr_edge.console.accounts import Accounts
from alpr_edge.console.channel.end import ChannelEnd
from alpr_edge.console.commands import GRAMMAR
from alpr_edge.console.device import Parcel
from alpr_edge.console.grammar import Mode
from alpr_edge.console.seat import Seat
from alpr_edge.console.secrets_of import totp_code
from alpr_edge.console.session import Session
from alpr_edge.delivery.clocks import SystemClocks
from alpr_edge.placement.files import load_camera, load_register
from alpr_edge.simulator.street_unit import StreetUnit
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.trust.keyring import Keyring, Person, Role
from alpr_edge.trust.keys import PrivateKey, PublicKey

PASSWORD = "four words that differ"
LOG = b"entry of a ledger\n" * 1200
ROOT = Path(__file__).parents[2]


class JumpingClocks(SystemClocks):
    """The kernel's clocks, with a wall clock that a test moves on: each code counts only once."""

    ahead_s = 0.0

    def wall_s(self) -> float:
        return time.time() + self.ahead_s


CLOCKS = JumpingClocks()
STOP = threading.Event()


def obey() -> None:
    """Lines on standard input: so many seconds pass. Its end stops the unit."""
    for line in sys.stdin:
        CLOCKS.ahead_s += float(line)
        sys.stdout.write("passed\n")
        sys.stdout.flush()
    STOP.set()


def make_unit(folder: Path) -> tuple[StreetUnit, Accounts, dict[str, str]]:
    city = PrivateKey.generate()
    accounts = Accounts(folder / "users", CLOCKS)
    seconds, people = {}, []
    for name, level, role in (
        ("vera", Level.VIEWER, None),
        ("anna", Level.TECHNICIAN, Role.TECHNICIAN),
        ("sam", Level.SUPERVISOR, Role.SUPERVISOR),
    ):
        first = accounts.add(name, level)
        enrolment = accounts.enrolment(name, "unit-1")
        code = totp_code(enrolment.totp, CLOCKS.wall_s())
        user = accounts.set_up(name, PASSWORD, enrolment, code, first=first)
        seconds[name] = enrolment.totp
        if role is not None:
            people.append(Person(name, role, (PublicKey.parse(user.key),)))
    premises = ROOT / "configs" / "premises"
    register = premises / "sample.geojson"
    unit = StreetUnit(
        CLOCKS,
        Keyring((city.public,), tuple(people), 1),
        sites=load_register(register).register.sites,
        camera=load_camera(premises / "sample-camera.json"),
    )
    unit.parcels[Parcel.REGISTER] = register.read_bytes()
    unit.parcels[Parcel.LOG] = LOG
    draft = unit.draft(load_masks(ROOT / "configs" / "masks" / "street.json"), ["city"], "first")
    unit.commit_record(sign(DocumentType.MASK_RECORD, draft, city), 10)
    return unit, accounts, seconds


def serve(port: Path, unit: StreetUnit, accounts: Accounts) -> None:
    """Text and channel on the port, over every replug."""
    seat = Seat(accounts, CLOCKS)
    end = ChannelEnd(unit, seat, words=words_for(seat))
    session = Session(unit, accounts, seat, channel=end)
    while not STOP.is_set():
        try:
            with serial.Serial(str(port), 115_200, timeout=0.1, write_timeout=60) as line:
                _serve_line(line, session)
        except OSError:
            time.sleep(0.05)
        session.unplugged()


def words_for(seat: Seat) -> Callable[[str], list[str]]:
    def words(line: str) -> list[str]:
        level = Level.VIEWER if seat.user is None else seat.user.level
        found = GRAMMAR.following(line, Mode.LOOK, level, lambda _source: ())
        return [one.text for one in found if one.text]

    return words


def _serve_line(line: Any, session: Session) -> None:
    for out in session.open():
        line.write(out)
    last = time.monotonic()
    while not STOP.is_set():
        data = line.read(1)
        if data:
            data += line.read(line.in_waiting)
            for out in session.feed(data):
                line.write(out)
        if time.monotonic() - last >= 0.1:
            last = time.monotonic()
            for out in session.tick():
                line.write(out)


class StreetProcess:
    """The process, from a test; a context manager."""

    def __init__(self, port: Path, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(port), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seconds: dict[str, str] = json.loads(self._out.readline())
        self._ahead_s = 0.0
        self._lock = threading.Lock()

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def code(self, name: str) -> str:
        """A code that was not used: the unit's clock is moved on by two steps for it."""
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write("61\n")
            self._process.stdin.flush()
            assert self._out.readline() == "passed\n"
            self._ahead_s += 61
            return totp_code(self.seconds[name], time.time() + self._ahead_s)

    def login(self, name: str) -> tuple[str, str, str]:
        return name, PASSWORD, self.code(name)

    def stop(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            self._out.close()


@contextlib.contextmanager
def street_process(port: Path, folder: Path) -> Iterator[StreetProcess]:
    one = StreetProcess(port, folder)
    try:
        yield one
    finally:
        one.stop()


if __name__ == "__main__":
    made, users, factors = make_unit(Path(sys.argv[2]))
    sys.stdout.write(json.dumps(factors) + "\n")
    sys.stdout.flush()
    threading.Thread(target=obey, daemon=True).start()
    serve(Path(sys.argv[1]), made, users)
