"""Plates of the street: serials and how they are painted.

Does: draws random serials that stay well apart from each other, and paints a plate as a texture.
Does not: place plates in the world, light them, or share anything with the training renderer.

Rules: in a pattern `A` is a letter, `9` a digit. Serials are upper-case A-Z0-9 without separators.
A texture is `PX_PER_MM` pixels per millimetre of the plate, `(h, w, 3)` uint8 BGR.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np

from alpr_edge.lettering import draw_text, text_width
from alpr_edge.types import Image

PX_PER_MM: Final = 2.0
US_SIZE_M: Final = (0.305, 0.152)
"""Source: SAE J686, motor vehicle licence plates (12 x 6 in)."""
EU_SIZE_M: Final = (0.520, 0.110)
"""Source: the common single-row size of the EU (520 x 110 mm, Germany 520 x 110)."""

Colour: TypeAlias = tuple[int, int, int]
PlateArtist: TypeAlias = "Callable[[PlateSpec], Image]"

_US_LETTERS: Final = "ABCDEFGHJKLMNPRSTUVWXYZ"
_ALL_LETTERS: Final = "ABCDEFGHIJKLMNOPRSTUVWXYZ"
_FOLD: Final = str.maketrans("OI", "01")


@dataclass(frozen=True, slots=True)
class Design:
    """How a kind of plate looks.

    Attributes:
        name: stable, for people.
        size_m: width and height.
        ground, ink: BGR.
        patterns: serials it carries.
        letters: letters it uses.
        header: word above the serial, cursive-like; empty for none.
        header_ink: BGR.
        band: blue band at the left, as in the EU.
    """

    name: str
    size_m: tuple[float, float]
    ground: Colour
    ink: Colour
    patterns: tuple[str, ...]
    letters: str = _US_LETTERS
    header: str = ""
    header_ink: Colour = (30, 30, 30)
    band: bool = False


DESIGNS: Final[tuple[tuple[Design, float], ...]] = (
    (
        Design("golden", US_SIZE_M, (244, 246, 246), (112, 42, 22), ("9AAA999",),
               header="CALORINA", header_ink=(40, 30, 200)),
        0.42,
    ),
    (
        Design("plain", US_SIZE_M, (238, 240, 238), (44, 40, 38), ("AAA9999", "999AAA", "AA99999"),
               header="NEVARA", header_ink=(90, 120, 40)),
        0.16,
    ),
    (
        Design("yellow", US_SIZE_M, (70, 196, 240), (60, 28, 20), ("AAA9999", "AAA999"),
               header="NEW JORK", header_ink=(70, 30, 20)),
        0.12,
    ),
    (
        Design("sky", US_SIZE_M, (236, 220, 196), (96, 36, 30), ("9AA9999", "AA9999", "99999"),
               header="ORELAND", header_ink=(60, 90, 40)),
        0.12,
    ),
    (
        Design("euro", EU_SIZE_M, (242, 244, 244), (26, 26, 26), ("AA999AA", "AAA9999", "AA99AAAA"),
               letters=_ALL_LETTERS, band=True),
        0.18,
    ),
)  # fmt: skip
"""Designs and their share of the street. Source: own inventions after the looks of real issues."""


@dataclass(frozen=True, slots=True)
class PlateSpec:
    """One plate: its serial, its design, and the seed of its wear and dealer's frame."""

    text: str
    design: Design
    wear_seed: int


def fold(text: str) -> str:
    """Serial with O read as 0 and I as 1, upper case, separators dropped."""
    return "".join(c for c in text.upper() if c.isalnum()).translate(_FOLD)


def edit_distance(left: str, right: str) -> int:
    """Levenshtein distance: insertions, deletions and substitutions cost 1."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def draw_plates(rng: np.random.Generator, count: int, apart: int = 3) -> list[PlateSpec]:
    """`count` random plates whose folded serials are pairwise at edit distance >= `apart`."""
    shares = np.array([share for _, share in DESIGNS])
    plates: list[PlateSpec] = []
    known: dict[str, list[str]] = {}
    while len(plates) < count:
        design = DESIGNS[int(rng.choice(len(DESIGNS), p=shares / shares.sum()))][0]
        pattern = design.patterns[int(rng.integers(len(design.patterns)))]
        pools = {"A": design.letters, "9": "0123456789"}
        text = "".join(pools[sign][int(rng.integers(len(pools[sign])))] for sign in pattern)
        wear_seed = int(rng.integers(2**31))
        serial = fold(text)
        rests = _rests(serial, apart - 1)
        near = {other for rest in rests for other in known.get(rest, ())}
        if all(edit_distance(serial, other) >= apart for other in near):
            plates.append(PlateSpec(text, design, wear_seed))
            for rest in rests:
                known.setdefault(rest, []).append(serial)
    return plates


def _rests(text: str, most: int) -> set[str]:
    """What is left of a text without up to `most` of its characters.

    Two texts at an edit distance of `most` or less have one of these in common, so that only those
    need to be compared: each edit takes away a character of one, of the other, or of both.
    """
    found = {text}
    for _ in range(most):
        found |= {one[:i] + one[i + 1 :] for one in found for i in range(len(one))}
    return found


def paint_plate(plate: PlateSpec) -> Image:
    """The plate as a texture, see the module's docstring."""
    rng = np.random.default_rng(plate.wear_seed)
    width, height = (round(side * 1000 * PX_PER_MM) for side in plate.design.size_m)
    canvas = np.full((height, width, 3), plate.design.ground, dtype=np.uint8)
    if plate.design.band:
        _band(canvas)
    if plate.design.header:
        _header(canvas, plate.design)
        _screws_and_stickers(canvas, rng)
    _serial(canvas, plate)
    return _worn(canvas, plate, rng)


def _band(canvas: Image) -> None:
    height = canvas.shape[0]
    width = round(44 * PX_PER_MM)
    cv2.rectangle(canvas, (0, 0), (width, height), (160, 64, 16), -1)
    for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        at = (round(width / 2 + 24 * np.sin(angle)), round(height * 0.32 + 24 * np.cos(angle)))
        cv2.circle(canvas, at, 4, (40, 210, 250), -1, cv2.LINE_AA)
    draw_text(canvas, "E", (width / 2 - 12, height * 0.66), cell=(24, 44), stroke_px=6, gap=0,
              colour=(250, 250, 250))  # fmt: skip


def _header(canvas: Image, design: Design) -> None:
    """State name above the serial, slanted so that it looks written."""
    height, width = canvas.shape[:2]
    cell, gap = (21.0, 36.0), 9.0
    wide = text_width(design.header, cell, gap)
    layer = np.full_like(canvas, design.ground)
    origin = ((width - wide) / 2 + 6, height * 0.07)
    draw_text(layer, design.header, origin, cell=cell, stroke_px=6, gap=gap,
              colour=design.header_ink)  # fmt: skip
    slant = np.array([[1, -0.28, 0.28 * height * 0.13], [0, 1, 0]], dtype=np.float64)
    slanted = cv2.warpAffine(layer, slant, (width, height), borderValue=design.ground)
    band = round(height * 0.24)
    canvas[:band] = slanted[:band]


def _screws_and_stickers(canvas: Image, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    for x, y in ((0.15, 0.09), (0.85, 0.09), (0.15, 0.91), (0.85, 0.91)):
        at = (round(x * width), round(y * height))
        cv2.circle(canvas, at, 8, (120, 120, 120), -1, cv2.LINE_AA)
    if rng.random() < 0.6:
        palette = ((60, 60, 210), (200, 140, 40), (60, 170, 60), (40, 190, 235))
        colour = palette[int(rng.integers(len(palette)))]
        cv2.rectangle(canvas, (width - 74, 14), (width - 26, 50), colour, -1)
    if rng.random() < 0.4:
        cv2.rectangle(canvas, (26, 16), (66, 46), (210, 205, 200), -1)


def _serial(canvas: Image, plate: PlateSpec) -> None:
    """The characters, with the light and dark rim of embossing."""
    height, width = canvas.shape[:2]
    left = round(48 * PX_PER_MM) if plate.design.band else 0
    room = (width - left) * 0.93
    euro = plate.design.band
    top, tall = (0.16, 0.68) if euro else (0.285, 0.52)
    cell_height = tall * height
    count = max(len(plate.text), 6)
    cell_width = min(cell_height * 0.56, room / (count * 1.24))
    gap = min(cell_width * 0.26, (room - count * cell_width) / max(count - 1, 1))
    stroke = round(cell_height * (0.135 if euro else 0.125))
    wide = text_width(plate.text, (cell_width, cell_height), gap)
    x, y = left + (width - left - wide) / 2, top * height
    for shift, tone in ((-1.6, 40), (1.8, -46), (0.0, 0)):
        colour = plate.design.ink
        if tone:
            blue, green, red = (int(np.clip(c + tone, 0, 255)) for c in plate.design.ground)
            colour = (blue, green, red)
        draw_text(canvas, plate.text, (x + shift, y + shift), cell=(cell_width, cell_height),
                  stroke_px=stroke, gap=gap, colour=colour)  # fmt: skip


def _worn(canvas: Image, plate: PlateSpec, rng: np.random.Generator) -> Image:
    """Dirt, a rim, and for some a dealer's frame."""
    height, width = canvas.shape[:2]
    coarse = rng.normal(0, 1, (6, 10)).astype(np.float32)
    dirt = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    slope = np.linspace(-0.3, 1.0, height, dtype=np.float32)[:, None]
    loss = np.clip(dirt * 0.05 + slope * 0.06, 0, 0.25) * float(rng.uniform(0.2, 1.0))
    worn = np.clip(canvas * (1 - loss[..., None]), 0, 255).astype(np.uint8)
    cv2.rectangle(worn, (3, 3), (width - 4, height - 4), plate.design.ink, 3, cv2.LINE_AA)
    if not plate.design.band and rng.random() < 0.35:
        cv2.rectangle(worn, (0, 0), (width - 1, height - 1), (34, 34, 36), 20)
    return worn
