"""Somebody proves who they are while another sits there, or once more; it goes on the ledger."""

from __future__ import annotations

import contextlib
from typing import Protocol

from alpr_edge.console.access import User, check
from alpr_edge.console.device import DeviceAccess
from alpr_edge.errors import AlprEdgeError, ConsoleError


class LetsIn(Protocol):
    """Who knows passwords and codes."""

    def login(self, name: str, password: str, code: str) -> User: ...


def prove(device: DeviceAccess, people: LetsIn, proof: tuple[str, str, str], *, needs: str) -> User:
    """The person, if the proof is right and the role gives `needs`.

    Args:
        proof: name, password and code.

    Raises:
        ConsoleError: `console.login.*`, or `console.not_allowed`.
    """
    name = proof[0]
    try:
        user = people.login(*proof)
        check(user, needs)
    except ConsoleError as err:
        outcome = "locked" if err.code == "console.login.locked" else "refused"
        _note(device, name, outcome, err.code)
        raise
    _note(device, user.name, "granted")
    return user


def _note(device: DeviceAccess, name: str, outcome: str, code: str = "") -> None:
    """One that cannot be written keeps nobody out who could repair it."""
    with contextlib.suppress(AlprEdgeError):
        device.note_login(name[:64], outcome, 2 if outcome == "granted" else 0, code)
