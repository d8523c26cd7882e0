"""The masks being edited: a frozen value, and what can be done to it. Pure.

A candidate may be unfinished (no mask at all, a polygon that crosses itself): `zones` judges it.
Nothing here is in force, and nothing here decides who may put it there (`authority`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, TypeVar

import shapely

from alpr_edge.config.mask_file import MAX_MASKS, MAX_POINTS, parse_masks
from alpr_edge.config.polygon import shape_problems
from alpr_edge.console.device import KEPT
from alpr_edge.errors import ConsoleError
from alpr_edge.zone_set import GateLine, Point, Taints, ZonePolygon, ZoneSet

_Region = TypeVar("_Region", ZonePolygon, GateLine)
MAX_UNDONE: Final = 50


@dataclass(frozen=True, slots=True)
class Candidate:
    """See the module's docstring. `frame_px`: what pixels and growth are counted in."""

    frame_px: tuple[int, int]
    masks: tuple[ZonePolygon, ...] = ()
    bands: tuple[ZonePolygon, ...] = ()
    gates: tuple[GateLine, ...] = ()
    margin: float = 0.0
    band: float = 0.0
    whole_frame: bool = False
    nothing_protected: bool = False
    view: str = KEPT
    """The reference view that the record will name: `KEPT`, `NO_VIEW`, or a digest."""

    @classmethod
    def of(cls, zones: ZoneSet | None, frame_px: tuple[int, int]) -> Candidate:
        """A candidate that begins as these zones; None: an empty one."""
        if zones is None:
            return cls(frame_px)
        return cls(
            frame_px,
            zones.masks,
            zones.bands,
            zones.gates,
            zones.margin,
            zones.band,
            zones.whole_frame,
            zones.nothing_protected,
        )

    def zones(self) -> ZoneSet:
        """The zones, if they are sound.

        Raises:
            ConfigError: `exclusion.mask.invalid`, with every problem.
        """
        return parse_masks(self.document(), source="the candidate")

    def document(self) -> str:
        """As a mask file; sound or not."""
        values = {
            "masks": [_region(one) for one in self.masks],
            "bands": [_region(one) for one in self.bands],
            "gates": [
                {"name": g.name, "line": [list(p) for p in g.line], "taints": g.taints.value}
                for g in self.gates
            ],
            "margin": self.margin,
            "band": self.band,
            "whole_frame": self.whole_frame,
            "nothing_protected": self.nothing_protected,
        }
        return json.dumps({key: v for key, v in values.items() if v or key == "masks"})

    def names(self, what: str) -> tuple[str, ...]:
        """Names of masks, bands or gates."""
        return tuple(one.name for one in self._list(what))

    def points(self, what: str, name: str) -> tuple[Point, ...]:
        """The corners of a thing.

        Raises:
            ConsoleError: `console.candidate.unknown`.
        """
        return _line_of(self._find(what, name))

    # --- changes -----------------------------------------------------------------------------

    def with_region(
        self, what: str, name: str, points: Sequence[Point], *, new: bool, taints: str = ""
    ) -> Candidate:
        """A mask, band or gate added or replaced. A replaced mask keeps no hole.

        Raises:
            ConsoleError: `console.candidate.exists`, `.shape` or `.full`.
        """
        known = {one.name: one for one in self._list(what)}
        if new and name in known:
            raise _refused(f"there is a {what} {name!r} already", "exists", "set replaces it")
        if len(known) >= MAX_MASKS and name not in known:
            raise _refused(f"{MAX_MASKS} {what}s are the most there can be", "full", "join some")
        _check_shape(what, points)
        made: ZonePolygon | GateLine
        if what == "gate":
            old = known.get(name)
            kept = old.taints.value if isinstance(old, GateLine) else Taints.BOTH.value
            made = GateLine(name, tuple(points), Taints(taints or kept))
        else:
            made = ZonePolygon(name, tuple(points))
        known[name] = made
        return self._with(what, tuple(known.values()))

    def without(self, what: str, name: str) -> Candidate:
        """A mask, band or gate taken away.

        Raises:
            ConsoleError: `console.candidate.unknown`.
        """
        gone = self._find(what, name)
        return self._with(what, tuple(one for one in self._list(what) if one is not gone))

    def nudged(self, what: str, name: str, dx: float, dy: float) -> Candidate:
        """Shifted, holes included; nothing may leave the frame, for it would be cut off.

        Raises:
            ConsoleError: `console.candidate.unknown` or `.outside`.
        """

        def shift(points: Sequence[Point]) -> tuple[Point, ...]:
            moved = tuple((x + dx, y + dy) for x, y in points)
            if not all(0 <= x <= 1 and 0 <= y <= 1 for x, y in moved):
                raise _refused(
                    f"{name!r} would leave the frame", "outside", "widen it, or set its points"
                )
            return moved

        return self._reshaped(what, name, shift)

    def widened(self, what: str, name: str, by: float) -> Candidate:
        """Grown by a part of the frame's width to all sides, and cut at the frame's edge.

        Every pixel of the old shape is in the new one; holes shrink and vanish.

        Raises:
            ConsoleError: `console.candidate.unknown`, `.shape` or `.full`.
        """
        old = self._find(what, name)
        if not isinstance(old, ZonePolygon):
            raise _refused("a gate line is not grown", "shape", "add a band along it")
        width, height = self.frame_px
        scaled = shapely.Polygon(
            [(x * width, y * height) for x, y in old.polygon],
            [[(x * width, y * height) for x, y in hole] for hole in old.holes],
        )
        if not scaled.is_valid:
            raise _refused(f"{name!r} is no simple polygon", "shape", "set its points again")
        grown = scaled.buffer(by * width, join_style="mitre").intersection(
            shapely.box(0, 0, width, height)
        )
        if not isinstance(grown, shapely.Polygon):
            raise _refused(f"{name!r} cannot be grown so", "shape", "set its points again")
        rings = [grown.exterior, *grown.interiors]
        outer, *holes = (
            tuple((_unit(x / width), _unit(y / height)) for x, y in list(ring.coords)[:-1])
            for ring in rings
        )
        _check_shape(what, outer)
        made = ZonePolygon(name, outer, tuple(holes))
        return self._with(what, tuple(made if o is old else o for o in self._list(what)))

    def with_points(self, what: str, name: str, points: Sequence[Point]) -> Candidate:
        """Other corners for a thing that is there; holes stay.

        Raises:
            ConsoleError: `console.candidate.unknown` or `.shape`.
        """
        _check_shape(what, points)
        old = self._find(what, name)
        made = (
            replace(old, line=tuple(points))
            if isinstance(old, GateLine)
            else replace(old, polygon=tuple(points))
        )
        return self._with(what, tuple(made if o is old else o for o in self._list(what)))

    # --- inside ------------------------------------------------------------------------------

    def _reshaped(
        self, what: str, name: str, move: Callable[[Sequence[Point]], tuple[Point, ...]]
    ) -> Candidate:
        old = self._find(what, name)
        made: ZonePolygon | GateLine
        if isinstance(old, GateLine):
            made = replace(old, line=move(old.line))
        else:
            made = replace(
                old, polygon=move(old.polygon), holes=tuple(move(hole) for hole in old.holes)
            )
        return self._with(what, tuple(made if o is old else o for o in self._list(what)))

    def _list(self, what: str) -> tuple[ZonePolygon | GateLine, ...]:
        if what == "gate":
            return self.gates
        return self.masks if what == "mask" else self.bands

    def _with(self, what: str, items: tuple[ZonePolygon | GateLine, ...]) -> Candidate:
        if what == "gate":
            return replace(self, gates=tuple(i for i in items if isinstance(i, GateLine)))
        regions = tuple(i for i in items if isinstance(i, ZonePolygon))
        return replace(self, masks=regions) if what == "mask" else replace(self, bands=regions)

    def _find(self, what: str, name: str) -> ZonePolygon | GateLine:
        for one in self._list(what):
            if one.name == name:
                return one
        known = ", ".join(self.names(what)[:8]) or "none"
        raise _refused(f"there is no {what} {name!r}; known: {known}", "unknown", "show candidate")


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value)) + 0.0


def _line_of(one: ZonePolygon | GateLine) -> tuple[Point, ...]:
    return one.line if isinstance(one, GateLine) else one.polygon


def _check_shape(what: str, points: Sequence[Point]) -> None:
    least = 2 if what == "gate" else 3
    if not least <= len(points) <= MAX_POINTS:
        raise _refused(
            f"a {what} has {least} to {MAX_POINTS} points, not {len(points)}", "shape", "x,y x,y …"
        )
    problems = [] if what == "gate" else shape_problems(tuple(points))
    if what == "gate" and any(a == b for a, b in pairwise(points)):
        problems = ["two points in a row are equal"]
    if problems:
        raise _refused(f"the {what} {problems[0]}", "shape", "give the corners in order")


def _region(one: ZonePolygon) -> dict[str, object]:
    values: dict[str, object] = {"name": one.name, "polygon": [list(p) for p in one.polygon]}
    if one.holes:
        values["holes"] = [[list(p) for p in hole] for hole in one.holes]
    return values


def _refused(message: str, what: str, hint: str) -> ConsoleError:
    return ConsoleError(message, code=f"console.candidate.{what}", hint=hint)
