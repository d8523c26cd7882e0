"""Who sits at the line: one login for text and machine channel together. Pure but for its clock.

    seat = Seat(gatekeeper, clocks)
    seat.enter("anna", password, code)   # raises ConsoleError
    seat.user                            # None after 5 minutes without `touch`, after unplugging

Rules: whoever is idle for `IDLE_S` is out, and whoever unplugs, too. Time counts since boot, so
that no step of the wall clock keeps a door open.
"""

from __future__ import annotations

from typing import Final, Protocol

from alpr_edge.console.access import User
from alpr_edge.delivery.clocks import Clocks

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
        user = self.gatekeeper.login(name, password, code)
        self._user, self._touched_s = user, self._clocks.boot_s()
        return user

    def leave(self) -> None:
        """Log out: asked for, or unplugged."""
        self._user = None
