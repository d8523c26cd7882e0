"""Protected zones of one camera at one frame size: core mask and taint band as rasters.

Rules:
- Rounding is outwards everywhere: a pixel that a polygon touches at all belongs to the zone, and a
  quad touches a zone when any pixel that it touches does. A larger polygon or band never frees a
  pixel (N4).
- Quads are grown by `QUAD_GROWTH` before they are tested: the detector's corners are not exact.
- Numbers that are not finite touch everything (fail closed).

It does not read mask files (`config.mask_file`) and does not decide about tracks (`gate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.types import Quad

Polygon = Sequence[tuple[float, float]]
"""Corners in parts of the frame, 0..1, origin top left."""

QUAD_GROWTH = 0.08
"""Share of its size by which a quad is grown on each side before a test.

Source: chosen, not measured. The first detector's boxes overlap the labels by 0.76 on average
(held-out training scenes, loose labels included), so corners can be off by more: the band is the
margin for that."""

_SUBPIXEL_BITS = 4

_FARTHEST_PX = 30_000.0
"""Coordinates beyond this, or that are no numbers, are nonsense and touch everything."""


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    """What is protected in a frame of `width_px` × `height_px`.

    Attributes:
        core: `(H, W)` uint8, 255 where pixels are blanked, read-only.
        band: `(H, W)` uint8, 255 where vehicles taint their track: core and the ring round it.
        digest: identifies the mask record this was made from.
    """

    width_px: int
    height_px: int
    core: NDArray[np.uint8]
    band: NDArray[np.uint8]
    digest: str

    @property
    def protected(self) -> bool:
        """Whether anything at all is protected in this view."""
        return bool(self.band.any())


def make_zones(
    polygons: Sequence[Polygon],
    *,
    size_px: tuple[int, int],
    band_px: int,
    digest: str,
    margin_px: int = 0,
) -> Zones:
    """Rasterise mask polygons for a frame of `size_px` (width, height).

    Args:
        polygons: masks in parts of the frame.
        size_px: width and height of the frame.
        band_px: width of the taint band round the core.
        digest: identifies the mask record.
        margin_px: grows the core mask itself.

    Raises:
        ValueError: on an empty frame or negative widths.
    """
    width, height = size_px
    if width < 1 or height < 1 or band_px < 0 or margin_px < 0:
        raise ValueError(f"no zones for a frame of {width}x{height}, band {band_px}")
    core = np.zeros((height, width), np.uint8)
    scale = np.array([width, height], np.float64)
    for polygon in polygons:
        _fill(core, np.asarray(polygon, np.float64) * scale)
    core = _dilate(core, margin_px)
    band = _dilate(core, band_px)
    core.setflags(write=False)
    band.setflags(write=False)
    return Zones(width, height, core, band, digest)


def touches(raster: NDArray[np.uint8], points: NDArray[np.floating]) -> bool:
    """Whether the convex hull of `points` `(N, 2)` in pixels shares a pixel with the raster.

    Points outside the frame count as being on its edge: what is beyond it cannot be judged, so the
    nearest pixel is.
    """
    height, width = raster.shape
    if not (np.abs(points) < _FARTHEST_PX).all():
        return True
    inside = np.clip(points, 0, (width - 1e-3, height - 1e-3))
    x0, y0 = np.maximum(np.floor(inside.min(0)).astype(int) - 2, 0)
    x1, y1 = np.minimum(np.floor(inside.max(0)).astype(int) + 3, (width, height))
    window = raster[y0:y1, x0:x1]
    if not window.any():
        return False
    shape = np.zeros(window.shape, np.uint8)
    # The true hull, of which the frame cuts off a part, and the one whose corners were moved to the
    # frame's edge: neither holds the other.
    for hull in (points, inside):
        corners = hull.astype(np.float32)
        # OpenCV finds no hull where all points are the same.
        if not (corners == corners[0]).all():
            corners = cv2.convexHull(corners).reshape(-1, 2).astype(np.float32)
        _fill(shape, corners.astype(np.float64) - (x0, y0))
    return bool(cv2.bitwise_and(shape, window).any())


def grow(quad: Quad) -> Quad:
    """The quad grown about its centre by `QUAD_GROWTH`, and by one pixel at least."""
    centre = quad.mean(0)
    away = quad - centre
    length = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-6)[:, None]
    grown = centre + away * np.maximum(1 + 2 * QUAD_GROWTH, 1 + np.sqrt(2.0) / length)
    return np.asarray(grown, np.float32)


def _fill(raster: NDArray[np.uint8], points_px: NDArray[np.float64]) -> None:
    """Set every pixel of `raster` that the closed polygon touches to 255."""
    height, width = raster.shape
    if not np.isfinite(points_px).all():
        raster[:] = 255
        return
    # What lies just outside the raster may still touch its edge pixels: draw with room round it.
    room = 2
    shape = np.zeros((height + 2 * room, width + 2 * room), np.uint8)
    # OpenCV's integer coordinates are pixel centres; ours are pixel corners, hence the half pixel.
    fixed = np.round((points_px + (room - 0.5)) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(shape, [fixed], 255, lineType=cv2.LINE_8, shift=_SUBPIXEL_BITS)
    # fillPoly marks centres and a one-pixel outline; one more pixel covers all that is touched.
    drawn = _dilate(shape, 1)[room:-room, room:-room]
    np.maximum(raster, drawn, out=raster)


def _dilate(raster: NDArray[np.uint8], radius_px: int) -> NDArray[np.uint8]:
    if radius_px == 0:
        return raster
    # A square is never smaller than the disc; two passes of one row and one column are fast.
    side = 2 * radius_px + 1
    grown = cv2.dilate(raster, np.ones((1, side), np.uint8))
    return np.asarray(cv2.dilate(grown, np.ones((side, 1), np.uint8)), np.uint8)
