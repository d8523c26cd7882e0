"""Who sits at the line: one login for text and machine channel together. Pure but for its clock.

    seat = Seat(gatekeeper, clocks)
    seat.enter("anna", password, code)   # raises ConsoleError
    seat.user                            # None after 5 minutes without `touch`, after unplugging

Rules: whoever is idle for `IDLE_S` is out, and whoever unplugs, too. Time counts since boot, so
that no step of the wall clock keeps a door open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from alpr_edge.console.access import Level, User
from alpr_edge.delivery.clocks import Clocks
from alpr_edge.errors import ConsoleError

IDLE_S: Final = 300.0


class Gatekeeper(Protocol):
    """Port: checks who comes in (`accounts.Accounts`)."""

    def login(self, name: str, password: str, code: str) -> User:
        """Check name, password and second factor.

        Raises:
            ConsoleError: `console.login.refused`, the same whatever was wrong, or `.locked`.
        """
        ...

    def sign(self, name: str, password: str, envelope: bytes | dict[str, object]) -> bytes:
        """Sign a mask record with the person's key, which the password opens.

        Args:
            envelope: a payload to sign, or an envelope to countersign.

        Raises:
            ConsoleError: as `login`.
        """
        ...


@dataclass(frozen=True, slots=True)
class LastLogin:
    """Told at the next one.

    Attributes:
        at: when, as the unit's clock had it; empty: never.
        failures: failed attempts since.
    """

    at: str = ""
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A second factor that is being set up.

    Attributes:
        totp: its secret in base32, for who types it in.
        uri: what the QR code holds.
        qr: the code as lines of letters.
        recovery: codes that are each good once.
    """

    totp: str
    uri: str
    qr: tuple[str, ...]
    recovery: tuple[str, ...]


class SetUpNeeded(ConsoleError):
    """Password right; second factor and own password are still to be set."""

    code = "console.login.set_up"


class People(Gatekeeper, Protocol):
    """Port: the console's users (`accounts.Accounts`). All raise `ConsoleError`."""

    @property
    def is_new(self) -> bool:
        """Whether there is no user yet."""
        ...

    @property
    def is_secret_shown(self) -> bool:
        """Whether somebody was shown the secret that makes the first user."""
        ...

    def first_secret(self) -> tuple[str, bool]:
        """The secret that makes the first user, and whether nobody was shown it yet."""
        ...

    def check_first_secret(self, typed: str) -> None:
        """Refuse a wrong one."""
        ...

    def last_login(self, name: str) -> LastLogin:
        """The login before this one."""
        ...

    def note_seen(self, name: str) -> None:
        """This login is the last one from now on."""
        ...

    def users(self) -> list[dict[str, Any]]:
        """Names, roles, keys, last logins; no secret."""
        ...

    def add(self, name: str, level: Level) -> str:
        """A new user; gives the password for the first login."""
        ...

    def reset(self, name: str) -> str:
        """A new first password; second factor and key are gone."""
        ...

    def delete(self, name: str) -> None:
        """Take a user away."""
        ...

    def enrolment(self, name: str, unit: str) -> Enrolment:
        """A new second factor to be shown."""
        ...

    def check_password(self, password: str, name: str) -> None:
        """Refuse a password that is too easy."""
        ...

    def set_up(
        self, name: str, password: str, enrolment: Enrolment, code: str, *, first: str
    ) -> User:
        """Own password, second factor and key, while `first` still is the user's password."""
        ...

    def set_password(self, name: str, old: str, new: str) -> None:
        """Another password."""
        ...

    def set_second_factor(self, name: str, enrolment: Enrolment, code: str) -> None:
        """Another second factor."""
        ...


class Seat:
    """See the module's docstring. Text and channel of one line share one."""

    def __init__(self, gatekeeper: Gatekeeper, clocks: Clocks) -> None:
        self.gatekeeper = gatekeeper
        self._clocks = clocks
        self._user: User | None = None
        self._touched_s = 0.0

    @property
    def user(self) -> User | None:
        """Who is logged in now."""
        if self._user is not None and self.idle_s >= IDLE_S:
            self._user = None
        return self._user

    @property
    def is_taken(self) -> bool:
        """Whether somebody is logged in; changes nothing, so any thread may ask."""
        return self._user is not None and self.idle_s < IDLE_S

    @property
    def idle_s(self) -> float:
        """Seconds since the last touch."""
        return self._clocks.boot_s() - self._touched_s

    def touch(self) -> None:
        """The person did something."""
        if self.user is not None:
            self._touched_s = self._clocks.boot_s()

    def enter(self, name: str, password: str, code: str) -> User:
        """Log in. Whoever sat here before is out, whatever comes of it.

        Raises:
            ConsoleError: as `Gatekeeper.login`.
        """
        self._user = None
        return self.admit(self.gatekeeper.login(name, password, code))

    def admit(self, user: User) -> User:
        """Seat somebody whom the gatekeeper has just let in or set up."""
        self._user, self._touched_s = user, self._clocks.boot_s()
        return user

    def leave(self) -> None:
        """Log out: asked for, or unplugged."""
        self._user = None
