"""Edge: `alpr-edge-tech shell`: a serial terminal that knows the unit.

Keys go to the unit as they are, so its own editing, history and Tab completion work; what it says
is coloured and, if asked for, kept in a transcript. `Ctrl-]` opens a line that is edited on the
laptop, with a list of completions, which is better at 9600 baud: `push`, `pull` and `quit` are the
laptop's own, anything else goes to the unit. Files go under the login of the text.

Rules: what the transcript holds, `transcript` says. Colours only on a terminal.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from alpr_edge.errors import AlprEdgeError, ConsoleError
from alpr_edge.host.colours import Colours
from alpr_edge.host.files import FILES, PUSHES, STILL, needs_reason, read_file, signature_of
from alpr_edge.host.link import Link
from alpr_edge.host.moving import Left
from alpr_edge.host.transcript import Transcript
from alpr_edge.host.unit import RemoteUnit
from alpr_edge.host.visit import Visit, ask, pull_to
from alpr_edge.host.wire import LinkLost, SerialWire

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

ESCAPE: Final = 0x1D
PULLS: Final = (*FILES, STILL)
_HELP: Final = (
    "push masks|register|config|update FILE   bring a file to the unit, with FILE.sig beside it",
    "pull masks|register|config|log|still FILE   fetch one; still: the masked picture",
    "quit                                     leave the unit",
    "anything else                            goes to the unit as a line",
    "an empty line                            back to the unit",
)


class Shell:
    """One terminal on one unit.

    Args:
        out: where the unit's words go.
        transcript: a file that gets them too.
    """

    def __init__(self, visit: Visit, out: IO[bytes], transcript: Path | None) -> None:
        self._out, self._is_terminal = out, out.isatty()
        self._heard_s = time.monotonic()
        self._where = f"{visit.port} at {visit.baud} baud"
        self._colour = Colours()
        self._line: PromptSession[str] | None = None
        wire = SerialWire(visit.port, visit.baud)
        try:
            self._kept = None if transcript is None else Transcript(transcript, self._where)
        except ConsoleError:
            wire.close()
            raise
        self._link = Link(wire, baud=visit.baud, on_text=self._show)

    def close(self) -> None:
        """Let go of port and transcript."""
        self._link.close()
        if self._kept is not None:
            self._kept.close()
            if self._kept.trouble:
                sys.stderr.write(f"the transcript is not whole: {self._kept.trouble}\n")

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
        """What the unit says; nothing: it has said no more for a moment."""
        if data:
            self._heard_s = time.monotonic()
            if self._kept is not None:
                self._kept.write(data)
        if self._is_terminal:
            data = self._colour.feed(data) if data else self._colour.flush()
        if data:
            self._out.write(data)
            self._out.flush()

    def _hear_out(self) -> None:
        """Standard input has ended: wait until the unit has said its last word."""
        end = time.monotonic() + 30
        while time.monotonic() < min(end, self._heard_s + 1.5):
            time.sleep(0.05)

    def _own_line(self) -> bool:
        """A line typed on the laptop; whether the terminal goes on."""
        from prompt_toolkit import PromptSession
        from prompt_toolkit import prompt as plain_prompt

        if self._line is None:
            # On Tab only: what may follow is asked of the unit, over a slow line.
            completer = _completer(self._link)
            self._line = PromptSession(completer=completer, complete_while_typing=False)
        try:
            text = self._line.prompt("\nlaptop> ")
        except (EOFError, KeyboardInterrupt):
            text = ""
        self._link.bye()
        if self._kept is not None and text.split()[:1] and text.split()[0] in ("push", "pull"):
            self._kept.write(f"\nlaptop> {text}\n".encode())
        voice = Voice(self._tell, self._progress, lambda question: plain_prompt(question))
        return own_command(text, self._link, voice)

    def _tell(self, text: str) -> None:
        if self._kept is not None:
            self._kept.write(f"{text}\n".encode())
        self._out.write(f"{text}\r\n".encode())
        self._out.flush()

    def _progress(self, text: str) -> None:
        if self._is_terminal:
            self._out.write(f"\r{text:<40}{chr(13) if not text else ''}".encode())
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


@dataclass(frozen=True, slots=True)
class Voice:
    """How the laptop's own commands talk with the person.

    Attributes:
        progress: a line that replaces the one before it; empty: it is over.
        ask: a question, and the line that answers it.
    """

    tell: Callable[[str], None]
    progress: Callable[[str], None] = lambda text: None
    ask: Callable[[str], str] = ask


def own_command(line: str, link: Link, voice: Voice) -> bool:
    """Do one line of the laptop's own; False: it was `quit`."""
    words = line.split(maxsplit=2)
    if words[:1] == ["quit"]:
        return False
    moves = words[:1] in (["push"], ["pull"])
    try:
        if len(words) == 3 and moves and words[1] in (PUSHES if words[0] == "push" else PULLS):
            voice.tell(_moved(words[0], words[1], Path(words[2].strip()).expanduser(), link, voice))
        elif words == ["help"] or moves:
            for one in _HELP:
                voice.tell(one)
        elif words:
            link.write_text(line.encode("utf-8", "replace") + b"\r")
    except (AlprEdgeError, OSError) as err:
        voice.tell(str(err))
    finally:
        if moves:
            link.bye()
    return True


def _moved(act: str, what: str, path: Path, link: Link, voice: Voice) -> str:
    """Fetch or bring one file; what came of it."""
    reason = voice.ask("reason, for the ledger: ") if needs_reason(act, what) else ""
    link.hello()
    left = Left(link.baud)

    def bar(done: int, total: int) -> None:
        voice.progress(f"{what}: {left.words(done, total)}" if done < total else "")

    unit = RemoteUnit(link)
    if act == "pull":
        pull_to(unit, what, path, bar, reason=reason)
        return f"{path}: {path.stat().st_size} bytes"
    done = unit.push(what, read_file(path), signature_of(path), reason, progress=bar)
    return "taken: " + ", ".join(f"{key} {value}" for key, value in dict(done or {}).items())


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
