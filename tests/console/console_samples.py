"""A unit in memory, real accounts on disk, and a terminal that types and reads."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alpr_edge.console.access import Level
from alpr_edge.console.accounts import Accounts
from alpr_edge.console.channel_port import Channel
from alpr_edge.console.memory_unit import MemoryUnit
from alpr_edge.console.seat import Seat
from alpr_edge.console.secrets_of import totp_code
from alpr_edge.console.session import Session
from alpr_edge.delivery.clocks import SetClocks
from alpr_edge.trust.keyring import Keyring, Person, Role
from alpr_edge.trust.keys import PrivateKey, PublicKey

CITY = PrivateKey.generate()
PASSWORD = "four words that differ"
LEVELS = {"vera": Level.VIEWER, "anna": Level.TECHNICIAN, "sam": Level.SUPERVISOR}


@dataclass
class Login:
    """A user's second factor."""

    name: str
    totp: str
    recovery: tuple[str, ...]
    key: str


def make_users(accounts: Accounts, clocks: SetClocks, names: dict[str, Level]) -> dict[str, Login]:
    found = {}
    for name, level in names.items():
        first = accounts.add(name, level)
        enrolment = accounts.enrolment(name, "unit-1")
        code = totp_code(enrolment.totp, clocks.wall_s())
        user = accounts.set_up(name, PASSWORD, enrolment, code, first=first)
        found[name] = Login(name, enrolment.totp, enrolment.recovery, user.key)
    clocks.pass_s(60)
    return found


@cache
def _template() -> tuple[str, dict[str, Login]]:
    """Three users, made once: a password costs a tenth of a second."""
    folder = tempfile.mkdtemp(prefix="console-users-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    clocks = SetClocks()
    return folder, make_users(Accounts(folder, clocks), clocks, LEVELS)


def users_of_all_roles(folder: Path, clocks: SetClocks) -> dict[str, Login]:
    """Vera looks, Anna is a technician, Sam a supervisor; all have logged in before."""
    made, logins = _template()
    shutil.copytree(made, folder)
    clocks.pass_s(60)
    return dict(logins)


def ring_of(logins: dict[str, Login]) -> Keyring:
    """The city's list, with the keys that were made on the unit."""
    roles = {"anna": Role.TECHNICIAN, "sam": Role.SUPERVISOR}
    people = tuple(
        Person(name, roles[name], (PublicKey.parse(login.key),))
        for name, login in logins.items()
        if name in roles
    )
    return Keyring((CITY.public,), people, 1)


def _put(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)


class Terminal:
    """Types bytes into a session and keeps what comes back."""

    def __init__(
        self, folder: Path, *, users: dict[str, Level] | None = None, channel: Channel | None = None
    ) -> None:
        self.clocks = SetClocks()
        # Not synced: what a power cut leaves is another test's matter.
        self.accounts = Accounts(folder, self.clocks, write=_put)
        self.logins = {}
        if users is None:
            self.logins = users_of_all_roles(folder, self.clocks)
        self.unit = MemoryUnit(self.clocks, ring_of(self.logins))
        self.seat = Seat(self.accounts, self.clocks)
        self.defects: list[Exception] = []
        self.session = Session(
            self.unit, self.accounts, self.seat, channel=channel, on_defect=self.defects.append
        )
        self.screen = b"".join(self.session.open()).decode()

    def bytes(self, data: bytes) -> str:
        out = b"".join(self.session.feed(data)).decode("utf-8", "replace")
        self.screen += out
        return out

    def type(self, text: str) -> str:
        """Lines, each with its Enter; what comes back."""
        return "".join(self.bytes(line.encode() + b"\r") for line in text.split("\n"))

    def code(self, name: str) -> str:
        """A code that was not used yet."""
        self.clocks.pass_s(30)
        return totp_code(self.logins[name].totp, self.clocks.wall_s())

    def log_in(self, name: str) -> str:
        return self.type(f"{name}\n{PASSWORD}\n{self.code(name)}")

    def tick(self) -> str:
        out = b"".join(self.session.tick()).decode()
        self.screen += out
        return out


def shown(text: str) -> str:
    """What a terminal would show of the last line: backspaces and returns obeyed."""
    lines = [""]
    column = 0
    for char in text:
        if char == "\r":
            column = 0
        elif char == "\n":
            lines.append("")
            column = 0
        elif char == "\b":
            column = max(0, column - 1)
        elif char != "\a":
            line = lines[-1].ljust(column)
            lines[-1] = line[:column] + char + line[column + 1 :]
            column += 1
    return lines[-1]


def no_escapes(text: str) -> bool:
    return not re.search(r"[\x00-\x06\x0b-\x0c\x0e-\x1f\x7f]", text)
