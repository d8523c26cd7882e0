"""Edge: connecting to a unit, logging in, and going on after the cable was out."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from alpr_edge.errors import ConsoleError
from alpr_edge.host.files import STILL
from alpr_edge.host.link import Link
from alpr_edge.host.moving import Progress, fetch
from alpr_edge.host.unit import RemoteUnit
from alpr_edge.host.wire import LinkLost, SerialWire

RETURN_S: Final = 120.0
"""How long a cable may be out before a command gives up."""
_ROUNDS: Final = 20
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Visit:
    """Which unit, and who.

    Attributes:
        user: name on the unit; empty: it is asked for.
    """

    port: str
    baud: int
    user: str = ""


def open_link(visit: Visit, on_text: Callable[[bytes], None] = lambda data: None) -> Link:
    """A link whose unit has answered.

    Raises:
        ConsoleError: the port cannot be opened, or the unit does not answer.
    """
    link = Link(SerialWire(visit.port, visit.baud), baud=visit.baud, on_text=on_text)
    try:
        link.hello()
    except ConsoleError:
        link.close()
        raise
    return link


def log_in(unit: RemoteUnit, user: str) -> None:
    """Ask for what a login takes, unless that person is logged in already, on the text."""
    sits = unit.link.hello().get("name")
    if sits and user in ("", sits):
        return
    name = user or ask("user: ")
    unit.login(name, ask(f"password of {name}: ", secret=True), ask("code: "))


def ask(prompt: str, *, secret: bool = False) -> str:
    """One line from the person, or from standard input where that is no terminal."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt) if secret else input(prompt)
    line = sys.stdin.readline()
    if not line:
        raise ConsoleError(
            f"no answer to {prompt.strip()!r}",
            code="host.input.missing",
            hint="type it, or give one line for each question on standard input",
        )
    return line.rstrip("\r\n")


def with_unit(visit: Visit, work: Callable[[RemoteUnit], _T], tell: Callable[[str], None]) -> _T:
    """Do some work on a unit; after the cable was out, from where it stopped.

    Raises:
        LinkLost: it was out too long, or too often.
        ConsoleError: whatever the work raises.
    """
    for _ in range(_ROUNDS):
        link = _wait_for(visit)
        unit = RemoteUnit(link)
        try:
            log_in(unit, visit.user)
            return work(unit)
        except LinkLost as err:
            tell(f"{err.message}: it goes on where it stopped when the cable is back")
        finally:
            # Whatever came of it, nobody stays logged in.
            if not link.is_lost:
                link.bye()
            link.close()
    raise LinkLost("the cable was out too often", hint="look at the plug")


def _wait_for(visit: Visit) -> Link:
    deadline = time.monotonic() + RETURN_S
    while True:
        try:
            return open_link(visit)
        except ConsoleError:
            if time.monotonic() >= deadline or not _was_open(visit):
                raise
            time.sleep(0.2)


def _was_open(visit: Visit) -> bool:
    """Whether waiting helps: a port that was never there will not come."""
    if Path(visit.port).exists():
        _SEEN.add(visit.port)
        return True
    return visit.port in _SEEN


_SEEN: Final[set[str]] = set()


def pull_to(
    unit: RemoteUnit, what: str, out: Path, progress: Progress, *, reason: str = ""
) -> None:
    """Fetch a file of the unit; what was fetched before a break stays in `OUT.part`.

    Raises:
        ConsoleError: as `moving.fetch`; `host.file.unwritable`.
    """
    if what == STILL:
        _write(out, unit.still(progress=progress).jpeg)
        return
    part, note = out.with_name(out.name + ".part"), out.with_name(out.name + ".part.json")
    known = _noted(note)
    offer = unit.pull(what, reason, again=known)
    try:
        have = part.read_bytes() if known == offer["sha256"] and part.exists() else b""
        note.write_text(json.dumps({"sha256": offer["sha256"]}), "utf-8")
        # Only for its owner: a ledger has names in it.
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(have)

            def keep(piece: bytes) -> None:
                file.write(piece)
                file.flush()

            try:
                fetch(unit.link, offer, have, progress=progress, keep=keep)
            except LinkLost:
                raise
            except ConsoleError:
                note.unlink()
                raise
        part.replace(out)
        note.unlink()
    except OSError as err:
        raise _unwritable(out, err) from err


def _write(out: Path, data: bytes) -> None:
    try:
        out.write_bytes(data)
    except OSError as err:
        raise _unwritable(out, err) from err


def _unwritable(out: Path, err: OSError) -> ConsoleError:
    return ConsoleError(
        f"{out} cannot be written: {err.strerror}",
        code="host.file.unwritable",
        hint="check the folder and the space on the disk",
    )


def _noted(note: Path) -> str:
    """SHA-256 of what a break cut off; empty where nothing was."""
    try:
        known = json.loads(note.read_text("utf-8"))["sha256"]
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    return known if isinstance(known, str) else ""
