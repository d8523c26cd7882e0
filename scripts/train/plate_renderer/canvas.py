"""The drawing surface of a plate: colour and relief, with stamps, captions and simple shapes.

Does: blends masks into a colour image and, where they are embossed, into a height map.
Does not: know any region or any design.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .designs import PALETTE
from .glyphs import Mask, caption_mask, fonts_like

Bgr: TypeAlias = tuple[int, int, int]
Image: TypeAlias = NDArray[np.uint8]

_CAPTION_DIES: Final = ("us_flat", "din", "us_round", "uk", "us_serif")


def colour(letter: str, rng: np.random.Generator, spread: float = 9.0) -> Bgr:
    """Return a palette colour with some jitter."""
    b, g, r = PALETTE[letter]
    light, db, dg, dr = (spread * v for v in rng.standard_normal(4).tolist())
    return _byte(b + light + db / 2), _byte(g + light + dg / 2), _byte(r + light + dr / 2)


def _byte(value: float) -> int:
    return max(0, min(255, round(value)))


def one_of(letters: str, rng: np.random.Generator) -> Bgr:
    """Return a jittered colour of one of the letters."""
    return colour(letters[int(rng.integers(len(letters)))], rng)


class Canvas:
    """A plate while it is drawn: `image` (H, W, 3) uint8 BGR and `relief` (H, W) uint8."""

    def __init__(self, height: int, width: int, base: Bgr) -> None:
        """Start with a blank plate."""
        self.image: Image = np.zeros((height, width, 3), np.uint8)
        cv2.rectangle(self.image, (0, 0), (width, height), base, -1)
        self.relief: Mask = np.zeros((height, width), np.uint8)

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.image.shape[1])

    def stamp(self, mask: Mask, at: tuple[float, float], ink: Bgr, *, raised: bool = False,
              strength: float = 1.0) -> None:  # fmt: skip
        """Blend the ink through a mask (h, w) uint8 whose top left corner is `at` (x, y)."""
        x, y = round(at[0]), round(at[1])
        left, top = max(0, -x), max(0, -y)
        mask = mask[top : max(top, self.height - y), left : max(left, self.width - x)]
        if mask.size == 0:
            return
        x, y = max(0, x), max(0, y)
        height, width = mask.shape
        roi = self.image[y : y + height, x : x + width]
        alpha = mask[:, :, None] * np.float32(strength / 255)
        roi[:] = (roi + (np.array(ink, np.float32) - roi) * alpha + 0.5).astype(np.uint8)
        if raised:
            low = self.relief[y : y + height, x : x + width]
            np.maximum(low, mask, out=low)

    def rectangle(self, box: tuple[float, float, float, float], ink: Bgr, line: int = -1) -> None:
        """Draw a rectangle given by x0, y0, x1, y1."""
        x0, y0, x1, y1 = (round(v) for v in box)
        cv2.rectangle(self.image, (x0, y0), (x1, y1), ink, line, cv2.LINE_AA)

    def polygon(self, points: NDArray[np.floating], ink: Bgr) -> None:
        """Fill a polygon (N, 2)."""
        corners = np.round(points * 8).astype(np.int32)
        cv2.fillPoly(self.image, [corners], ink, cv2.LINE_AA, 3)

    def disc(self, at: tuple[float, float], radius: float, ink: Bgr, line: int = -1) -> None:
        """Draw a disc or a ring."""
        centre = (round(at[0] * 8), round(at[1] * 8))
        cv2.circle(self.image, centre, max(1, round(radius * 8)), ink, line, cv2.LINE_AA, 3)

    def caption(self, text: str, box: tuple[float, float, float, float], ink: Bgr, font: str, *,
                raised: bool = False, align: float = 0.5) -> None:  # fmt: skip
        """Set a text into a box x0, y0, x1, y1: full height, narrowed when it is too long."""
        room, height = box[2] - box[0], box[3] - box[1]
        if not text.strip() or height < 3 or room < 4:
            return
        mask = caption_mask(text, font, 8 * max(1, math.ceil(height / 8)))
        scale = height / mask.shape[0]
        width = mask.shape[1] * scale
        if width > room * 1.25:
            height *= 0.8
        width = min(width, room)
        size = (max(2, round(width)), max(3, round(height)))
        fitted = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
        x = box[0] + (room - width) * align
        y = box[1] + (box[3] - box[1] - height) / 2
        self.stamp(fitted, (x, y), ink, raised=raised)


def caption_font(rng: np.random.Generator, *, script: bool = False) -> str:
    """Return a font path for a caption, or the name of an own die where there is no font."""
    fonts = fonts_like("script") if script else fonts_like("caption")
    if fonts and rng.random() < 0.9:
        return fonts[int(rng.integers(len(fonts)))]
    return _CAPTION_DIES[int(rng.integers(len(_CAPTION_DIES)))]
