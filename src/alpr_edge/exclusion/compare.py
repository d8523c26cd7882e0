"""Compares two zone sets: does the new one protect everything that the old one did? Pure.

Guarantee N6 hangs on this answer: a set that covers the old one may be committed by one person,
anything else takes two or the city. So the question is asked twice, and both answers must be yes:

- **geometry**: each old region lies in the new ones, exactly, by GEOS's relate on the coordinates
  as written (no union, no buffer and no simplification, which would all round);
- **pixels**: at the camera's frame size, the rasters that the device itself uses lose no pixel of
  core mask or taint band.

In doubt the answer is no: shapes that are not valid, more corners than can be compared in a moment,
a margin that shrinks while polygons grow, a gate line that is not there word for word.

It does not decide who may commit what (`authority.rules`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, TypeVar

import numpy as np
import shapely

from alpr_edge.exclusion.zones import rasterise
from alpr_edge.zone_set import GateLine, Taints, ZonePolygon, ZoneSet

MAX_CORNERS: Final = 2000
"""Corners of regions that are compared together, at the most. Source: GEOS 3.14 took 110 s for
33,000 in overlapping polygons, and takes quadratic time (measured 2026-11)."""


_Shapes = list[shapely.Polygon]
_Named = TypeVar("_Named", ZonePolygon, GateLine)


@dataclass(frozen=True, slots=True)
class Change:
    """What a new set does to an old one.

    Attributes:
        narrowings: what is no longer protected, one phrase each; empty exactly where the new set
            covers the old one.
        core_added_px, core_removed_px: pixels of the frame that become blanked, or visible.
        band_added_px, band_removed_px: the same for everything that taints, core included.
    """

    narrowings: tuple[str, ...]
    core_added_px: int
    core_removed_px: int
    band_added_px: int
    band_removed_px: int

    @property
    def covers(self) -> bool:
        """Whether the new set protects all that the old one did."""
        return not self.narrowings


def compare(
    old: ZoneSet, new: ZoneSet, *, size_px: tuple[int, int], least_band: float = 0.0
) -> Change:
    """What `new` does to `old` in frames of `size_px` (width, height).

    Args:
        least_band: as of `zones.rasterise`: what the device's configuration asks for.

    Raises:
        ValueError: on an empty frame or negative widths.
    """
    before, after = (
        rasterise(one, size_px=size_px, digest="", least_band=least_band) for one in (old, new)
    )
    core_removed = int(np.count_nonzero((before.core > 0) & (after.core == 0)))
    band_removed = int(np.count_nonzero((before.band > 0) & (after.band == 0)))
    narrowings = list(_narrowings(old, new))
    if core_removed:
        narrowings.append(f"{core_removed} pixels of the core mask become visible")
    if band_removed:
        narrowings.append(f"{band_removed} pixels no longer taint")
    return Change(
        tuple(narrowings),
        int(np.count_nonzero((after.core > 0) & (before.core == 0))),
        core_removed,
        int(np.count_nonzero((after.band > 0) & (before.band == 0))),
        band_removed,
    )


def union(sets: Sequence[ZoneSet]) -> ZoneSet:
    """A set that protects at least what each of them does.

    Raises:
        ValueError: of no set.
    """
    if not sets:
        raise ValueError("no zone set to join")
    empty = all(one.is_empty for one in sets)
    return ZoneSet(
        masks=_joined_regions([one.masks for one in sets]),
        nothing_protected=empty,
        bands=_joined_regions([one.bands for one in sets]),
        gates=_joined_gates([one.gates for one in sets]),
        margin=max(one.margin for one in sets),
        band=max(one.band for one in sets),
        whole_frame=any(one.whole_frame for one in sets),
    )


def _narrowings(old: ZoneSet, new: ZoneSet) -> Iterator[str]:
    if new.whole_frame:
        return
    if old.whole_frame:
        yield "the whole frame was protected"
        return
    if new.margin < old.margin:
        yield f"the margin shrinks from {old.margin:g} to {new.margin:g}"
    # Exact: two sums of floats that should be equal may differ in the last digit.
    reach_before = Fraction(old.margin) + Fraction(old.band)
    if Fraction(new.margin) + Fraction(new.band) < reach_before:
        yield f"the band shrinks from {old.band:g} to {new.band:g}"
    masks, bands = _shapes(new.masks), _shapes(new.bands)
    for mask in old.masks:
        if not _is_covered(mask, new.masks, masks):
            yield f"mask {mask.name!r} is not covered"
    for band in old.bands:
        if not _is_covered(band, (*new.masks, *new.bands), [*masks, *bands]):
            yield f"band {band.name!r} is not covered"
    for gate in old.gates:
        # A line in what taints anyway needs no gate.
        within = _covers([*masks, *bands], shapely.LineString(gate.line))
        if not _is_kept(gate, new.gates) and not within:
            yield f"gate {gate.name!r} is not kept"


def _is_covered(old: ZonePolygon, new: Sequence[ZonePolygon], shapes: _Shapes) -> bool:
    if any(one.polygon == old.polygon and one.holes == old.holes for one in new):
        return True
    shape = _shape(old)
    if not shape.is_valid:
        # A hole that leaves its ring, or the like: then all within the outer ring counts.
        shape = _shape(replace(old, holes=()))
    return bool(shape.is_valid) and _covers(shapes, shape)


def _covers(shapes: _Shapes, shape: shapely.Geometry) -> bool:
    near = [one for one in shapes if one.intersects(shape)]
    if any(one.covers(shape) for one in near):
        return True
    corners = sum(int(shapely.get_num_coordinates(one)) for one in (*near, shape))
    if len(near) < 2 or corners > MAX_CORNERS:
        return False
    # GEOS relates a collection as the union of its parts, without building that union.
    return bool(shapely.GeometryCollection(near).covers(shape))


def _shapes(regions: Sequence[ZonePolygon]) -> _Shapes:
    """The valid ones: what is not valid covers nothing."""
    shapes = [one for one in map(_shape, regions) if one.is_valid]
    shapely.prepare(shapes)
    return shapes


def _is_kept(old: GateLine, new: Sequence[GateLine]) -> bool:
    return any(one.line == old.line and one.taints in (old.taints, Taints.BOTH) for one in new)


def _shape(region: ZonePolygon) -> shapely.Polygon:
    return shapely.Polygon(region.polygon, region.holes)


def _joined_regions(lists: Sequence[tuple[ZonePolygon, ...]]) -> tuple[ZonePolygon, ...]:
    found: dict[tuple[object, ...], ZonePolygon] = {}
    for region in (one for some in lists for one in some):
        found.setdefault((region.polygon, region.holes), region)
    return tuple(replace(r, name=n) for r, n in _with_names(list(found.values())))


def _joined_gates(lists: Sequence[tuple[GateLine, ...]]) -> tuple[GateLine, ...]:
    found: dict[tuple[object, ...], GateLine] = {}
    for gate in (one for some in lists for one in some):
        found.setdefault((gate.line, gate.taints), gate)
    return tuple(replace(g, name=n) for g, n in _with_names(list(found.values())))


def _with_names(items: Sequence[_Named]) -> Iterator[tuple[_Named, str]]:
    """Names that are given twice get a number."""
    taken: set[str] = set()
    for item in items:
        name, number = item.name, 2
        while name in taken:
            ending = f" ({number})"
            name, number = item.name[: 64 - len(ending)] + ending, number + 1
        taken.add(name)
        yield item, name
