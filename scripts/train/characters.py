"""Where the characters of a straightened plate are, and how one takes another's place."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

Cell = tuple[float, float, float, float]
"""Left, right, top and bottom of a character, in shares of the picture."""


def align(ctc: np.ndarray, codes: list[int], blank: int) -> tuple[np.ndarray, float] | None:
    """The centre of each character of a text that is known: Viterbi over the CTC head's columns.

    Args:
        ctc: log probabilities (T, classes), float32.
        codes: the text's classes.
        blank: the class between two characters.

    Returns:
        One centre a character, in columns, and the mean probability there; None where the text does
        not fit into T columns.
    """
    classes = np.full(2 * len(codes) + 1, blank)
    classes[1::2] = codes
    may_skip = np.zeros(len(classes), bool)
    may_skip[3::2] = classes[3::2] != classes[1:-2:2]
    best = np.full(len(classes), -np.inf)
    best[:2] = ctc[0, classes[:2]]
    back = np.zeros((len(ctc), len(classes)), int)
    for t in range(1, len(ctc)):
        one = np.concatenate([[-np.inf], best[:-1]])
        two = np.where(may_skip, np.concatenate([[-np.inf] * 2, best[:-2]]), -np.inf)
        froms = np.stack([best, one, two])
        back[t] = froms.argmax(0)
        best = froms.max(0) + ctc[t, classes]
    state = len(classes) - 1 - int(best[-2] > best[-1])
    if not np.isfinite(best[state]):
        return None
    columns: list[list[int]] = [[] for _ in codes]
    for t in range(len(ctc) - 1, -1, -1):
        if state % 2:
            columns[state // 2].append(t)
        state -= back[t, state]
    chances = [np.exp(ctc[c, code]) for c, code in zip(columns, codes, strict=True)]
    centres = [np.average(c, weights=p) for c, p in zip(columns, chances, strict=True)]
    return np.array(centres), float(np.mean([p.max() for p in chances]))


def cells_of(flat: np.ndarray, centres: np.ndarray) -> list[Cell] | None:
    """Left, right, top and bottom of each character, in shares of the picture.

    Args:
        flat: a straightened plate `(h, w)` uint8 grey.
        centres: columns of the characters' middles, ascending, in pixels.

    Returns:
        None where the characters stand too close, or their rows are not found.
    """
    height, width = flat.shape
    steps = np.diff(centres)
    if len(steps) < 2 or steps.min() < 6:
        return None
    typical = float(np.percentile(steps, 40))
    low, high = int(0.25 * height), int(0.75 * height)
    ink = cv2.GaussianBlur(flat[low:high], (3, 3), 0).astype(np.float32).std(0)
    between = []
    for a, b in pairwise(centres):
        inside = np.arange(int(np.ceil(a + 0.3 * (b - a))), int(b - 0.3 * (b - a)) + 1)
        between.append(float(inside[np.argmin(ink[inside])]))
    # Beside a wider gap, and at the ends, a character is as wide as the others.
    lefts = [max(x, c - 0.62 * typical) for x, c in zip([0.0, *between], centres, strict=True)]
    rights = [
        min(x, c + 0.62 * typical) for x, c in zip([*between, width - 1.0], centres, strict=True)
    ]
    lines = _lines(flat, lefts, rights)
    if lines is None:
        return None
    cells = []
    for left, right, top, bottom in zip(lefts, rights, *lines, strict=True):
        if right - left < 6 or not 16 <= bottom - top <= 60:
            return None
        cells.append((left / width, right / width, top / height, bottom / height))
    return cells


def _lines(
    flat: np.ndarray, lefts: list[float], rights: list[float]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Top and bottom row of each character, on two straight lines: a crop may be tilted."""
    x = (np.array(lefts) + np.array(rights)) / 2
    tops, bottoms = [], []
    for left, right in zip(lefts, rights, strict=True):
        part = flat[:, max(0, int(left) - 2) : int(right) + 3].astype(np.float32)
        rows = cv2.GaussianBlur(np.ptp(part, axis=1)[:, None], (1, 5), 0)[:, 0]
        least = 0.5 * np.median(rows[len(rows) // 3 : -len(rows) // 3])
        top = bottom = len(flat) // 2
        while top > 0 and rows[top - 1] > least:
            top -= 1
        while bottom < len(flat) - 1 and rows[bottom + 1] > least:
            bottom += 1
        tops.append(top)
        bottoms.append(bottom)
    return _line(x, np.array(tops)), _line(x, np.array(bottoms))


def _line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Theil-Sen: the median of all slopes, then of all offsets."""
    i, j = np.triu_indices(len(x), 1)
    slope = np.median((y[j] - y[i]) / (x[j] - x[i]))
    return slope * x + np.median(y - slope * x)


def put(image: np.ndarray, glyph: np.ndarray, place: tuple[int, int, int, int]) -> None:
    """Put a glyph there, brought to the brightness and contrast of what stood there before."""
    x0, x1, y0, y1 = place
    there = image[y0:y1, x0:x1].astype(np.float32)
    new = cv2.resize(glyph, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    (a0, a1), (b0, b1) = np.percentile(there, (8, 92)), np.percentile(new, (8, 92))
    new = (new - b0) * ((a1 - a0) / max(b1 - b0, 8.0)) + a0
    fade = np.ones_like(new)
    ramp = np.array([0.25, 0.6], np.float32)
    for k, share in enumerate(ramp):
        fade[:, k] *= share
        fade[:, -1 - k] *= share
        fade[k] *= share
        fade[-1 - k] *= share
    mixed = there * (1 - fade) + new * fade
    image[y0:y1, x0:x1] = np.clip(mixed, 0, 255).astype(np.uint8)
