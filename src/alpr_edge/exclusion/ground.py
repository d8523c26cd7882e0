"""Where a plate's vehicle is on the ground, and whether that ground is protected.

A plate hangs at some height above the ground, within an interval that holds for all vehicles. The
line of sight through each of its corners meets that layer in a stretch; all stretches together are
where the vehicle may be. So a vehicle on an approach lane is known before it reaches the mask.

The ground frame here is the camera's own: `right` and `ahead` of its foot, turned by its heading.

Rules:
- A plate whose place cannot be bounded (at the horizon, above the lens, beyond the grid) touches.
- The quad is grown as the gate grows it; the pose's uncertainty widens the place found.
- Only what is ever asked is prepared ahead: a test costs some microseconds of plain arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, cos, floor, inf, isfinite, radians, sin, sqrt, tan
from typing import Final

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from alpr_edge.exclusion.camera_model import PlacedCamera, View
from alpr_edge.exclusion.local_plane import LocalPlane, Points
from alpr_edge.exclusion.premises import Site, grow, taint_pieces
from alpr_edge.exclusion.projection import CURVATURE, Rules, near_sites
from alpr_edge.exclusion.zones import QUAD_GROWTH
from alpr_edge.types import Quad

PLATE_HEIGHTS_M: Final = (0.2, 1.6)
"""Lower and upper edge of any plate above the ground. Source: (EU) 2021/535, annex III: 0.20 m to
1.20 m, 2.0 m where unavoidable; measured on US pick-ups and lorries to 1.5 m. Chosen for the cars
and vans that are read; a higher plate is placed too far away, by half its distance at 3 m height.
"""

CELL_M: Final = 0.5
FARTHEST_M: Final = 150.0
_BEHIND_M: Final = 20.0
_SUBPIXEL_BITS: Final = 4


@dataclass(frozen=True, slots=True)
class GroundInterval:
    """A box on the ground, metres right and ahead of the camera's foot."""

    right_m: tuple[float, float]
    ahead_m: tuple[float, float]


class _Sight:
    """A camera's lines of sight, as plain numbers."""

    __slots__ = ("_height_m", "_lens", "_pixel", "_turn")

    def __init__(self, camera: PlacedCamera) -> None:
        level = replace(camera, pose=replace(camera.pose, heading_deg=0.0))
        self._turn: list[list[float]] = level.view.rotation.tolist()
        self._height_m = camera.pose.height_m
        self._lens = camera.lens
        self._pixel = (
            camera.lens.fx_px,
            camera.lens.fy_px,
            camera.lens.cx_px,
            camera.lens.cy_px,
        )

    def interval(
        self, corners: Sequence[Sequence[float]], heights_m: tuple[float, float]
    ) -> GroundInterval | None:
        """See `ground_interval`; corners in pixels of the frame."""
        if not self._lens.is_straight:
            corners = self._lens.to_ideal(np.array(corners, np.float64)).tolist()
        fx, fy, cx, cy = self._pixel
        (rx, ry, rz), (dx, dy, dz), (ax, ay, az) = self._turn
        least, most = self._height_m - heights_m[1], self._height_m - heights_m[0]
        if not least > 0.0:
            return None
        right_low = ahead_low = inf
        right_high = ahead_high = -inf
        for px, py in corners:
            u, v = (px - cx) / fx, (py - cy) / fy
            down = -(u * rz + v * dz + az)
            if not down > 1e-4:
                return None
            right, ahead = (u * rx + v * dx + ax) / down, (u * ry + v * dy + ay) / down
            for drop in (least, most):
                right_low, right_high = min(right_low, right * drop), max(right_high, right * drop)
                ahead_low, ahead_high = min(ahead_low, ahead * drop), max(ahead_high, ahead * drop)
        return GroundInterval((right_low, right_high), (ahead_low, ahead_high))


def ground_interval(
    quad: Quad, camera: PlacedCamera, heights_m: tuple[float, float] = PLATE_HEIGHTS_M
) -> GroundInterval | None:
    """Where a vehicle may be whose plate is seen at `quad`, the pose taken as it was measured.

    Args:
        quad: `(4, 2)` pixels of the frame.
        heights_m: between which heights every part of the plate hangs.

    Returns:
        A box that holds every such place; None where there is no bound.
    """
    return _Sight(camera).interval(quad.tolist(), heights_m)


class GroundZones:
    """The taint area of a view, prepared for tests of plates."""

    def __init__(
        self,
        sites: Sequence[Site],
        camera: PlacedCamera,
        rules: Rules,
        heights_m: tuple[float, float] = PLATE_HEIGHTS_M,
    ) -> None:
        self._sight = _Sight(camera)
        self._heights_m = heights_m
        half = min(tan(radians(min(camera.lens.hfov_deg / 2 + 12.0, 65.0))) * FARTHEST_M, 300.0)
        self._left_m = -half - _BEHIND_M
        self._counts, self._any = self._grid(sites, camera, rules)
        self._rows, self._columns = (n - 1 for n in self._counts.shape)
        self._margins = _margins(camera, heights_m)

    @property
    def protected(self) -> bool:
        """Whether any ground of the grid taints."""
        return self._any

    def touches(self, quad: Quad) -> bool:
        """Whether the vehicle of a plate may stand on ground that taints."""
        if not self._any:
            return False
        place = self._sight.interval(_grown(quad.tolist()), self._heights_m)
        return place is None or self.holds(place)

    def holds(self, place: GroundInterval) -> bool:
        """Whether a place, widened by the pose's uncertainty, meets ground that taints."""
        if not self._any:
            return False
        (left, right), (near, far) = place.right_m, place.ahead_m
        if not (isfinite(left) and isfinite(right) and -_BEHIND_M < near <= far < FARTHEST_M):
            return True
        aside, along = self._margins[int(max(far, 0.0)) + 1]
        if not isfinite(aside + along):
            return True
        row0 = floor((near - along + _BEHIND_M) / CELL_M)
        row1 = ceil((far + along + _BEHIND_M) / CELL_M) + 1
        column0 = floor((left - aside - self._left_m) / CELL_M)
        column1 = ceil((right + aside - self._left_m) / CELL_M) + 1
        if row0 < 0 or column0 < 0 or row1 > self._rows or column1 > self._columns:
            return True
        c = self._counts
        return bool(c[row1, column1] - c[row0, column1] - c[row1, column0] + c[row0, column0] > 0)

    def _grid(
        self, sites: Sequence[Site], camera: PlacedCamera, rules: Rules
    ) -> tuple[NDArray[np.int32], bool]:
        """How many tainted cells lie before each row and column, and whether there are any."""
        shape = (
            round((FARTHEST_M + 2 * _BEHIND_M) / CELL_M),
            round(-2 * self._left_m / CELL_M),
        )
        cells = np.zeros(shape, np.uint8)
        plane = LocalPlane(*camera.pose.place)
        turn = _turn(camera)
        corner = np.array([self._left_m, -_BEHIND_M])
        for site in near_sites(sites, camera, 2 * FARTHEST_M):
            for piece in taint_pieces(site, plane, rules.band_m):
                # Grown by more than half a cell's diagonal: a cell that is touched has its middle
                # inside.
                outline = shapely.get_coordinates(grow(piece, CELL_M)) @ turn.T
                fixed = (outline - corner) / CELL_M - 0.5
                fixed = np.clip(np.round(fixed * (1 << _SUBPIXEL_BITS)), -(1 << 20), 1 << 20)
                cv2.fillPoly(cells, [fixed.astype(np.int32)], 1, cv2.LINE_8, _SUBPIXEL_BITS)
        counts = np.zeros((shape[0] + 1, shape[1] + 1), np.int32)
        counts[1:, 1:] = cells.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
        return counts, bool(cells.any())


def _grown(corners: list[list[float]]) -> list[tuple[float, float]]:
    """The quad grown about its centre, as `zones.grow` does."""
    x = sum(c[0] for c in corners) / 4
    y = sum(c[1] for c in corners) / 4
    grown = []
    for cx, cy in corners:
        dx, dy = cx - x, cy - y
        factor = max(1 + 2 * QUAD_GROWTH, 1 + 1.4143 / max(sqrt(dx * dx + dy * dy), 1e-6))
        grown.append((x + dx * factor, y + dy * factor))
    return grown


def _margins(
    camera: PlacedCamera, heights_m: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    """How far aside and along a place may be off, for each whole metre ahead; never shrinking."""
    ahead = np.arange(1.0, FARTHEST_M + 2)
    share = tan(radians(min(camera.lens.hfov_deg / 2 + 5.0, 65.0)))
    worst = np.zeros((len(ahead), 2))
    for height in heights_m:
        for side in (-share, -share / 2, 0.0, share / 2, share):
            there = np.column_stack([side * ahead, ahead])
            worst = np.maximum(worst, _shifts(camera, there, height))
    loose = camera.ground.at(ahead)
    # Uneven ground moves the place along the line of sight.
    slack = loose / max(camera.pose.height_m - heights_m[1], 0.1) * ahead
    worst += np.column_stack([slack * share, slack])
    grown = np.maximum.accumulate(worst, axis=0)
    return tuple((float(a), float(b)) for a, b in np.vstack([grown[:1], grown, grown[-1:]]))


def _shifts(camera: PlacedCamera, there: Points, height_m: float) -> Points:
    """How far true places `(N, 2)` may lie from where they seem to be, each way; may be infinite.

    Places that the camera does not see have no shift.
    """
    drop = camera.pose.height_m - height_m
    if drop <= 0:
        return np.full(there.shape, inf)
    turn = _turn(camera)
    lens = camera.lens
    points = np.column_stack([there @ turn, np.full(len(there), height_m)])

    def seen_at(view: View) -> Points:
        in_camera = view.to_camera(points)
        rays = camera.view.rays(view.to_ideal(in_camera, lens), lens)
        found: Points = (rays[:, :2] * (drop / np.maximum(-rays[:, 2:], 0.0))) @ turn.T
        found[in_camera[:, 2] < 0.1] = inf
        return found

    with np.errstate(divide="ignore", invalid="ignore"):
        in_camera = camera.view.to_camera(points)
        apart = np.abs(camera.view.to_ideal(in_camera, lens) - (lens.cx_px, lens.cy_px))
        size = np.array([lens.width_px, lens.height_px])
        in_view = (in_camera[:, 2] > 0.1) & (apart < 0.75 * size).all(axis=1)
        shift = np.zeros(there.shape)
        off = [seen_at(view) - there for view in camera.extreme_views]
        for plus, minus in zip(off[::2], off[1::2], strict=True):
            shift += ((plus - minus) / 2) ** 2
        shift = np.sqrt(shift)
        for plus, minus in zip(off[::2], off[1::2], strict=True):
            shift += CURVATURE * np.abs(plus + minus) / 2
    shift = np.where(np.isfinite(shift), shift, inf)
    return np.where(in_view[:, None], shift, 0.0)


def _turn(camera: PlacedCamera) -> NDArray[np.float64]:
    """`(2, 2)`: east and north to right and ahead."""
    heading = radians(camera.pose.heading_deg)
    return np.array([(cos(heading), -sin(heading)), (sin(heading), cos(heading))])
