"""Edge: `alpr-edge-tech shell`: a serial terminal that knows the unit.

Keys go to the unit as they are, so its own editing, history and Tab completion work; what it says
is coloured and, if asked for, kept in a transcript. `Ctrl-]` opens a line of the laptop's own, with
completion: `push`, `pull`, `quit`. Files then go over the same cable, under the login of the text.

Rules: the transcript holds what the unit showed, never a key: secrets are not echoed, so they are
not in it. Colours only on a terminal.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from alpr_edge.errors import AlprEdgeError
from alpr_edge.host.link import Link
from alpr_edge.host.unit import RemoteUnit
from alpr_edge.host.visit import Visit, pull_to
from alpr_edge.host.wire import LinkLost, SerialWire

ESCAPE: Final = 0x1D
PULLS: Final = ("masks", "register", "config", "log")
PUSHES: Final = ("masks", "register", "config", "update")
_COLOURS: Final = (
    (re.compile(rb"alpr-edge> "), b"\x1b[1;36m"),
    (re.compile(rb"alpr-edge# "), b"\x1b[1;35m"),
    (re.compile(rb"\[[a-z][a-z_]*(?:\.[a-z_]+)+\]"), b"\x1b[31m"),
    (re.compile(rb"\b(?:stopped|failed|refused|damaged|locked)\b"), b"\x1b[33m"),
    (re.compile(rb"\b(?:reading|passed|in force)\b"), b"\x1b[32m"),
)
_HELP: Final = (
    "push masks|register|config|update FILE   bring a file to the unit",
    "pull masks|register|config|log FILE      fetch one",
    "quit                                     leave the unit",
    "an empty line                            back to the unit",
)


def colour(text: bytes) -> bytes:
    """What the unit said, with colours; nothing else is changed."""
    for pattern, code in _COLOURS:
        text = pattern.sub(lambda found, code=code: code + found[0] + b"\x1b[0m", text)  # type: ignore[misc]
    return text


class Shell:
    """One terminal on one unit.

    Args:
        out: where the unit's words go.
        transcript: a file that gets them too.
    """

    def __init__(self, visit: Visit, out: IO[bytes], transcript: Path | None) -> None:
        self._out, self._colours = out, out.isatty()
        self._kept = None if transcript is None else transcript.open("ab")
        self._heard_s = time.monotonic()
        self._link = Link(SerialWire(visit.port, visit.baud), baud=visit.baud, on_text=self._show)

    def close(self) -> None:
        """Let go of port and transcript."""
        self._link.close()
        if self._kept is not None:
            self._kept.close()

    def run(self, keys: int) -> None:
        """From descriptor `keys` to the unit, until its end, `quit`, or the cable is out.

        Raises:
            LinkLost: the cable is out.
        """
        with _raw(keys):
            while not self._link.is_lost:
                if not select.select([keys], [], [], 0.1)[0]:
                    continue
                data = os.read(keys, 1024)
                typed, escape, _ = data.partition(bytes((ESCAPE,)))
                self._link.write_text(typed)
                if not data:
                    self._hear_out()
                    return
                if escape and not self._own_line():
                    return
        raise LinkLost("the cable was unplugged", hint="plug it in and begin again")

    def _show(self, data: bytes) -> None:
        self._heard_s = time.monotonic()
        if self._kept is not None:
            self._kept.write(data)
            self._kept.flush()
        self._out.write(colour(data) if self._colours else data)
        self._out.flush()

    def _hear_out(self) -> None:
        """Standard input has ended: wait until the unit has said its last word."""
        end = time.monotonic() + 30
        while time.monotonic() < min(end, self._heard_s + 1.5):
            time.sleep(0.05)

    def _own_line(self) -> bool:
        """A command of the laptop; whether the terminal goes on."""
        from prompt_toolkit import prompt
        from prompt_toolkit.completion import NestedCompleter, PathCompleter

        paths = PathCompleter(expanduser=True)
        words = NestedCompleter.from_nested_dict(
            {
                "push": dict.fromkeys(PUSHES, paths),
                "pull": dict.fromkeys(PULLS, paths),
                **dict.fromkeys(("quit", "help")),
            }
        )
        try:
            line = prompt("\nlaptop> ", completer=words)
        except (EOFError, KeyboardInterrupt):
            line = ""
        return own_command(line, self._link, lambda text: self._tell(text))

    def _tell(self, text: str) -> None:
        self._out.write(f"{text}\r\n".encode())
        self._out.flush()


def own_command(line: str, link: Link, tell: Callable[[str], None]) -> bool:
    """Do one line of the laptop's own; False: it was `quit`."""
    words = line.split()
    if words[:1] == ["quit"]:
        return False
    try:
        if len(words) == 3 and words[0] == "push" and words[1] in PUSHES:
            data = Path(words[2]).expanduser().read_bytes()
            done = RemoteUnit(link).push(words[1], data, progress=lambda n, of: None)
            tell(f"taken: {done}")
        elif len(words) == 3 and words[0] == "pull" and words[1] in PULLS:
            out = Path(words[2]).expanduser()
            pull_to(RemoteUnit(link), words[1], out, lambda n, of: None)
            tell(f"{out}: {out.stat().st_size} bytes")
        elif words:
            for one in _HELP:
                tell(one)
            return True
    except (AlprEdgeError, OSError) as err:
        tell(str(err))
    finally:
        if len(words) == 3:
            link.bye()
    return True


@contextlib.contextmanager
def _raw(keys: int) -> Iterator[None]:
    if not os.isatty(keys):
        yield
        return
    before = termios.tcgetattr(keys)
    try:
        tty.setraw(keys)
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)


def shell(visit: Visit, transcript: Path | None) -> None:
    """Run it on this terminal.

    Raises:
        ConsoleError: the port cannot be opened, or the cable is out.
    """
    if sys.stdin.isatty():
        sys.stderr.write(f"{visit.port} at {visit.baud} baud; Ctrl-] for the laptop's own line\r\n")
    one = Shell(visit, sys.stdout.buffer, transcript)
    try:
        one.run(sys.stdin.fileno())
    finally:
        one.close()
