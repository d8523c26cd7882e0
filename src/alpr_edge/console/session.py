"""One line with a person at its end: bytes in, bytes out. Pure; `serial_port` moves the bytes.

    session = Session(device, people, seat)
    for out in session.open(): write(out)          # plugged in
    for out in session.feed(data): write(out)      # bytes came
    for out in session.tick(): write(out)          # ten times a second
    session.unplugged()                            # the cable is gone

Answers come in pieces, so that what takes time (a test of the broker) can say so first. A session
is in one of five states: nobody is logged in, a command line is being typed, a command waits for an
answer, a file has the wire, the pager waits for a key.

Rules:
- Any bytes are survived: what is no text, no key and no frame is passed over.
- An error of the unit is a line with its code; the session goes on. A defect in a command is one,
  too, and shows nothing of what it was about.
- The prompt is always `alpr-edge> ` or, in configure mode, `alpr-edge# `; nothing is ever printed
  by itself while a line is being typed, save that the line was locked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from alpr_edge.console.access import User, check
from alpr_edge.console.acting import ACTING
from alpr_edge.console.armour import MAX_PASTED
from alpr_edge.console.candidate import Candidate
from alpr_edge.console.channel.transfer import Transfer
from alpr_edge.console.channel_port import Channel, NoChannel
from alpr_edge.console.commands import GRAMMAR
from alpr_edge.console.device import DeviceAccess
from alpr_edge.console.editing import EDITING
from alpr_edge.console.editor import Editor, Key
from alpr_edge.console.grammar import Call, Command, Filter, Mode, Next
from alpr_edge.console.looking import LOOKING
from alpr_edge.console.moving import MOVING
from alpr_edge.console.people import PEOPLE, enter
from alpr_edge.console.seat import People, Seat
from alpr_edge.console.setting import SETTING
from alpr_edge.console.settings import Settings
from alpr_edge.console.sitting import Does, Sitting
from alpr_edge.console.talk import Ask, Move, Now, Paste, Say, Talk, say
from alpr_edge.errors import AlprEdgeError, ConsoleError

PROMPTS: Final = {Mode.LOOK: "alpr-edge> ", Mode.CHANGE: "alpr-edge# "}
DOES: Final[dict[str, Does]] = {**LOOKING, **EDITING, **ACTING, **MOVING, **PEOPLE, **SETTING}
_WHERE: Final = {
    Mode.LOOK: "in configure mode",
    Mode.CHANGE: "not in configure mode (exit)",
}
_MORE: Final = "--More--"
_LOCKED: Final = "locked: nothing was typed for five minutes"


class Session:
    """See the module's docstring.

    Args:
        channel: what speaks frames on the same wire.
        on_defect: told of a command that failed as it never should; it gets the exception.
    """

    def __init__(
        self,
        device: DeviceAccess,
        people: People,
        seat: Seat,
        *,
        channel: Channel | None = None,
        on_defect: Callable[[Exception], None] = lambda _err: None,
    ) -> None:
        self._sitting = Sitting(device, seat, people)
        self._channel: Channel = channel or NoChannel()
        self._on_defect = on_defect
        self._editor = Editor()
        self._who: User | None = None
        self._parked: tuple[str, Candidate | None, Mode, Settings] | None = None
        self._talk: Talk | None = None
        self._waits: Ask | Paste | None = None
        self._moving: Transfer | None = None
        self._pasted: list[str] = []
        self._filters: tuple[Filter, ...] = ()
        self._page: list[str] = []
        self._answer: list[Say] = []
        self._is_open = False
        self._has_asked = False

    # --- the port's side ---------------------------------------------------------------------

    def open(self) -> Iterator[bytes]:
        """The line is there: greet."""
        self._is_open = True
        yield from self._greet()

    def unplugged(self) -> None:
        """The cable is gone: whoever sat there is out. What is pending stays as it is."""
        self._leave("unplugged")
        self._channel.reset()
        self._editor = Editor()
        self._is_open = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Bytes came from the line."""
        if not self._is_open:
            yield from self.open()
            # Whoever wakes a line with Enter has not answered yet.
            data = data.lstrip(b"\r\n")
        while data:
            if self._moving is not None:
                moved = self._moving.moved
                out, data = self._moving.feed(data)
                # Blocks keep the door open, not bytes: noise is nobody.
                if self._moving.moved > moved:
                    self._sitting.seat.touch()
                yield out
                yield from self._moved()
                continue
            if self._channel.busy or self._channel.starts(data[0]):
                out, rest = self._channel.feed(data)
                if out:
                    yield out
                if len(rest) < len(data) or self._channel.busy:
                    data = rest
                    continue
            yield from (_encoded(text) for text in self._byte(data[0]) if text)
            data = data[1:]

    def tick(self) -> Iterator[bytes]:
        """Time passed."""
        if self._moving is not None:
            yield self._moving.tick()
            yield from self._moved()
        out = self._channel.tick()
        if out:
            yield out
        if self._who is not None and self._sitting.seat.user is not self._who:
            self._leave("idle")
            yield _encoded(f"\n{_LOCKED}\n")
            yield from self._greet()

    def _moved(self) -> Iterator[bytes]:
        """Let the command go on when its transfer is over."""
        if self._moving is not None and self._moving.is_over:
            failed, self._moving = self._moving.failed, None
            yield b"\r\n"
            yield from (_encoded(text) for text in self._advance(failed) if text)

    # --- keys --------------------------------------------------------------------------------

    def _byte(self, byte: int) -> Iterator[str]:
        if self._page:
            yield from self._paging(byte)
            return
        typed = self._editor.feed(byte)
        yield typed.echo
        if typed.key is None:
            return
        if self._who is not None:
            if self._sitting.seat.user is not self._who:
                self._leave("idle")
                yield f"\n{_LOCKED}\n"
                yield from self._begin_login()
                return
            self._sitting.seat.touch()
        if typed.key is Key.ENTER:
            yield from self._entered()
        elif typed.key is Key.INTERRUPT:
            yield from self._interrupted()
        elif typed.key is Key.REDRAW:
            yield self._editor.again()
        elif self._waits is None and self._who is not None:
            if typed.key is Key.COMPLETE:
                yield from self._complete()
            else:
                yield from self._help_here()

    def _entered(self) -> Iterator[str]:
        line = self._editor.text
        if self._waits is not None:
            yield from self._answered(line)
        elif self._who is None:
            yield from self._begin_login()
        elif line.strip():
            self._editor.remember(line)
            self._sitting.typed = self._editor.history
            yield from self._run(line)
        else:
            yield from self._ready()

    def _interrupted(self) -> Iterator[str]:
        self._drop_talk()
        if self._who is None:
            yield from self._begin_login()
        else:
            yield from self._ready()

    def _answered(self, line: str) -> Iterator[str]:
        if isinstance(self._waits, Paste):
            if line.strip() not in ("", "."):
                self._pasted.append(line)
                if sum(map(len, self._pasted)) > MAX_PASTED:
                    yield from self._interrupted()
                    return
                yield self._editor.begin("", takes_keys=False)
                return
            line = "\n".join(self._pasted)
        self._waits, self._pasted = None, []
        yield from self._advance(line)

    # --- commands ----------------------------------------------------------------------------

    def _run(self, line: str) -> Iterator[str]:
        sitting = self._sitting
        try:
            call = GRAMMAR.parse(line, sitting.mode)
            assert call is not None
            self._filters = call.filters
            self._allow(call.command)
            self._talk = self._begin(call)
        except AlprEdgeError as err:
            self._filters = ()
            yield _error_text(err)
            yield from self._ready()
            return
        yield from self._advance(None)

    def _allow(self, command: Command) -> None:
        """Refuse what the role does not give.

        Raises:
            ConsoleError: `console.not_allowed`.
        """
        user = self._sitting.user
        if user.level < command.level:
            raise ConsoleError(
                f"this takes a {command.level.word}; {user.name} is a {user.level.word}",
                code="console.not_allowed",
                hint="log in as somebody with that role",
            )
        for need in command.needs:
            check(user, need)

    def _begin(self, call: Call) -> Talk:
        if call.command.key == "help":
            return self._help(call.values.get("words", []))
        return DOES[call.command.key](self._sitting, call.values)

    def _advance(self, answer: str | None) -> Iterator[str]:
        """Let the talk go on until it waits or ends."""
        talk = self._talk
        while talk is not None:
            try:
                step = next(talk) if answer is None else talk.send(answer)
            except StopIteration:
                yield from self._ended(None)
                return
            except AlprEdgeError as err:
                yield from self._ended(err)
                return
            except Exception as err:  # noqa: BLE001 - outermost loop of a command
                self._on_defect(err)
                defect = ConsoleError("the command failed", code="console.defect", hint="report it")
                yield from self._ended(defect)
                return
            answer = "" if isinstance(step, Say | Now) else None
            if isinstance(step, Say):
                self._answer.append(step)
            elif isinstance(step, Now):
                yield from self._flush()
                yield f"{step.line}\n"
            elif isinstance(step, Move):
                yield from self._flush()
                self._moving = step.transfer
                return
            else:
                yield from self._flush()
                yield from self._wait_for(step)
                return

    def _wait_for(self, step: Ask | Paste) -> Iterator[str]:
        self._waits, self._has_asked = step, True
        if isinstance(step, Paste):
            yield f"{step.prompt}\n"
            yield self._editor.begin("", takes_keys=False)
        else:
            yield self._editor.begin(step.prompt, secret=step.secret, takes_keys=False)

    def _ended(self, err: AlprEdgeError | None) -> Iterator[str]:
        self._talk, self._waits = None, None
        if self._who is None:
            yield from self._login_ended(err)
            return
        said, self._answer = self._answer, []
        lines = _filtered(said, self._filters)
        quiet = any(one.name in ("no-more", "json") for one in self._filters)
        self._filters = ()
        if err is not None:
            lines += _error_text(err).splitlines()
        if self._sitting.ended or self._sitting.seat.user is not self._who:
            yield "".join(f"{line}\n" for line in lines)
            self._leave("asked")
            yield from self._begin_login()
            return
        length = self._sitting.screen.length
        rows = sum(self._rows(line) for line in lines)
        if quiet or length == 0 or rows < length:
            yield "".join(f"{line}\n" for line in lines)
            yield from self._ready()
        else:
            self._page = lines
            yield from self._show_page(length - 1)

    def _flush(self) -> Iterator[str]:
        """What was said before a question is shown as it is."""
        said, self._answer = self._answer, []
        for one in said:
            yield "".join(f"{line}\n" for line in one.lines)

    # --- logging in and out ------------------------------------------------------------------

    def _greet(self) -> Iterator[bytes]:
        yield from (_encoded(text) for text in self._greeting())

    def _greeting(self) -> Iterator[str]:
        try:
            about = self._sitting.device.about()
        except AlprEdgeError as err:
            about = {"unit": f"[{err.code}]", "software": "alpr-edge"}
        yield f"\n{about.get('software', 'alpr-edge')} on {about.get('unit', '?')}\n"
        yield from self._begin_login()

    def _begin_login(self) -> Iterator[str]:
        self._talk, self._has_asked = enter(self._sitting), False
        yield from self._advance(None)

    def _login_ended(self, err: AlprEdgeError | None) -> Iterator[str]:
        yield from self._flush()
        if err is not None:
            yield _error_text(err)
        user = self._sitting.seat.user
        if user is None:
            if self._has_asked:
                yield from self._begin_login()
            else:
                # Not at once: a fault that lasts must not fill the line.
                yield self._editor.begin("press Enter ", takes_keys=False)
            return
        self._who = user
        if self._parked is not None and self._parked[0] == user.name:
            _, candidate, mode, settings = self._parked
            self._sitting.candidate, self._sitting.mode = candidate, mode
            self._sitting.settings = settings
            yield "your candidate is still here\n"
        self._parked = None
        yield "? shows what can be typed\n"
        yield from self._ready()

    def _leave(self, why: str) -> None:
        """Nobody sits here any more."""
        self._drop_talk()
        sitting = self._sitting
        if self._who is not None:
            begun = sitting.candidate is not None or not sitting.settings.is_empty
            if begun and not sitting.ended:
                kept = sitting.candidate, sitting.mode, sitting.settings
                self._parked = (self._who.name, *kept)
            if sitting.seat.user is self._who or sitting.seat.user is None:
                sitting.seat.leave()
            self._note_end(self._who, why)
        elif why == "unplugged":
            sitting.seat.leave()
        self._who = None
        self._sitting = Sitting(sitting.device, sitting.seat, sitting.people)
        self._editor.forget()
        self._fit_editor()

    def _note_end(self, who: User, why: str) -> None:
        try:
            self._sitting.device.note_login(who.name, "ended", 0, f"console.{why}")
        except AlprEdgeError:
            return

    def _drop_talk(self) -> None:
        if self._talk is not None:
            self._talk.close()
        self._talk, self._waits, self._pasted, self._moving = None, None, [], None
        self._page, self._answer, self._filters = [], [], ()

    # --- the screen --------------------------------------------------------------------------

    def _fit_editor(self) -> None:
        self._editor.width = self._sitting.screen.width
        self._editor.dumb = self._sitting.screen.dumb

    def _ready(self) -> Iterator[str]:
        self._fit_editor()
        if self._sitting.editing is not None:
            yield f"[edit mask {self._sitting.editing}]\n"
        yield self._editor.begin(PROMPTS[self._sitting.mode])

    def _paging(self, byte: int) -> Iterator[str]:
        rubout = "\r" + " " * len(_MORE) + "\r"
        self._sitting.seat.touch()
        if byte in b"qQ\x03":
            self._page = []
            yield rubout
            yield from self._ready()
        elif byte in b" \r":
            yield rubout
            length = self._sitting.screen.length
            yield from self._show_page(1 if byte == 0x0D else max(1, length - 1))

    def _rows(self, line: str) -> int:
        """Rows of the screen that a line takes."""
        return max(1, -(-len(line) // self._sitting.screen.width))

    def _show_page(self, rows: int) -> Iterator[str]:
        count = 0
        while count < len(self._page) and (not count or rows >= self._rows(self._page[count])):
            rows -= self._rows(self._page[count])
            count += 1
        shown, self._page = self._page[:count], self._page[count:]
        yield "".join(f"{line}\n" for line in shown)
        if self._page:
            yield _MORE
        else:
            yield from self._ready()

    def _following(self, text: str) -> list[Next]:
        sitting = self._sitting
        return GRAMMAR.following(text, sitting.mode, sitting.user.level, sitting.names)

    def _complete(self) -> Iterator[str]:
        before = self._editor.before
        found = [one for one in self._following(before) if one.text]
        if not found:
            yield "" if self._editor.dumb else "\a"
            return
        typed = _last_word(before)
        texts = [one.text for one in found]
        common = _common(texts)
        if len(texts) == 1:
            common += " "
        if common.startswith(typed) and len(common) > len(typed):
            yield self._editor.insert(common[len(typed) :])
            return
        yield "\n" + "".join(f"{line}\n" for line in _columns(texts, self._sitting.screen.width))
        yield self._editor.again()

    def _help_here(self) -> Iterator[str]:
        found = self._following(self._editor.before)
        if not found:
            yield "nothing may follow here\n"
        width = max((len(one.shape) for one in found), default=0)
        for one in found:
            yield f"  {one.shape:<{width}}  {one.help or self._about(one)}".rstrip() + "\n"
        yield self._editor.again()

    def _about(self, one: Next) -> str:
        """Help of a keyword: of the command, if there is one with it only."""
        sitting = self._sitting
        words = [*self._editor.before.split()]
        if not self._editor.before.endswith(" ") and words:
            words.pop()
        found = GRAMMAR.matching([*words, one.text], sitting.mode, sitting.user.level)
        return found[0].help if len(found) == 1 else ""

    def _help(self, words: Sequence[str]) -> Talk:
        sitting = self._sitting
        found = GRAMMAR.matching(words, sitting.mode, sitting.user.level)
        elsewhere = []
        if words:
            known = GRAMMAR.matching(words, None, sitting.user.level)
            elsewhere = [one for one in known if one not in found]
        if not found and not elsewhere:
            raise ConsoleError("no such command here", code="console.syntax", hint="help")
        if len(found) + len(elsewhere) == 1:
            (one,) = (*found, *elsewhere)
            where = [f"  {_WHERE[sitting.mode]}"] if elsewhere else []
            yield say(one.usage, f"  {one.help}", f"  such as: {one.example}", *where)
            return
        width = min(44, max((len(one.usage) for one in found), default=0))
        lines = []
        for one in found:
            if len(one.usage) > width:
                lines += [f"  {one.usage}", f"  {'':<{width}}  {one.help}"]
            else:
                lines.append(f"  {one.usage:<{width}}  {one.help}")
        if elsewhere:
            lines += [f"  {_WHERE[sitting.mode]}:", *(f"    {one.usage}" for one in elsewhere)]
        listed = [{"usage": one.usage, "help": one.help} for one in (*found, *elsewhere)]
        yield say(*lines, data=listed)


def _filtered(said: Sequence[Say], filters: Sequence[Filter]) -> list[str]:
    if any(one.name == "json" for one in filters):
        data: list[Any] = [list(one.lines) if one.data is None else one.data for one in said]
        lines = json.dumps(data[0] if len(data) == 1 else data, indent=1, default=str).splitlines()
    else:
        lines = [line for one in said for line in one.lines]
    for one in filters:
        if one.name in ("match", "except"):
            wanted, text = one.name == "match", one.text.casefold()
            lines = [line for line in lines if (text in line.casefold()) is wanted]
        elif one.name == "count":
            lines = [f"{len(lines)} lines"]
    return lines


def _error_text(err: AlprEdgeError) -> str:
    return "".join(
        f"{''.join(c if c.isprintable() else '?' for c in line)}\n"
        for line in str(err).splitlines()
    )


def _encoded(text: str) -> bytes:
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "replace")


def _last_word(text: str) -> str:
    at = len(text)
    while at and not text[at - 1].isspace() and text[at - 1] != "|":
        at -= 1
    return text[at:]


def _common(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    size = 0
    while size < min(len(first), len(last)) and first[size] == last[size]:
        size += 1
    return first[:size]


def _columns(texts: Sequence[str], width: int) -> list[str]:
    wide = max(map(len, texts)) + 2
    per_line = max(1, width // wide)
    return [
        "".join(f"{text:<{wide}}" for text in texts[i : i + per_line]).rstrip()
        for i in range(0, len(texts), per_line)
    ]
