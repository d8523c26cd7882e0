"""The street without vehicles, drawn once per camera and light.

Does: projects the ground, and stands walls, fence, gate posts, facades and signs on it.
Does not: draw vehicles; nothing here moves.

Rules: everything is drawn at twice the frame's size and reduced, so that far lines do not flicker.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.lettering import draw_text, text_width
from alpr_edge.simulator import ground, scene
from alpr_edge.simulator.camera import Camera, Points
from alpr_edge.simulator.light import HAZE_GREY, LightModel
from alpr_edge.types import Image

_SUPERSAMPLE: Final = 2
_WALL_PX_PER_M: Final = 60


@dataclass(frozen=True, slots=True, eq=False)
class Wall:
    """An upright rectangle with a picture.

    Attributes:
        base: `(2, 2)` its foot on the ground, from the picture's left to its right.
        bottom_m, top_m: its height above ground.
        picture: uint8 BGR.
    """

    base: Points
    bottom_m: float
    top_m: float
    picture: Image

    def corners(self) -> Points:
        """`(4, 3)` clockwise from the picture's top left."""
        (x0, y0), (x1, y1) = self.base
        top, bottom = self.top_m, self.bottom_m
        return np.array([(x0, y0, top), (x1, y1, top), (x1, y1, bottom), (x0, y0, bottom)])


def fence_walls() -> tuple[Points, Points]:
    """`(4, 3)` corners of the fence's near and far part; they hide what is behind them."""
    grounds = scene.PREMISES.grounds
    parts = ((float(grounds[:, 1].min()), scene.GATE_Y_M[0]),
             (scene.GATE_Y_M[1], float(grounds[:, 1].max())))  # fmt: skip
    near, far = (_fence(low, high, np.zeros((1, 1, 3), np.uint8)).corners() for low, high in parts)
    return near, far


def draw_backdrop(camera: Camera, light: LightModel, rng: np.random.Generator) -> Image:
    """The empty street, `(H, W, 3)` uint8 BGR."""
    return light_up(draw_surfaces(camera, rng), camera, light)


def draw_surfaces(camera: Camera, rng: np.random.Generator) -> Image:
    """The empty street in its own colours, before any light; `light_up` can then light it often."""
    fine = replace(
        camera,
        width_px=camera.width_px * _SUPERSAMPLE,
        height_px=camera.height_px * _SUPERSAMPLE,
    )
    image = _sky(fine)
    _lay_ground(image, fine, ground.paint_ground(rng))
    for wall in _walls(rng):
        _stand(image, fine, wall)
    small = cv2.resize(image, (camera.width_px, camera.height_px), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8)


def _sky(camera: Camera) -> Image:
    rows = np.linspace(0, 1, camera.height_px)[:, None, None]
    gradient = np.array([226, 190, 150]) * (1 - rows) + np.array([236, 228, 214]) * rows
    return np.repeat(gradient.astype(np.uint8), camera.width_px, axis=1)


def _lay_ground(image: Image, camera: Camera, texture: Image) -> None:
    left, near, right, far = ground.BOUNDS_M
    height, width = texture.shape[:2]
    world = np.array([(left, far), (right, far), (right, near), (left, near)])
    flat = np.column_stack([world, np.zeros(4)])
    pixels, _ = camera.project(flat)
    _warp(image, texture, pixels, np.array([(0, 0), (width, 0), (width, height), (0, height)]))


def _stand(image: Image, camera: Camera, wall: Wall) -> None:
    pixels, depth = camera.project(wall.corners())
    if np.all(depth > 1.0):
        height, width = wall.picture.shape[:2]
        source = np.array([(0, 0), (width, 0), (width, height), (0, height)])
        _warp(image, wall.picture, pixels, source)


def _warp(image: Image, texture: Image, pixels: Points, source: Points) -> None:
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), pixels.astype(np.float32))
    size = (image.shape[1], image.shape[0])
    cv2.warpPerspective(
        texture, matrix, size, dst=image, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )


def _walls(rng: np.random.Generator) -> list[Wall]:
    """Everything upright, far things first."""
    walls = [_facade((10.5, 74), (10.5, 4), 9.0, (120, 138, 160), rng),
             _facade((-9.0, 43), (-9.0, 74), 10.0, (150, 160, 168), rng),
             _facade((-10.5, 22), (-10.5, 40), 8.0, (176, 186, 196), rng),
             _facade((-7.5, 4), (-7.5, 20.5), 9.0, (104, 116, 150), rng)]  # fmt: skip
    low, high = scene.PREMISES.grounds[:, 1].min(), scene.PREMISES.grounds[:, 1].max()
    walls.append(_fence(scene.GATE_Y_M[1], float(high), _fence_picture(scene.GATE_Y_M[1], high)))
    walls.append(_post(scene.GATE_Y_M[1]))
    walls.append(_fence(float(low), scene.GATE_Y_M[0], _fence_picture(low, scene.GATE_Y_M[0])))
    walls.append(_post(scene.GATE_Y_M[0]))
    lines = (("CONSULATE", 32.0, 35.6, (120, 60, 30)), ("NO STOPPING", 36.6, 39.6, (40, 40, 170)))
    walls += [_sign(text, (scene.FENCE_X_M + 0.03, low_y), (scene.FENCE_X_M + 0.03, high_y), ink)
              for text, low_y, high_y, ink in lines]  # fmt: skip
    walls.append(_sign("OPEN 24H", (-4.05, 18.4), (-3.45, 18.2), (36, 90, 40)))
    return walls


def _fence(low_y: float, high_y: float, picture: Image) -> Wall:
    base = np.array([(scene.FENCE_X_M, low_y), (scene.FENCE_X_M, high_y)])
    return Wall(base, 0.0, scene.FENCE_HEIGHT_M, picture)


def _fence_picture(low_y: float, high_y: float) -> Image:
    """A stone foot, iron bars, and a hedge behind them."""
    width = max(8, round((high_y - low_y) * _WALL_PX_PER_M))
    height = round(scene.FENCE_HEIGHT_M * _WALL_PX_PER_M)
    picture = np.full((height, width, 3), (48, 78, 58), np.uint8)
    rng = np.random.default_rng(5)
    leaves = rng.integers(-22, 23, (height // 4 + 1, width // 4 + 1, 1))
    hedge: Image = np.clip(
        picture + cv2.resize(leaves.astype(np.float32), (width, height))[..., None], 0, 255
    ).astype(np.uint8)
    for x in range(4, width, 9):
        cv2.line(hedge, (x, 0), (x, height), (30, 30, 32), 3)
    foot = round(height * 0.68)
    hedge[foot:] = (140, 150, 158)
    for row, y in enumerate(range(foot, height, 14)):
        cv2.line(hedge, (0, y), (width, y), (112, 120, 126), 1)
        for x in range((row % 2) * 14, width, 28):
            cv2.line(hedge, (x, y), (x, y + 14), (112, 120, 126), 1)
    hedge[foot : foot + 6] = (176, 184, 190)
    return hedge


def _post(y: float) -> Wall:
    picture = np.full((150, 30, 3), (150, 160, 168), np.uint8)
    picture[:10] = (190, 198, 204)
    cv2.rectangle(picture, (0, 0), (29, 149), (110, 118, 124), 2)
    x = scene.FENCE_X_M
    return Wall(np.array([(x - 0.25, y - 0.02), (x + 0.25, y - 0.02)]), 0.0, 2.5, picture)


def _sign(
    text: str, left: tuple[float, float], right: tuple[float, float], ink: tuple[int, int, int]
) -> Wall:
    """A white board with a word: text that is no plate."""
    cell, gap = (26.0, 46.0), 10.0
    width = round(text_width(text, cell, gap)) + 40
    picture = np.full((90, width, 3), (226, 230, 230), np.uint8)
    cv2.rectangle(picture, (3, 3), (width - 4, 86), ink, 4)
    draw_text(picture, text, (20, 22), cell=cell, stroke_px=7, gap=gap, colour=ink)
    return Wall(np.array([left, right]), 0.45, 0.95, picture)


def _facade(
    left: tuple[float, float],
    right: tuple[float, float],
    height_m: float,
    colour: tuple[int, int, int],
    rng: np.random.Generator,
) -> Wall:
    """A house front with rows of windows."""
    length = float(np.hypot(right[0] - left[0], right[1] - left[1]))
    width, height = round(length * 30), round(height_m * 30)
    picture = np.full((height, width, 3), colour, np.uint8)
    for y in range(40, height - 70, 95):
        for x in range(30, width - 50, 80):
            tone = int(rng.integers(50, 110))
            cv2.rectangle(picture, (x, y), (x + 40, y + 58), (tone + 18, tone + 6, tone), -1)
            cv2.rectangle(picture, (x, y), (x + 40, y + 58), (206, 210, 212), 3)
    return Wall(np.array([left, right]), 0.0, height_m, picture)


def light_up(image: Image, camera: Camera, light: LightModel) -> Image:
    """Bring the daylight picture into its light: gain, tint, lamps' pools, haze, wet mirror."""
    gain = np.full(image.shape[:2], light.backdrop_gain, np.float32)
    if light.lamps > 0.5:
        gain += lamp_pools(camera) * 0.34 * light.lamps
    if light.wet:
        soft = cv2.GaussianBlur(image, (0, 0), 5, sigmaY=24)
        image = cv2.addWeighted(image, 1 - light.wet, soft, light.wet, 0).astype(np.uint8)
    lit = image * gain[..., None] * np.array(light.tint, np.float32)
    lit = lit * (1 - light.haze) + HAZE_GREY * light.haze
    finished: Image = np.clip(np.rint(lit), 0, 255).astype(np.uint8)
    return finished


@lru_cache(maxsize=8)
def lamp_pools(camera: Camera) -> NDArray[np.float32]:
    """Brightness `(H, W)` 0..1 of the pools below the street lamps."""
    rows = np.arange(0, camera.height_px, 8) + 4.0
    columns = np.arange(0, camera.width_px, 8) + 4.0
    small = np.zeros((len(rows), len(columns)), np.float32)
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            spot = camera.ground_at((float(x), float(y)))
            if spot is not None:
                away = [np.hypot(spot[0] + 3.5, (spot[1] - at) * 0.8) for at in (13.0, 33.0, 55.0)]
                small[i, j] = np.exp(-((min(away) / 6.5) ** 2))
    return cv2.resize(small, (camera.width_px, camera.height_px)).astype(np.float32)
