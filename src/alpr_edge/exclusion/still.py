"""A picture of the view that may leave the unit, for whoever sets masks. Pure.

Rules:

1. It is made of a `MaskedFrame` and nothing else: what is protected is black before this begins.
2. What taints (band, gate lines) is shown in blocks of 1/64 of the frame's width: a person sees the
   kerb, nobody reads a plate. No reason opens that.
3. Elsewhere every plate that the detector found is covered with one colour, grown by `GROWTH`. No
   reason opens that either: which reads will be suppressed is not known yet (ADR 0022).
4. It is made smaller, never larger, and by averaging.

Does not: find plates, encode a file, or keep anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.mask import MaskedFrame
from alpr_edge.exclusion.zones import Zones
from alpr_edge.types import Image, Quad

BLOCKS: Final = 64
"""Blocks across the frame in what taints. A plate a sixth of the frame wide, larger than any street
camera sees, then has ten blocks for seven characters."""
GROWTH: Final = 0.6
"""Part of a plate's size by which its cover is larger on each side: corners are not exact, and a
frame round the plate holds text as well."""


def make_still(
    masked: MaskedFrame,
    zones: Zones,
    plates: Sequence[Quad],
    *,
    width_px: int,
) -> Image:
    """The picture, `(h, w, 3)` uint8 BGR, at most `width_px` wide.

    Args:
        zones: the ones that masked the frame.
        plates: what the detector found in it.

    Raises:
        ExclusionError: `exclusion.still.zones`: the frame was masked by other zones.
        ValueError: a width below 16.
    """
    if width_px < 16:
        raise ValueError(f"a still is 16 pixels wide or more, not {width_px}")
    rows, columns = masked.image.shape[:2]
    if zones.digest != masked.mask_digest or zones.core.shape != (rows, columns):
        raise ExclusionError(
            "the frame was masked by other zones than the ones in force",
            code="exclusion.still.zones",
            hint="ask for the picture again",
        )
    image = masked.image.copy()
    for quad in plates:
        _cover(image, quad)
    _coarsen(image, zones)
    image[zones.core > 0] = 0
    if columns <= width_px:
        return image
    size = (width_px, max(1, round(rows * width_px / columns)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _cover(image: Image, quad: Quad) -> None:
    """One colour over a plate. A quad that is no place covers everything."""
    rows, columns = image.shape[:2]
    if not np.isfinite(quad).all():
        image[:] = 0
        return
    low, high = quad.min(0).astype(float), quad.max(0).astype(float)
    reach = (high - low) * GROWTH + 2.0
    left, top = (int(v) for v in np.clip(np.floor(low - reach), 0, (columns, rows)))
    right, bottom = (int(v) for v in np.clip(np.ceil(high + reach), 0, (columns, rows)))
    part = image[top:bottom, left:right]
    if part.size:
        part[:] = part.reshape(-1, 3).mean(0).astype(np.uint8)


def _coarsen(image: Image, zones: Zones) -> None:
    """Blocks instead of pixels wherever a vehicle would taint its track."""
    if not zones.band.any():
        return
    rows, columns = image.shape[:2]
    size = (min(BLOCKS, columns), max(1, min(rows, round(rows * BLOCKS / columns))))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    blocks = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_NEAREST)
    within = zones.band > 0
    image[within] = blocks[within]
