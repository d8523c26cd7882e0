"""Short films made of a photo at run time: the camera pans and zooms over it, as over a real scene.

Frame by frame the window moves, turns a little and comes nearer; motion blur follows from the
movement, noise and JPEG artefacts from a cheap camera. Nothing is written anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from alpr_edge.types import Image, Quad

GREY = (114.0, 114.0, 114.0)
"""What lies beyond the photo: a mirror image would show the plate twice."""


@dataclass(frozen=True)
class Shot:
    """One frame, and where the plate lies in it."""

    image: Image
    quad: Quad


def pan_and_zoom(
    photo: Image,
    box: tuple[float, float, float, float],
    *,
    seed: int,
    frames: int = 12,
    size_px: tuple[int, int] = (1280, 720),
) -> Iterator[Shot]:
    """A pass of the plate at `box` (left, top, width, height) of the photo.

    The plate grows from about 50 to about 110 px, or to its own size and a half if that is less,
    and crosses half the frame.
    """
    rng = np.random.default_rng(seed)
    left, top, width, height = box
    centre = np.array([left + width / 2, top + height / 2])
    most = min(110.0, 1.5 * width) / width
    least = min(50.0 / width, most)
    side = rng.choice([-1.0, 1.0])
    turn = rng.uniform(-0.06, 0.06)
    corners = np.array(
        [[left, top], [left + width, top], [left + width, top + height], [left, top + height]]
    )
    last = None
    for number in range(frames):
        t = number / max(frames - 1, 1)
        scale = least * (most / least) ** t
        shake = rng.normal(0, 1.2, 2)
        goal = np.array([size_px[0] * (0.5 + side * (0.25 - 0.5 * t)), size_px[1] * 0.5]) + shake
        angle = turn * t
        spin = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = np.hstack([spin, (goal - spin @ centre)[:, None]])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = cv2.warpAffine(_shrunk(photo, scale), matrix, size_px, flags=how, borderValue=GREY)
        moved = 0.0 if last is None else float(np.hypot(*(goal - last)))
        last = goal
        quad = corners @ spin.T + matrix[:, 2]
        yield Shot(_through_a_camera(image, 0.03 * moved, rng), quad.astype(np.float32))


def _shrunk(photo: Image, scale: float) -> Image:
    """Averaged before a large reduction, so that strokes do not alias."""
    if scale >= 0.7:
        return photo
    sigma = 0.4 / scale
    return np.asarray(cv2.GaussianBlur(photo, (0, 0), sigma), np.uint8)


def _through_a_camera(image: Image, blur_px: float, rng: np.random.Generator) -> Image:
    reach = max(1, round(blur_px))
    if reach > 1:
        image = np.asarray(cv2.blur(image, (reach, 1)), np.uint8)
    grain = rng.standard_normal((*image.shape[:2], 1), np.float32) * np.float32(rng.uniform(2, 6))
    image = np.clip(image + grain, 0, 255).astype(np.uint8)
    quality = int(rng.integers(60, 90))
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
