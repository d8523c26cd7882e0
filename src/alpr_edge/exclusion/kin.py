"""Whether two tracks may be one vehicle: by place, by size, by text. All in doubt: yes."""

from __future__ import annotations

from math import hypot

import numpy as np

from alpr_edge.types import Quad

_FOLD = str.maketrans("OQDIZSBG", "00012586")
"""Characters that are mistaken for each other count as the same when texts are compared."""


def fold(plate: str) -> str:
    """A text with look-alike characters made equal."""
    return plate.translate(_FOLD)


def alike(a: str, b: str) -> bool:
    """Whether two folded texts may be of one plate: at most two edits apart, fewer if short."""
    most = min(2, (max(len(a), len(b)) - 1) // 3)
    if abs(len(a) - len(b)) > most:
        return False
    row = list(range(len(b) + 1))
    for i, ca in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, cb in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (ca != cb))
    return row[-1] <= most


def size_ratio(one: Quad, other: Quad) -> float:
    """How much larger one quad is in the side that changed least; a turning plate only narrows."""
    a, b = np.maximum(np.ptp(one, axis=0), 1.0), np.maximum(np.ptp(other, axis=0), 1.0)
    return float(np.maximum(a / b, b / a).min())


def within(one: Quad, other: Quad, widths: float) -> bool:
    """Whether the middles are at most so many widths of the wider plate apart."""
    a, b = one.tolist(), other.tolist()
    x = (a[0][0] + a[1][0] + a[2][0] + a[3][0] - b[0][0] - b[1][0] - b[2][0] - b[3][0]) / 4
    y = (a[0][1] + a[1][1] + a[2][1] + a[3][1] - b[0][1] - b[1][1] - b[2][1] - b[3][1]) / 4
    # Plain numbers: of four corners that is ten times faster than arrays. Written so that what is
    # no number is near.
    return not hypot(x, y) > widths * max(_width(a), _width(b))


def _width(corners: list[list[float]]) -> float:
    across = [corner[0] for corner in corners]
    return max(across) - min(across)
