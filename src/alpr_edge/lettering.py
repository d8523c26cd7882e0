"""An own stroke alphabet, A-Z and 0-9 as lines and elliptic arcs: for the street and the self-test.

Does: gives every character as polylines in a unit cell, and draws lines of text with rounded
strokes, the way an embossing die looks.
Does not: read a font file, know plates, or share anything with the renderer that trains the models.

Rules: x right, y down, 0..1 are the extremes of the stroke's centre line. A stroke is a tuple of
items: `(x, y)` a vertex, `(cx, cy, rx, ry, from, to)` an elliptic arc in degrees, 0 to the right,
90 down; `to` below `from` runs the other way round.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.types import Image

Stroke: TypeAlias = tuple[tuple[float, ...], ...]

_ROUND: Final[Stroke] = (
    (0.5, 0.27, 0.5, 0.27, 180, 360),
    (0.5, 0.73, 0.5, 0.27, 0, 180),
    (0, 0.27),
)
_P_BOWL: Final[Stroke] = (
    (0, 1),
    (0, 0),
    (0.55, 0),
    (0.55, 0.275, 0.45, 0.275, 270, 450),
    (0, 0.55),
)

GLYPHS: Final[dict[str, tuple[Stroke, ...]]] = {
    "A": (((0, 1), (0.43, 0), (0.57, 0), (1, 1)), ((0.17, 0.67), (0.83, 0.67))),
    "B": (
        ((0, 0), (0.55, 0), (0.55, 0.235, 0.37, 0.235, 270, 450), (0, 0.47)),
        ((0.55, 0.47), (0.55, 0.735, 0.45, 0.265, 270, 450), (0, 1), (0, 0)),
    ),
    "C": (((1, 0.3), (0.5, 0.27, 0.5, 0.27, 360, 180), (0.5, 0.73, 0.5, 0.27, 180, 0), (1, 0.7)),),
    "D": (
        ((0, 0), (0.42, 0), (0.42, 0.33, 0.58, 0.33, 270, 360), (0.42, 0.67, 0.58, 0.33, 0, 90),
         (0, 1), (0, 0)),
    ),
    "E": (((0.95, 0), (0, 0), (0, 1), (0.95, 1)), ((0, 0.48), (0.78, 0.48))),
    "F": (((0.95, 0), (0, 0), (0, 1)), ((0, 0.49), (0.78, 0.49))),
    "G": (
        ((1, 0.28), (0.5, 0.27, 0.5, 0.27, 360, 180), (0.5, 0.73, 0.5, 0.27, 180, 0), (1, 0.55),
         (0.6, 0.55)),
    ),
    "H": (((0, 0), (0, 1)), ((1, 0), (1, 1)), ((0, 0.49), (1, 0.49))),
    "I": (((0.5, 0), (0.5, 1)), ((0.2, 0), (0.8, 0)), ((0.2, 1), (0.8, 1))),
    "J": (((0.9, 0), (0.9, 0.74), (0.45, 0.74, 0.45, 0.26, 0, 180), (0, 0.66)),),
    "K": (((0, 0), (0, 1)), ((0.97, 0), (0, 0.6)), ((0.36, 0.4), (1, 1))),
    "L": (((0, 0), (0, 1), (0.92, 1)),),
    "M": (((0, 1), (0, 0), (0.5, 0.62), (1, 0), (1, 1)),),
    "N": (((0, 1), (0, 0), (1, 1), (1, 0)),),
    "O": (
        ((0.38, 0), (0.62, 0), (0.62, 0.24, 0.38, 0.24, 270, 360), (0.62, 0.76, 0.38, 0.24, 0, 90),
         (0.38, 0.76, 0.38, 0.24, 90, 180), (0.38, 0.24, 0.38, 0.24, 180, 270), (0.38, 0)),
    ),
    "P": (_P_BOWL,),
    "Q": (_ROUND, ((0.62, 0.74), (1.02, 1.04))),
    "R": (_P_BOWL, ((0.48, 0.55), (1, 1))),
    "S": (((0.5, 0.24, 0.5, 0.24, 352, 90), (0.5, 0.74, 0.5, 0.26, 270, 532)),),
    "T": (((0, 0), (1, 0)), ((0.5, 0), (0.5, 1))),
    "U": (((0, 0), (0, 0.72), (0.5, 0.72, 0.5, 0.28, 180, 0), (1, 0)),),
    "V": (((0, 0), (0.5, 1), (1, 0)),),
    "W": (((0, 0), (0.22, 1), (0.5, 0.34), (0.78, 1), (1, 0)),),
    "X": (((0, 0), (1, 1)), ((1, 0), (0, 1))),
    "Y": (((0, 0), (0.5, 0.52), (1, 0)), ((0.5, 0.52), (0.5, 1))),
    "Z": (((0.02, 0), (1, 0), (0, 1), (1, 1)),),
    "0": (_ROUND,),
    "1": (((0.22, 0.2), (0.52, 0), (0.52, 1)), ((0.2, 1), (0.84, 1))),
    "2": (((0.5, 0.26, 0.5, 0.26, 184, 392), (0, 1), (1, 1)),),
    "3": (
        ((0.5, 0.24, 0.47, 0.24, 192, 450), (0.36, 0.48)),
        ((0.5, 0.48), (0.5, 0.74, 0.5, 0.26, 270, 528)),
    ),
    "4": (((0.76, 1), (0.76, 0), (0, 0.7), (1, 0.7)),),
    "5": (((0.93, 0), (0.1, 0), (0.05, 0.47), (0.49, 0.68, 0.51, 0.32, 224, 520)),),
    "6": (((0.5, 0.27, 0.5, 0.27, 338, 180), (0, 0.7)), ((0.5, 0.7, 0.5, 0.3, 0, 360),)),
    "7": (((0, 0), (1, 0), (0.34, 1)),),
    "8": (((0.5, 0.24, 0.45, 0.24, 0, 360),), ((0.5, 0.74, 0.5, 0.26, 0, 360),)),
    "9": (((0.5, 0.3, 0.5, 0.3, 0, 360),), ((1, 0.3), (1, 0.73), (0.5, 0.73, 0.5, 0.27, 0, 158))),
}  # fmt: skip
"""Every character's strokes. Source: drawn for this street, after US embossing dies."""

_NARROW: Final = {"I": 0.55, "1": 0.75}
_LIGHTER: Final = {"M": 0.84, "W": 0.8}
"""Crowded characters are cut with a thinner stroke, as real dies are."""
_ARC_STEP_DEG: Final = 8.0
_SHIFT: Final = 4


@lru_cache(maxsize=64)
def polylines(character: str) -> tuple[NDArray[np.float64], ...]:
    """The strokes of one character as polylines `(N, 2)` in the unit cell."""
    return tuple(np.array(_flatten(stroke)) for stroke in GLYPHS[character])


def _flatten(stroke: Stroke) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for item in stroke:
        if len(item) == 2:
            points.append((item[0], item[1]))
            continue
        cx, cy, rx, ry, start, end = item
        steps = max(2, int(abs(end - start) / _ARC_STEP_DEG) + 1)
        angles = np.radians(np.linspace(start, end, steps))
        points += zip(cx + rx * np.cos(angles), cy + ry * np.sin(angles), strict=True)
    return points


def text_width(text: str, cell: tuple[float, float], gap: float) -> float:
    """Width in pixels of a line of text drawn in cells `(width, height)` with a gap between."""
    advance = sum(_advance(character) * cell[0] + gap for character in text)
    return advance - gap


def _advance(character: str) -> float:
    if character in GLYPHS:
        return _NARROW.get(character, 1.0)
    return 0.5


def draw_text(
    canvas: Image,
    text: str,
    origin: tuple[float, float],
    *,
    cell: tuple[float, float],
    stroke_px: int,
    gap: float,
    colour: tuple[int, int, int],
) -> None:
    """Draw a line of text into `canvas` in place; signs that are no glyph leave a gap.

    Args:
        canvas: `(H, W, 3)` uint8 BGR.
        text: upper case.
        origin: left and top of the first cell, pixels.
        cell: width and height of a full character, ink included, pixels.
        stroke_px: thickness of the stroke.
        gap: pixels between characters.
        colour: BGR.
    """
    x, y = origin
    for character in text:
        width = _advance(character) * cell[0]
        if character in GLYPHS:
            inset = stroke_px / 2
            scale = np.array([max(width - stroke_px, 1.0), max(cell[1] - stroke_px, 1.0)])
            for line in polylines(character):
                points = line * scale + (x + inset, y + inset)
                fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
                thick = max(1, round(stroke_px * _LIGHTER.get(character, 1.0)))
                cv2.polylines(canvas, [fixed], False, colour, thick, cv2.LINE_AA, _SHIFT)
        x += width + gap
