"""Plates for the self-test: where they go in a frame, and how they are drawn.

Invented serials on a plain plate with a dark surround, large and square to the camera: what any
detector and recogniser of plates must be able to read. Drawn with strokes (`lettering`).

It holds no engine and judges nothing (`self_test`). Chance comes from a seed that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.exclusion.zones import Zones, touches
from alpr_edge.lettering import draw_text, text_width
from alpr_edge.types import Image, Quad

OUTSIDE, INSIDE, BAND = 6, 4, 2
"""Plates of each kind in one test, where there is room."""

_LETTERS, _DIGITS = "ACEFHJKLMNPRTUVWXY", "34679"
"""Characters that are hard to take for each other."""
_WIDTH = 0.085
"""Plate width as a share of the frame's: 163 px at 1920, 54 px where the detector looks."""
_LEAST_PX = 56
_SURROUND = 0.35
"""Dark bodywork on each side, as a share of the plate's size."""
_GRID = 4
"""Zones are searched for room at a quarter of the frame's size."""


class Place(StrEnum):
    """Where a test plate lies."""

    OUTSIDE = "outside"
    INSIDE = "inside"
    BAND = "band"


@dataclass(frozen=True, slots=True, eq=False)
class TrialPlate:
    """One plate.

    Attributes:
        text: its serial; never shown to anyone.
        left, top, width, height: of the plate without its surround, pixels.
    """

    text: str
    place: Place
    left: int
    top: int
    width: int
    height: int

    @property
    def quad(self) -> Quad:
        """Its corners."""
        right, bottom = self.left + self.width, self.top + self.height
        return np.array(
            [(self.left, self.top), (right, self.top), (right, bottom), (self.left, bottom)],
            np.float32,
        )

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns, surround included."""
        across, down = round(self.width * _SURROUND), round(self.height * _SURROUND)
        return (
            slice(self.top - down, self.top + self.height + down),
            slice(self.left - across, self.left + self.width + across),
        )


def choose_plates(zones: Zones, seed: int) -> tuple[TrialPlate, ...]:
    """Plates for one test: clear of all zones, in the core mask, and on the band.

    Where no whole plate fits into the core, one lies across its edge; only what is in the core is
    painted then.
    """
    rng = np.random.default_rng(seed)
    width = min(max(_LEAST_PX, round(_WIDTH * zones.width_px)), zones.width_px // 2)
    height = width // 2
    finder = _Room(zones, width, height, rng)
    spots = [(Place.OUTSIDE, spot) for spot in finder.outside()]
    spots += [(Place.INSIDE, spot) for spot in finder.inside()]
    spots += [(Place.BAND, spot) for spot in finder.on_band()]
    plates = [
        TrialPlate(_serial(rng), place, left, top, width, height) for place, (left, top) in spots
    ]
    return tuple(p for p in plates if p.place is not Place.BAND or _is_well_on_band(p, zones))


def _is_well_on_band(plate: TrialPlate, zones: Zones) -> bool:
    """Whether its middle half touches the band: a detector's corners are not exact."""
    centre = plate.quad.mean(0)
    return touches(zones.band, centre + (plate.quad - centre) * np.float32(0.5))


def paint_plates(image: Image, zones: Zones, plates: tuple[TrialPlate, ...]) -> None:
    """Paint plates into `(H, W, 3)` uint8 BGR, in place; those inside only onto the core mask."""
    for plate in plates:
        art = _draw(plate)
        region = image[plate.box]
        if plate.place is Place.INSIDE:
            cv2.copyTo(art, zones.core[plate.box], region)
        else:
            region[:] = art


def _draw(plate: TrialPlate) -> Image:
    rows, columns = plate.box
    art = np.empty((rows.stop - rows.start, columns.stop - columns.start, 3), np.uint8)
    art[:] = np.linspace(74, 46, len(art)).astype(np.uint8)[:, None, None]
    scale = 4
    face = np.full((plate.height * scale, plate.width * scale, 3), (240, 242, 240), np.uint8)
    tall, wide = plate.height * scale, plate.width * scale
    cv2.rectangle(face, (6, 6), (wide - 7, tall - 7), (90, 40, 30), max(4, tall // 40))
    cell = (wide * 0.092, tall * 0.52)
    gap = wide * 0.03
    left = (wide - text_width(plate.text, cell, gap)) / 2
    stroke = round(tall * 0.066)
    draw_text(
        face,
        plate.text,
        (left, tall * 0.27),
        cell=cell,
        stroke_px=stroke,
        gap=gap,
        colour=(96, 36, 24),
    )
    small = cv2.resize(face, (plate.width, plate.height), interpolation=cv2.INTER_AREA)
    top, side = plate.top - rows.start, plate.left - columns.start
    art[top : top + plate.height, side : side + plate.width] = small
    # A camera's edges are not drawn with a ruler.
    return cv2.GaussianBlur(art, (3, 3), 0.6).astype(np.uint8)


def _serial(rng: np.random.Generator) -> str:
    pools = (_DIGITS, _LETTERS, _LETTERS, _LETTERS, _DIGITS, _DIGITS, _DIGITS)
    return "".join(pool[int(rng.integers(len(pool)))] for pool in pools)


class _Room:
    """Finds places for plates, none over another."""

    def __init__(self, zones: Zones, width: int, height: int, rng: np.random.Generator) -> None:
        self._across, self._down = round(width * _SURROUND) + 1, round(height * _SURROUND) + 1
        self._size = (width + 2 * self._across, height + 2 * self._down)
        self._frame = (zones.width_px, zones.height_px)
        self._rng = rng
        shape = (max(1, zones.width_px // _GRID), max(1, zones.height_px // _GRID))
        # Outwards for the band, inwards for the core: a cell is what all of it is.
        band = cv2.resize((zones.band > 0).astype(np.float32), shape, interpolation=cv2.INTER_AREA)
        core = cv2.resize((zones.core > 0).astype(np.float32), shape, interpolation=cv2.INTER_AREA)
        self._free = (band <= 0).astype(np.float32)
        self._core = (core >= 0.999).astype(np.float32)
        self._ring = ((band >= 0.999) & (core <= 0)).astype(np.float32)
        self._taken = np.zeros_like(self._free)
        self._scale = (shape[0] / zones.width_px, shape[1] / zones.height_px)

    def outside(self) -> list[tuple[int, int]]:
        """Places that touch no zone at all."""
        return self._places(self._free, OUTSIDE, least=0.999)

    def inside(self) -> list[tuple[int, int]]:
        """Places within the core mask; failing that, the one with most of it."""
        return self._places(self._core, INSIDE, least=0.999) or self._places(self._core, 1, 0.25)

    def on_band(self) -> list[tuple[int, int]]:
        """Places that are seen and touch the band well."""
        return self._places(self._ring, BAND, least=0.12)

    def _places(
        self, wanted: NDArray[np.float32], count: int, least: float
    ) -> list[tuple[int, int]]:
        """Left and top of plates whose box is covered by `wanted` to at least that share."""
        size = tuple(
            max(1, int(np.ceil(side * scale))) + 1
            for side, scale in zip(self._size, self._scale, strict=True)
        )
        rows, columns = wanted.shape
        if size[0] > columns or size[1] > rows:
            return []
        found = []
        for _ in range(count):
            share, taken = (
                cv2.boxFilter(part, -1, size, anchor=(0, 0), normalize=True)[
                    : rows - size[1] + 1, : columns - size[0] + 1
                ]
                for part in (wanted, self._taken)
            )
            fits = np.argwhere((share >= least) & (taken < 1e-6))
            if not len(fits):
                break
            y, x = fits[int(self._rng.integers(len(fits)))]
            self._taken[y : y + size[1], x : x + size[0]] = 1
            left = min(int(np.ceil(x / self._scale[0])), self._frame[0] - self._size[0])
            top = min(int(np.ceil(y / self._scale[1])), self._frame[1] - self._size[1])
            found.append((max(0, left) + self._across, max(0, top) + self._down))
        return found
