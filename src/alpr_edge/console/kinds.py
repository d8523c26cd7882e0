"""Types of the console's arguments. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from alpr_edge.config.rules import host_name
from alpr_edge.console.access import Level
from alpr_edge.console.grammar import Kind
from alpr_edge.console.settings import address_text, interface_text

_USER: Final = re.compile(r"[a-z][a-z0-9._-]{0,31}")
_FRAME: Final = re.compile(r"(\d{2,5})x(\d{2,5})")


@dataclass(frozen=True, slots=True)
class Place:
    """A point as typed: in parts of the frame, or in pixels of the frame.

    Two whole numbers of which one is larger than 1 are pixels; anything else is parts.
    """

    x: float
    y: float
    in_pixels: bool

    def parts(self, frame_px: tuple[int, int]) -> tuple[float, float]:
        """In parts of a frame of this width and height.

        Raises:
            ValueError: outside the frame.
        """
        x, y = (self.x / frame_px[0], self.y / frame_px[1]) if self.in_pixels else (self.x, self.y)
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError(f"{self.x:g},{self.y:g} is outside the frame")
        return x + 0.0, y + 0.0


def _float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("not a number") from None
    if not isfinite(value):
        raise ValueError("not a finite number")
    return value


def number(low: float, high: float, shape: str, example: str) -> Kind:
    """A number within bounds, both included."""

    def parse(text: str) -> float:
        value = _float(text)
        if not low <= value <= high:
            raise ValueError(f"must be within {low:g} and {high:g}")
        return value

    return Kind(shape, parse, example)


def whole(low: int, high: int, shape: str, example: str, source: str = "") -> Kind:
    """A whole number within bounds, both included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,16}", text, re.ASCII) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number within {low} and {high}")
        return int(text)

    return Kind(shape, parse, example, source=source)


def choice(*values: str) -> Kind:
    """One of a closed list; may be cut short."""

    def parse(text: str) -> str:
        found = [v for v in values if v == text] or [v for v in values if v.startswith(text)]
        if len(found) != 1 or not text:
            raise ValueError(f"must be one of {', '.join(values)}")
        return found[0]

    return Kind(f"<{'|'.join(values)}>", parse, values[0], choices=values)


def _name(text: str) -> str:
    if not 1 <= len(text) <= 64 or not text.isprintable() or not text.strip():
        raise ValueError("a name has 1 to 64 printable characters")
    return text


def name_of(what: str, example: str) -> Kind:
    """A name; `what` is the list that completes it."""
    return Kind(f"<{what}>", _name, example, source=what)


def _place(text: str) -> Place:
    x, comma, y = text.partition(",")
    if not comma:
        raise ValueError("x and y with a comma and no space")
    px, py = _float(x), _float(y)
    whole_numbers = re.fullmatch(r"\d+,\d+", text, re.ASCII) is not None
    in_pixels = whole_numbers and max(px, py) > 1
    if not (0 <= px <= 1 and 0 <= py <= 1) and not in_pixels:
        raise ValueError("parts of the frame are within 0 and 1; pixels are whole numbers")
    if in_pixels and max(px, py) > 16_384:
        raise ValueError("no frame is that large")
    return Place(px, py, in_pixels)


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError("small letters, digits, '.', '_', '-'; at most 32; a letter first")
    return text


def _level(text: str) -> Level:
    for level in Level:
        if text == level.word:
            return level
    raise ValueError(f"must be one of {', '.join(level.word for level in Level)}")


def _text(text: str) -> str:
    if not 1 <= len(text) <= 200 or not text.isprintable():
        raise ValueError("one line of at most 200 printable characters")
    return text


def _frame(text: str) -> tuple[int, int]:
    match = _FRAME.fullmatch(text)
    if match is None or not all(16 <= int(side) <= 16_384 for side in match.groups()):
        raise ValueError("must be WIDTHxHEIGHT in pixels")
    return int(match[1]), int(match[2])


def _address(text: str) -> str:
    if text == "dhcp":
        return text
    if "/" not in text:
        raise ValueError("dhcp, or address and prefix")
    return interface_text(text)


Parse = Callable[[str], Any]
ADDRESS: Final = Kind("<dhcp|address/prefix>", _address, "10.0.0.5/24")
IP: Final = Kind("<address>", address_text, "10.0.0.1")
HOST: Final = Kind("<host>", host_name, "broker.example")
PORT: Final = whole(1, 65_535, "<port>", "8883")
PLACE: Final = Kind("<x,y>", _place, "0.25,0.4")
MASK: Final = name_of("mask", "door")
BAND: Final = name_of("band", "kerb")
GATE: Final = name_of("gate", "drive")
NEW_NAME: Final = Kind("<name>", _name, "door")
USER: Final = Kind("<user>", _user, "anna", source="user")
LEVEL: Final = Kind(
    "<viewer|technician|supervisor>",
    _level,
    "technician",
    choices=tuple(level.word for level in Level),
)
TEXT: Final = Kind("<text>", _text, "new-driveway")
WORD: Final = Kind("<word>", _text, "show")
FRAME: Final = Kind("<WIDTHxHEIGHT>", _frame, "1280x720")
MINUTES: Final = number(1, 60, "<minutes>", "10")
SHIFT: Final = number(-1, 1, "<part>", "0.01")
WIDTH: Final = number(0, 0.25, "<part>", "0.02")
RECORD: Final = whole(1, 10**15, "<number>", "1", source="record")
INDEX: Final = whole(1, 256, "<index>", "1")
COLUMNS: Final = whole(20, 200, "<columns>", "64")
LINES: Final = whole(0, 500, "<lines>", "24")
SECONDS: Final = number(10, 600, "<seconds>", "60")
COUNT: Final = whole(1, 100, "<count>", "10")
SIZE: Final = whole(1, 8 << 20, "<bytes>", "2048")
