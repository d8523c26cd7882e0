"""What of a picture survives the light: a small field of edge directions, and two numbers.

A masked frame becomes a field `FIELD_WIDTH` cells wide. Each cell holds the direction of the edge
in it as the unit vector of the doubled angle, times how far it rises above the noise: 0 to 1. So
strength and sign of a contrast do not count, only where edges run: a kerb is the same by day, by
lamplight and in rain. (Fitch et al., Orientation Correlation, BMVC 2002; Granlund 1978 for the
doubled angle.)

Beside it: how much detail there is, how much contrast, and how sharp the sharpest edges are.

It sees masked pixels only, holds no reference and decides nothing (`drift`, `view_watch`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.exclusion.zones import Zones
from alpr_edge.types import Image

Field = NDArray[np.float32]
"""`(h, w, 2)`: cosine and sine of the doubled angle, each times 0..1."""

FIELD_WIDTH = 128
"""Cells across. A plate that fills a tenth of the frame is 13 cells wide, less than two cells a
character; the shift of a whole view is still found to a fifth of a cell (ADR 0013)."""

NOISE_LEVELS = 2.5
"""Grey levels per cell at which an edge counts half. Source: the simulated street's night noise,
averaged over a cell, is 0.8 levels; fog of 60 m visibility leaves kerbs 3 to 8."""

GLANCES = 3
"""The field is the mean of so many: moving things, rain and noise have other directions each time
and cancel; what stands still adds up. Nothing older is in it, which `view_watch` relies on."""

_KEEP = 0.5
"""Share of the old rows kept at each glance, for the sharpness alone."""

_ROWS = 18
_FINE_PX, _COARSE_PX = 2, 12
_REACH = 3
"""Cells round the mask that its own black edge can touch: smoothing and gradient reach two."""


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """What was seen so far, newest most.

    Attributes:
        field: see `Field`; zero where masked.
        detail: mean square of the field over what is not masked.
        contrast: grey levels between the 5th and the 95th percentile.
        sharpness: sharpest steps over 2 pixels as a share of the sharpest over 12; None where no
            step stands out of the noise.
        unchanged: not one sampled byte differs from the glance before.
    """

    field: Field
    detail: float
    contrast: float
    sharpness: float | None
    unchanged: bool


class Sampler:
    """Takes glances at the masked frames of one camera. Keeps a few small arrays, no picture."""

    def __init__(self, zones: Zones) -> None:
        height, width = zones.core.shape
        self._size = field_size((width, height))
        self.free = free_cells(zones)
        self._row_step = max(1, height // (self._size[1] * 4))
        self._rows = slice(None, None, max(1, height // _ROWS))
        near = cv2.dilate(zones.core[self._rows], np.ones((1, 2 * _COARSE_PX + 1), np.uint8))
        self._free_row = (near == 0).astype(np.float32)
        self._fields: deque[Field] = deque(maxlen=GLANCES)
        self._grey: NDArray[np.float32] | None = None
        self._last: NDArray[np.uint8] | None = None
        self._noise = 0.0

    def forget(self) -> None:
        """Begin anew, as after a long gap."""
        self._fields.clear()
        self._grey = self._last = None

    def take(self, image: Image) -> Glance:
        """Look at `(H, W, 3)` uint8 BGR, already masked."""
        small = cv2.resize(image[:: self._row_step], self._size, interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        self._fields.append(directions(grey) * self.free[..., None])
        field = np.asarray(sum(self._fields) / np.float32(len(self._fields)), np.float32)
        rows = np.ascontiguousarray(image[self._rows, :, 1])
        unchanged = self._last is not None and np.array_equal(rows, self._last)
        sharpness = self._sharpness(rows)
        self._last = rows
        seen = grey[self.free]
        low, high = np.percentile(seen, (5, 95)) if seen.size else (0.0, 0.0)
        detail = float(np.square(field).sum()) / max(int(self.free.sum()), 1)
        return Glance(field, detail, float(high - low), sharpness, unchanged)

    def _sharpness(self, rows: NDArray[np.uint8]) -> float | None:
        grey = rows.astype(np.float32)
        if self._grey is None or self._last is None:
            self._grey = grey
        else:
            change = cv2.absdiff(rows, self._last)[::3, ::3]
            # Source: the median of |a - b| for equal normal noise is 0.954 sigma.
            self._noise = float(np.median(change)) / 0.954
            mixed = cv2.addWeighted(self._grey, _KEEP, grey, 1 - _KEEP, 0)
            self._grey = np.asarray(mixed, np.float32)
        # What averaging leaves of the noise, times sqrt(2) for a difference of two.
        noise: float = self._noise * ((1 - _KEEP) / (1 + _KEEP)) ** 0.5 * 2**0.5
        fine, coarse = (self._step(span) for span in (_FINE_PX, _COARSE_PX))
        if coarse < 12.0 + 2.7 * noise:
            return None
        return max(0.0, fine - 2.7 * noise) / coarse

    def _step(self, span_px: int) -> float:
        """The largest steps in brightness over so many pixels, freak values left out."""
        assert self._grey is not None
        if self._grey.shape[1] <= span_px:
            return 0.0
        steps = cv2.absdiff(self._grey[:, span_px:], self._grey[:, :-span_px])
        steps = cv2.multiply(steps, self._free_row[:, span_px:])
        top = max(1, round(0.003 * steps.size))
        return float(np.partition(np.asarray(steps).ravel(), -top)[-top])


def field_size(size_px: tuple[int, int]) -> tuple[int, int]:
    """Width and height in cells of the field of a frame of `size_px` (width, height)."""
    width = min(FIELD_WIDTH, size_px[0])
    return width, max(1, round(width * size_px[1] / size_px[0]))


def free_cells(zones: Zones) -> NDArray[np.bool_]:
    """`(h, w)` cells that neither the core mask nor its edge can touch."""
    size = field_size((zones.width_px, zones.height_px))
    part = cv2.resize((zones.core > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    side = 2 * _REACH + 1
    masked = cv2.dilate((part > 0).astype(np.uint8), np.ones((side, side), np.uint8))
    return np.asarray(masked == 0)


def directions(grey: NDArray[np.uint8]) -> Field:
    """The field of a small grey picture `(h, w)`."""
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (3, 3), 0.7)
    across = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32)
    down = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32)
    power = across * across + down * down + np.float32(NOISE_LEVELS**2)
    cosine = (across * across - down * down) / power
    return np.asarray(np.dstack([cosine, 2 * across * down / power]), np.float32)
