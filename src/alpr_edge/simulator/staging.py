"""Vehicles as the camera has them at one moment: projected bodies and plates.

Does: poses a vehicle, projects its mesh and the plate that faces the camera, and measures how much
of a plate is hidden by the frame's edge, nearer vehicles and the fence.
Does not: colour or draw anything.

Rules: pixels are of the full frame; points nearer than the camera's near plane have NaN pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.simulator.bodies import body_of
from alpr_edge.simulator.camera import CLIP_M, NEAR_M, Camera, Points, clip_polygon
from alpr_edge.simulator.mesh import Body
from alpr_edge.simulator.scene import FENCE_X_M
from alpr_edge.simulator.vehicles import Vehicle, plate_quad, rotation_of

FIXED_SHIFT: Final = 4
"""Binary places of the pixel coordinates given to OpenCV."""
_FAR_PX: Final = 40_000.0
_AHEAD: Final = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class StagedPlate:
    """The plate that is turned to the camera.

    Attributes:
        rear: it is the rear plate.
        corners: `(4, 2)` pixels, clockwise from the plate's own top left.
        middle: `(3,)` world.
        facing_deg: angle between its normal and the way to the camera; 90 is edge-on.
        normal: `(3,)` world.
    """

    rear: bool
    corners: Points
    middle: Points
    facing_deg: float
    normal: Points


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """A vehicle at one moment.

    Attributes:
        pose: x, y in metres and heading in radians.
        world, in_camera, pixels: its mesh's vertices in the three systems.
        normals: `(F, 3)` of its faces, world.
        order: indices of the faces turned to the camera, in the order of drawing.
        box: left, top, right, bottom in whole pixels, clipped to the frame; None if out of view.
        plate: None if both plates are turned away or too near.
    """

    vehicle: Vehicle
    camera: Camera
    pose: tuple[float, float, float]
    body: Body
    world: Points
    in_camera: Points
    pixels: Points
    normals: Points
    order: NDArray[np.int64]
    box: tuple[int, int, int, int] | None
    plate: StagedPlate | None

    @property
    def distance_m(self) -> float:
        """From the camera to its middle, for the order of painting."""
        return float(np.linalg.norm(self.in_camera.mean(axis=0)))

    def face_polygons(
        self, clip: tuple[Points, float] | None = None
    ) -> list[tuple[int, NDArray[np.int32]]]:
        """Every face turned to the camera, in drawing order: (face, `(N, 2)` fixed-point pixels).

        Args:
            clip: keep only what is on one side of a world plane (normal, offset).
        """
        whole = clip is None and bool(np.all(self.in_camera[:, 2] >= NEAR_M))
        fixed = to_fixed(self.pixels) if whole else None
        polygons = []
        for face in self.order:
            span = slice(self.body.starts[face], self.body.starts[face + 1])
            polygon = to_fixed(self._clipped(span, clip)) if fixed is None else fixed[span]
            if len(polygon) >= 3:
                polygons.append((int(face), polygon))
        return polygons

    def _clipped(self, span: slice, clip: tuple[Points, float] | None) -> Points:
        points = np.hstack([self.world[span], self.in_camera[span]])
        if clip is not None:
            normal, offset = clip
            points = clip_polygon(points, np.concatenate([normal, np.zeros(3)]), offset)
        if len(points):
            points = clip_polygon(points, np.concatenate([np.zeros(3), _AHEAD]), CLIP_M)
        if not len(points):
            return np.zeros((0, 2))
        return self.camera.pixels_of(points[:, 3:])


def stage(camera: Camera, vehicle: Vehicle, pose: tuple[float, float, float]) -> Staged:
    """Pose and project a vehicle."""
    body, rotation = body_of(vehicle.kind), rotation_of(pose[2])
    place = np.array([pose[0], pose[1], 0.0])
    world = body.vertices @ rotation + place
    in_camera = camera.to_camera(world)
    pixels = camera.pixels_of(in_camera)
    normals = body.normals @ rotation
    to_face = body.middles @ rotation + place - camera.position
    seen = np.flatnonzero(np.einsum("fx,fx->f", to_face, normals) < 0)
    away = np.linalg.norm(to_face, axis=1)[body.parents]
    order = seen[np.lexsort((seen, body.layers[seen], body.parents[seen], -away[seen]))]
    box = _box(camera, pixels, in_camera[:, 2])
    plate = None
    if box is not None:
        plate = _facing_plate(camera, vehicle, rotation, place)
    return Staged(vehicle, camera, pose, body, world, in_camera, pixels, normals, order, box, plate)


def _box(camera: Camera, pixels: Points, depth: Points) -> tuple[int, int, int, int] | None:
    """Whole-pixel bounds within the frame; generous for what reaches behind the camera."""
    if np.all(depth < NEAR_M):
        return None
    low, high = np.nanmin(pixels, axis=0), np.nanmax(pixels, axis=0)
    if np.any(depth < NEAR_M):
        low, high = np.minimum(low, -1e5 * (low < 0)), high + np.array([1e5, 1e5])
    left, top = (int(max(np.floor(v) - 1, 0)) for v in low)
    right = int(min(np.ceil(high[0]) + 1, camera.width_px))
    bottom = int(min(np.ceil(high[1]) + 1, camera.height_px))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _facing_plate(
    camera: Camera, vehicle: Vehicle, rotation: Points, place: Points
) -> StagedPlate | None:
    for rear in (False, True):
        quad, normal = plate_quad(vehicle, rear)
        corners, turned = quad @ rotation + place, normal @ rotation
        middle = corners.mean(axis=0)
        sight = camera.position - middle
        cosine = float(turned @ sight / np.linalg.norm(sight))
        pixels, _ = camera.project(corners)
        if cosine > 0 and not np.any(np.isnan(pixels)):
            return StagedPlate(rear, pixels, middle, float(np.degrees(np.arccos(cosine))), turned)
    return None


def to_fixed(polygon: Points, origin: tuple[int, int] = (0, 0)) -> NDArray[np.int32]:
    """Pixels `(N, 2)` relative to `origin` as fixed-point numbers for OpenCV.

    OpenCV counts from the middle of the first pixel, this package from its outer corner.
    """
    moved = np.clip(polygon - origin - 0.5, -_FAR_PX, _FAR_PX)
    return np.round(moved * (1 << FIXED_SHIFT)).astype(np.int32)


def fill(
    image: NDArray[np.uint8],
    polygon: NDArray[np.int32],
    colour: tuple[float, ...],
    smooth: bool = False,
) -> None:
    """Fill a fixed-point polygon `(N, 2)` in place; only those of 4 corners must be convex."""
    line = cv2.LINE_AA if smooth else cv2.LINE_8
    if len(polygon) <= 4:
        cv2.fillConvexPoly(image, polygon, colour, line, FIXED_SHIFT)
    else:
        cv2.fillPoly(image, [polygon], colour, line, FIXED_SHIFT)


def visible_fraction(
    camera: Camera, staged: Staged, nearer: Sequence[Staged], fence: Sequence[Points]
) -> float:
    """Share 0..1 of the facing plate's area that is in the frame and not hidden.

    Args:
        nearer: vehicles that may stand before it.
        fence: `(N, 2)` pixel polygons that hide what is behind the fence.
    """
    plate = staged.plate
    if plate is None:
        return 0.0
    low = np.floor(plate.corners.min(axis=0)).astype(int)
    high = np.ceil(plate.corners.max(axis=0)).astype(int) + 1
    size = high - low
    if np.any(high <= 0) or np.any(low >= (camera.width_px, camera.height_px)) or size.max() > 4096:
        return 0.0
    mask = np.zeros((int(size[1]), int(size[0])), np.uint8)
    origin = (int(low[0]), int(low[1]))
    fill(mask, to_fixed(plate.corners, origin), (255,))
    whole = cv2.countNonZero(mask)
    _blank_outside(mask, origin, (camera.width_px, camera.height_px))
    for other in nearer:
        if other.box is not None and _overlap(other.box, low, high):
            moved = np.array(origin) * (1 << FIXED_SHIFT)
            for _, face in other.face_polygons():
                fill(mask, (face - moved).astype(np.int32), (0,))
    if plate.middle[0] < FENCE_X_M:
        for polygon in fence:
            fill(mask, to_fixed(polygon, origin), (0,))
    return cv2.countNonZero(mask) / max(whole, 1)


def _blank_outside(mask: NDArray[np.uint8], origin: tuple[int, int], size: tuple[int, int]) -> None:
    left, top = max(-origin[0], 0), max(-origin[1], 0)
    mask[:top] = 0
    mask[:, :left] = 0
    mask[max(size[1] - origin[1], 0) :] = 0
    mask[:, max(size[0] - origin[0], 0) :] = 0


def _overlap(box: tuple[int, int, int, int], low: Points, high: Points) -> bool:
    return bool(box[0] < high[0] and box[2] > low[0] and box[1] < high[1] and box[3] > low[1])
