"""Exhaustive search: all ways of two vehicles over a small grid of cells, through the real gate.

Does: drives every pair of ways past two zones of which the second contains the first, with the
tracks kept and with their ids switched where the two come close, and looks for leaks (N2) and for
reads that the larger zone adds (N4).
Does not: sample. What is left out is only what is the same by mirroring: the zones lie on the
grid's middle row, so a pair and its mirror image are one case, and a pair and its exchange too.

Rules: a plate is one cell wide and half a cell high, and all of a vehicle's way is seen. The gate
that drives is the real one, which looks up what it found before for the same places and motion
(`RememberingGate`); every fiftieth case is driven by the gate as it is too, and must end the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import ClassVar

import numpy as np

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.reach import Sight
from alpr_edge.exclusion.zones import Zones, grow, make_zones, touches
from alpr_edge.types import ClosedTrack, DropReason, Quad, Read, TrackPoint, TrackStep

CELL_PX = 40
TICK_NS = 100_000_000
LIMITS = GateLimits(hold_ns=TICK_NS, max_unseen_ns=TICK_NS, max_held=8)
AGAIN_EVERY = 50
TEXTS = ("AAAA111", "ZZZZ999")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)

Way = tuple[int, ...]
"""Cells, row by row."""


@dataclass(frozen=True)
class Grid:
    """Cells a side, and sightings of a way."""

    side: int
    steps: int

    @cache  # noqa: B019 - a few grids live as long as the program
    def ways(self) -> list[Way]:
        """All ways, by first cell."""
        found: list[Way] = [(cell,) for cell in range(self.side**2)]
        for _ in range(self.steps - 1):
            found = [(*way, cell) for way in found for cell in self.beside(way[-1])]
        return found

    @cache  # noqa: B019 - a few grids live as long as the program
    def beside(self, cell: int) -> list[int]:
        """The cell itself and those that share a side with it."""
        row, column = divmod(cell, self.side)
        moves = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
        inside = [
            (row + r, column + c)
            for r, c in moves
            if 0 <= row + r < self.side and 0 <= column + c < self.side
        ]
        return [r * self.side + c for r, c in inside]

    @cache  # noqa: B019 - a few grids live as long as the program
    def mirror(self, way: Way) -> Way:
        """Upside down; the zones stay."""
        rows = [divmod(cell, self.side) for cell in way]
        return tuple((self.side - 1 - row) * self.side + column for row, column in rows)

    @cache  # noqa: B019 - a few grids live as long as the program
    def zones(self) -> tuple[Zones, Zones]:
        """The middle of the rightmost cell of the middle row, and all of it and more."""
        width, middle = float(self.side), self.side / 2
        small = [(width - 0.4, middle - 0.1), (width, middle - 0.1), (width, middle + 0.1),
                 (width - 0.4, middle + 0.1)]  # fmt: skip
        large = [(width - 1.3, middle - 0.3), (width, middle - 0.3), (width, middle + 0.3),
                 (width - 1.3, middle + 0.3)]  # fmt: skip
        size = (CELL_PX * self.side,) * 2
        first, second = (
            make_zones(
                [[(x / width, y / width) for x, y in polygon]],
                size_px=size,
                band_px=1,
                digest="grid",
            )
            for polygon in (small, large)
        )
        return first, second


@cache
def quad_of(cell: int, side: int) -> Quad:
    """A plate in the middle of a cell."""
    row, column = divmod(cell, side)
    x, y = (column + 0.5) * CELL_PX, (row + 0.5) * CELL_PX
    w, h = CELL_PX / 2 - 1, CELL_PX / 4
    corners = [[x - w, y - h], [x + w, y - h], [x + w, y + h], [x - w, y + h]]
    return np.array(corners, np.float32)


class RememberingGate(Gate):
    """The real gate; of two answers about geometry it remembers those it gave before.

    Both depend on zones, limits and the arguments alone, all of which are the key. The arrays of a
    grid's cells are the same objects for ever (`quad_of`), so that their ids stand for them.
    """

    _touches: ClassVar[dict[tuple[int, ...], DropReason | None]] = {}
    _borders: ClassVar[dict[tuple[object, ...], tuple[bool, bool]]] = {}

    def _touch(self, quads: Sequence[Quad]) -> DropReason | None:
        key = (id(self._zones), *map(id, quads))
        if key not in self._touches:
            self._touches[key] = super()._touch(quads)
        return self._touches[key]

    def _at_border(self, sight: Sight, tick_ns: int, *, backwards: bool) -> tuple[bool, bool]:
        moves = sight.velocity.tobytes()
        key = (id(self._zones), id(sight.quad), moves, sight.at_ns, tick_ns, backwards)
        if key not in self._borders:
            self._borders[key] = super()._at_border(sight, tick_ns, backwards=backwards)
        return self._borders[key]


@dataclass
class Found:
    """What a search saw.

    Attributes:
        again: cases that were driven by the plain gate too.
        unlike: those of them that ended otherwise.
    """

    cases: int = 0
    touching: int = 0
    released: int = 0
    leaks: list[tuple[Way, ...]] = field(default_factory=list)
    added: list[tuple[Way, ...]] = field(default_factory=list)
    wrong_switches: list[tuple[Way, ...]] = field(default_factory=list)
    again: int = 0
    unlike: list[tuple[Way, ...]] = field(default_factory=list)

    def __iadd__(self, other: Found) -> Found:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def pairs(grid: Grid, *, alone: bool, part: tuple[int, int] = (0, 1)) -> Iterator[tuple[Way, ...]]:
    """One of every class of cases that mirroring and exchange make equal.

    Args:
        part: `(i, n)`: only those whose first way is the i-th, or every n-th from there.
    """
    ways = grid.ways()
    for number in range(part[0], len(ways), part[1]):
        one = ways[number]
        if alone:
            if one <= grid.mirror(one):
                yield (one,)
            continue
        for other in ways[number:]:
            mirrored = sorted((grid.mirror(one), grid.mirror(other)))
            if (one, other) <= (mirrored[0], mirrored[1]):
                yield one, other


def search(grid: Grid, *, alone: bool = False, part: tuple[int, int] = (0, 1)) -> Found:
    """Drive every case, or a part of them as `pairs` gives them.

    Two drives are left out because their outcome could not be counted: past the larger zone when
    all is released past the smaller one, and with the tracks switched when nothing touches.
    """
    found = Found()
    small, large = grid.zones()
    reached = _reached(grid)
    for case in pairs(grid, alone=alone, part=part):
        found.cases += 1
        touching = {t for t, way in zip(TEXTS, case, strict=False) if reached[way]}
        found.touching += len(touching)
        kept = drive(grid, small, case)
        found.released += len(kept)
        if kept & touching:
            found.leaks.append(case)
        if len(kept) < len(case) and not drive(grid, large, case) <= kept:
            found.added.append(case)
        for switch in range(1, grid.steps) if len(case) == 2 and touching else ():
            near = case[1][switch] in grid.beside(case[0][switch])
            if near and drive(grid, small, case, switch=switch) & touching:
                found.wrong_switches.append(case)
        if found.cases % AGAIN_EVERY == 1:
            found.again += 1
            plainly = (drive(grid, small, case, gate=Gate), drive(grid, large, case, gate=Gate))
            if plainly != (kept, drive(grid, large, case)):
                found.unlike.append(case)
    return found


@cache
def _reached(grid: Grid) -> dict[Way, bool]:
    small, _ = grid.zones()
    return {way: touched(small, way, grid) for way in grid.ways()}


def touched(zones: Zones, way: Way, grid: Grid) -> bool:
    """Whether a plate touches the zone on its way."""
    quads = [grow(quad_of(cell, grid.side)) for cell in way]
    swept = [np.concatenate(two) for two in pairwise(quads)]
    return any(touches(zones.band, quad) for quad in [*quads, *swept])


def drive(
    grid: Grid,
    zones: Zones,
    case: tuple[Way, ...],
    switch: int | None = None,
    gate: type[Gate] = RememberingGate,
) -> set[str]:
    """Texts that are released. From step `switch` on the tracks follow each other's vehicle."""
    judge = gate(zones, LIMITS)
    released: set[str] = set()
    for step in range(-3, grid.steps + 5):
        points: tuple[TrackPoint, ...] = ()
        closed: tuple[ClosedTrack, ...] = ()
        if 0 <= step < grid.steps:
            ways = case[::-1] if switch is not None and step >= switch else case
            points = tuple(
                TrackPoint(i, quad_of(way[step], grid.side), TEXTS[i]) for i, way in enumerate(ways)
            )
        elif step == grid.steps:
            closed = tuple(_closed(i, way, grid) for i, way in enumerate(case))
        result = judge.step(TrackStep(points, closed, ()), (step + 30) * TICK_NS)
        released |= {one.track.read.plate for one in result.released}
    return released


@cache
def _closed(track_id: int, way: Way, grid: Grid) -> ClosedTrack:
    text = TEXTS[track_id]
    read = Read(text, 0.9, (0.9,) * len(text), None)
    first, last = quad_of(way[0], grid.side), quad_of(way[-1], grid.side)
    return ClosedTrack(track_id, read, first, first, last, _NOW, _NOW, len(way), len(way))
