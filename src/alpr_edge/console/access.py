"""Who may do what on the console. Pure: a table, and one check.

A role of the console gives commands; it gives no authority over masks. What is committed is judged
by `authority`, from signatures of persons on the city's list.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from alpr_edge.errors import ConsoleError


class Level(IntEnum):
    """Roles of the console; each may do what those before it may."""

    VIEWER = 1
    """Looks; changes nothing."""
    TECHNICIAN = 2
    """Sets masks, calibrates, tests."""
    SUPERVISOR = 3
    """Countersigns, manages users, sees reads, resets the unit."""

    @property
    def word(self) -> str:
        """As people type it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class User:
    """Someone who is logged in.

    Attributes:
        key: the public half of the person's key on this unit (`ed25519:…`).
    """

    name: str
    level: Level
    key: str = ""


NEEDS: Final = {
    **dict.fromkeys(
        (
            *("about", "status", "health", "masks", "mask_history", "record_zones", "reference"),
            *("calibration", "premises", "placement", "network", "mqtt", "certificates", "models"),
            *("self_test", "ledger_head", "preview"),
        ),
        Level.VIEWER,
    ),
    **dict.fromkeys(
        (
            *("draft", "commit_record", "confirm_masks", "run_self_test", "test_mqtt"),
            *("take_reference", "save_calibration", "still", "pull", "push", "reboot"),
            *("link_settings", "set_link", "requested"),
        ),
        Level.TECHNICIAN,
    ),
    **dict.fromkeys(
        ("still.clear", "reads", "factory_reset", "users", "note_login"), Level.SUPERVISOR
    ),
}
"""By method of `device.DeviceAccess`; `still.clear` is `still` with plates shown, `users` is the
management of users. `note_login` is the console's own and nobody's request."""


def check(user: User | None, what: str) -> None:
    """Refuse what the user's role does not give.

    Raises:
        ConsoleError: `console.login.needed` or `console.not_allowed`.
        KeyError: there is no such thing.
    """
    needed = NEEDS[what]
    if user is None:
        raise ConsoleError(
            "nobody is logged in", code="console.login.needed", hint="log in with name and password"
        )
    if user.level < needed:
        raise ConsoleError(
            f"this takes a {needed.word}; {user.name} is a {user.level.word}",
            code="console.not_allowed",
            hint="log in as somebody with that role",
        )
