"""How a command talks to the person: a generator that says, asks and waits. Pure.

    def reboot(desk, values) -> Talk:
        if (yield Ask("Switch the unit off and on? type yes")) != "yes":
            yield Say(("left alone",))

`session` sends the answers in; Ctrl-C closes the generator. So commands hold no state machine of
their own, and a test can drive one without a terminal.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alpr_edge.console.channel.transfer import Transfer


@dataclass(frozen=True, slots=True)
class Say:
    """Lines for the person, and the same as JSON for `| json` (None: the lines)."""

    lines: tuple[str, ...]
    data: Any = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A question with one line as its answer. `secret`: it is not echoed."""

    prompt: str
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Paste:
    """A question for many lines, ended by an empty one or a full stop alone."""

    prompt: str


@dataclass(frozen=True, slots=True)
class Move:
    """The wire for a file transfer; the answer is why it failed, empty if it did not."""

    transfer: Transfer


@dataclass(frozen=True, slots=True)
class Now:
    """Something to be shown at once, before what takes time."""

    line: str


Talk = Generator[Say | Ask | Paste | Now | Move, str, None]


def say(*lines: str, data: Any = None) -> Say:
    """Lines."""
    return Say(lines, data)


def lay_out(document: Any, indent: str = "") -> list[str]:
    """A JSON document as lines: `name: value`, lists and objects indented."""
    lines: list[str] = []
    pairs: Iterable[tuple[str, Any]]
    if isinstance(document, Mapping):
        pairs = [(f"{str(key).replace('_', ' ')}:", value) for key, value in document.items()]
    elif isinstance(document, list):
        pairs = [("-", value) for value in document]
    else:
        return [indent + _plain(document)]
    for head, value in pairs:
        if isinstance(value, Mapping | list) and value:
            inner = lay_out(value, indent + "  ")
            if head == "-":
                lines.append(f"{indent}- {inner[0].strip()}")
                lines += inner[1:]
            else:
                lines += [indent + head, *inner]
        else:
            lines.append(f"{indent}{head} {_plain(value)}".rstrip())
    return lines


def _plain(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    return clean(str(value))


def clean(text: str) -> str:
    """Text without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)
