"""One line being typed: bytes in, echo out. Pure.

It sends printable text, backspaces, spaces, a bell and line ends, and never an escape sequence, so
that any terminal shows it right; a key at the end of a line costs one byte of echo (ADR 0023). It
understands the arrow keys of VT100 and their kin, and Emacs' control keys save Ctrl-D and Ctrl-F,
which are not used here because frames of the machine channel may begin with them.

A line longer than the screen scrolls sideways. In a dumb terminal nothing is ever drawn again: keys
are added and taken away at the end only.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MAX_LINE: Final = 4096
MAX_HISTORY: Final = 100
_BELL: Final = "\a"


class Key(Enum):
    """What a key asks of the session."""

    ENTER = auto()
    COMPLETE = auto()
    HELP = auto()
    INTERRUPT = auto()
    REDRAW = auto()


@dataclass(frozen=True, slots=True)
class Typed:
    """What came of a byte.

    Attributes:
        echo: text for the terminal.
        key: what the session is asked for, if anything.
    """

    echo: str = ""
    key: Key | None = None


_CONTROLS: Final = {
    0x01: "home",
    0x02: "left",
    0x05: "end",
    0x08: "rubout",
    0x0B: "kill_end",
    0x0E: "newer",
    0x10: "older",
    0x15: "kill_start",
    0x17: "kill_word",
    0x7F: "rubout",
}
_ESCAPES: Final = {
    "A": "older",
    "B": "newer",
    "C": "right",
    "D": "left",
    "H": "home",
    "F": "end",
    "1~": "home",
    "3~": "delete",
    "4~": "end",
    "7~": "home",
    "8~": "end",
}


class Editor:
    """A line with its cursor and history.

    Args:
        width: columns of the screen.
        dumb: never draws again.
    """

    def __init__(self, *, width: int = 80, dumb: bool = False) -> None:
        self.width, self.dumb = width, dumb
        self.history: list[str] = []
        self.secret = False
        self.takes_keys = True
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._escape: str | None = None
        self._after_return = False
        self.begin("")

    # --- the session's side ------------------------------------------------------------------

    def begin(self, prompt: str, *, secret: bool = False, takes_keys: bool = True) -> str:
        """Begin an empty line.

        Args:
            secret: nothing is echoed.
            takes_keys: Tab and ? are keys, not text; lines go to the history.

        Returns:
            What shows the prompt.
        """
        self.prompt, self.secret, self.takes_keys = prompt, secret, takes_keys
        self._chars: list[str] = []
        self._at = self._start = 0
        self._shown, self._column = "", 0
        self._back = 0
        self._kept: list[str] = []
        return prompt

    @property
    def text(self) -> str:
        """What is on the line."""
        return "".join(self._chars)

    @property
    def before(self) -> str:
        """What stands before the cursor."""
        return "".join(self._chars[: self._at])

    def insert(self, text: str) -> str:
        """Put text in at the cursor, as completion does."""
        room = MAX_LINE - len(self._chars)
        if len(text) > room:
            return _BELL
        self._chars[self._at : self._at] = list(text)
        self._at += len(text)
        return self._draw()

    def again(self) -> str:
        """The prompt and the line anew, after something else was printed."""
        self._shown, self._column = "", 0
        return self.prompt + self._draw()

    def remember(self, line: str) -> None:
        """Put a line into the history."""
        if line.strip() and self.history[-1:] != [line]:
            self.history.append(line)
            del self.history[:-MAX_HISTORY]

    def forget(self) -> None:
        """Empty line and history: another person comes."""
        self.history.clear()
        self._decoder.reset()
        self._escape = None
        self.begin("")

    # --- the terminal's side -----------------------------------------------------------------

    def feed(self, byte: int) -> Typed:
        """Take one byte."""
        after_return, self._after_return = self._after_return, False
        if self._escape is not None and byte >= 0x20:
            return Typed(self._in_escape(byte))
        self._escape = None
        if byte == 0x0D or (byte == 0x0A and not after_return):
            self._after_return = byte == 0x0D
            return Typed("\r\n", Key.ENTER)
        if byte == 0x0A:
            return Typed()
        if byte == 0x1B:
            self._escape = ""
            return Typed()
        if byte == 0x03:
            return Typed("^C\r\n", Key.INTERRUPT)
        if byte == 0x0C:
            return Typed("\r\n", Key.REDRAW)
        if byte == 0x09 and self.takes_keys:
            return Typed("", Key.COMPLETE)
        if byte in _CONTROLS:
            return Typed(self._control(_CONTROLS[byte]))
        return self._character(byte)

    def _character(self, byte: int) -> Typed:
        echo = []
        for char in self._decoder.decode(bytes([byte])):
            if not char.isprintable():
                continue
            if char == "?" and self.takes_keys and self.before.count('"') % 2 == 0:
                return Typed("?\r\n", Key.HELP)
            echo.append(self.insert(char))
        return Typed("".join(echo))

    def _in_escape(self, byte: int) -> str:
        assert self._escape is not None
        char = chr(byte)
        so_far = self._escape + char
        if so_far in ("[", "O"):
            self._escape = so_far
            return ""
        if self._escape and (char.isdigit() or char == ";") and len(so_far) < 16:
            self._escape = so_far
            return ""
        self._escape = None
        return self._control(_ESCAPES.get(so_far[1:], ""))

    def _control(self, what: str) -> str:
        if self.dumb and what not in ("rubout", "kill_start", "kill_word"):
            return _BELL if what else ""
        size = len(self._chars)
        if what in ("older", "newer"):
            return self._recall(1 if what == "older" else -1)
        moves = {"home": 0, "end": size, "left": max(0, self._at - 1), "right": self._at + 1}
        if what in moves:
            self._at = min(size, moves[what])
        elif what == "rubout" and self._at:
            self._at -= 1
            del self._chars[self._at]
        elif what == "delete" and self._at < size:
            del self._chars[self._at]
        elif what == "kill_end":
            del self._chars[self._at :]
        elif what == "kill_start":
            del self._chars[: self._at]
            self._at = 0
        elif what == "kill_word":
            begin = len(self.before.rstrip())
            while begin and not self._chars[begin - 1].isspace():
                begin -= 1
            del self._chars[begin : self._at]
            self._at = begin
        return self._draw()

    def _recall(self, step: int) -> str:
        if not self.takes_keys:
            return _BELL
        if self._back == 0:
            self._kept = list(self._chars)
        back = self._back + step
        if not 0 <= back <= len(self.history):
            return _BELL
        self._back = back
        self._chars = list(self.history[-back]) if back else self._kept
        self._at = len(self._chars)
        return self._draw()

    # --- drawing -----------------------------------------------------------------------------

    def _draw(self) -> str:
        """The least text that turns what is shown into what should be."""
        if self.secret:
            return ""
        wanted, column = self._view()
        shown = self._shown
        same = 0
        for old, new in zip(shown, wanted, strict=False):
            if old != new:
                break
            same += 1
        out = [self._move(same)] if shown != wanted else []
        if shown != wanted:
            blank = " " * max(0, len(shown) - len(wanted))
            out.append(wanted[same:] + blank)
            self._column = len(wanted) + len(blank)
        self._shown = wanted
        out.append(self._move(column))
        return "".join(out)

    def _view(self) -> tuple[str, int]:
        """What of the line is to be seen, and where in it the cursor stands."""
        text = self.text
        room = self.width - len(self.prompt) - 1
        if self.dumb or room < 8:
            return text, self._at
        if not self._start <= self._at <= self._start + room:
            # Half a screen at a time: most keys at the margin cost one byte.
            self._start = max(0, self._at - room // 2)
        if len(text) <= room:
            self._start = 0
        return text[self._start : self._start + room], self._at - self._start

    def _move(self, column: int) -> str:
        """Text that brings the cursor to a column of what is shown."""
        step = column - self._column
        text = "\b" * -step if step < 0 else self._shown[self._column : column]
        self._column = column
        return text
