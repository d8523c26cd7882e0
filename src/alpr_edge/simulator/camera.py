"""A pinhole camera over a ground plane.

Does: projects world points to pixels, vectorised, and says how deep they lie.
Does not: draw, distort (no lens distortion), or know what the points belong to.

World: metres, x right (east), y forward (north), z up, ground at z = 0. Camera: x right, y down,
z forward. Pixels: origin at the outer corner of the top left pixel, x right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import cos, radians, sin, tan
from typing import Final

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

NEAR_M: Final = 0.3
"""Points nearer than this in front of the lens, or behind it, have no pixel."""

CLIP_M: Final = 1.01 * NEAR_M
"""Polygons are cut here, a little before `NEAR_M`, so that no rounding loses a new corner."""


@dataclass(frozen=True)
class Camera:
    """Where the camera hangs, where it looks, and its lens and sensor.

    Attributes:
        x_m, y_m, height_m: position of the lens.
        pan_deg: turned to the right of +y.
        tilt_deg: turned up from the horizon; a camera that looks down has a negative tilt.
        roll_deg: turned clockwise as seen from behind the camera.
        hfov_deg: horizontal field of view, 0 to 180 excluded.
        width_px, height_px: size of the frame.
    """

    x_m: float
    y_m: float
    height_m: float
    pan_deg: float
    tilt_deg: float
    roll_deg: float
    hfov_deg: float
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        if not 0 < self.hfov_deg < 180:
            raise ValueError(f"hfov_deg must be within (0, 180), but is {self.hfov_deg}")
        if self.width_px < 1 or self.height_px < 1:
            raise ValueError(f"frame must be 1x1 or larger: {self.width_px}x{self.height_px}")

    @cached_property
    def focal_px(self) -> float:
        """Focal length in pixels, the same across and down."""
        return self.width_px / 2 / tan(radians(self.hfov_deg) / 2)

    @cached_property
    def position(self) -> Points:
        """`(3,)` the lens in the world."""
        return np.array([self.x_m, self.y_m, self.height_m], dtype=np.float64)

    @cached_property
    def rotation(self) -> Points:
        """`(3, 3)` world to camera axes; rows are the camera's right, down and forward."""
        pan, tilt, roll = radians(self.pan_deg), radians(self.tilt_deg), radians(self.roll_deg)
        forward = np.array([sin(pan) * cos(tilt), cos(pan) * cos(tilt), sin(tilt)])
        right = np.array([cos(pan), -sin(pan), 0.0])
        down = np.cross(forward, right)
        rolled_right = cos(roll) * right + sin(roll) * down
        rolled_down = cos(roll) * down - sin(roll) * right
        return np.stack([rolled_right, rolled_down, forward])

    def to_camera(self, points: Points) -> Points:
        """World `(..., 3)` to camera coordinates `(..., 3)`, metres."""
        moved: Points = (np.asarray(points, dtype=np.float64) - self.position) @ self.rotation.T
        return moved

    def pixels_of(self, in_camera: Points) -> Points:
        """Camera coordinates `(..., 3)` to pixels `(..., 2)`; NaN nearer than `NEAR_M`."""
        depth = in_camera[..., 2:3]
        safe = np.where(depth >= NEAR_M, depth, np.nan)
        centre = np.array([self.width_px / 2, self.height_px / 2])
        pixels: Points = centre + self.focal_px * in_camera[..., :2] / safe
        return pixels

    def project(self, points: Points) -> tuple[Points, Points]:
        """Project world points.

        Args:
            points: `(..., 3)` metres.

        Returns:
            Pixels `(..., 2)`, NaN for points nearer than `NEAR_M` or behind the camera, and the
            depth `(...)` in metres along the line of sight.
        """
        in_camera = self.to_camera(points)
        return self.pixels_of(in_camera), in_camera[..., 2]

    def project_polygon(self, polygon: Points) -> Points:
        """Project a flat convex world polygon `(N, 3)`, clipped at the near plane: `(M, 2)`."""
        ahead = np.array([0.0, 0.0, 1.0])
        return self.pixels_of(clip_polygon(self.to_camera(polygon), ahead, CLIP_M))

    def ray(self, pixel: tuple[float, float]) -> Points:
        """`(3,)` unit direction in the world of the line of sight through a pixel."""
        x, y = pixel
        in_camera = np.array([x - self.width_px / 2, y - self.height_px / 2, self.focal_px])
        direction: Points = in_camera @ self.rotation
        return direction / np.linalg.norm(direction)

    def ground_at(self, pixel: tuple[float, float]) -> Points | None:
        """`(2,)` the ground point seen at a pixel, None at or above the horizon."""
        direction = self.ray(pixel)
        if direction[2] >= -1e-9:
            return None
        ground: Points = self.position[:2] - direction[:2] * (self.height_m / direction[2])
        return ground


def clip_polygon(polygon: Points, normal: Points, offset: float) -> Points:
    """The part of a convex polygon `(N, D)` where `point @ normal >= offset`: `(M, D)`, M may be 0.

    Sutherland-Hodgman against one plane.
    """
    sides = polygon @ normal - offset
    if np.all(sides >= 0):
        return polygon
    kept: list[Points] = []
    for index, (here, side) in enumerate(zip(polygon, sides, strict=True)):
        before, before_side = polygon[index - 1], sides[index - 1]
        if (side >= 0) != (before_side >= 0):
            kept.append(before + (here - before) * (before_side / (before_side - side)))
        if side >= 0:
            kept.append(here)
    return np.array(kept, dtype=np.float64).reshape(-1, polygon.shape[1])
