"""OpenStreetMap exports → sites for the register, to be looked at by a person. Pure.

Reads `.osm` XML (the API and JOSM), Overpass JSON (`out body; >; out skel;` or `out geom;`) and
GeoJSON with tags as properties (overpass-turbo).

What becomes a site (https://wiki.openstreetmap.org/wiki/Key:diplomatic):
- `office=diplomatic`, `diplomatic=*`, `amenity=embassy`: diplomatic;
- `amenity=hospital|clinic|doctors`, `healthcare=*`: health; `amenity=place_of_worship`: worship.

An area is taken as the grounds. A point inside a building is a part of that building; one without
a building gets a circle. Service roads that meet the grounds, and those that go on from them,
become driveways; entrances and gates on the outline become entrances.

Rules: it draws what is there and says what it guessed; the result is a proposal that is checked
(`premises check`), corrected and signed. Nothing is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np
import shapely

from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.local_plane import (
    LocalPlane,
    LonLat,
    distance_m,
    mean_place,
    place_problem,
)
from alpr_edge.exclusion.premises import (
    Category,
    Entrance,
    Patch,
    Register,
    Ring,
    Site,
    Way,
    WayKind,
    grow,
)

MAX_BYTES: Final = 256 << 20
LONE_RADIUS_M: Final = 25.0
"""Round a point without a building. Source: chosen; half the depth of a city block's lot."""
DRIVEWAY_M: Final = 6.0
"""Width of a service road that states none. Source: two narrow lanes."""
_TOUCH_M: Final = 4.0
_FOLLOW_M: Final = 100.0
_NEAR_M: Final = 150.0
_LONGEST_M: Final = 2_000.0

Tags = dict[str, str]


@dataclass(frozen=True, slots=True)
class Element:
    """One thing on the map.

    Attributes:
        id: `node/1`, `way/2`, `relation/3`.
        patches: of an area; `line` of a way; `place` of a node.
    """

    id: str
    tags: Tags
    place: LonLat | None = None
    line: tuple[LonLat, ...] = ()
    patches: tuple[Patch, ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """A proposal.

    Attributes:
        notes: what was guessed or left out, one line each.
    """

    register: Register
    notes: tuple[str, ...]


def read_map(data: bytes, *, source: str) -> list[Element]:
    """The elements of an export, whatever its form.

    Raises:
        ConfigError: `placement.osm.invalid`: none of the three forms.
    """
    if len(data) > MAX_BYTES:
        raise _invalid(source, "larger than 256 MiB: export a part of the map")
    try:
        if data.lstrip()[:1] == b"<":
            return _from_xml(data)
        record = json.loads(data.decode("utf-8-sig"))
        if isinstance(record, dict) and record.get("type") == "FeatureCollection":
            return list(_from_geojson(record))
        if isinstance(record, dict) and isinstance(record.get("elements"), list):
            return _from_overpass(record["elements"])
    except ConfigError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as err:
        raise _invalid(source, f"{type(err).__name__}: {err}") from err
    raise _invalid(source, "neither .osm XML, nor Overpass JSON, nor GeoJSON")


def import_map(
    elements: Iterable[Element],
    *,
    title: str,
    authority: str,
    setback_m: float,
    issued: date,
    categories: frozenset[Category] = frozenset({Category.DIPLOMATIC}),
) -> Imported:
    """A register proposed from a map.

    Raises:
        ConfigError: `placement.osm.empty`: no site of these categories.
    """
    everything = [e for e in elements if _is_usable(e)]
    notes: list[str] = []
    world = _World(everything, notes)
    sites: list[Site] = []
    for element in everything:
        category = category_of(element.tags)
        if category in categories:
            sites.append(world.site(element, category, authority, setback_m))
    sites = list(_without_doubles(sites, notes))
    if not sites:
        raise ConfigError(
            "the map holds no premises of these categories",
            code="placement.osm.empty",
            hint="export office=diplomatic, buildings and service roads; see docs/placement.md",
        )
    return Imported(Register(title, authority, 1, issued, tuple(sites)), tuple(notes))


def category_of(tags: Tags) -> Category | None:
    """Why a thing with these tags is protected; None: it is not."""
    if tags.get("office") == "diplomatic" or "diplomatic" in tags:
        return Category.DIPLOMATIC
    amenity = tags.get("amenity")
    if amenity == "embassy":
        return Category.DIPLOMATIC
    if amenity in ("hospital", "clinic", "doctors") or "healthcare" in tags:
        return Category.HEALTH
    return Category.WORSHIP if amenity == "place_of_worship" else None


class _World:
    """All elements, in small planes when asked."""

    def __init__(self, elements: list[Element], notes: list[str]) -> None:
        self._notes = notes
        self._buildings = [e for e in elements if "building" in e.tags and e.patches]
        self._roads = [e for e in elements if e.tags.get("highway") == "service" and e.line]
        self._doors = [
            e
            for e in elements
            if e.place and ("entrance" in e.tags or e.tags.get("barrier") in ("gate", "lift_gate"))
        ]

    def site(self, element: Element, category: Category, authority: str, setback_m: float) -> Site:
        """The site that an element stands for."""
        patches, is_part = self._grounds(element)
        plane = LocalPlane(*mean_place([p for patch in patches for p in patch.outer]))
        ground = shapely.union_all(
            [shapely.Polygon(plane.path_to_plane(p.outer, closed=True)).buffer(0) for p in patches]
        )
        name = element.id.replace("/", "-")
        ways = tuple(self._driveways(name, plane, ground, is_part))
        entrances = tuple(self._entrances(name, plane, ground))
        if is_part and not ways and not entrances:
            middle = plane.to_lonlat(np.zeros(2))
            entrances = (Entrance(f"{name}-e1", (float(middle[0]), float(middle[1]))),)
            self._notes.append(f"{name}: no driveway or entrance on the map; draw them")
        if not ways:
            self._notes.append(f"{name}: no driveway found; draw it, and the approach lanes")
        title = element.tags.get("name:en") or element.tags.get("name") or name
        return Site(
            id=name, name=_printable(title), category=category, authority=authority,
            setback_m=setback_m, grounds=patches, ways=ways, entrances=entrances,
            is_part_of_building=is_part,
        )  # fmt: skip

    def _grounds(self, element: Element) -> tuple[tuple[Patch, ...], bool]:
        if element.patches:
            return element.patches, False
        place = element.place or element.line[0]
        plane = LocalPlane(*place)
        here = shapely.Point(0, 0)
        for building in self._buildings:
            if distance_m(place, building.patches[0].outer[0]) > _NEAR_M * 2:
                continue
            for patch in building.patches:
                shape = shapely.Polygon(plane.path_to_plane(patch.outer, closed=True)).buffer(0)
                if shape.covers(here):
                    self._notes.append(
                        f"{element.id}: taken as a part of the building {building.id}, all of it"
                    )
                    return building.patches, True
        self._notes.append(
            f"{element.id}: a point without a building; a circle of {LONE_RADIUS_M:g} m is drawn"
        )
        circle = shapely.get_coordinates(grow(here, LONE_RADIUS_M))[:-1]
        ring = tuple((float(x), float(y)) for x, y in plane.to_lonlat(circle))
        return (Patch(ring),), False

    def _driveways(
        self, name: str, plane: LocalPlane, ground: shapely.Geometry, is_part: bool
    ) -> Iterator[Way]:
        """Service roads that meet the grounds, then those that go on from them."""
        near = [
            (road, shapely.LineString(plane.path_to_plane(road.line, closed=False)))
            for road in self._roads
            if distance_m(road.line[0], (plane.longitude, plane.latitude)) < _LONGEST_M
        ]
        taken = [r for r in near if shapely.distance(r[1], ground) <= _TOUCH_M]
        rest = [r for r in near if r not in taken]
        ends = {place for road, _ in taken for place in road.line}
        for road, line in rest:
            joins = any(place in ends for place in road.line)
            if joins and shapely.distance(line, ground) <= _FOLLOW_M:
                taken.append((road, line))
        for number, (road, line) in enumerate(taken, start=1):
            path = road.line
            start, end = shapely.Point(line.coords[0]), shapely.Point(line.coords[-1])
            # From the street to the premises.
            if shapely.distance(start, ground) < shapely.distance(end, ground):
                path = path[::-1]
            width = _metres(road.tags.get("width"))
            yield Way(
                f"{name}-d{number}", WayKind.DRIVEWAY, line=path, width_m=width or DRIVEWAY_M,
                is_shared=is_part,
            )  # fmt: skip

    def _entrances(
        self, name: str, plane: LocalPlane, ground: shapely.Geometry
    ) -> Iterator[Entrance]:
        number = 0
        for door in self._doors:
            if (
                door.place is None
                or distance_m(door.place, (plane.longitude, plane.latitude)) > _NEAR_M * 4
            ):
                continue
            point = shapely.Point(plane.to_plane(np.array(door.place)))
            if shapely.distance(shapely.boundary(ground), point) <= _TOUCH_M:
                number += 1
                yield Entrance(f"{name}-e{number}", door.place)


def _without_doubles(sites: list[Site], notes: list[str]) -> Iterator[Site]:
    """A point inside another site's grounds is the same place twice."""
    for site in sites:
        doubles = [
            other
            for other in sites
            if other is not site
            and site.id.startswith("node-")
            and other.name == site.name
            and distance_m(site.grounds[0].outer[0], other.grounds[0].outer[0]) < _NEAR_M
            and not other.id.startswith("node-")
        ]
        if doubles:
            notes.append(f"{site.id}: left out, it is {doubles[0].id} again")
        else:
            yield site


# --- the three forms -------------------------------------------------------------------------


def _from_xml(data: bytes) -> list[Element]:
    # Only the command that imports needs it, and only for this form.
    try:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import ParseError, fromstring
    except ImportError as err:
        raise ConfigError(
            "reading .osm XML needs defusedxml",
            code="placement.osm.library",
            hint="pip install 'alpr-edge[host]', or export as JSON",
        ) from err
    try:
        root: Any = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException) as err:
        raise ValueError(f"not XML that may be read: {err}") from err
    raw: list[dict[str, Any]] = []
    for item in root:
        if item.tag not in ("node", "way", "relation") or item.get("visible") == "false":
            continue
        values: dict[str, Any] = {
            "type": item.tag,
            "id": int(item.get("id", "0")),
            "tags": {t.get("k", ""): t.get("v", "") for t in item.findall("tag")},
        }
        if item.tag == "node":
            values["lon"], values["lat"] = float(item.get("lon", "x")), float(item.get("lat", "x"))
        values["nodes"] = [int(n.get("ref", "0")) for n in item.findall("nd")]
        values["members"] = [dict(m.attrib) for m in item.findall("member")]
        raw.append(values)
    return _from_overpass(raw)


@dataclass(slots=True)
class _Raw:
    """Nodes and ways by number."""

    nodes: dict[int, LonLat] = field(default_factory=dict)
    ways: dict[int, tuple[LonLat, ...]] = field(default_factory=dict)


def _from_overpass(items: list[Any]) -> list[Element]:
    raw = _Raw()
    for item in items:
        if item["type"] == "node" and "lon" in item:
            raw.nodes[int(item["id"])] = (float(item["lon"]), float(item["lat"]))
    for item in items:
        if item["type"] == "way":
            raw.ways[int(item["id"])] = _way_line(item, raw)
    found = []
    for item in items:
        kind, number = item["type"], int(item["id"])
        tags = _tags(item.get("tags"))
        name = f"{kind}/{number}"
        if kind == "node" and number in raw.nodes and tags:
            found.append(Element(name, tags, place=raw.nodes[number]))
        elif kind == "way" and tags:
            line = raw.ways[number]
            if len(line) > 3 and line[0] == line[-1]:
                found.append(Element(name, tags, line=line, patches=(Patch(line[:-1]),)))
            elif len(line) > 1:
                found.append(Element(name, tags, line=line))
        elif kind == "relation" and tags.get("type") in ("multipolygon", "boundary", "site"):
            patches = tuple(Patch(ring) for ring in _outer_rings(item, raw))
            if patches:
                found.append(Element(name, tags, patches=patches))
    return found


def _way_line(item: dict[str, Any], raw: _Raw) -> tuple[LonLat, ...]:
    if item.get("geometry"):
        return tuple((float(p["lon"]), float(p["lat"])) for p in item["geometry"] if p)
    return tuple(raw.nodes[int(n)] for n in item.get("nodes") or () if int(n) in raw.nodes)


def _outer_rings(item: dict[str, Any], raw: _Raw) -> Iterator[Ring]:
    """Outer members joined end to end to closed rings; what does not close is left out."""
    lines = []
    for member in item.get("members") or ():
        if member.get("type") != "way" or member.get("role") not in ("outer", ""):
            continue
        line = (
            _way_line(member, raw)
            if member.get("geometry")
            else raw.ways.get(int(member["ref"]), ())
        )
        if len(line) > 1:
            lines.append(list(line))
    while lines:
        ring = lines.pop()
        joined = True
        while ring[0] != ring[-1] and joined:
            joined = False
            for other in lines:
                if other[-1] == ring[-1]:
                    other.reverse()
                if other[0] == ring[-1]:
                    ring += other[1:]
                    lines.remove(other)
                    joined = True
                    break
        if ring[0] == ring[-1] and len(ring) > 3:
            yield tuple(ring[:-1])


def _from_geojson(record: dict[str, Any]) -> Iterator[Element]:
    for number, feature in enumerate(record["features"], start=1):
        properties = feature.get("properties") or {}
        nested = properties.get("tags")
        tags = _tags(nested if isinstance(nested, dict) else properties)
        name = str(properties.get("@id") or feature.get("id") or f"feature/{number}")[:48]
        geometry: dict[str, Any] = feature.get("geometry") or {}
        kind = geometry.get("type")
        given: Any = geometry.get("coordinates")
        if kind == "Point":
            yield Element(name, tags, place=_pair(given))
        elif kind == "LineString":
            yield Element(name, tags, line=tuple(_pair(p) for p in given))
        elif kind in ("Polygon", "MultiPolygon"):
            polygons = [given] if kind == "Polygon" else given
            rings = [tuple(_pair(p) for p in rings[0]) for rings in polygons]
            yield Element(name, tags, patches=tuple(Patch(ring[:-1]) for ring in rings))


def _is_usable(element: Element) -> bool:
    """Whether all its places are places and it is not larger than a town."""
    places = [element.place] if element.place else []
    places += element.line
    places += [p for patch in element.patches for p in patch.outer]
    if not places or any(place_problem(p) for p in places):
        return False
    if any(len(patch.outer) < 3 for patch in element.patches):
        return False
    return max(distance_m(places[0], p) for p in places) < _LONGEST_M


def _pair(value: Any) -> LonLat:
    return float(value[0]), float(value[1])


def _tags(value: Any) -> Tags:
    items = value.items() if isinstance(value, dict) else ()
    return {str(k): str(v) for k, v in items if not isinstance(v, dict | list)}


def _metres(text: str | None) -> float | None:
    try:
        width = float((text or "").removesuffix("m").strip())
    except ValueError:
        return None
    return width if 0.5 <= width <= 50.0 else None


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()[:200] or "unnamed"


def _invalid(source: str, why: str) -> ConfigError:
    return ConfigError(
        f"{source} is not a map export that can be read: {why:.200}",
        code="placement.osm.invalid",
        hint="export .osm, Overpass JSON or GeoJSON; see docs/placement.md",
    )
