"""The street's plates as numbers, without pictures: where each is in the frame, and how visible.

Does: what `Street.truth` does for the plates, for a vehicle's whole life at once, so that thousands
of vehicles can be driven past a gate in minutes.
Does not: draw. Vehicles hide each other as boxes here and as bodies in `Street`; the fence hides
nothing.

Rules: frame `i` is at `i / fps` seconds. A plate counts as visible over the share of a grid of
points on it that is in the frame and not behind another vehicle's box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from alpr_edge.simulator.camera import Camera, Points
from alpr_edge.simulator.vehicles import Pattern, Vehicle, ever_touches, plate_quad

_GRID: Final = np.array([(u, v) for v in (0.1, 0.5, 0.9) for u in (0.05, 0.275, 0.5, 0.725, 0.95)])
"""Points on a plate, along and down, 0..1."""
_FAR_PX: Final = 4000.0
"""Plates further outside the frame than this are not followed."""


@dataclass(frozen=True, slots=True, eq=False)
class PlatePath:
    """One vehicle's plates through a clip, in the frames in which one of them is near the frame.

    Attributes:
        protected: touches the premises at any time of its life, in view or not.
        frames: `(T,)` numbers of the frames, rising.
        corners: `(T, 4, 2)` float32 pixels of the plate that is turned to the camera, clockwise
            from its own top left; may lie outside the frame.
        width_px: `(T,)` mean length of its upper and lower edge.
        facing_deg: `(T,)` angle between its normal and the way to the camera.
        in_frame: `(T,)` share of it within the frame, 0..1.
        unhidden: `(T,)` share of it that no other vehicle hides, 0..1.
    """

    vehicle_id: int
    plate: str
    pattern: Pattern
    protected: bool
    frames: NDArray[np.int64]
    corners: NDArray[np.float32]
    width_px: Points
    facing_deg: Points
    in_frame: Points
    unhidden: Points


def plate_paths(
    camera: Camera, vehicles: Sequence[Vehicle], *, fps: float, frame_count: int
) -> tuple[PlatePath, ...]:
    """The paths of all plates that come near the frame, by vehicle."""
    times = np.arange(frame_count) / fps
    paths = (_path(camera, vehicle, vehicles, times) for vehicle in vehicles)
    return tuple(path for path in paths if len(path.frames))


def _path(
    camera: Camera, vehicle: Vehicle, vehicles: Sequence[Vehicle], times: Points
) -> PlatePath:
    way = vehicle.trajectory
    frames = np.flatnonzero((times >= way.start_s) & (times < way.end_s))
    poses = way.poses(times[frames])
    world, facing = _facing_plate(camera, vehicle, poses)
    pixels, _ = camera.project(world)
    middle = pixels.mean(axis=1)
    # Comparisons with what is behind the camera (NaN) are false.
    near = ((middle > -_FAR_PX) & (middle < (camera.width_px + _FAR_PX))).all(axis=1)
    near &= (facing < 90.0) & ~np.isnan(pixels).any(axis=(1, 2))
    frames, world, pixels, facing = frames[near], world[near], pixels[near], facing[near]
    grid = _grid_points(pixels)
    inside = (grid >= 0) & (grid < (camera.width_px, camera.height_px))
    edges = pixels[:, [1, 2]] - pixels[:, [0, 3]]
    return PlatePath(
        vehicle_id=vehicle.vehicle_id,
        plate=vehicle.plate.text,
        pattern=vehicle.pattern,
        protected=ever_touches(vehicle),
        frames=frames,
        corners=pixels.astype(np.float32),
        width_px=np.hypot(edges[..., 0], edges[..., 1]).mean(axis=1),
        facing_deg=facing,
        in_frame=inside.all(axis=2).mean(axis=1),
        unhidden=_unhidden(camera, vehicle, vehicles, times[frames], _grid_points(world)),
    )


def _facing_plate(camera: Camera, vehicle: Vehicle, poses: Points) -> tuple[Points, Points]:
    """World corners `(T, 4, 3)` of the plate that is turned more to the camera, and its angle."""
    cos, sin = np.cos(poses[:, 2]), np.sin(poses[:, 2])
    rotation = np.zeros((len(poses), 3, 3))
    rotation[:, 0, 0], rotation[:, 0, 1] = sin, -cos
    rotation[:, 1, 0], rotation[:, 1, 1] = cos, sin
    rotation[:, 2, 2] = 1.0
    place = np.column_stack([poses[:, :2], np.zeros(len(poses))])[:, None]
    both, angles = [], []
    for rear in (False, True):
        quad, normal = plate_quad(vehicle, rear)
        corners = quad @ rotation + place
        sight = camera.position - corners.mean(axis=1)
        cosine = np.einsum("tx,tx->t", normal @ rotation, sight) / np.linalg.norm(sight, axis=1)
        both.append(corners)
        angles.append(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
    front = angles[0] <= angles[1]
    return np.where(front[:, None, None], both[0], both[1]), np.minimum(*angles)


def _grid_points(corners: Points) -> Points:
    """`(T, 15, D)` points on quads `(T, 4, D)`."""
    u, v = _GRID[:, 0, None], _GRID[:, 1, None]
    top = corners[:, 0, None] * (1 - u) + corners[:, 1, None] * u
    bottom = corners[:, 3, None] * (1 - u) + corners[:, 2, None] * u
    grid: Points = top * (1 - v) + bottom * v
    return grid


def _unhidden(
    camera: Camera, vehicle: Vehicle, vehicles: Sequence[Vehicle], times: Points, grid: Points
) -> Points:
    """Share of the grid points `(T, G, 3)` that the camera sees past all other vehicles."""
    free = np.ones(grid.shape[:2], dtype=bool)
    if not len(times):
        return np.ones(0)
    for other in vehicles:
        way = other.trajectory
        if other is vehicle or way.end_s <= times[0] or way.start_s > times[-1]:
            continue
        alive = np.flatnonzero((times >= way.start_s) & (times < way.end_s))
        if len(alive):
            free[alive] &= ~_behind(camera, other, times[alive], grid[alive])
    share: Points = free.mean(axis=1)
    return share


def _behind(camera: Camera, other: Vehicle, times: Points, points: Points) -> NDArray[np.bool_]:
    """`(T, G)` whether the sight line from the lens to each point meets the other's box (slabs)."""
    poses = other.trajectory.poses(times)
    cos, sin = np.cos(poses[:, 2])[:, None], np.sin(poses[:, 2])[:, None]
    size = other.size
    half = np.array([size.length_m / 2, size.width_m / 2, size.height_m / 2])

    def own(at: Points) -> Points:
        moved = at[..., :2] - poses[:, None, :2]
        ahead = moved[..., 0] * cos + moved[..., 1] * sin
        left = moved[..., 1] * cos - moved[..., 0] * sin
        up = at[..., 2] - half[2]
        stacked: Points = np.stack(np.broadcast_arrays(ahead, left, up), axis=-1)
        return stacked

    start, end = own(np.broadcast_to(camera.position, (len(times), 1, 3))), own(points)
    step = end - start
    step = np.where(np.abs(step) < 1e-9, 1e-9, step)
    one, two = (-half - start) / step, (half - start) / step
    enters, leaves = np.minimum(one, two).max(axis=-1), np.maximum(one, two).min(axis=-1)
    hidden: NDArray[np.bool_] = (enters <= leaves) & (leaves > 0) & (enters < 1)
    return hidden
