"""Edge: `alpr-edge-tech shell`: a serial terminal that knows the unit.

Keys go to the unit as they are, so its own editing, history and Tab completion work; what it says
is coloured and, if asked for, kept in a transcript. `Ctrl-]` opens a line that is edited on the
laptop, with a list of completions, which is better at 9600 baud: `push`, `pull` and `quit` are the
laptop's own, anything else goes to the unit. Files go under the login of the text.

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
from typing import IO, TYPE_CHECKING, Final

from alpr_edge.errors import AlprEdgeError
from alpr_edge.host.link import Link
from alpr_edge.host.unit import RemoteUnit
from alpr_edge.host.visit import Visit, pull_to
from alpr_edge.host.wire import LinkLost, SerialWire

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

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
    "anything else                            goes to the unit as a line",
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
        self._where = f"{visit.port} at {visit.baud} baud"
        self._line: PromptSession[str] | None = None
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
            if os.isatty(keys):
                self._tell(f"{self._where}; Ctrl-] for a line of the laptop")
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
        """A line typed on the laptop; whether the terminal goes on."""
        from prompt_toolkit import PromptSession

        if self._line is None:
            self._line = PromptSession(completer=_completer(self._link))
        try:
            text = self._line.prompt("\nlaptop> ")
        except (EOFError, KeyboardInterrupt):
            text = ""
        self._link.bye()
        return own_command(text, self._link, self._tell)

    def _tell(self, text: str) -> None:
        self._out.write(f"{text}\r\n".encode())
        self._out.flush()


def _completer(link: Link) -> Completer:
    """Completes the laptop's own commands, and the unit's by asking it."""
    from prompt_toolkit.completion import Completer, Completion, NestedCompleter, PathCompleter

    paths = PathCompleter(expanduser=True)
    own = NestedCompleter.from_nested_dict(
        {
            "push": dict.fromkeys(PUSHES, paths),
            "pull": dict.fromkeys(PULLS, paths),
            **dict.fromkeys(("quit", "help")),
        }
    )

    class Both(Completer):
        def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
            line = document.text_before_cursor
            yield from own.get_completions(document, event)
            if line.split()[:1] not in (["push"], ["pull"]):
                last = line.split(" ")[-1]
                for word in unit_words(link, line):
                    yield Completion(word, start_position=-len(last))

    return Both()


def unit_words(link: Link, line: str) -> list[str]:
    """What the unit knows to follow on a line; nothing where nobody is logged in."""
    try:
        link.hello()
        return list(RemoteUnit(link).call("complete", auto=True, line=line)["words"])
    except AlprEdgeError:
        return []


def own_command(line: str, link: Link, tell: Callable[[str], None]) -> bool:
    """Do one line of the laptop's own; False: it was `quit`."""
    words = line.split()
    if words[:1] == ["quit"]:
        return False
    try:
        if len(words) == 3 and words[0] == "push" and words[1] in PUSHES:
            data = Path(words[2]).expanduser().read_bytes()
            link.hello()
            done = RemoteUnit(link).push(words[1], data, progress=lambda n, of: None)
            tell(f"taken: {done}")
        elif len(words) == 3 and words[0] == "pull" and words[1] in PULLS:
            out = Path(words[2]).expanduser()
            link.hello()
            pull_to(RemoteUnit(link), words[1], out, lambda n, of: None)
            tell(f"{out}: {out.stat().st_size} bytes")
        elif words == ["help"] or words[:1] in (["push"], ["pull"]):
            for one in _HELP:
                tell(one)
        elif words:
            link.write_text(line.encode("utf-8", "replace") + b"\r")
    except (AlprEdgeError, OSError) as err:
        tell(str(err))
    finally:
        if words[:1] in (["push"], ["pull"]):
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
    one = Shell(visit, sys.stdout.buffer, transcript)
    try:
        one.run(sys.stdin.fileno())
    finally:
        one.close()
