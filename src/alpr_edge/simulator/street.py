"""The simulated street: frames with their truth, the same bytes for the same configuration.

Does: puts scene, traffic, light and painter together; serves frames and, over the whole clip, a
summary of every vehicle.
Does not: read clocks, files or devices (see `virtual_camera`, `video_file`).

Rules: frame `i` is at `i / fps` seconds. Everything is derived from `StreetConfig`; nothing is kept
from one frame to the next but caches, so frames may be asked for in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from alpr_edge.simulator.backdrop import draw_backdrop, fence_walls
from alpr_edge.simulator.camera import Camera
from alpr_edge.simulator.light import MODELS, Light, Weather
from alpr_edge.simulator.painter import Painter
from alpr_edge.simulator.plate_art import US_SIZE_M, PlateArtist, paint_plate
from alpr_edge.simulator.scene import mask_polygons, street_camera
from alpr_edge.simulator.staging import Staged, stage, visible_fraction
from alpr_edge.simulator.traffic import DEFAULT_MIX, Mix, populate
from alpr_edge.simulator.vehicles import Pattern, Vehicle, ever_touches, touches_premises
from alpr_edge.types import Image, Quad

VEHICLES_PER_S: Final = 0.42
READABLE_PX: Final = 60.0
"""Width of a US plate; a wider kind of plate must be as large in its own characters."""
READABLE_DEG: Final = 55.0
READABLE_FRACTION: Final = 0.98


@dataclass(frozen=True)
class StreetConfig:
    """Everything a street depends on.

    Attributes:
        vehicles: how many are wished for; None takes `VEHICLES_PER_S` of the duration.
        mix: share of each pattern.
        readable_frames: frames in which a plate must be readable for its vehicle to count so.
    """

    seed: int = 1
    width_px: int = 1280
    height_px: int = 720
    fps: float = 15.0
    duration_s: float = 40.0
    light: Light = Light.DAY
    vehicles: int | None = None
    mix: Mix = DEFAULT_MIX
    readable_frames: int = 4

    def __post_init__(self) -> None:
        if self.fps <= 0 or self.duration_s <= 0:
            raise ValueError(f"fps and duration_s must be above 0: {self.fps}, {self.duration_s}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or above, but is {self.seed}")

    @property
    def frame_count(self) -> int:
        """Frames in the clip."""
        return round(self.duration_s * self.fps)


@dataclass(frozen=True, slots=True, eq=False)
class VehicleTruth:
    """What is true of one living vehicle in one frame.

    Attributes:
        plate: its serial, the same front and rear.
        rear: the plate turned to the camera is the rear one; None if neither is.
        corners: `(4, 2)` float32 pixels of that plate, clockwise from its own top left; None if it
            is turned away, hidden altogether or out of the frame. May reach over the frame's edge.
        visible_fraction: share of its area in the frame and not hidden, 0..1.
        width_px: mean length of its upper and lower edge; 0 without corners.
        plate_width_m: its real width.
        facing_deg: angle between its normal and the way to the camera; 180 if none is turned to it.
        x_m, y_m, heading: the vehicle's middle on the ground; radians from +x to the left.
        touches_premises: its footprint overlaps grounds, setback or driveway right now.
    """

    vehicle_id: int
    plate: str
    pattern: Pattern
    rear: bool | None
    corners: Quad | None
    visible_fraction: float
    width_px: float
    plate_width_m: float
    facing_deg: float
    x_m: float
    y_m: float
    heading: float
    touches_premises: bool

    @property
    def readable(self) -> bool:
        """Large, whole and square enough for its serial to be read in this frame."""
        return (
            self.width_px >= READABLE_PX * max(1.0, self.plate_width_m / US_SIZE_M[0])
            and self.visible_fraction >= READABLE_FRACTION
            and self.facing_deg <= READABLE_DEG
        )


@dataclass(frozen=True, slots=True, eq=False)
class StreetFrame:
    """A picture with its truth.

    Attributes:
        image: `(H, W, 3)` uint8 BGR, a fresh array that the receiver may change.
        truth: one per living vehicle, in or out of view, by id.
    """

    number: int
    time_s: float
    image: Image
    truth: tuple[VehicleTruth, ...]


@dataclass(frozen=True, slots=True)
class VehicleSummary:
    """What is true of one vehicle over the clip.

    Attributes:
        protected: touches grounds, setback or driveway at any time of its life, in view or not.
        readable: its plate was readable in at least `readable_frames` frames.
        readable_frames: in how many it was.
        first_readable_s, last_readable_s: the first and last of them; None if there were none.
        first_seen_s, last_seen_s: frames in which any of its plate was visible.
    """

    vehicle_id: int
    plate: str
    pattern: Pattern
    protected: bool
    readable: bool
    readable_frames: int
    first_readable_s: float | None
    last_readable_s: float | None
    first_seen_s: float | None
    last_seen_s: float | None


class Street:
    """A clip of the street. Cheap to make; the first frame draws the backdrop (about a second)."""

    def __init__(self, config: StreetConfig, artist: PlateArtist = paint_plate) -> None:
        """Draw up the traffic; `artist` paints the plates."""
        self.config = config
        self.camera: Camera = street_camera(config.width_px, config.height_px)
        count = config.vehicles
        if count is None:
            count = max(1, round(config.duration_s * VEHICLES_PER_S))
        self.vehicles: tuple[Vehicle, ...] = populate(
            self._rng(1), config.duration_s, count, config.mix
        )
        self._artist = artist
        self._fence = [self.camera.project_polygon(wall) for wall in fence_walls()]

    def frames(self) -> Iterator[StreetFrame]:
        """Every frame of the clip, in order."""
        for number in range(self.config.frame_count):
            yield self.frame(number)

    def frame(self, number: int) -> StreetFrame:
        """One frame, from 0."""
        time_s = number / self.config.fps
        staged = self.stage(time_s)
        image = self._backdrop.copy()
        for one in staged:
            self._painter.paint(image, one, one.vehicle.trajectory.speed(time_s))
        self._weather.lay_over(image, number)
        return StreetFrame(number, time_s, image, self._truths(staged))

    def truth(self, time_s: float) -> tuple[VehicleTruth, ...]:
        """What is true at a time, without a picture."""
        return self._truths(self.stage(time_s))

    def stage(self, time_s: float, camera: Camera | None = None) -> list[Staged]:
        """Living vehicles, far ones first, as the street's or another camera has them."""
        alive = [v for v in self.vehicles if v.trajectory.alive_at(time_s)]
        staged = [stage(camera or self.camera, vehicle, vehicle.pose(time_s)) for vehicle in alive]
        return sorted(staged, key=lambda one: -one.distance_m)

    def summary(self) -> tuple[VehicleSummary, ...]:
        """Every vehicle of the clip, by id. Computed once, over every frame's truth."""
        return self._summary

    def mask_polygons(self) -> list[list[tuple[float, float]]]:
        """Image regions that cover the protected ground up to vehicle height; x, y in 0..1."""
        return mask_polygons(self.camera)

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, purpose])

    @cached_property
    def _backdrop(self) -> Image:
        return draw_backdrop(self.camera, MODELS[self.config.light], self._rng(2))

    @cached_property
    def _painter(self) -> Painter:
        return Painter(self.camera, MODELS[self.config.light], self._backdrop, self._artist)

    @cached_property
    def _weather(self) -> Weather:
        size = (self.config.width_px, self.config.height_px)
        return Weather(MODELS[self.config.light], size, self._rng(3))

    def _truths(self, staged: list[Staged]) -> tuple[VehicleTruth, ...]:
        truths = [self._truth(one, staged[i + 1 :]) for i, one in enumerate(staged)]
        return tuple(sorted(truths, key=lambda truth: truth.vehicle_id))

    def _truth(self, one: Staged, nearer: list[Staged]) -> VehicleTruth:
        plate, vehicle = one.plate, one.vehicle
        fraction = visible_fraction(self.camera, one, nearer, self._fence)
        corners: Quad | None = None
        width = 0.0
        if plate is not None and fraction > 0:
            corners = plate.corners.astype(np.float32)
            edges = corners[[1, 2]] - corners[[0, 3]]
            width = float(np.hypot(edges[:, 0], edges[:, 1]).mean())
        return VehicleTruth(
            vehicle_id=vehicle.vehicle_id,
            plate=vehicle.plate.text,
            pattern=vehicle.pattern,
            rear=None if plate is None else plate.rear,
            corners=corners,
            visible_fraction=fraction,
            width_px=width,
            plate_width_m=vehicle.plate.design.size_m[0],
            facing_deg=180.0 if plate is None else plate.facing_deg,
            x_m=one.pose[0],
            y_m=one.pose[1],
            heading=one.pose[2],
            touches_premises=touches_premises(vehicle, one.pose),
        )

    @cached_property
    def _summary(self) -> tuple[VehicleSummary, ...]:
        seen: dict[int, list[float]] = {v.vehicle_id: [] for v in self.vehicles}
        readable: dict[int, list[float]] = {v.vehicle_id: [] for v in self.vehicles}
        for number in range(self.config.frame_count):
            time_s = number / self.config.fps
            for truth in self.truth(time_s):
                if truth.corners is not None:
                    seen[truth.vehicle_id].append(time_s)
                if truth.readable:
                    readable[truth.vehicle_id].append(time_s)
        return tuple(
            self._summarise(v, seen[v.vehicle_id], readable[v.vehicle_id]) for v in self.vehicles
        )

    def _summarise(
        self, vehicle: Vehicle, seen: list[float], readable: list[float]
    ) -> VehicleSummary:
        return VehicleSummary(
            vehicle_id=vehicle.vehicle_id,
            plate=vehicle.plate.text,
            pattern=vehicle.pattern,
            protected=ever_touches(vehicle),
            readable=len(readable) >= self.config.readable_frames,
            readable_frames=len(readable),
            first_readable_s=readable[0] if readable else None,
            last_readable_s=readable[-1] if readable else None,
            first_seen_s=seen[0] if seen else None,
            last_seen_s=seen[-1] if seen else None,
        )
