"""A day of the street: one view through 24 hours of light, weather and traffic.

Does: lights the same street for any hour, lets shadows of houses wander, blends day, dusk, night
and rain, and lays fog, dirt and noise over it. Frames may be asked for in any order.
Does not: run in real time; the caller says which hour each frame is.

Rules: everything follows from `DayConfig`, the hour and the frame's number. Vehicles are those of
`Street`, at the time `number / fps`, so that a day can be sampled as coarsely as one likes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.simulator.backdrop import draw_surfaces, light_up
from alpr_edge.simulator.camera import Camera
from alpr_edge.simulator.light import MODELS, Light, LightModel, Weather
from alpr_edge.simulator.painter import Painter
from alpr_edge.simulator.plate_art import PlateSpec
from alpr_edge.simulator.scene import street_camera
from alpr_edge.simulator.staging import to_fixed
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.simulator.view_faults import depth_m, fog
from alpr_edge.types import Image

HOURS: Final[tuple[tuple[float, Light], ...]] = (
    (0.0, Light.NIGHT),
    (5.5, Light.NIGHT),
    (6.5, Light.DUSK),
    (8.0, Light.DAY),
    (17.0, Light.DAY),
    (18.5, Light.DUSK),
    (19.5, Light.NIGHT),
    (24.0, Light.NIGHT),
)
"""Which light prevails at which hour; between two entries they blend."""

_SHADOW_HOURS: Final = (8.0, 17.0)


@dataclass(frozen=True)
class DayConfig:
    """Everything a day depends on.

    Attributes:
        fps: frames a second of the traffic; how far vehicles get from one number to the next.
        vehicles: traffic at all.
        rain_hours: from, to; it rains in between.
        fog_hours: from, to; the fog is densest in the middle.
        fog_visibility_m: where it is densest.
    """

    seed: int = 1
    width_px: int = 640
    height_px: int = 360
    fps: float = 2.0
    vehicles: bool = True
    rain_hours: tuple[float, float] | None = None
    fog_hours: tuple[float, float] | None = None
    fog_visibility_m: float = 60.0


class Day:
    """The street through a day, seen by one camera."""

    def __init__(self, config: DayConfig, camera: Camera | None = None) -> None:
        """Draw the street once; `camera` stands for the usual one after its mount gave way."""
        self.config = config
        self.camera = camera or street_camera(config.width_px, config.height_px)
        self._street = Street(
            StreetConfig(config.seed, config.width_px, config.height_px, config.fps, 120.0)
        )
        self._weathers: dict[tuple[int, int], Weather] = {}

    def frame(
        self, hour: float, number: int, *, lens: Callable[[Image], Image] | None = None
    ) -> Image:
        """`(H, W, 3)` uint8 BGR, a fresh array.

        Args:
            hour: 0 to 24, time of day.
            number: chooses noise and the vehicles' places.
            lens: what happens before the sensor, see `view_faults`.
        """
        light = self.light(hour)
        image = light_up(self._in_sun(hour), self.camera, light)
        if self.config.vehicles:
            self._drive(image, light, number)
        dense = _share(hour, self.config.fog_hours)
        if dense > 0:
            visibility = self.config.fog_visibility_m / dense
            grey = min(176.0, 30.0 + 170.0 * light.backdrop_gain)
            image = fog(image, self._depth, visibility, grey)
        if lens is not None:
            image = lens(image)
        self._weather(light).lay_over(image, number)
        return image

    def light(self, hour: float) -> LightModel:
        """The light of an hour."""
        hour = hour % 24.0
        model = MODELS[Light.NIGHT]
        for (start, first), (end, last) in pairwise(HOURS):
            if start <= hour <= end:
                model = blend(MODELS[first], MODELS[last], (hour - start) / (end - start))
        wet = _share(hour, self.config.rain_hours)
        if wet > 0:
            rain = MODELS[Light.RAIN]
            dark = min(1.0, model.backdrop_gain / rain.backdrop_gain)
            rain = replace(rain, backdrop_gain=rain.backdrop_gain * dark, ambient=model.ambient)
            model = replace(blend(model, rain, wet), streaks=rain.streaks)
        return model

    def _in_sun(self, hour: float) -> Image:
        """The street with the shadow that a house throws across it; its edge wanders."""
        low, high = _SHADOW_HOURS
        if not low < hour < high:
            return self._surfaces
        image = self._surfaces.copy()
        share = (hour - low) / (high - low)
        y = 6.0 + 60.0 * share
        ground = np.array([(-8, y, 0), (9, y - 14, 0), (9, y - 2, 0), (-8, y + 12, 0)], float)
        polygon = self.camera.project_polygon(ground)
        if len(polygon) >= 3:
            shade = np.zeros(image.shape[:2], np.uint8)
            cv2.fillPoly(shade, [to_fixed(polygon)], 255, cv2.LINE_AA, 4)
            dark = (shade.astype(np.float32) / 255 * 0.5)[..., None]
            image = np.rint(image * (1 - dark)).astype(np.uint8)
        return image

    def _drive(self, image: Image, light: LightModel, number: int) -> None:
        painter = Painter(self.camera, light, image.copy(), _blank_plate)
        time_s = (number / self.config.fps) % 110.0
        for one in self._street.stage(time_s, self.camera):
            painter.paint(image, one, one.vehicle.trajectory.speed(time_s))

    def _weather(self, light: LightModel) -> Weather:
        key = (round(light.noise), light.streaks)
        if key not in self._weathers:
            size = (self.config.width_px, self.config.height_px)
            model = replace(light, noise=float(key[0]))
            rng = np.random.default_rng([self.config.seed, 3])
            self._weathers[key] = Weather(model, size, rng)
        return self._weathers[key]

    @cached_property
    def _surfaces(self) -> Image:
        return _surfaces(self.camera, self.config.seed)

    @cached_property
    def _depth(self) -> NDArray[np.float32]:
        return depth_m(self.camera)


def blend(one: LightModel, other: LightModel, share: float) -> LightModel:
    """A light between two: `share` 0 is the one, 1 the other."""
    values: dict[str, Any] = {}
    for field in fields(LightModel):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, tuple):
            values[field.name] = tuple(x + (y - x) * share for x, y in zip(a, b, strict=True))
        else:
            values[field.name] = a + (b - a) * share
    values["streaks"] = round(values["streaks"])
    return LightModel(**values)


def _blank_plate(plate: PlateSpec) -> Image:
    """A plate without a serial: nobody reads it here, and painting it would take longest."""
    return np.full((38, 76, 3), plate.design.ground, np.uint8)


@lru_cache(maxsize=16)
def _surfaces(camera: Camera, seed: int) -> Image:
    return draw_surfaces(camera, np.random.default_rng([seed, 2]))


def _share(hour: float, span: tuple[float, float] | None) -> float:
    """0 outside the span, 1 in its middle, in ramps of half an hour or half the span."""
    if span is None or not span[0] < hour < span[1]:
        return 0.0
    ramp = min(0.5, (span[1] - span[0]) / 2)
    return float(min(1.0, (hour - span[0]) / ramp, (span[1] - hour) / ramp))
