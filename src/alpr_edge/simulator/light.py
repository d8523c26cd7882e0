"""Light and weather of the street: day, dusk, night, rain.

Does: says how bright surfaces are, and lays the sensor's noise and the rain over a frame.
Does not: know vehicles or the backdrop.

Rules: colours are BGR, 0..255. Noise comes from tiles made once; every frame takes another cut of
them, chosen by the frame's number, so that a frame's bytes depend on nothing but seed and number.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import cv2
import numpy as np

from alpr_edge.simulator.camera import Points
from alpr_edge.types import Image


class Light(StrEnum):
    """Time of day or weather."""

    DAY = "day"
    DUSK = "dusk"
    NIGHT = "night"
    RAIN = "rain"


@dataclass(frozen=True, slots=True)
class LightModel:
    """How a light looks.

    Attributes:
        sun: direction to the sun, not normalised.
        ambient, direct: share of a surface's own colour by sky and by sun.
        sky: BGR added to surfaces that face up, for gloss.
        tint: BGR factors of the whole scene.
        backdrop_gain: brightness of the pre-drawn street.
        plate_gain: brightness of a plate, retro-reflection of the camera's lamp included.
        shadow: darkness below vehicles, 0..1.
        haze: share of the haze's grey mixed into everything, 0..1.
        lamps: headlamps and tail lamps burn; how strongly they glow, 0 is off.
        exposure_s: shutter time, for motion blur.
        noise: standard deviation of the sensor's noise.
        streaks: rain streaks per megapixel.
        wet: mirror on the road, 0..1.
    """

    sun: tuple[float, float, float]
    ambient: float
    direct: float
    sky: tuple[float, float, float]
    tint: tuple[float, float, float]
    backdrop_gain: float
    plate_gain: float
    shadow: float
    haze: float
    lamps: float
    exposure_s: float
    noise: float
    streaks: int = 0
    wet: float = 0.0

    def shade(self, colours: Points, normals: Points, gloss: Points) -> Points:
        """Colours `(F, 3)` of surfaces with unit normals `(F, 3)` and gloss `(F,)` under it."""
        sun = np.array(self.sun) / np.linalg.norm(self.sun)
        facing = np.clip(normals @ sun, 0, 1)
        up = np.clip(normals[:, 2], 0, 1)
        below = np.clip(0.55 + 0.45 * normals[:, 2], 0.4, 1)
        lit = colours * (self.ambient * below + self.direct * facing)[:, None]
        lit += np.array(self.sky) * (up * gloss)[:, None]
        hazed: Points = lit * np.array(self.tint) * (1 - self.haze) + HAZE_GREY * self.haze
        return np.clip(hazed, 0, 255)


HAZE_GREY: Final = 118.0

MODELS: Final[dict[Light, LightModel]] = {
    Light.DAY: LightModel((-0.5, -0.45, 0.8), 0.62, 0.48, (70, 58, 48), (1, 1, 1), 1.0, 0.95, 0.52,
                          0.0, 0.0, 1 / 1000, 2.2),
    Light.DUSK: LightModel((0.3, 0.8, 0.35), 0.36, 0.16, (44, 34, 52), (1.0, 0.94, 1.04), 0.44,
                           0.62, 0.4, 0.0, 0.55, 1 / 600, 3.6),
    Light.NIGHT: LightModel((0.4, 0.3, 0.9), 0.15, 0.07, (16, 20, 24), (0.9, 0.98, 1.08), 0.2,
                            0.86, 0.3, 0.0, 1.0, 1 / 500, 5.0),
    Light.RAIN: LightModel((0.0, 0.1, 1.0), 0.52, 0.12, (60, 56, 54), (1.03, 1.0, 0.97), 0.66,
                           0.72, 0.4, 0.17, 0.4, 1 / 700, 3.0, streaks=420, wet=0.5),
}  # fmt: skip
"""Source: judged by eye against street photos; shutter times are usual for plate cameras."""

_MARGIN_PX: Final = 96


class Weather:
    """Noise and rain, laid over a frame in place."""

    def __init__(
        self, model: LightModel, size_px: tuple[int, int], rng: np.random.Generator
    ) -> None:
        """Make the tiles for frames of `(width, height)`."""
        width, height = size_px[0] + _MARGIN_PX, size_px[1] + _MARGIN_PX
        noise = rng.standard_normal((height, width, 1), dtype=np.float32) * model.noise
        noise = (
            noise + rng.standard_normal((height, width, 3), dtype=np.float32) * model.noise * 0.5
        )
        self._lighter = np.clip(np.rint(noise), 0, 60).astype(np.uint8)
        self._darker = np.clip(np.rint(-noise), 0, 60).astype(np.uint8)
        if model.streaks:
            self._lighter = cv2.add(self._lighter, _streaks(model.streaks, (width, height), rng))

    def lay_over(self, image: Image, number: int) -> None:
        """Add the weather of frame `number` to `(H, W, 3)` uint8 BGR, in place."""
        height, width = image.shape[:2]
        cut = np.random.default_rng([number, 77]).integers(0, _MARGIN_PX, 4)
        for operation, tile, (x, y) in (
            (cv2.add, self._lighter, cut[:2]),
            (cv2.subtract, self._darker, cut[2:]),
        ):
            operation(image, tile[y : y + height, x : x + width], dst=image)


def _streaks(per_megapixel: int, size_px: tuple[int, int], rng: np.random.Generator) -> Image:
    """Falling drops, as long as the shutter is open; near ones are long and pale."""
    width, height = size_px
    layer = np.zeros((height, width, 3), np.uint8)
    scale = height / 1080
    for _ in range(int(per_megapixel * width * height / 1e6)):
        x, y = float(rng.uniform(0, width)), float(rng.uniform(-60, height))
        near = float(rng.uniform(0.2, 1.0)) ** 2
        length = (14 + 70 * near) * scale
        tone = int(rng.uniform(18, 46))
        end = (round(x - 0.12 * length), round(y + length))
        thick = 2 if near > 0.7 and scale > 0.8 else 1
        cv2.line(layer, (round(x), round(y)), end, (tone, tone, tone), thick, cv2.LINE_AA)
    return cv2.blur(layer, (2, 5)).astype(np.uint8)
