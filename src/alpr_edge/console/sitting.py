"""What a command has at hand: unit, people, the candidate, and how the terminal is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from alpr_edge.console.access import User, check
from alpr_edge.console.candidate import Candidate
from alpr_edge.console.device import DeviceAccess
from alpr_edge.console.grammar import Mode
from alpr_edge.console.seat import People, Seat
from alpr_edge.console.settings import Settings
from alpr_edge.console.talk import Talk
from alpr_edge.errors import AlprEdgeError, ConsoleError

NO_FRAME: Final = (1280, 720)
"""What drawings take where neither a record nor the source says a size."""


@dataclass(slots=True)
class Screen:
    """How the terminal is: `length` 0 is without a pager."""

    width: int = 80
    length: int = 24
    dumb: bool = False


@dataclass(slots=True)
class Sitting:
    """One person at the line.

    Attributes:
        candidate: None outside configure mode.
        editing: name of the mask that is being edited.
        settings: what was set of network and broker, and is not in force.
        ended: the person asked to leave.
    """

    device: DeviceAccess
    seat: Seat
    people: People
    screen: Screen = field(default_factory=Screen)
    mode: Mode = Mode.LOOK
    candidate: Candidate | None = None
    editing: str | None = None
    settings: Settings = field(default_factory=Settings)
    typed: list[str] = field(default_factory=list)
    ended: bool = False

    @property
    def user(self) -> User:
        """Who is logged in.

        Raises:
            ConsoleError: `console.login.needed`.
        """
        user = self.seat.user
        if user is None:
            check(None, "status")
            raise AssertionError("unreachable")
        return user

    @property
    def draft(self) -> Candidate:
        """The candidate.

        Raises:
            ConsoleError: `console.candidate.none`.
        """
        if self.candidate is None:
            raise ConsoleError(
                "nothing is being changed", code="console.candidate.none", hint="configure"
            )
        return self.candidate

    def names(self, source: str) -> Sequence[str]:
        """What completes an argument now; empty where that cannot be said."""
        try:
            if source in ("mask", "band", "gate"):
                return self.candidate.names(source) if self.candidate else ()
            if source == "user":
                return tuple(str(one["name"]) for one in self.people.users())
            if source == "record":
                return tuple(str(one["number"]) for one in self.device.mask_history())
        except AlprEdgeError:
            pass
        return ()


Does = Callable[[Sitting, dict[str, Any]], Talk]
"""What a command does: a talk with the person, given the values of its arguments."""
