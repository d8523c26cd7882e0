"""What happens to a camera's view: weather on the lens, sabotage, a mount that gives way.

Does: fog by distance, dirt, glare, a covered, defocused or frozen lens, a camera that was turned.
Does not: light the street (see `light`, `day`) or decide what any of it means.

Rules: functions take `(H, W, 3)` uint8 BGR and give a new picture of the same size; the same seed
gives the same picture. They come before the sensor's noise, because it is added behind the lens.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.simulator.camera import Camera
from alpr_edge.types import Image

FOG_GREY: Final = 176.0
_FARTHEST_M: Final = 150.0
_CONTRAST_LOST: Final = 3.912
"""Source: Koschmieder; visibility is where 2 % of the contrast is left, and -ln(0.02) = 3.912."""


def turned(
    camera: Camera, *, pan: float = 0.0, tilt: float = 0.0, roll: float = 0.0, zoom: float = 1.0
) -> Camera:
    """The camera after its mount gave way: degrees to the right, up and clockwise; zoom in > 1."""
    half = np.tan(np.radians(camera.hfov_deg) / 2) / zoom
    return replace(
        camera,
        pan_deg=camera.pan_deg + pan,
        tilt_deg=camera.tilt_deg + tilt,
        roll_deg=camera.roll_deg + roll,
        hfov_deg=float(np.degrees(2 * np.arctan(half))),
    )


def depth_m(camera: Camera) -> NDArray[np.float32]:
    """`(H, W)` distance of the ground seen at each pixel; the sky's is 150 m."""
    rows = np.arange(0, camera.height_px, 8) + 4.0
    columns = np.arange(0, camera.width_px, 8) + 4.0
    small = np.full((len(rows), len(columns)), _FARTHEST_M, np.float32)
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            spot = camera.ground_at((float(x), float(y)))
            if spot is not None:
                away = float(np.hypot(*(spot - camera.position[:2])))
                small[i, j] = min(away, _FARTHEST_M)
    return cv2.resize(small, (camera.width_px, camera.height_px)).astype(np.float32)


def fog(
    image: Image, depth: NDArray[np.float32], visibility_m: float, grey: float = FOG_GREY
) -> Image:
    """Fog with the given meteorological visibility; `depth` as `depth_m` gives it."""
    through = np.exp(-_CONTRAST_LOST * depth / visibility_m)[..., None]
    return _picture(image * through + grey * (1 - through))


def dirt(image: Image, share: float, seed: int = 0) -> Image:
    """A dirty lens: soft grey patches over `share` (0..1) of the picture."""
    height, width = image.shape[:2]
    rng = np.random.default_rng(seed)
    coarse = rng.random((9, 16)).astype(np.float32)
    cloud = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    veil = np.clip((cloud - np.quantile(cloud, 1 - share)) * 4, 0, 0.85)[..., None]
    soft = cv2.GaussianBlur(image, (0, 0), width / 120)
    return _picture(image * (1 - veil) + (0.55 * soft + 26) * veil)


def glare(image: Image, at: tuple[float, float], strength: float) -> Image:
    """High beams straight into the lens at `at` (parts of the picture); 1 blinds half of it."""
    height, width = image.shape[:2]
    x, y = np.arange(width) / width - at[0], (np.arange(height) / height - at[1]) * height / width
    away = np.hypot(x[None, :], y[:, None])
    light = 400.0 * strength * np.exp(-((away / 0.16) ** 2)) + 40.0 * strength
    return _picture(image + light[..., None])


def covered(image: Image, seed: int = 0, *, bright: bool = False) -> Image:
    """A bag over the lens: nearly black, or lit from behind; faint soft shades at the most."""
    height, width = image.shape[:2]
    coarse = np.random.default_rng(seed).random((3, 4)).astype(np.float32)
    shade = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    tone = np.array([150.0, 158.0, 162.0]) if bright else np.array([9.0, 9.0, 10.0])
    return _picture(np.broadcast_to(tone + shade * (12 if bright else 3), image.shape))


def defocused(image: Image, blur: float) -> Image:
    """The focus turned away; `blur` is the radius in parts of the picture's width."""
    radius = max(1, round(blur * image.shape[1]))
    disc = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    cv2.circle(disc, (radius, radius), radius, 1.0, -1)
    return _picture(cv2.filter2D(image, -1, disc / disc.sum(), borderType=cv2.BORDER_REPLICATE))


def _picture(values: NDArray[np.generic]) -> Image:
    finished: Image = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return finished
