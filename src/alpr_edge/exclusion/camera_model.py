"""A camera that stands in the world: lens, pose, and how far both may be wrong.

Axes and angles are the simulated street's: world x east, y north, z up, metres above the ground at
the camera's foot; camera x right, y down, z forward. Heading is clockwise from true north, tilt is
up from the horizon (a camera that looks down has a negative tilt), roll is clockwise as seen from
behind the camera. Pixels have their origin at the outer corner of the top left pixel.

*Ideal* pixels are those of the same lens without distortion: straight lines stay straight there, so
all geometry that must be conservative is done in them.

It finds no pose (`placement.pose_fit`) and knows no premises (`projection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import cos, hypot, isfinite, log, radians, sin, tan
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.exclusion.local_plane import LonLat, Points, place_problem

PARAMETERS: Final = (
    "east_m",
    "north_m",
    "height_m",
    "heading_deg",
    "tilt_deg",
    "roll_deg",
    "log_focal",
)
"""What a pose's covariance is about, in this order."""

SURE: Final = 0.999
SIGMAS: Final = 4.932
"""Half-axis, in standard deviations, of the ellipsoid that holds the true pose with probability
`SURE`: the root of the chi-square quantile for seven degrees of freedom, 24.322."""

WIDEST_DEG: Final = 120.0
"""Wider lenses are no pinholes; they need a model that this one is not."""

_BORDER_STEPS: Final = 24


@dataclass(frozen=True)
class Lens:
    """Focal length, centre, distortion and frame size, in pixels of the frame.

    Attributes:
        distortion: k1, k2, p1, p2, k3 as in OpenCV (Brown, 1966).
        error_px: how far a pixel may be off, distortion and centre together.
    """

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    error_px: float = 2.0

    @classmethod
    def from_hfov(cls, width_px: int, height_px: int, hfov_deg: float) -> Lens:
        """A lens without distortion from its horizontal field of view."""
        focal = width_px / 2 / tan(radians(hfov_deg) / 2)
        return cls(width_px, height_px, focal, focal, width_px / 2, height_px / 2)

    def cropped(self, box_px: tuple[float, float, float, float], size_px: tuple[int, int]) -> Lens:
        """The lens of a frame that is the part `box_px` (x, y, width, height), scaled to `size`."""
        x, y, width, height = box_px
        sx, sy = size_px[0] / width, size_px[1] / height
        return replace(
            self,
            width_px=size_px[0],
            height_px=size_px[1],
            fx_px=self.fx_px * sx,
            fy_px=self.fy_px * sy,
            cx_px=(self.cx_px - x) * sx,
            cy_px=(self.cy_px - y) * sy,
            error_px=self.error_px * max(sx, sy, 1.0),
        )

    @property
    def hfov_deg(self) -> float:
        """Horizontal field of view without distortion."""
        left, right = self.cx_px, self.width_px - self.cx_px
        return float(np.degrees(np.arctan(left / self.fx_px) + np.arctan(right / self.fx_px)))

    @cached_property
    def is_straight(self) -> bool:
        """Whether there is no distortion."""
        return not any(self.distortion)

    def to_ideal(self, pixels: Points) -> Points:
        """Pixels of the frame `(N, 2)` to ideal pixels `(N, 2)`."""
        if self.is_straight:
            return np.asarray(pixels, np.float64)
        flat = np.ascontiguousarray(pixels, np.float64).reshape(-1, 1, 2)
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-10)
        seen = cv2.undistortPoints(
            flat, self.matrix, np.array(self.distortion), None, None, self.matrix, criteria
        )
        return np.asarray(seen, np.float64).reshape(-1, 2)

    def to_frame(self, ideal: Points) -> Points:
        """Ideal pixels `(N, 2)` to pixels of the frame `(N, 2)`."""
        if self.is_straight:
            return np.asarray(ideal, np.float64)
        k1, k2, p1, p2, k3 = self.distortion
        x = (ideal[..., 0] - self.cx_px) / self.fx_px
        y = (ideal[..., 1] - self.cy_px) / self.fy_px
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        return np.stack(
            [bent_x * self.fx_px + self.cx_px, bent_y * self.fy_px + self.cy_px], axis=-1
        )

    @property
    def matrix(self) -> NDArray[np.float64]:
        """`(3, 3)` camera matrix."""
        return np.array(
            [(self.fx_px, 0, self.cx_px), (0, self.fy_px, self.cy_px), (0, 0, 1.0)], np.float64
        )

    @cached_property
    def border(self) -> Points:
        """Points along the frame's edge `(N, 2)`, in pixels of the frame, clockwise."""
        t = np.arange(_BORDER_STEPS) / _BORDER_STEPS
        w, h = float(self.width_px), float(self.height_px)
        zero = np.zeros_like(t)
        sides = [(t * w, zero), (zero + w, t * h), (w - t * w, zero + h), (zero, h - t * h)]
        return np.concatenate([np.stack(side, axis=-1) for side in sides])

    def problems(self) -> list[str]:
        """Why this lens cannot be used; none if it can."""
        values = (self.fx_px, self.fy_px, self.cx_px, self.cy_px, *self.distortion, self.error_px)
        if not all(isfinite(v) for v in values):
            return ["lens: every value must be a finite number"]
        found = []
        if not 8 <= self.width_px <= 16_384 or not 8 <= self.height_px <= 16_384:
            found.append(f"lens: no frame of {self.width_px}x{self.height_px}")
        if self.fx_px <= 0 or self.fy_px <= 0 or not 0.5 <= self.fx_px / self.fy_px <= 2:
            found.append("lens: focal lengths must be positive and alike")
        if not 0 <= self.error_px <= 100:
            found.append("lens: error_px must be within 0 to 100")
        if found:
            return found
        if not 0.5 <= self.hfov_deg <= WIDEST_DEG:
            return [f"lens: {self.hfov_deg:.0f}° is not within 0.5° to {WIDEST_DEG:.0f}°"]
        if not self._is_one_to_one():
            return ["lens: the distortion folds the picture over within the frame"]
        return []

    def _is_one_to_one(self) -> bool:
        """Whether the radial distortion only ever grows outwards, to a little beyond the frame."""
        if self.is_straight:
            return True
        k1, k2, p1, p2, k3 = self.distortion
        ideal = self.to_ideal(self.border)
        back = self.to_frame(ideal)
        if not np.isfinite(back).all() or np.abs(back - self.border).max() > 0.5:
            return False
        x = (ideal[:, 0] - self.cx_px) / self.fx_px
        y = (ideal[:, 1] - self.cy_px) / self.fy_px
        r2 = (np.linspace(0, 1.1, 200) * float(np.hypot(x, y).max())) ** 2
        slope = 1 + r2 * (3 * k1 + r2 * (5 * k2 + r2 * 7 * k3))
        sideways = 6 * (abs(p1) + abs(p2)) * float(np.sqrt(r2.max()))
        return bool(slope.min() > 0.1 + sideways)


@dataclass(frozen=True)
class Pose:
    """Where a camera hangs and where it looks.

    Attributes:
        place: longitude, latitude.
        height_m: of the lens above the ground at its foot.
    """

    place: LonLat
    height_m: float
    heading_deg: float
    tilt_deg: float
    roll_deg: float = 0.0

    def problems(self) -> list[str]:
        """Why this pose cannot be used; none if it can."""
        found = [f"position: {p}" for p in [place_problem(self.place)] if p]
        ranges = (
            ("height_m", self.height_m, 0.5, 60.0),
            ("heading_deg", self.heading_deg, -360.0, 360.0),
            ("tilt_deg", self.tilt_deg, -80.0, 30.0),
            ("roll_deg", self.roll_deg, -45.0, 45.0),
        )
        return found + [
            f"{name}: {value:g} is not within {low:g} to {high:g}"
            for name, value, low, high in ranges
            if not low <= value <= high
        ]


@dataclass(frozen=True)
class GroundError:
    """How far the ground may be from the plane through the camera's foot.

    Attributes:
        height_m: everywhere.
        slope: more, for each metre of distance.
    """

    height_m: float = 0.3
    slope: float = 0.01

    def at(self, distance_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """Metres, at distances in metres."""
        return self.height_m + self.slope * distance_m


@dataclass(frozen=True)
class PlacedCamera:
    """A camera in the world, with its uncertainty. East and north are metres from `pose.place`.

    Attributes:
        covariance: `(7, 7)` of `PARAMETERS`, as tuples.
    """

    id: str
    lens: Lens
    pose: Pose
    covariance: tuple[tuple[float, ...], ...]
    ground: GroundError = GroundError()

    def problems(self) -> list[str]:
        """Why this camera cannot be used; none if it can."""
        found = self.lens.problems() + self.pose.problems()
        matrix = np.array(self.covariance, np.float64)
        if matrix.shape != (7, 7) or not np.isfinite(matrix).all():
            return [*found, "covariance: must be seven rows of seven finite numbers"]
        if np.abs(matrix - matrix.T).max() > 1e-9 * max(1.0, np.abs(matrix).max()):
            found.append("covariance: must be symmetric")
        elif np.linalg.eigvalsh(matrix).min() < -1e-9 * max(1.0, np.abs(matrix).max()):
            found.append("covariance: must have no negative direction")
        if not 0 <= self.ground.height_m <= 20 or not 0 <= self.ground.slope <= 0.3:
            found.append("ground: height_m must be within 0 to 20, slope within 0 to 0.3")
        return found

    @cached_property
    def axes(self) -> NDArray[np.float64]:
        """`(7, 7)`: rows are steps of the parameters to the ellipsoid's surface, one an axis."""
        values, vectors = np.linalg.eigh(np.array(self.covariance, np.float64))
        return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0)) * SIGMAS).T, np.float64)

    @cached_property
    def spread(self) -> NDArray[np.float64]:
        """`(7,)`: how far each parameter may be off, all the others apart."""
        return np.asarray(np.sqrt((self.axes**2).sum(axis=0)), np.float64)

    @property
    def position_error_m(self) -> float:
        """How far the foot may be off in any direction on the ground, at most."""
        return float(hypot(self.spread[0], self.spread[1]))

    @property
    def turn_error_deg(self) -> float:
        """How far the camera may be turned wrong, about any axis, at most."""
        return float(np.sqrt((self.spread[3:6] ** 2).sum()))

    def moved(self, step: NDArray[np.float64]) -> View:
        """The view with its parameters changed by `step` `(7,)`, in the order of `PARAMETERS`."""
        pose = self.pose
        return View(
            position=np.array([step[0], step[1], pose.height_m + step[2]]),
            rotation=rotation(
                pose.heading_deg + step[3], pose.tilt_deg + step[4], pose.roll_deg + step[5]
            ),
            focal=float(np.exp(step[6])),
        )

    @cached_property
    def view(self) -> View:
        """The view as measured."""
        return self.moved(np.zeros(7))

    @cached_property
    def extreme_views(self) -> tuple[View, ...]:
        """Both ends of each axis of the ellipsoid: fourteen views, less those without length."""
        long_ones = [axis for axis in self.axes if np.abs(axis).max() > 1e-12]
        return tuple(self.moved(sign * axis) for axis in long_ones for sign in (1.0, -1.0))


@dataclass(frozen=True)
class View:
    """One possible pose: lens position, world-to-camera rotation, focal factor."""

    position: NDArray[np.float64]
    rotation: NDArray[np.float64]
    focal: float

    def to_camera(self, world: Points) -> Points:
        """World `(..., 3)` to camera coordinates `(..., 3)`, metres."""
        moved: Points = (world - self.position) @ self.rotation.T
        return moved

    def to_ideal(self, in_camera: Points, lens: Lens) -> Points:
        """Camera coordinates `(..., 3)` in front of the lens to ideal pixels `(..., 2)`."""
        depth = in_camera[..., 2:3]
        focal = np.array([lens.fx_px, lens.fy_px]) * self.focal
        ideal: Points = in_camera[..., :2] / depth * focal + (lens.cx_px, lens.cy_px)
        return ideal

    def rays(self, ideal: Points, lens: Lens) -> Points:
        """World directions `(N, 3)`, of length 1, of ideal pixels `(N, 2)`."""
        x = (ideal[:, 0] - lens.cx_px) / (lens.fx_px * self.focal)
        y = (ideal[:, 1] - lens.cy_px) / (lens.fy_px * self.focal)
        in_camera = np.stack([x, y, np.ones_like(x)], axis=-1)
        directions = in_camera @ self.rotation
        lengths = np.linalg.norm(directions, axis=-1, keepdims=True)
        return np.asarray(directions / lengths, np.float64)


@dataclass(frozen=True)
class Views:
    """Several views at once: `(V, 3)`, `(V, 3, 3)`, `(V,)`."""

    position: NDArray[np.float64]
    rotation: NDArray[np.float64]
    focal: NDArray[np.float64]

    @classmethod
    def of(cls, views: Sequence[View]) -> Views:
        """The views, stacked."""
        return cls(
            np.stack([v.position for v in views]),
            np.stack([v.rotation for v in views]),
            np.array([v.focal for v in views]),
        )

    def to_camera(self, world: Points) -> Points:
        """World `(N, 3)` to camera coordinates `(V, N, 3)`, metres."""
        turned: Points = world @ self.rotation.transpose(0, 2, 1)
        turned -= np.einsum("vij,vj->vi", self.rotation, self.position)[:, None]
        return turned

    def to_ideal(self, in_camera: Points, lens: Lens) -> Points:
        """Camera coordinates `(V, N, 3)` in front of the lens to ideal pixels `(V, N, 2)`."""
        focal = np.array([lens.fx_px, lens.fy_px]) * self.focal[:, None, None]
        ideal: Points = in_camera[..., :2] / in_camera[..., 2:] * focal
        return np.asarray(ideal + np.array([lens.cx_px, lens.cy_px]), np.float64)


def rotation(heading_deg: float, tilt_deg: float, roll_deg: float) -> NDArray[np.float64]:
    """`(3, 3)` world to camera axes; rows are the camera's right, down and forward."""
    pan, tilt, roll = radians(heading_deg), radians(tilt_deg), radians(roll_deg)
    sp, cp, st, ct, sr, cr = sin(pan), cos(pan), sin(tilt), cos(tilt), sin(roll), cos(roll)
    # `down` is forward × right of the level camera.
    right, down = (cp, -sp, 0.0), (st * sp, st * cp, -ct)
    return np.array(
        [
            [cr * r + sr * d for r, d in zip(right, down, strict=True)],
            [cr * d - sr * r for r, d in zip(right, down, strict=True)],
            [sp * ct, cp * ct, st],
        ]
    )


def measured_covariance(
    *,
    position_m: float,
    height_m: float,
    heading_deg: float,
    tilt_deg: float,
    roll_deg: float,
    focal_share: float,
) -> tuple[tuple[float, ...], ...]:
    """The covariance of measures that are each stated as "± so much", held in 95 of 100 cases.

    Args:
        position_m: of the foot on the ground, in any direction.
        focal_share: of the focal length, or of the field of view, as a part of it.
    """
    tolerances = np.array(
        [position_m, position_m, height_m, heading_deg, tilt_deg, roll_deg, log(1 + focal_share)]
    )
    return tuple(map(tuple, np.diag((tolerances / 1.96) ** 2).tolist()))
