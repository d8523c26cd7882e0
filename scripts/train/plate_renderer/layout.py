"""Sets a serial: turns its signs into one row mask with gaps, hyphens, dots and places for emblems.

Does: measures, narrows where a row is too wide, and stamps the row onto a canvas.
Does not: choose the serial, the die or the colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .canvas import Bgr, Canvas
from .decor import Box, emblem, seals
from .glyphs import MASK_HEIGHT, Die, Mask, glyph_mask

_SIGN_WIDTH = {" ": 0.34, "-": 0.36, ".": 0.3, "*": 0.62, "=": 0.42}


@dataclass(frozen=True, slots=True)
class Row:
    """How a row is set."""

    die: Die
    ink: Bgr
    emblem: str = "dot"
    raised: bool = False
    spread: float = 1.0
    """Factor on the gaps."""
    align: float = 0.5


def _cell(die: Die, char: str) -> float:
    """Width of a character's cell, as a share of the height."""
    mask = glyph_mask(die, char)
    width = float(mask.shape[1] / MASK_HEIGHT)
    if die.font:
        return min(width, die.width * 1.25) * 0.5 + 0.5 * min(width, die.width)
    return max(width, die.width) if die.fixed_pitch else width


def set_row(canvas: Canvas, text: str, box: Box, row: Row, rng: np.random.Generator) -> None:
    """Set a text into a box x0, y0, x1, y1; its height is kept, its width narrowed if need be."""
    die, height, room = row.die, box[3] - box[1], box[2] - box[0]
    gap = die.gap * row.spread
    widths = [_SIGN_WIDTH.get(sign) or _cell(die, sign) for sign in text]
    total = sum(widths) + gap * (len(text) - 1)
    squeeze = min(1.0, room / max(1e-6, total * height))
    x = box[0] + (room - total * height * squeeze) * row.align
    y = box[1]
    if squeeze < 0.72:  # rather smaller characters than too narrow ones
        shrink = max(0.75, squeeze / 0.72)
        y += height * (1 - shrink) / 2
        box = (box[0], y, box[2], y + height * shrink)
    for sign, width in zip(text, widths, strict=True):
        right = x + width * height * squeeze
        _set_sign(canvas, sign, (x, box[1], right, box[3]), row, rng)
        x = right + gap * height * squeeze


def _set_sign(canvas: Canvas, sign: str, cell: Box, row: Row, rng: np.random.Generator) -> None:
    """Draw one sign into its cell."""
    x0, y0, x1, y1 = cell
    height, width = y1 - y0, x1 - x0
    middle = (y0 + y1) / 2
    if sign == " ":
        return
    if sign == "-":
        half = height * row.die.stroke * rng.uniform(0.4, 0.55)
        mask = np.full((max(2, round(2 * half)), max(2, round(width * 0.8))), 255, np.uint8)
        canvas.stamp(mask, (x0 + width * 0.1, middle - half), row.ink, raised=row.raised)
    elif sign == ".":
        size = max(2, round(height * rng.uniform(0.09, 0.15)))
        mask = np.zeros((size + 2, size + 2), np.uint8)
        mask[1:-1, 1:-1] = 255
        level = middle if rng.random() < 0.85 else y1 - size
        canvas.stamp(mask, ((x0 + x1 - size) / 2, level - size / 2), row.ink, raised=row.raised)
    elif sign == "*":
        emblem(canvas, row.emblem, cell, row.ink, rng)
    elif sign == "=":
        seals(canvas, cell, rng)
    else:
        _set_glyph(canvas, sign, cell, row)


def _set_glyph(canvas: Canvas, char: str, cell: Box, row: Row) -> None:
    """Scale a glyph's mask into its cell and stamp it."""
    mask = glyph_mask(row.die, char)
    x0, y0, x1, y1 = cell
    height, width = y1 - y0, x1 - x0
    natural = mask.shape[1] / MASK_HEIGHT
    full = _cell(row.die, char)
    inked = width if row.die.font else width * min(1.0, natural / full)
    size = (max(2, round(inked)), max(4, round(height * mask.shape[0] / MASK_HEIGHT)))
    fitted: Mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
    canvas.stamp(fitted, (x0 + (width - inked) / 2, y0), row.ink, raised=row.raised)


def stacked(canvas: Canvas, text: str, box: Box, row: Row) -> None:
    """Small letters one above the other in a box; they are never part of the label."""
    step = (box[3] - box[1]) / len(text)
    for k, char in enumerate(text):
        top = box[1] + k * step
        _set_glyph(canvas, char, (box[0], top, box[2], top + step * 0.84), row)
