"""Which way a vehicle went, as far as the picture tells. Pure.

Two things are told apart: whether the plate grew or shrank (it came nearer or went away), and where
it moved in the picture. A plate that hardly moved or changed has no direction.
"""

from __future__ import annotations

import math

from alpr_edge.delivery import wire
from alpr_edge.types import Quad

_GROWTH = 1.15
"""Least ratio of the plate's side between last and first sighting that counts as nearer or farther.
Chosen, not measured: a plate's corners shake by a few pixels in sixty."""
_MOVE = 0.5
"""Least way, in plate widths, that counts as a move. Chosen, as above."""


def direction(first: Quad, last: Quad) -> wire.Direction | None:
    """From the first to the last sighting's corners, `(4, 2)` pixels; None when it cannot be told.

    Corners that are no numbers, or without an area, tell nothing.
    """
    start, end = first.tolist(), last.tolist()
    before, after = _side(start), _side(end)
    (from_x, from_y), (to_x, to_y) = _middle(start), _middle(end)
    move_x, move_y = to_x - from_x, to_y - from_y
    way = math.hypot(move_x, move_y)
    if not (math.isfinite(way) and before > 0 and after > 0):
        return None
    growth = after / before
    width = max(math.dist(start[0], start[1]), before)
    if way < _MOVE * width and 1 / _GROWTH < growth < _GROWTH:
        return None
    heading = round(math.degrees(math.atan2(move_x, -move_y)) % 360.0, 1) % 360.0
    if growth >= _GROWTH:
        return {"motion": "approaching", "heading_deg": heading}
    if growth <= 1 / _GROWTH:
        return {"motion": "receding", "heading_deg": heading}
    return {"motion": "crossing", "heading_deg": heading}


def _middle(quad: list[list[float]]) -> tuple[float, float]:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad
    return (ax + bx + cx + dx) / 4, (ay + by + cy + dy) / 4


def _side(quad: list[list[float]]) -> float:
    """Square root of the area: the shoelace formula of four corners, by their diagonals."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad
    area = ((cx - ax) * (dy - by) - (dx - bx) * (cy - ay)) / 2
    return math.sqrt(abs(area)) if math.isfinite(area) else 0.0
