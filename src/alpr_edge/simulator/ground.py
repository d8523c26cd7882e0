"""The street's ground seen from above: asphalt, markings, pavements, driveway, yard.

Does: paints one texture of the ground, `PX_PER_M` pixels a metre.
Does not: project it (see `backdrop`).

Rules: the texture's right is +x, its top is +y; `BOUNDS_M` are its edges.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from alpr_edge.lettering import draw_text
from alpr_edge.simulator import scene
from alpr_edge.types import Image

PX_PER_M: Final = 64
BOUNDS_M: Final = (-16.0, 5.0, 12.0, 75.0)
"""Left, near, right, far."""

_ASPHALT: Final = (92, 92, 94)
_PAVING: Final = (146, 150, 154)
_CONCRETE: Final = (160, 166, 170)
_YARD: Final = (118, 130, 144)
_LAWN: Final = (62, 104, 84)
_WHITE: Final = (214, 218, 220)
_YELLOW: Final = (60, 176, 220)


def _at(x: float, y: float) -> tuple[int, int]:
    return round((x - BOUNDS_M[0]) * PX_PER_M), round((BOUNDS_M[3] - y) * PX_PER_M)


def _box(
    canvas: Image, low: tuple[float, float], high: tuple[float, float], colour: tuple[int, int, int]
) -> None:
    cv2.rectangle(canvas, _at(*low), _at(*high), colour, -1)


def paint_ground(rng: np.random.Generator) -> Image:
    """The texture, `(H, W, 3)` uint8 BGR, in full daylight."""
    left, near, right, far = BOUNDS_M
    height, width = round((far - near) * PX_PER_M), round((right - left) * PX_PER_M)
    canvas = np.full((height, width, 3), _LAWN, dtype=np.uint8)
    kerb_left, kerb_right = scene.KERB_LEFT_X_M, scene.KERB_RIGHT_X_M
    _box(canvas, (kerb_left, near), (kerb_right, far), _ASPHALT)
    _asphalt_wear(canvas, rng)
    _pavement(canvas, kerb_left - 2.5, kerb_left, rng)
    _pavement(canvas, kerb_right, kerb_right + 2.6, rng)
    _premises(canvas)
    _markings(canvas)
    _grain(canvas, rng)
    return canvas


def _asphalt_wear(canvas: Image, rng: np.random.Generator) -> None:
    """Wheel tracks, oil, patches, cracks and covers."""
    _, near, _, far = BOUNDS_M
    for lane in (scene.AWAY_X_M, scene.ONCOMING_X_M):
        for offset in (-0.8, 0.8):
            _box(canvas, (lane + offset - 0.25, near), (lane + offset + 0.25, far), (98, 98, 101))
        _box(canvas, (lane - 0.22, near), (lane + 0.22, far), (84, 84, 86))
    for _ in range(9):
        x, y = float(rng.uniform(-3, 4)), float(rng.uniform(9, 60))
        tone = int(rng.integers(70, 86))
        size = rng.uniform((0.5, 1.0), (1.8, 5.0))
        _box(canvas, (x, y), (x + size[0], y + size[1]), (tone, tone, tone + 1))
    for _ in range(14):
        point = rng.uniform((-3.2, 8), (5, 50))
        walk = point + np.cumsum(rng.normal(0, 0.22, (18, 2)), axis=0)
        line = np.array([_at(x, y) for x, y in walk if -3.2 < x < 5.2], np.int32)
        if len(line) > 1:
            cv2.polylines(canvas, [line], False, (58, 58, 60), 2, cv2.LINE_AA)
    for x, y in ((-0.5, 16.5), (2.5, 22.0), (-2.6, 34.0)):
        cv2.circle(canvas, _at(x, y), 20, (70, 72, 76), -1, cv2.LINE_AA)
        cv2.circle(canvas, _at(x, y), 20, (50, 50, 52), 3, cv2.LINE_AA)
        cv2.circle(canvas, _at(x, y), 11, (56, 58, 60), 2, cv2.LINE_AA)
    blurred = cv2.GaussianBlur(canvas, (0, 0), 2.5)
    canvas[:] = blurred


def _pavement(canvas: Image, low_x: float, high_x: float, rng: np.random.Generator) -> None:
    """Slabs with joints, and the kerb on the road's side."""
    _, near, _, far = BOUNDS_M
    _box(canvas, (low_x, near), (high_x, far), _PAVING)
    for y in np.arange(near, far, 0.9):
        for x in np.arange(low_x, high_x - 0.1, 0.85):
            tone = int(rng.integers(-9, 10))
            blue, green, red = (int(c + tone) for c in _PAVING)
            _box(canvas, (x + 0.015, y + 0.015), (x + 0.835, y + 0.885), (blue, green, red))
    for x in (low_x, high_x):
        if x in (scene.KERB_LEFT_X_M, scene.KERB_RIGHT_X_M):
            inner = 0.2 if x == low_x else -0.2
            _box(canvas, (min(x, x + inner), near), (max(x, x + inner), far), (178, 182, 184))
            cv2.line(canvas, _at(x, near), _at(x, far), (60, 60, 62), 4)


def _premises(canvas: Image) -> None:
    """Yard behind the fence, and the driveway's apron."""
    grounds = scene.PREMISES.grounds
    (low_x, low_y), (high_x, high_y) = grounds.min(axis=0), grounds.max(axis=0)
    _box(canvas, (low_x, low_y), (high_x, high_y), _YARD)
    for y in np.arange(low_y, high_y, 0.4):
        cv2.line(canvas, _at(low_x, y), _at(high_x, y), (102, 112, 126), 2)
    apron = np.array([_at(x, y) for x, y in scene.PREMISES.driveway], np.int32)
    cv2.fillPoly(canvas, [apron], _CONCRETE, cv2.LINE_AA)
    cv2.polylines(canvas, [apron], True, (122, 128, 132), 4, cv2.LINE_AA)
    kerb, fence = scene.KERB_LEFT_X_M, scene.FENCE_X_M
    for y in (25.0, 27.0, 29.0):
        cv2.line(canvas, _at(kerb, y), _at(fence, y), (138, 143, 147), 3, cv2.LINE_AA)
    cv2.line(canvas, _at(kerb, 23.2), _at(kerb, 30.8), (200, 204, 206), 7)


def _markings(canvas: Image) -> None:
    """Double yellow line, edge lines, bays, and words that are no plates."""
    _, near, _, far = BOUNDS_M
    for x in (-0.11, 0.11):
        _box(canvas, (x - 0.05, near), (x + 0.05, far), _YELLOW)
    _box(canvas, (-0.2, 24.0), (0.2, 30.0), _ASPHALT)
    for y in np.arange(near, far, 6.8):
        _box(canvas, (3.2, y), (3.3, min(y + 2.4, far)), _WHITE)
    for y in np.arange(16.8, far, 6.8):
        _box(canvas, (3.3, y), (5.2, y + 0.1), _WHITE)
    for word, x, y in (("KEEP", -3.0, 25.6), ("CLEAR", -3.0, 23.0)):
        draw_text(canvas, word, _at(x, y + 2.0), cell=(27, 110), stroke_px=9, gap=8, colour=_WHITE)
    draw_text(canvas, "25", _at(1.05, 20.2), cell=(30, 150), stroke_px=10, gap=10, colour=_WHITE)


def _grain(canvas: Image, rng: np.random.Generator) -> None:
    """Fine and coarse unevenness of everything."""
    height, width = canvas.shape[:2]
    fine = rng.standard_normal((height // 2 + 1, width // 2 + 1), dtype=np.float32) * 8
    coarse = rng.standard_normal((height // 90, width // 90), dtype=np.float32) * 5
    total = cv2.resize(fine, (width, height), interpolation=cv2.INTER_LINEAR)
    wide = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    total = cv2.add(total, wide)
    for operation, part in ((cv2.add, total), (cv2.subtract, -total)):
        grey = np.clip(np.rint(part), 0, 255).astype(np.uint8)
        operation(canvas, cv2.merge([grey, grey, grey]), dst=canvas)
