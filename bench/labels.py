"""Labelled photos: one JSON object a line, and when a text counts as right.

    {"file": "us/a.jpg", "plates": [{"box": [x, y, w, h], "text": "7ABC123"}]}

`file` is relative to the folder of the photos, `box` in pixels; a plate without text is not scored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FOLD = str.maketrans("OI", "01")
_TOGETHER = 0.5
"""A read belongs to a label if its centre lies within the box, grown by half its size a side."""


@dataclass(frozen=True)
class Label:
    """One plate: left, top, width, height in px, and its text."""

    box: tuple[float, float, float, float]
    text: str

    def holds(self, x: float, y: float) -> bool:
        """Whether a read centred here is of this plate."""
        left, top, width, height = self.box
        return (
            left - _TOGETHER * width <= x <= left + (1 + _TOGETHER) * width
            and top - _TOGETHER * height <= y <= top + (1 + _TOGETHER) * height
        )


@dataclass(frozen=True)
class Photo:
    """A photo and its labelled plates, those without text (empty) included."""

    path: Path
    plates: tuple[Label, ...]


def load(labels: Path, folder: Path) -> list[Photo]:
    """The photos of a label file.

    Raises:
        SystemExit: it cannot be read, or names a photo that is not there.
    """
    try:
        return list(_photos(labels, folder))
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise SystemExit(f"bench: {labels}: {err!r}; see bench/labels.py for the form") from err


def _photos(labels: Path, folder: Path) -> Iterator[Photo]:
    for line in labels.read_text("utf-8").splitlines():
        if line.strip():
            row = json.loads(line)
            path = folder / row["file"]
            if not path.is_file():
                raise ValueError(f"there is no {path}")
            plates = [Label(tuple(map(float, p["box"])), plain(p["text"])) for p in row["plates"]]
            yield Photo(path, tuple(plates))


def plain(text: str | None) -> str:
    """Upper case, letters and digits only."""
    return "".join(c for c in (text or "").upper() if c.isascii() and c.isalnum())


def folded(text: str) -> str:
    """As `plain`, with O taken as 0 and I as 1: many plates print them alike."""
    return plain(text).translate(_FOLD)
