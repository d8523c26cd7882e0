"""Premises: the places whose visitors are not read, and the register that lists them. Values only.

A register is a signed list of sites. Each site has grounds and a setback round them, and may have
driveways, approach lanes and entrances. `register_file` reads and writes GeoJSON.

Terms:
- *core area*: grounds with their holes filled, grown by the setback; driveways; entrances.
- *taint area*: the core area grown by a band of some metres, and the approach lanes: the ground on
  which a vehicle is seen, but taints its track.

Rules:
- Areas never leave anything out: rounded corners are drawn outside the circle, holes are filled.
- Without a trusted date (`on=None`) every site counts, whatever its validity says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import cos, pi
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from alpr_edge.exclusion.local_plane import LocalPlane, LonLat, mean_place

Ring = tuple[LonLat, ...]
"""A closed ring; the first point is not repeated at the end."""

DOOR_M: Final = 3.0
"""An entrance protects the ground where a car stops before it. Source: chosen, a car's width."""

_ARC: Final = 3
"""Segments in a quarter circle where corners are rounded."""
_OUTSIDE: Final = 1 / cos(pi / (4 * _ARC))
"""An inscribed arc grown by this holds the circle."""


class Category(StrEnum):
    """Why a place is protected."""

    DIPLOMATIC = "diplomatic"
    HEALTH = "health"
    WORSHIP = "worship"
    CUSTOM = "custom"


class WayKind(StrEnum):
    """What a way means for a site."""

    DRIVEWAY = "driveway"
    APPROACH = "approach"


@dataclass(frozen=True, slots=True)
class Patch:
    """A polygon on the earth: its outer ring and its holes."""

    outer: Ring
    holes: tuple[Ring, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """A driveway or an approach lane: either an area, or a line with a width.

    Attributes:
        line: from the street to the premises; empty for an area.
        width_m: of the line; 0 for an area.
        is_shared: other occupants of the building use it too.
    """

    id: str
    kind: WayKind
    area: tuple[Patch, ...] = ()
    line: tuple[LonLat, ...] = ()
    width_m: float = 0.0
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Entrance:
    """A door or gate where vehicles set people down."""

    id: str
    place: LonLat


@dataclass(frozen=True, slots=True)
class Site:
    """One protected place.

    Attributes:
        authority: who says that it is protected.
        setback_m: how far round the grounds protection reaches.
        valid_from, valid_to: first and last day; None is open.
        is_part_of_building: the grounds are a whole building of which the site is a part.
    """

    id: str
    name: str
    category: Category
    authority: str
    setback_m: float
    grounds: tuple[Patch, ...]
    ways: tuple[Way, ...] = ()
    entrances: tuple[Entrance, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None
    is_part_of_building: bool = False

    def is_valid(self, on: date | None) -> bool:
        """Whether the site is protected on a day; always where the day is not known."""
        if on is None:
            return True
        return (self.valid_from is None or self.valid_from <= on) and not self.is_over(on)

    def is_over(self, on: date | None) -> bool:
        """Whether its protection has ended before a day. One that is still to come has not."""
        return on is not None and self.valid_to is not None and self.valid_to < on

    def places(self) -> Iterator[LonLat]:
        """Every point that the site is drawn by."""
        for patch in (*self.grounds, *(p for way in self.ways for p in way.area)):
            yield from patch.outer
        for way in self.ways:
            yield from way.line
        for entrance in self.entrances:
            yield entrance.place

    @property
    def reach_m(self) -> float:
        """How far beyond its points the core area may reach."""
        return max([self.setback_m, DOOR_M, *(w.width_m / 2 for w in self.ways)]) * 1.01


@dataclass(frozen=True, slots=True)
class Register:
    """A list of sites, as one authority issues it.

    Attributes:
        serial: rises with every issue; an older one never replaces a newer one.
        issued: the day of issue.
        valid_to: after this day the register is stale and nothing is read; None is open.
        is_made_up: the sites are invented, for tests and demonstrations.
        digest: SHA-256 in hex of the canonical text.
    """

    title: str
    authority: str
    serial: int
    issued: date
    sites: tuple[Site, ...]
    valid_to: date | None = None
    is_made_up: bool = False
    digest: str = ""

    def is_stale(self, on: date | None) -> bool:
        """Whether the register is past its last day; also where the day is not known."""
        return self.valid_to is not None and (on is None or on > self.valid_to)

    def sites_on(self, on: date | None) -> tuple[Site, ...]:
        """Sites that are protected on a day or later: one that is to come is kept clear already."""
        return tuple(site for site in self.sites if not site.is_over(on))


def middle_of(site: Site) -> LonLat:
    """A place from which the site can be drawn in a plane.

    Raises:
        ValueError: it lies too near to a pole.
    """
    return mean_place(list(site.places()))


def core_pieces(site: Site, plane: LocalPlane) -> list[BaseGeometry]:
    """The ground that is blanked, as convex pieces in metres of the plane.

    Together they are never smaller than the true area.

    Raises:
        ValueError: the site lies beyond the plane's reach.
    """
    grounds = [piece for patch in site.grounds for piece in _patch(patch, plane)]
    pieces = grow_all(grounds, site.setback_m)
    for way in site.ways:
        if way.kind is WayKind.DRIVEWAY:
            pieces += _way(way, plane)
    for entrance in site.entrances:
        pieces.append(grow(shapely.Point(plane.to_plane(np.array(entrance.place))), DOOR_M))
    return pieces


def taint_pieces(site: Site, plane: LocalPlane, band_m: float) -> list[BaseGeometry]:
    """The ground on which a vehicle taints its track, as convex pieces; it holds the core area.

    Raises:
        ValueError: the site lies beyond the plane's reach.
    """
    return grow_all(core_pieces(site, plane), band_m) + approach_pieces(site, plane)


def approach_pieces(site: Site, plane: LocalPlane) -> list[BaseGeometry]:
    """The approach lanes alone, as convex pieces.

    Raises:
        ValueError: the site lies beyond the plane's reach.
    """
    lanes = [way for way in site.ways if way.kind is WayKind.APPROACH]
    return [piece for way in lanes for piece in _way(way, plane)]


def core_area(site: Site, plane: LocalPlane) -> BaseGeometry:
    """`core_pieces` as one shape."""
    return shapely.union_all(core_pieces(site, plane))


def taint_area(site: Site, plane: LocalPlane, band_m: float) -> BaseGeometry:
    """`taint_pieces` as one shape."""
    return shapely.union_all(taint_pieces(site, plane, band_m))


def gate_lines(site: Site, plane: LocalPlane) -> list[tuple[str, BaseGeometry]]:
    """Where each driveway that is drawn as a line meets the street: a line across it, with its id.

    Raises:
        ValueError: the site lies beyond the plane's reach.
    """
    found: list[tuple[str, BaseGeometry]] = []
    for way in site.ways:
        if way.kind is not WayKind.DRIVEWAY or not way.line:
            continue
        first, second = plane.to_plane(np.array(way.line[:2]))
        along = second - first
        across = np.array([along[1], -along[0]]) / max(float(np.hypot(*along)), 1e-9)
        half = across * way.width_m / 2
        found.append((way.id, shapely.LineString([first - half, first + half])))
    return found


def grow(area: BaseGeometry, by_m: float) -> BaseGeometry:
    """The area and everything within `by_m` of it; rounded corners lie outside the circle."""
    if by_m <= 0 or area.is_empty:
        return area
    return shapely.buffer(area, by_m * _OUTSIDE, quad_segs=_ARC)


def grow_all(areas: list[BaseGeometry], by_m: float) -> list[BaseGeometry]:
    """`grow` of each."""
    if by_m <= 0 or not areas:
        return areas
    return list(np.atleast_1d(shapely.buffer(areas, by_m * _OUTSIDE, quad_segs=_ARC)))


def site_digest(site: Site) -> str:
    """SHA-256 in hex of all that protects: a changed name or authority does not count."""
    parts = (
        site.category,
        site.setback_m,
        site.grounds,
        tuple((w.kind, w.area, w.line, w.width_m) for w in site.ways),
        tuple(e.place for e in site.entrances),
        site.valid_from,
        site.valid_to,
    )
    return hashlib.sha256(repr(parts).encode("utf-8")).hexdigest()


def _way(way: Way, plane: LocalPlane) -> list[BaseGeometry]:
    """An area's pieces, or one rounded rectangle for each stretch of a line."""
    if not way.line:
        return [piece for patch in way.area for piece in _patch(patch, plane)]
    path = plane.path_to_plane(way.line, closed=False)
    stretches = [shapely.LineString(path[i : i + 2]) for i in range(len(path) - 1)]
    return [grow(stretch, way.width_m / 2) for stretch in stretches]


def _patch(patch: Patch, plane: LocalPlane) -> list[BaseGeometry]:
    """Convex pieces of the outer ring, filled: what its holes hold is protected too."""
    polygon = shapely.Polygon(plane.path_to_plane(patch.outer, closed=True))
    hull = polygon.convex_hull
    # Rounding to the plane may make a very thin ring cross itself: then the hull is taken.
    if not polygon.is_valid or hull.area <= polygon.area * (1 + 1e-9):
        return [hull]
    return list(shapely.constrained_delaunay_triangles(polygon).geoms)
