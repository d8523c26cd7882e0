"""Whether a closed polygon is simple: no crossing, no touching itself, some area. Pure and exact.

Coordinates are floats, which are exact binary fractions; where rounding could decide, the test is
repeated in whole-number arithmetic. No tolerance: the answer does not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

Point = tuple[float, float]
Polygon = tuple[Point, ...]

_SURE: Final = 1e-15
"""Above this, rounding cannot have changed the sign of a cross product of points within 0..1.

Source: Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997, bound A of ORIENT2D:
(3 + 16 ε) ε times a sum of products that is at most 2 here, ε = 2^-53: 6.7e-16."""
MAX_CROSSINGS: Final = 10


def shape_problems(points: Polygon) -> list[str]:
    """What keeps a closed polygon, within 0..1, from being simple; none if it is."""
    count = len(points)
    repeated = [i for i in range(count) if points[i] == points[(i + 1) % count]]
    if repeated:
        return [
            f"points {i} and {(i + 1) % count} are equal: leave one out (the polygon closes itself)"
            for i in repeated[:MAX_CROSSINGS]
        ]
    if _has_no_area(points):
        return ["has no area"]
    found = []
    for first, second in _meeting_edges(points):
        found.append(f"crosses or touches itself: segment {first} meets segment {second}")
        if len(found) == MAX_CROSSINGS:
            break
    return found


def _has_no_area(points: Polygon) -> bool:
    """All points on one line."""
    return all(_turn(points[0], points[1], point) == 0 for point in points[2:])


def _meeting_edges(points: Polygon) -> Iterator[tuple[int, int]]:
    """Pairs of edges that share more than neighbours' common corner. Edge i starts at point i."""
    count = len(points)
    edges = [(points[i], points[(i + 1) % count]) for i in range(count)]
    for i in range(count):
        if _folds_back(*edges[i], edges[(i + 1) % count][1]):
            yield i, (i + 1) % count
        for j in range(i + 2, count):
            if (i, j) != (0, count - 1) and _meet(*edges[i], *edges[j]):
                yield i, j


def _folds_back(a: Point, b: Point, c: Point) -> bool:
    """Edge b-c runs back over edge a-b."""
    if _turn(a, b, c) != 0:
        return False
    # On one line: b is the corner between a and c unless both lie on the same side of it.
    return (a < b) == (c < b)


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Segments a-b and c-d have a point in common."""
    if (
        max(a[0], b[0]) < min(c[0], d[0])
        or max(c[0], d[0]) < min(a[0], b[0])
        or max(a[1], b[1]) < min(c[1], d[1])
        or max(c[1], d[1]) < min(a[1], b[1])
    ):
        return False
    # Their boxes overlap, so they meet unless one lies strictly on one side of the other's line.
    return _turn(a, b, c) * _turn(a, b, d) <= 0 and _turn(c, d, a) * _turn(c, d, b) <= 0


def _turn(a: Point, b: Point, c: Point) -> int:
    """1 where a, b, c turn left, -1 right, 0 on one line; exact."""
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if abs(area) <= _SURE:
        ax, ay, bx, by, cx, cy = (Fraction(value) for point in (a, b, c) for value in point)
        exact = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        return (exact > 0) - (exact < 0)
    return 1 if area > 0 else -1
