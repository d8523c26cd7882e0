"""What light, lens, sensor and coding do to a picture of a plate.

Does: pure functions from image to image, each with its own strength; `Severity` bundles the
strengths of one shot so that they stay readable together.
Does not: know plates or geometry.

Rules: images are (H, W, 3) uint8 BGR at the resolution of the sensor, before they are enlarged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Image


@dataclass(frozen=True, slots=True)
class Severity:
    """Strengths of one shot."""

    blur_px: float
    """Standard deviation of the defocus."""
    motion_px: float
    motion_turn: float
    noise: float
    """Standard deviation of the sensor's noise, in grey levels."""
    jpeg: int
    """JPEG quality."""
    night: bool


def draw_severity(rng: np.random.Generator, pitch_px: float) -> Severity:
    """Draw strengths that a person can still read at `pitch_px` sensor pixels per character.

    A character stays readable while blur and motion together are less than about a fifth of its
    pitch; a shot that is bad in one way is kept good in the others.
    """
    budget = 0.2 * pitch_px * float(rng.beta(1.0, 2.8))
    share = float(rng.beta(0.5, 0.5))
    moves = rng.random() < 0.3
    blur = budget * (share if moves else 1.0)
    motion = budget * (1 - share) * 3.0 if moves else 0.0
    left = 1.0 - min(0.8, budget / (0.2 * pitch_px))
    fine = min(1.0, pitch_px / 14.0)
    return Severity(
        blur_px=blur,
        motion_px=motion,
        motion_turn=float(rng.normal(0, 0.35))
        if rng.random() < 0.7
        else float(rng.uniform(0, 3.14)),
        noise=float(rng.gamma(1.0, 4.0)) * left * (0.4 + 0.6 * fine),
        jpeg=round(rng.uniform(88 - 58 * left * fine, 96)),
        night=bool(rng.random() < 0.16),
    )


def expose(image: Image, rng: np.random.Generator, *, night: bool) -> Image:
    """Apply gamma, gain, contrast and colour cast by one table per channel."""
    ramp = np.linspace(0, 1, 256, dtype=np.float32)
    gamma = float(np.exp(rng.normal(0, 0.3)))
    low, high = rng.uniform(0, 1, 2) ** np.array([3.0, 0.4])
    low *= 0.5
    if night:
        high = rng.uniform(0.25, 1.0)
        low = high * rng.uniform(0.0, 0.35)
    high = min(1.0, max(high, low + 0.35))
    cast = rng.normal(0, 0.07 if rng.random() < 0.8 else 0.25, 3)
    over = 1.0 + (rng.uniform(0, 0.25) if rng.random() < 0.15 else 0.0)
    curve = low + (high - low) * ramp**gamma
    tables = [np.clip(curve * (1 + c) * over, 0, 1) * 255 for c in cast]
    table = np.stack(tables, axis=1).astype(np.uint8)[:, None, :]
    return np.asarray(cv2.LUT(image, table.reshape(256, 1, 3)), np.uint8)


def cast_shadow(image: Image, rng: np.random.Generator) -> Image:
    """Darken a half-plane or brighten a corner, softly."""
    height, width = image.shape[:2]
    xs = np.linspace(-1, 1, width, dtype=np.float32)[None]
    ys = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    turn, at = rng.uniform(0, 2 * np.pi), rng.uniform(-0.6, 0.6)
    soft = np.float32(10 ** rng.uniform(0.1, 1.6))
    ramp = np.clip((xs * np.cos(turn) + ys * np.sin(turn) - at) * soft, -0.5, 0.5) + 0.5
    low = np.float32(rng.uniform(0.35, 0.85))
    light = (1 - (1 - low) * ramp).astype(np.float32)[:, :, None]
    return np.asarray(image * light, np.uint8)


def glare(image: Image, rng: np.random.Generator) -> Image:
    """Add a lamp's or the sun's flare: a bright blob with a halo."""
    height, width = image.shape[:2]
    xs = np.arange(width, dtype=np.float32)[None]
    ys = np.arange(height, dtype=np.float32)[:, None]
    x, y = rng.uniform(-0.1, 1.1) * width, rng.uniform(-0.2, 1.2) * height
    size = rng.uniform(0.15, 0.6) * width
    falloff = np.exp(-((xs - x) ** 2 + ((ys - y) * rng.uniform(0.8, 2.0)) ** 2) / size**2)
    gain = np.float32(rng.uniform(30, 130)) * falloff
    return np.asarray(np.clip(image + gain[:, :, None], 0, 255), np.uint8)


def rain(image: Image, rng: np.random.Generator) -> Image:
    """Streaks or drops."""
    out = image.copy()
    height, width = image.shape[:2]
    lean, light = rng.normal(0, 0.2), int(rng.integers(120, 230))
    for _ in range(int(rng.integers(5, 30))):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        length = int(rng.integers(3, max(4, height // 4)))
        end = (x + round(lean * length), y + length)
        cv2.line(out, (x, y), end, (light, light, light), 1, cv2.LINE_AA)
    return np.asarray(cv2.addWeighted(image, 0.6, out, 0.4, 0), np.uint8)


def soften(image: Image, severity: Severity) -> Image:
    """Defocus and motion."""
    if severity.blur_px > 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), severity.blur_px), np.uint8)
    length = round(severity.motion_px)
    if length < 2:
        return image
    kernel = np.zeros((length + 2, length + 2), np.float32)
    middle = (length + 1) / 2
    dx, dy = (np.cos(severity.motion_turn) * length / 2, np.sin(severity.motion_turn) * length / 2)
    start = (round(middle - dx), round(middle - dy))
    cv2.line(kernel, start, (round(middle + dx), round(middle + dy)), 1.0, 1)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def sense(image: Image, rng: np.random.Generator, severity: Severity) -> Image:
    """Add noise, then code and decode as JPEG, at times sharpened as cameras do."""
    if rng.random() < 0.25:
        soft = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.8, 1.6)))
        amount = float(rng.uniform(0.3, 1.2))
        image = np.asarray(cv2.addWeighted(image, 1 + amount, soft, -amount, 0), np.uint8)
    if severity.noise > 0.7:
        grain = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31 - 1)))
        sigma = severity.noise
        cv2.randn(grain, np.zeros(3), np.full(3, sigma))
        if rng.random() < 0.5:
            grain = np.repeat(grain[:, :, :1], 3, axis=2)
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
    if severity.jpeg < 94:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, severity.jpeg])[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return image


def infrared(image: Image, plate: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """The picture under the camera's own infra-red lamp: the sheeting shines, all else is dark.

    Reds and pinks reflect like the sheeting and vanish; blacks and blues stay dark. `plate` is its
    corners (4, 2).
    """
    seen = image @ np.array([0.1, 0.2, 0.7], np.float32)
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, np.round(plate).astype(np.int32), 255, cv2.LINE_AA)
    shine = cv2.GaussianBlur(inside, (0, 0), 0.7).astype(np.float32) / 255
    dark, bright = rng.uniform(0.05, 0.35), rng.uniform(0.9, 1.8)
    lit = seen * (dark + (bright - dark) * shine)
    if rng.random() < 0.4:  # what is overexposed spills over
        spill = cv2.GaussianBlur(np.maximum(lit - 235, 0), (0, 0), float(rng.uniform(1, 4)))
        lit = lit + spill * rng.uniform(0.5, 2.0)
    grey = np.clip(lit, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def roll(
    image: Image, plate: NDArray[np.float32], rng: np.random.Generator
) -> tuple[Image, NDArray[np.float32]]:
    """A rolling shutter: later rows see the car further on, and shake bends the columns.

    Returns the picture and where the plate's corners (4, 2) are now.
    """
    height, width = image.shape[:2]
    lean = float(rng.normal(0, 0.05)) * width / height
    sway, waves = float(rng.uniform(0, 0.006)) * width, rng.uniform(0.5, 2.0)
    phase = rng.uniform(0, 2 * np.pi)

    def shift(y: NDArray[np.float32]) -> NDArray[np.float32]:
        wave = sway * np.sin(phase + 2 * np.pi * waves * y / height)
        return np.asarray(lean * (y - height / 2) + wave, np.float32)

    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    bent = cv2.remap(image, xs - shift(ys), ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    corners = plate.copy()
    corners[:, 0] += shift(corners[:, 1])
    return np.asarray(bent, np.uint8), corners


def video_coding(image: Image, rng: np.random.Generator) -> Image:
    """What H.264 leaves at a low rate: 4×4 transforms with coarse steps, colour at half the size,
    and 16×16 macroblocks that were skipped and show what was there a moment before.

    Drawn after ITU-T H.264, sections 8.3 and 8.5, without its entropy coding and prediction.
    """
    height, width = image.shape[:2]
    rows, cols = -(-height // 16) * 16, -(-width // 16) * 16
    padded = cv2.copyMakeBorder(
        image, 0, rows - height, 0, cols - width, borderType=cv2.BORDER_REPLICATE
    )
    coded = cv2.cvtColor(padded, cv2.COLOR_BGR2YCrCb).astype(np.float32)
    step = float(2 ** rng.uniform(2.6, 5.2))
    coded[..., 0] = _quantised(coded[..., 0], step)
    for channel in (1, 2):
        half = cv2.resize(coded[..., channel], (cols // 2, rows // 2), interpolation=cv2.INTER_AREA)
        small = _quantised(half, step)
        coded[..., channel] = cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.4:
        before = np.roll(coded, (int(rng.integers(-1, 2)), int(rng.integers(-2, 3))), (0, 1))
        skipped = rng.random((rows // 16, cols // 16)) < 0.25
        coded = np.where(np.kron(skipped, np.ones((16, 16)))[..., None] > 0, before, coded)
    out = cv2.cvtColor(np.clip(coded, 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2BGR)
    return np.ascontiguousarray(out[:height, :width])


def _quantised(plane: NDArray[np.float32], step: float) -> NDArray[np.float32]:
    """A plane (4m, 4n) through 4×4 cosine transforms whose coefficients keep multiples of step."""
    rows, cols = plane.shape
    blocks = plane.reshape(rows // 4, 4, cols // 4, 4).transpose(0, 2, 1, 3)
    coefficients = _DCT @ blocks @ _DCT.T
    coefficients = np.round(coefficients / step) * step
    back = _DCT.T @ coefficients @ _DCT
    return np.asarray(back.transpose(0, 2, 1, 3).reshape(rows, cols), np.float32)


_DCT: Final = np.array(
    [
        [0.5 if k == 0 else np.sqrt(0.5) * np.cos(np.pi * (2 * n + 1) * k / 8) for n in range(4)]
        for k in range(4)
    ],
    np.float32,
)
