"""The language of the console: words, abbreviations, completion, help. Pure; knows no command.

A command is a sequence of keywords and arguments, then options in any order, then filters after |:

    set mask "front door" points 0.1,0.2 0.4,0.2 0.4,0.7
    commit confirmed 10 reason new driveway | no-more

Rules:
- A keyword may be cut short as long as it stays unambiguous: `sh ma` is `show masks`. A keyword in
  full always counts, also where it begins another one.
- Where a keyword may stand no argument may, so that a new command never changes an old line.
- Words with spaces stand in double quotes; `\\"` and `\\\\` within them. A quoted word is never a
  keyword.
- Roles hide commands from help and completion, never from the meaning of abbreviations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from alpr_edge.console.access import Level
from alpr_edge.errors import ConsoleError

MAX_WORDS: Final = 600


class Mode(StrEnum):
    """Where a command may be given."""

    LOOK = "look"
    """Prompt `>`."""
    CHANGE = "change"
    """Prompt `#`: the candidate is being edited."""


BOTH: Final = frozenset(Mode)
LOOK: Final = frozenset({Mode.LOOK})
CHANGE: Final = frozenset({Mode.CHANGE})


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of argument.

    Attributes:
        shape: what people see in its place: `<x,y>`.
        parse: text → value; raises `ValueError` with what is wrong.
        choices: all values there are; empty: not a closed list.
        source: names a list that the unit completes from (`mask`, `gate`, `user`, …).
        example: a text that `parse` takes.
    """

    shape: str
    parse: Callable[[str], Any]
    example: str
    choices: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Arg:
    """A place for a value.

    Attributes:
        many: takes all words up to the next option; its value is a list.
        optional: only as the last part.
    """

    name: str
    kind: Kind
    help: str = ""
    many: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """A keyword that may follow a command, with or without a value."""

    word: str
    arg: Arg | None = None
    help: str = ""


Part = str | Arg


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        key: names what is done; several commands may do the same.
        level: who may give it.
        changes: whether it changes the candidate.
        needs: the methods of the device that it uses, as `access.NEEDS` names them.
    """

    key: str
    parts: tuple[Part, ...]
    help: str
    level: Level = Level.VIEWER
    modes: frozenset[Mode] = LOOK
    options: tuple[Option, ...] = ()
    changes: bool = False
    needs: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """As it is typed."""
        words = []
        for part in self.parts:
            if isinstance(part, str):
                words.append(part)
            else:
                shape = part.kind.shape + (" …" if part.many else "")
                words.append(f"[{shape}]" if part.optional else shape)
        for option in self.options:
            shape = f" {option.arg.kind.shape}" if option.arg else ""
            words.append(f"[{option.word}{shape}]")
        return " ".join(words)

    @property
    def example(self) -> str:
        """A line that parses."""
        words = []
        for part in self.parts:
            words.append(part if isinstance(part, str) else part.kind.example)
        for option in self.options[:1]:
            words += [option.word] + ([option.arg.kind.example] if option.arg else [])
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Filter:
    """What happens to the lines of an answer: `match`, `except`, `count`, `json`, `no-more`."""

    name: str
    text: str = ""


FILTERS: Final = {
    "match": "only lines with this text, whatever its case",
    "except": "only lines without this text",
    "count": "how many lines",
    "json": "the answer as JSON",
    "no-more": "without pausing",
}
_WITH_TEXT: Final = ("match", "except")


@dataclass(frozen=True, slots=True)
class Call:
    """A command that was understood."""

    command: Command
    values: dict[str, Any]
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line; `start` is where it begins in the text."""

    text: str
    start: int
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Next:
    """What may follow.

    Attributes:
        text: to be put in; empty: a place for a value, shown as `shape`.
    """

    text: str
    shape: str
    help: str


Names = Callable[[str], Sequence[str]]
"""The names that a source has now (`Kind.source`)."""


def split(text: str) -> tuple[list[Word], bool]:
    """The words of a line, `|` apart; and whether a quote is still open."""
    words: list[Word] = []
    at, size = 0, len(text)
    while at < size:
        char = text[at]
        if char.isspace():
            at += 1
        elif char == "|":
            words.append(Word("|", at))
            at += 1
        elif char == '"':
            start, found, at = at, [], at + 1
            while at < size and text[at] != '"':
                at += 1 if text[at] == "\\" and at + 1 < size else 0
                found.append(text[at])
                at += 1
            words.append(Word("".join(found), start, quoted=True))
            if at >= size:
                return words, True
            at += 1
        else:
            start = at
            while at < size and not text[at].isspace() and text[at] not in '|"':
                at += 1
            words.append(Word(text[start:at], start))
    return words, False


def quote(word: str) -> str:
    """A word as it must be typed. `split(quote(w))[0][0].text == w`."""
    if word and not any(c.isspace() or c in '|"?\\' for c in word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Grammar:
    """All commands of the console."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self.commands = tuple(commands)

    # --- understanding -----------------------------------------------------------------------

    def parse(self, text: str, mode: Mode) -> Call | None:
        """The command of a line; None for an empty one.

        Raises:
            ConsoleError: `console.syntax`, with what may stand there instead.
        """
        words, is_open = split(text)
        if is_open:
            raise _syntax("a quote is not closed", 'end the word with "')
        if len(words) > MAX_WORDS:
            raise _syntax(f"more than {MAX_WORDS} words", "give it in several lines")
        bars = [i for i, w in enumerate(words) if w.text == "|" and not w.quoted]
        head = words[: bars[0]] if bars else words
        if not head:
            if bars:
                raise _syntax("a command is missing before |", "such as: show masks | match door")
            return None
        try:
            command, values = self._command(head, mode)
        except _MayBeSeveral:
            raise
        except ConsoleError as err:
            raise self._elsewhere(head, mode) or err from None
        ends = [*bars[1:], len(words)] if bars else []
        filters = tuple(
            _filter(words[begin + 1 : end]) for begin, end in zip(bars, ends, strict=True)
        )
        return Call(command, values, filters)

    def _command(self, words: Sequence[Word], mode: Mode) -> tuple[Command, dict[str, Any]]:
        found, at = self._walk(words, mode)
        complete = [one for one in found if one.is_complete]
        if complete:
            chosen = complete[0]
            if at < len(words):
                chosen.take_options(words[at:])
            return chosen.command, chosen.values
        shapes = ", ".join(sorted({_shape(part) for one in found for part in one.rest[:1]}))
        raise _syntax(f"incomplete: after {words[-1].text!r:.60} comes {shapes}", "type ? for more")

    def _elsewhere(self, words: Sequence[Word], mode: Mode) -> ConsoleError | None:
        """Where these words would be a command: at the other prompt."""
        other = Mode.CHANGE if mode is Mode.LOOK else Mode.LOOK
        try:
            command, _ = self._command(words, other)
        except ConsoleError:
            return None
        keys = " ".join(part for part in command.parts if isinstance(part, str))
        if other is Mode.CHANGE:
            return _syntax(f"{keys} is for configure mode", "configure")
        return _syntax(f"{keys} is not for configure mode", "exit")

    def _walk(self, words: Sequence[Word], mode: Mode) -> tuple[list[_Partial], int]:
        """Commands that begin with these words, and how many words they took."""
        found = [_Partial(one) for one in self.commands if mode in one.modes]
        for at, word in enumerate(words):
            ahead = [one for one in found if one.rest]
            if not ahead:
                return found, at
            kept = _step(ahead, words, at)
            if kept is None:
                # No part takes it: an option of a complete command may.
                complete = [one for one in found if one.is_complete]
                if complete:
                    return complete, at
                raise _unknown(word, ahead)
            found, took_all = kept
            if took_all:
                end = min(one.end for one in found)
                return [one for one in found if one.end == end], end
        return found, len(words)

    # --- completion and help -----------------------------------------------------------------

    def following(self, text: str, mode: Mode, level: Level, names: Names) -> list[Next]:
        """What may stand where the text ends: keywords and names that begin with its last word.

        After a space, everything that may come next. Empty where nothing may, or the text is wrong.
        """
        words, is_open = split(text)
        bars = [i for i, w in enumerate(words) if w.text == "|" and not w.quoted]
        fresh = not words or (not is_open and text[-1:].isspace()) or words[-1].text == "|"
        partial = "" if fresh else words[-1].text
        before = words if fresh else words[:-1]
        if bars and bars[-1] < len(words) - (0 if fresh else 1):
            return _following_bar(words[bars[-1] + 1 :], partial, fresh=fresh)
        try:
            found, at = self._walk(before, mode)
        except ConsoleError:
            return []
        found = [one for one in found if one.command.level <= level]
        if at < len(before) or any(one.rest and one.is_inside_many(before) for one in found):
            return _after_options(found, before, at, partial, names)
        nexts: dict[str, Next] = {}
        for one in found:
            for item in one.next_items(names):
                if item.text.startswith(partial) or (not item.text and _fits(one, partial)):
                    nexts.setdefault(item.text or item.shape, item)
        if not partial and any(one.is_complete for one in found):
            nexts["<Enter>"] = Next("", "<Enter>", "run it")
        return sorted(nexts.values(), key=lambda n: (n.text == "", n.text, n.shape))

    def matching(self, words: Sequence[str], mode: Mode | None, level: Level) -> list[Command]:
        """Commands whose keywords begin like these words; for `help`."""
        found = []
        for command in self.commands:
            if command.level > level or (mode is not None and mode not in command.modes):
                continue
            keys = [part for part in command.parts if isinstance(part, str)]
            if len(words) <= len(keys) and all(
                key.startswith(word) for word, key in zip(words, keys, strict=False)
            ):
                found.append(command)
        return found


class _Partial:
    """A command of which some parts were given."""

    def __init__(self, command: Command, given: int = 0, values: dict[str, Any] | None = None):
        self.command, self.given = command, given
        self.values = {} if values is None else values
        self.end = 0

    @property
    def rest(self) -> tuple[Part, ...]:
        return self.command.parts[self.given :]

    @property
    def is_complete(self) -> bool:
        return all(isinstance(part, Arg) and part.optional for part in self.rest)

    def with_word(self, key: str | None = None, value: Any = None) -> _Partial:
        values = dict(self.values) if key is None else {**self.values, key: value}
        return _Partial(self.command, self.given + 1, values)

    def is_inside_many(self, before: Sequence[Word]) -> bool:
        del before
        return False

    def next_items(self, names: Names) -> list[Next]:
        items: list[Next] = []
        if self.rest:
            items += _items(self.rest[0], names)
        if self.is_complete:
            items += [Next(o.word, o.word, o.help) for o in self.command.options]
        return items

    def take_options(self, words: Sequence[Word]) -> None:
        """Read options into `values`.

        Raises:
            ConsoleError: `console.syntax`.
        """
        options, at = self.command.options, 0
        while at < len(words):
            word = words[at]
            option = _option(options, word)
            if option is None:
                allowed = ", ".join(o.word for o in options if o.word not in self.values)
                what = f"; possible: {allowed}" if allowed else ""
                raise _syntax(f"{word.text!r:.60} is too much{what}", "type ? for more")
            if option.word in self.values:
                raise _syntax(f"{option.word} is given twice", "give it once")
            at += 1
            if option.arg is None:
                self.values[option.word] = True
                continue
            if at >= len(words):
                shape = option.arg.kind.shape
                raise _syntax(f"after {option.word!r} comes {shape}", "type ? for more")
            if option.arg.many:
                end = next(
                    (i for i in range(at, len(words)) if _option(options, words[i], exact=True)),
                    len(words),
                )
                text = " ".join(w.text for w in words[at:end])
                self.values[option.word] = _value(option.arg, Word(text, words[at].start))
                at = end
            else:
                self.values[option.word] = _value(option.arg, words[at])
                at += 1


def _step(
    ahead: Sequence[_Partial], words: Sequence[Word], at: int
) -> tuple[list[_Partial], bool] | None:
    """The commands that take this word; and whether their last argument took all that follow."""
    word = words[at]
    keys = {part for one in ahead if isinstance(part := one.rest[0], str)}
    chosen = _choose(word, keys)
    if chosen is not None:
        return [one.with_word() for one in ahead if one.rest[0] == chosen], False
    takers = [one for one in ahead if isinstance(one.rest[0], Arg)]
    if not takers:
        return None
    if all(one.is_complete and _option(one.command.options, word) for one in takers):
        return None
    many = [one for one in takers if isinstance(one.rest[0], Arg) and one.rest[0].many]
    if many:
        return [_take_many(one, words, at) for one in many], True
    kept, trouble = [], None
    for one in takers:
        arg = one.rest[0]
        assert isinstance(arg, Arg)
        try:
            kept.append(one.with_word(arg.name, _value(arg, word)))
        except ConsoleError as err:
            trouble = err
    if not kept and trouble is not None:
        raise trouble
    return kept, False


def _take_many(one: _Partial, words: Sequence[Word], at: int) -> _Partial:
    arg = one.rest[0]
    assert isinstance(arg, Arg)
    end = at
    while end < len(words) and not _option(one.command.options, words[end], exact=True):
        end += 1
    values = [_value(arg, word) for word in words[at:end]]
    after = one.with_word(arg.name, values)
    after.end = end
    return after


def _choose(word: Word, keys: set[str]) -> str | None:
    """The keyword that a word means; None where it means none.

    Raises:
        ConsoleError: `console.syntax`: it may mean several.
    """
    if word.quoted:
        return None
    text = word.text.lower()
    if text in keys:
        return text
    starting = sorted(key for key in keys if key.startswith(text))
    if len(starting) > 1:
        raise _MayBeSeveral(
            f"{word.text!r:.60} may be {', '.join(starting)}",
            code="console.syntax",
            hint="type one letter more, or Tab",
        )
    return starting[0] if starting else None


def _option(options: Sequence[Option], word: Word, *, exact: bool = False) -> Option | None:
    if word.quoted:
        return None
    text = word.text.lower()
    same = [o for o in options if o.word == text]
    if same or exact:
        return same[0] if same else None
    starting = [o for o in options if o.word.startswith(text)]
    return starting[0] if len(starting) == 1 else None


def _value(arg: Arg, word: Word) -> Any:
    try:
        return arg.kind.parse(word.text)
    except ValueError as err:
        raise _syntax(
            f"{word.text!r:.60} is no {arg.kind.shape}: {err}", f"such as {arg.kind.example}"
        ) from err


def _fits(one: _Partial, partial: str) -> bool:
    """Whether a place for a value may hold what was typed so far: shown for `?`."""
    return bool(one.rest) and isinstance(one.rest[0], Arg) and not one.rest[0].kind.choices


def _items(part: Part, names: Names) -> list[Next]:
    if isinstance(part, str):
        return [Next(part, part, "")]
    kind = part.kind
    listed = kind.choices or (tuple(names(kind.source)) if kind.source else ())
    items = [Next(quote(name), name, part.help or kind.shape) for name in listed]
    if not kind.choices:
        items.append(Next("", kind.shape, part.help))
    return items


def _after_options(
    found: Sequence[_Partial], before: Sequence[Word], at: int, partial: str, names: Names
) -> list[Next]:
    """What may follow within the options of a command."""
    items: dict[str, Next] = {}
    for one in found:
        options = one.command.options
        last = _option(options, before[-1]) if len(before) > at else None
        if last is not None and last.arg is not None:
            for item in _items(last.arg, names):
                if item.text.startswith(partial) or not item.text:
                    items.setdefault(item.text or item.shape, item)
            continue
        given = {o.word for w in before[at:] if (o := _option(options, w))}
        for option in options:
            if option.word not in given and option.word.startswith(partial):
                items.setdefault(option.word, Next(option.word, option.word, option.help))
        many = next((p for p in one.command.parts if isinstance(p, Arg) and p.many), None)
        if many is not None and not given:
            items.setdefault(many.kind.shape, Next("", many.kind.shape, many.help))
    return sorted(items.values(), key=lambda n: (n.text == "", n.text, n.shape))


def _following_bar(words: Sequence[Word], partial: str, *, fresh: bool) -> list[Next]:
    before = words if fresh else words[:-1]
    if not before:
        return [
            Next(name, name, about) for name, about in FILTERS.items() if name.startswith(partial)
        ]
    if len(before) == 1 and before[0].text in _WITH_TEXT:
        return [Next("", "<text>", FILTERS[before[0].text])]
    return []


def _filter(words: Sequence[Word]) -> Filter:
    if not words:
        raise _syntax("a filter is missing after |", f"one of {', '.join(FILTERS)}")
    name = _choose(words[0], set(FILTERS))
    if name is None:
        raise _syntax(
            f"{words[0].text!r:.60} is no filter", f"one of {', '.join(FILTERS)} may follow |"
        )
    wanted = 2 if name in _WITH_TEXT else 1
    if len(words) != wanted:
        text = " <text>" if wanted == 2 else ""
        raise _syntax(f"a filter is written | {name}{text}", 'quote a text with spaces: "a b"')
    return Filter(name, words[1].text if wanted == 2 else "")


def _shape(part: Part) -> str:
    return part if isinstance(part, str) else part.kind.shape


def _unknown(word: Word, ahead: Sequence[_Partial]) -> ConsoleError:
    shapes = sorted({_shape(one.rest[0]) for one in ahead})
    shown = ", ".join(shapes[:12]) + (", …" if len(shapes) > 12 else "")
    return _syntax(f"{word.text!r:.60} is not known here; possible: {shown}", "type ? for more")


class _MayBeSeveral(ConsoleError):
    """A keyword was cut too short."""


def _syntax(message: str, hint: str) -> ConsoleError:
    return ConsoleError(message, code="console.syntax", hint=hint)
