"""A second look at full resolution where something moved: smaller plates, at a bounded cost.

A detector sees a 1920-pixel frame at a third of its size. `SecondLook` lets it look at the whole
frame first, and then at up to `looks` windows of the frame's own pixels. Windows go where the
frame has changed since the last one and no plate was found yet; a window that shows nothing is
passed over for a while, so that all moving things get their turn. It takes masked frames only: what
changes under a mask moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.exclusion.mask import MaskedFrame
from alpr_edge.types import Detection, Quad

CELL_PX = 8
"""Movement is seen in cells of so many pixels."""

CHANGED = 12
"""Grey levels by which a cell must differ from the last frame; above a camera's noise."""

LEAST_CELLS = 4
"""A window with less movement is not worth a look: rain, leaves, noise."""

VEHICLE_WIDTHS = 4.0
"""What moves so many plate widths round a plate that was found is the vehicle it belongs to."""

_MEMORY = 0.8
"""How much of the weariness of an empty window is left a frame later."""

_FULL_TURN = 4
"""Windows are tried in steps of a quarter of their size."""


class Finds(Protocol):
    """A detector."""

    def detect(self, frame: MaskedFrame) -> tuple[Detection, ...]: ...


class SecondLook:
    """A detector made of another one.

    Args:
        detector: looks at the frame and at each window.
        looks: windows a frame at the most.
        window_px: their width and height: the size that the detector takes without scaling.
    """

    def __init__(self, detector: Finds, *, looks: int, window_px: tuple[int, int]) -> None:
        self._detector = detector
        self._looks = looks
        self._window_px = window_px
        self._last: NDArray[np.uint8] | None = None
        self._weary: NDArray[np.float32] = np.zeros((0, 0), np.float32)

    def detect(self, frame: MaskedFrame) -> tuple[Detection, ...]:
        """Plates in the frame, best first, in the frame's pixels."""
        found = list(self._detector.detect(frame))
        width, height = self._window_px
        rows, cols = frame.image.shape[:2]
        if width >= cols or height >= rows:
            return tuple(found)
        interest = self._interest(frame, found)
        for _ in range(self._looks):
            place = _busiest(interest, (width // CELL_PX, height // CELL_PX))
            if place is None:
                break
            left, top = (
                min(place[0] * CELL_PX, cols - width),
                min(place[1] * CELL_PX, rows - height),
            )
            seen = _in_frame(
                self._detector.detect(frame.window(left, top, width, height)),
                (left, top, width, height),
                (cols, rows),
            )
            cells = np.s_[
                top // CELL_PX : (top + height) // CELL_PX,
                left // CELL_PX : (left + width) // CELL_PX,
            ]
            interest[cells] = 0
            self._weary[cells] = 0 if seen else 1
            found = merged(found, seen)
        return tuple(sorted(found, key=lambda d: -d.score))

    def _interest(self, frame: MaskedFrame, found: Iterable[Detection]) -> NDArray[np.float32]:
        """How much each cell is worth a look, 0..1."""
        rows, cols = frame.image.shape[0] // CELL_PX, frame.image.shape[1] // CELL_PX
        small = cv2.resize(frame.image, (cols, rows), interpolation=cv2.INTER_LINEAR)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        last, self._last = self._last, grey
        if last is None or last.shape != grey.shape:
            self._weary = np.zeros(grey.shape, np.float32)
            return np.zeros(grey.shape, np.float32)
        self._weary *= _MEMORY
        moved = (cv2.absdiff(grey, last) >= CHANGED).astype(np.float32)
        for detection in found:
            low, high = detection.quad.min(0), detection.quad.max(0)
            reach = VEHICLE_WIDTHS * (high[0] - low[0])
            x0, y0 = np.clip((low - reach) / CELL_PX, 0, (cols, rows)).astype(int)
            x1, y1 = np.clip((high + reach) / CELL_PX, 0, (cols, rows)).astype(int)
            moved[y0:y1, x0:x1] = 0
        return np.asarray(moved * (1 - self._weary), np.float32)


def merged(found: Sequence[Detection], closer: Sequence[Detection]) -> list[Detection]:
    """Both, without doubles: of two detections of one plate the closer look's is kept."""
    return [*closer, *(d for d in found if not any(_same(d.quad, c.quad) for c in closer))]


def _busiest(interest: NDArray[np.float32], size: tuple[int, int]) -> tuple[int, int] | None:
    """Left and top, in cells, of the window with the most interest; None if there is little."""
    width, height = size
    sums = cv2.integral(interest)
    lefts = _steps(interest.shape[1], width)
    tops = _steps(interest.shape[0], height)
    x, y = np.meshgrid(lefts, tops)
    inside = sums[y + height, x + width] - sums[y, x + width] - sums[y + height, x] + sums[y, x]
    best = int(inside.argmax())
    if inside.flat[best] < LEAST_CELLS:
        return None
    return int(x.flat[best]), int(y.flat[best])


def _steps(length: int, window: int) -> NDArray[np.intp]:
    return np.unique(
        np.append(np.arange(0, length - window, window // _FULL_TURN), length - window)
    )


def _in_frame(
    seen: Iterable[Detection], window: tuple[int, int, int, int], size_px: tuple[int, int]
) -> list[Detection]:
    """A window's detections in the frame's pixels, without those that its edge may have cut."""
    left, top, width, height = window
    low_edge = np.array([2.0 if left else -np.inf, 2.0 if top else -np.inf])
    high_edge = np.array(
        [
            width - 2.0 if left + width < size_px[0] else np.inf,
            height - 2.0 if top + height < size_px[1] else np.inf,
        ]
    )
    offset = np.array([left, top], np.float32)
    return [
        replace(d, quad=d.quad + offset)
        for d in seen
        if (d.quad.min(0) >= low_edge).all() and (d.quad.max(0) <= high_edge).all()
    ]


def _same(one: Quad, other: Quad) -> bool:
    """Whether the middle of either lies within the other's box."""
    a, b = one.mean(0), other.mean(0)
    return bool(
        ((a >= other.min(0)) & (a <= other.max(0))).all()
        or ((b >= one.min(0)) & (b <= one.max(0))).all()
    )
