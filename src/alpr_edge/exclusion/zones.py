"""Protected zones of one camera at one frame size: core mask, taint band and gate lines in pixels.

Rules:
- Rounding is outwards everywhere: a pixel that a polygon touches at all belongs to the zone, one
  that a hole's outline touches too, and a quad touches a zone when any pixel that it touches does.
  A larger polygon, margin or band never frees a pixel (N4).
- Quads are grown by `QUAD_GROWTH` before they are tested: the detector's corners are not exact.
- Numbers that are not finite touch everything (fail closed).

It does not read mask files (`config.mask_file`) and does not decide about tracks (`gate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, hypot, isfinite

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.types import Quad
from alpr_edge.zone_set import GateLine, Ring, Taints, ZonePolygon, ZoneSet

Polygon = Sequence[tuple[float, float]]
"""Corners in parts of the frame, 0..1, origin top left."""

QUAD_GROWTH = 0.08
"""Share of its size by which a quad is grown on each side before a test.

Source: chosen, not measured. The first detector's boxes overlap the labels by 0.76 on average
(held-out training scenes, loose labels included), so corners can be off by more: the band is the
margin for that."""

_SUBPIXEL_BITS = 4

_GLANCE_PX = 6.0
"""Room for the least growth of a quad and for rounding, in `is_far`."""

_FARTHEST_PX = 30_000.0
"""Coordinates beyond this, or that are no numbers, are nonsense and touch everything."""


@dataclass(frozen=True, slots=True, eq=False)
class OneWayLine:
    """A gate line of which only one direction taints.

    Attributes:
        points: `(N, 2)` float64 pixels. Seen along the line, a crossing from right to left taints;
            lines of the other direction are turned round.
    """

    points: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    """What is protected in a frame of `width_px` × `height_px`.

    Attributes:
        core: `(H, W)` uint8, 255 where pixels are blanked, read-only.
        band: `(H, W)` uint8, 255 where vehicles taint their track: core, the ring round it, band
            polygons, and gate lines that taint both ways. Read-only.
        away: `(H, W)` float32, pixels to the nearest one of `band` or of a one-way line; read-only.
        one_way: gate lines that taint in one direction.
        digest: identifies the mask record this was made from.
    """

    width_px: int
    height_px: int
    core: NDArray[np.uint8]
    band: NDArray[np.uint8]
    away: NDArray[np.float32]
    digest: str
    one_way: tuple[OneWayLine, ...] = ()

    @property
    def protected(self) -> bool:
        """Whether anything at all is protected in this view."""
        return bool(self.one_way) or bool(self.band.any())


def rasterise(
    zone_set: ZoneSet, *, size_px: tuple[int, int], digest: str, least_band: float = 0.0
) -> Zones:
    """The zones of a commissioned set at one frame size.

    Args:
        zone_set: what is protected.
        size_px: width and height of the frame.
        digest: identifies the mask record.
        least_band: band width, as a part of the frame's width, that the device asks for at least.

    Raises:
        ValueError: on an empty frame or negative widths.
    """
    width, height = size_px
    band = max(zone_set.band, least_band)
    # Written so that a width that is no number is refused.
    if width < 1 or height < 1 or not min(zone_set.margin, zone_set.band, least_band) >= 0:
        raise ValueError(f"no zones for a frame of {width}x{height}, band {band}")
    core = np.zeros((height, width), np.uint8)
    if zone_set.whole_frame:
        core[:] = 255
    for mask in zone_set.masks:
        np.maximum(core, _region(mask, size_px), out=core)
    core = _dilate(core, ceil(zone_set.margin * width))
    tainting = _dilate(core, ceil(band * width))
    for region in zone_set.bands:
        np.maximum(tainting, _region(region, size_px), out=tainting)
    for gate in zone_set.gates:
        if gate.taints is Taints.BOTH:
            np.maximum(tainting, _outline(_scaled(gate.line, size_px), size_px), out=tainting)
    one_way = tuple(_one_way(g, size_px) for g in zone_set.gates if g.taints is not Taints.BOTH)
    away = _distance(tainting, one_way)
    for raster in (core, tainting, away):
        raster.setflags(write=False)
    return Zones(width, height, core, tainting, away, digest, one_way)


def make_zones(
    polygons: Sequence[Polygon],
    *,
    size_px: tuple[int, int],
    band_px: int,
    digest: str,
    margin_px: int = 0,
) -> Zones:
    """Plain mask polygons for a frame of `size_px` (width, height); widths in pixels.

    Raises:
        ValueError: on an empty frame or negative widths.
    """
    masks = tuple(ZonePolygon(str(i), tuple(polygon)) for i, polygon in enumerate(polygons))
    width = max(size_px[0], 1)
    zone_set = ZoneSet(
        masks,
        nothing_protected=not masks,
        margin=_whole(margin_px, width),
        band=_whole(band_px, width),
    )
    return rasterise(zone_set, size_px=size_px, digest=digest)


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


def crosses(line: OneWayLine, before: Quad, after: Quad) -> bool:
    """Whether a corner moves over a one-way line in the direction that taints, or may have.

    Args:
        before, after: `(4, 2)` the plate's corners in pixels, in the same order.
    """
    start, end = before.astype(np.float64)[:, None], after.astype(np.float64)[:, None]
    a, b = line.points[None, :-1], line.points[None, 1:]
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        return True
    # In a picture whose y runs down, a point to the left of a-b has a negative cross product.
    was, now = _side(a, b, start), _side(a, b, end)
    from_here, to_there = _side(start, end, a), _side(start, end, b)
    meets = (was * now <= 0) & (from_here * to_there <= 0)
    freely = (was < 0) & (now > 0)
    return bool((meets & ~freely).any())


def _side(
    a: NDArray[np.float64], b: NDArray[np.float64], point: NDArray[np.float64]
) -> NDArray[np.float64]:
    along, to = b - a, point - a
    side: NDArray[np.float64] = along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0]
    return side


def is_far(zones: Zones, quads: Sequence[Quad]) -> bool:
    """Whether a glance shows that the hull of quads, grown, touches nothing that taints.

    A circle round all their corners, and twice the growth, against the distance of its middle to
    the nearest tainting pixel. `False` says nothing.
    """
    corners = [corner for quad in quads for corner in quad.tolist()]
    across, down = [c[0] for c in corners], [c[1] for c in corners]
    left, right, top, bottom = min(across), max(across), min(down), max(down)
    # `min` and `max` may pass over what is no number; a sum cannot.
    if not isfinite(sum(across) + sum(down)) or min(left, top) < 0:
        return False
    if right >= zones.width_px or bottom >= zones.height_px:
        return False
    radius = hypot(right - left, bottom - top) / 2 * (1 + 4 * QUAD_GROWTH) + _GLANCE_PX
    middle = int((top + bottom) / 2), int((left + right) / 2)
    return bool(zones.away[middle] > radius)


def grow(quad: Quad) -> Quad:
    """The quad grown about its centre by `QUAD_GROWTH`, and by one pixel at least."""
    centre = quad.mean(0)
    away = quad - centre
    length = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-6)[:, None]
    grown = centre + away * np.maximum(1 + 2 * QUAD_GROWTH, 1 + np.sqrt(2.0) / length)
    return np.asarray(grown, np.float32)


def _distance(tainting: NDArray[np.uint8], one_way: Sequence[OneWayLine]) -> NDArray[np.float32]:
    """Pixels to the nearest one that taints; larger than any frame where there is none."""
    height, width = tainting.shape
    raster = tainting.copy()
    for line in one_way:
        np.maximum(raster, _outline(line.points, (width, height)), out=raster)
    if not raster.any():
        return np.broadcast_to(np.float32(_FARTHEST_PX), (height, width))
    free = cv2.bitwise_not(raster)
    return np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def _whole(pixels: int, width: int) -> float:
    """The part of the width that `rasterise` rounds up to exactly so many pixels."""
    return (pixels - 0.5) / width if pixels > 0 else float(pixels)


def _scaled(ring: Ring, size_px: tuple[int, int]) -> NDArray[np.float64]:
    return np.asarray(ring, np.float64).reshape(-1, 2) * np.array(size_px, np.float64)


def _region(region: ZonePolygon, size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Every pixel that the region touches; a hole frees only what it covers wholly."""
    raster = np.zeros(size_px[::-1], np.uint8)
    _fill(raster, _scaled(region.polygon, size_px))
    for hole in region.holes:
        points = _scaled(hole, size_px)
        if np.isfinite(points).all():
            within = np.zeros_like(raster)
            _fill(within, points)
            within[_outline(_closed(points), size_px) > 0] = 0
            raster[within > 0] = 0
    # An outer ring's own edge stays, whatever a hole covers.
    return np.maximum(raster, _outline(_closed(_scaled(region.polygon, size_px)), size_px))


def _closed(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([points, points[:1]])


def _outline(points: NDArray[np.float64], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Every pixel that an open line of points touches, and their neighbours."""
    raster = np.zeros(size_px[::-1], np.uint8)
    _draw(raster, [np.stack([a, b, a]) for a, b in pairwise(points)])
    return raster


def _one_way(gate: GateLine, size_px: tuple[int, int]) -> OneWayLine:
    points = _scaled(gate.line, size_px)
    if gate.taints is Taints.LEFT_TO_RIGHT:
        points = points[::-1]
    return OneWayLine(points)


def _fill(raster: NDArray[np.uint8], points_px: NDArray[np.float64]) -> None:
    """Set every pixel of `raster` that the closed polygon touches to 255."""
    _draw(raster, [points_px])


def _draw(raster: NDArray[np.uint8], polygons_px: Sequence[NDArray[np.float64]]) -> None:
    """Set every pixel of `raster` that one of the closed polygons touches to 255."""
    height, width = raster.shape
    if not all(np.isfinite(points_px).all() for points_px in polygons_px):
        raster[:] = 255
        return
    # What lies just outside the raster may still touch its edge pixels: draw with room round it.
    room = 2
    shape = np.zeros((height + 2 * room, width + 2 * room), np.uint8)
    # OpenCV's integer coordinates are pixel centres; ours are pixel corners, hence the half pixel.
    for points_px in polygons_px:
        fixed = np.round((points_px + (room - 0.5)) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        # One at a time: fillPoly would take overlaps of several for holes.
        cv2.fillPoly(shape, [fixed], 255, lineType=cv2.LINE_8, shift=_SUBPIXEL_BITS)
    # fillPoly marks centres and a one-pixel outline; one more pixel covers all that is touched.
    # Growing all at once gives the same pixels as growing each.
    drawn = _dilate(shape, 1)[room:-room, room:-room]
    np.maximum(raster, drawn, out=raster)


def _dilate(raster: NDArray[np.uint8], radius_px: int) -> NDArray[np.uint8]:
    if radius_px == 0:
        return raster.copy()
    # A square is never smaller than the disc; two passes of one row and one column are fast.
    side = 2 * radius_px + 1
    grown = cv2.dilate(raster, np.ones((1, side), np.uint8))
    return np.asarray(cv2.dilate(grown, np.ones((side, 1), np.uint8)), np.uint8)
