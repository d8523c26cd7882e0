"""The shapes of a register: GeoJSON geometries → rings and lines of degrees, with all problems.

Pure. Nothing is repaired; see `register_file`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from typing import Any, Final

import numpy as np
import shapely

from alpr_edge.exclusion.local_plane import (
    LocalPlane,
    LonLat,
    distance_m,
    mean_place,
    place_problem,
)
from alpr_edge.exclusion.premises import Patch, Ring

MAX_RING: Final = 2_000
LARGEST_M: Final = 5_000.0
"""No site, driveway or approach lane is larger."""


@dataclass(slots=True)
class Notes:
    """What is found on the way: problems must be mended, warnings looked at."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_area(geometry: Any, where: str, notes: Notes) -> tuple[Patch, ...]:
    """The polygons of a Polygon or MultiPolygon."""
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        notes.problems.append(f"{where}: must be a Polygon or a MultiPolygon")
        return ()
    polygons = geometry.get("coordinates")
    polygons = [polygons] if kind == "Polygon" else polygons
    if not isinstance(polygons, list) or not polygons:
        notes.problems.append(f"{where}.coordinates: must be a list that is not empty")
        return ()
    patches = []
    for number, rings in enumerate(polygons):
        at = f"{where}[{number}]" if kind == "MultiPolygon" else where
        patch = _patch(rings, at, notes)
        if patch is not None:
            patches.append(patch)
    return tuple(patches)


def _patch(rings: Any, where: str, notes: Notes) -> Patch | None:
    if not isinstance(rings, list) or not rings or len(rings) > 100:
        notes.problems.append(f"{where}: must be a list of 1 to 100 rings")
        return None
    before = len(notes.problems)
    found = [_ring(ring, f"{where} ring {number}", notes) for number, ring in enumerate(rings)]
    if len(notes.problems) > before:
        return None
    patch = Patch(found[0], tuple(found[1:]))
    _shape_problems(patch, where, notes)
    if patch.holes and len(notes.problems) == before:
        notes.warnings.append(f"{where}: its holes are protected too")
    return patch


def _ring(ring: Any, where: str, notes: Notes) -> Ring:
    if not isinstance(ring, list) or not 4 <= len(ring) <= MAX_RING:
        notes.problems.append(f"{where}: must be a list of 4 to {MAX_RING} positions")
        return ()
    places = _places(ring, where, notes)
    if len(places) < len(ring):
        return ()
    if places[0] != places[-1]:
        notes.problems.append(f"{where}: first and last position must be the same")
    return tuple(places[:-1])


def read_line(coordinates: Any, where: str, notes: Notes) -> tuple[LonLat, ...]:
    """The positions of a LineString."""
    if not isinstance(coordinates, list) or not 2 <= len(coordinates) <= MAX_RING:
        notes.problems.append(f"{where}: must be a list of 2 to {MAX_RING} positions")
        return ()
    places = _places(coordinates, where, notes)
    if len(places) == len(coordinates):
        if any(a == b for a, b in pairwise(places)):
            notes.problems.append(f"{where}: two positions in a row are the same")
        elif max(distance_m(places[0], p) for p in places) > LARGEST_M:
            notes.problems.append(f"{where}: is longer than {LARGEST_M / 1000:g} km")
    return tuple(places)


def _places(values: list[Any], where: str, notes: Notes) -> list[LonLat]:
    found = []
    for number, value in enumerate(values):
        place = read_place(value, f"{where}[{number}]", notes)
        if place is None:
            break  # one such line for a ring is enough: the others are likely the same
        found.append(place)
    return found


def read_place(value: Any, where: str, notes: Notes) -> LonLat | None:
    """One position; a height is passed over."""
    if (
        not isinstance(value, list)
        or not 2 <= len(value) <= 3
        or any(isinstance(v, bool) or not isinstance(v, int | float) for v in value)
    ):
        notes.problems.append(f"{where}: must be [longitude, latitude]")
        return None
    try:
        place = (float(value[0]) + 0.0, float(value[1]) + 0.0)
    except OverflowError:
        place = (float("inf"), 0.0)
    problem = place_problem(place)
    if problem is None:
        return place
    if isfinite(place[0] + place[1]) and abs(place[1]) > 90.0 and abs(place[0]) <= 90.0:
        problem += ": longitude comes first; are they swapped?"
    notes.problems.append(f"{where}: {problem}")
    return None


def _shape_problems(patch: Patch, where: str, notes: Notes) -> None:
    """What keeps a polygon from being one, judged in metres."""
    places = [place for ring in (patch.outer, *patch.holes) for place in ring]
    jumps = [
        abs(a[0] - b[0]) > 180.0
        for a, b in zip(patch.outer, (*patch.outer[1:], patch.outer[0]), strict=True)
    ]
    if any(jumps):
        notes.warnings.append(
            f"{where}: crosses the antimeridian; RFC 7946 wants it cut there (3.1.9). It is taken "
            "as the small area"
        )
    try:
        plane = LocalPlane(*mean_place(places))
        if max(distance_m((plane.longitude, plane.latitude), p) for p in places) > LARGEST_M:
            raise ValueError(f"is wider than {LARGEST_M / 1000:g} km; are coordinates swapped?")
        rings = [plane.to_plane(np.array(ring)) for ring in (patch.outer, *patch.holes)]
    except ValueError as err:
        notes.problems.append(f"{where}: {err}")
        return
    for number, ring in enumerate(rings):
        at = where if number == 0 else f"{where} hole {number}"
        closed = shapely.LinearRing(ring)
        if not closed.is_simple:
            notes.problems.append(f"{at}: crosses or touches itself")
        elif shapely.Polygon(ring).area < 0.01:
            notes.problems.append(f"{at}: has no area")
    if len(rings) > 1 and not shapely.Polygon(rings[0], rings[1:]).is_valid:
        notes.problems.append(f"{where}: its holes must lie inside and apart from each other")
