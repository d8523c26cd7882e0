"""The premises register as text: GeoJSON (RFC 7946) → `Register`, with every problem at once.

    {"type": "FeatureCollection",
     "alpr_edge_register": {"version": 1, "title": "…", "authority": "…", "serial": 3,
                            "issued": "2026-11-24", "valid_to": "2027-11-30", "made_up": true},
     "features": [
       {"type": "Feature", "id": "es-1", "geometry": {"type": "Polygon", "coordinates": [...]},
        "properties": {"kind": "grounds", "name": "…", "category": "diplomatic",
                       "authority": "…", "setback_m": 5, "part_of_building": false,
                       "valid_from": "2026-01-01", "valid_to": null}},
       {"type": "Feature", "id": "es-1-d", "geometry": {"type": "LineString", …},
        "properties": {"kind": "driveway", "site": "es-1", "width_m": 5, "shared": false}},
       {… "properties": {"kind": "approach", "site": "es-1", "width_m": 3.5}},
       {… "geometry": {"type": "Point", …}, "properties": {"kind": "entrance", "site": "es-1"}}]}

Any map program opens it. Driveways and approach lanes are lines with a width, drawn from the street
to the premises, or areas. Pure: `placement.files` reads files and verifies signatures.

Rules:
- Nothing is repaired: rings that cross themselves, swapped coordinates and the like are told, not
  mended. What looks wrong but may be right is a warning (`check_register`).
- Unknown keys of a feature's properties are refused, so that a misspelt `setback_m` is not zero;
  those that begin with `x-` are passed over.
- A site that is a part of a building must say what of the ground it uses: a driveway, shared or
  not, or an entrance.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.local_plane import distance_m, place_problem
from alpr_edge.exclusion.premises import Category, Entrance, Patch, Register, Site, Way, WayKind
from alpr_edge.exclusion.register_shapes import Notes, read_area, read_line, read_place

MAX_BYTES: Final = 32 << 20
MAX_SITES: Final = 100_000
MAX_SETBACK_M: Final = 500.0
MAX_WIDTH_M: Final = 50.0
MAX_PROBLEMS: Final = 200
_FAR_M: Final = 200_000.0
_HINT: Final = "see docs/placement.md and configs/premises/sample.geojson"
_HEADER: Final = "alpr_edge_register"
_PROPERTIES: Final = {
    "grounds": {
        "kind", "name", "category", "authority", "setback_m", "valid_from", "valid_to",
        "part_of_building",
    },
    "driveway": {"kind", "site", "width_m", "shared", "name"},
    "approach": {"kind", "site", "width_m", "shared", "name"},
    "entrance": {"kind", "site", "name"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """What a text holds.

    Attributes:
        register: None where there are problems.
        problems: what must be mended, one line each.
        warnings: what should be looked at.
    """

    register: Register | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def parse_register(text: str | bytes, *, source: str) -> Register:
    """The register in a GeoJSON text.

    Raises:
        ConfigError: `exclusion.register.invalid`, with all problems.
    """
    checked = check_register(text)
    if checked.register is None:
        shown = list(checked.problems[:MAX_PROBLEMS])
        if len(checked.problems) > MAX_PROBLEMS:
            shown.append(f"and {len(checked.problems) - MAX_PROBLEMS} more")
        raise ConfigError(
            f"{source} is not a valid register of premises",
            code="exclusion.register.invalid",
            hint=_HINT,
            problems=tuple(shown),
        )
    return checked.register


def check_register(text: str | bytes) -> Checked:
    """The register in a GeoJSON text, with all problems and warnings. Raises nothing."""
    notes = Notes()
    record = _json(text, notes)
    register = None if notes.problems else _register(record, notes)
    if notes.problems or register is None:
        return Checked(None, tuple(notes.problems), tuple(notes.warnings))
    canonical = format_register(register)
    register = replace(register, digest=hashlib.sha256(canonical.encode("ascii")).hexdigest())
    return Checked(register, (), tuple(notes.warnings))


def format_register(register: Register) -> str:
    """Canonical GeoJSON. `parse_register(format_register(r), source=…) == r`, its digest apart."""
    return json.dumps(
        register_values(register), sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def register_values(register: Register) -> dict[str, Any]:
    """The register as a GeoJSON object."""
    header = {
        "version": 1,
        "title": register.title,
        "authority": register.authority,
        "serial": register.serial,
        "issued": register.issued.isoformat(),
        "valid_to": register.valid_to.isoformat() if register.valid_to else None,
        "made_up": register.is_made_up,
    }
    features = [feature for site in register.sites for feature in _features(site)]
    return {"type": "FeatureCollection", _HEADER: header, "features": features}


# --- writing ---------------------------------------------------------------------------------


def _features(site: Site) -> Iterator[dict[str, Any]]:
    yield _feature(
        site.id,
        _area_values(site.grounds),
        {
            "kind": "grounds",
            "name": site.name,
            "category": site.category.value,
            "authority": site.authority,
            "setback_m": site.setback_m,
            "part_of_building": site.is_part_of_building,
            "valid_from": site.valid_from.isoformat() if site.valid_from else None,
            "valid_to": site.valid_to.isoformat() if site.valid_to else None,
        },
    )
    for way in site.ways:
        properties = {"kind": way.kind.value, "site": site.id, "shared": way.is_shared}
        if way.line:
            geometry: dict[str, Any] = {"type": "LineString", "coordinates": list(way.line)}
            yield _feature(way.id, geometry, {**properties, "width_m": way.width_m})
        else:
            yield _feature(way.id, _area_values(way.area), properties)
    for entrance in site.entrances:
        geometry = {"type": "Point", "coordinates": list(entrance.place)}
        yield _feature(entrance.id, geometry, {"kind": "entrance", "site": site.id})


def _feature(name: str, geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "id": name, "geometry": geometry, "properties": properties}


def _area_values(patches: tuple[Patch, ...]) -> dict[str, Any]:
    polygons = [
        [[list(p) for p in (*ring, ring[0])] for ring in (patch.outer, *patch.holes)]
        for patch in patches
    ]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


# --- reading ---------------------------------------------------------------------------------


def _json(text: str | bytes, notes: Notes) -> Any:
    if len(text) > MAX_BYTES:
        notes.problems.append(f"larger than {MAX_BYTES} bytes")
        return None
    repeated: set[str] = set()

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                repeated.add(key)
            found[key] = value
        return found

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        record = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=pairs)
    except UnicodeDecodeError as err:
        notes.problems.append(f"not UTF-8 text (byte {err.start})")
        return None
    except json.JSONDecodeError as err:
        notes.problems.append(f"not JSON: {err.msg} (line {err.lineno}, column {err.colno})")
        return None
    except (RecursionError, ValueError):  # too deep; an integer of thousands of digits
        notes.problems.append("not JSON that can be read: too deep, or a number out of range")
        return None
    notes.problems += [f"key {_show(k)} is given twice in one object" for k in sorted(repeated)]
    return record


def _register(record: Any, notes: Notes) -> Register | None:
    if not isinstance(record, dict) or record.get("type") != "FeatureCollection":
        notes.problems.append("must be a GeoJSON FeatureCollection")
        return None
    if "crs" in record:
        notes.problems.append("crs: must be left out; RFC 7946 knows WGS 84 only")
    header = _header(record.get(_HEADER), notes)
    features = record.get("features")
    if not isinstance(features, list):
        notes.problems.append("features: must be a list")
        return None
    sites = _Sites(notes)
    for number, feature in enumerate(features):
        sites.take(feature, f"features[{number}]")
    found = sites.finish()
    _look_over(found, record.get("bbox"), notes)
    return None if header is None else replace(header, sites=tuple(found))


def _header(header: Any, notes: Notes) -> Register | None:
    if not isinstance(header, dict):
        notes.problems.append(f"{_HEADER}: missing; it names title, authority, serial and issued")
        return None
    before = len(notes.problems)
    if header.get("version") != 1:
        notes.problems.append(f"{_HEADER}.version: must be 1")
    known = {"version", "title", "authority", "serial", "issued", "valid_to", "made_up"}
    notes.problems += [f"{_HEADER}.{_show(k)}: unknown key" for k in header if k not in known]
    title = _text(header, "title", _HEADER, notes)
    authority = _text(header, "authority", _HEADER, notes)
    serial = header.get("serial")
    if not isinstance(serial, int) or isinstance(serial, bool) or not 1 <= serial < 2**53:
        notes.problems.append(f"{_HEADER}.serial: must be a whole number from 1")
        serial = 1
    issued = _date(header, "issued", _HEADER, notes)
    if issued is None and header.get("issued") is None:
        notes.problems.append(f"{_HEADER}.issued: missing")
    valid_to = _date(header, "valid_to", _HEADER, notes)
    made_up = _flag(header, "made_up", _HEADER, notes)
    if len(notes.problems) > before or issued is None:
        return None
    return Register(title, authority, serial, issued, (), valid_to, made_up)


class _Sites:
    """Collects features to sites."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._sites: dict[str, Site] = {}
        self._ways: list[tuple[str, str, Way]] = []
        self._entrances: list[tuple[str, str, Entrance]] = []
        self._ids: dict[str, str] = {}

    def take(self, feature: Any, where: str) -> None:
        """One feature; its problems are noted."""
        problems = self._notes.problems
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            problems.append(f"{where}: must be a GeoJSON Feature")
            return
        name = feature.get("id")
        name = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
        if not isinstance(name, str) or not 0 < len(name) <= 48 or not name.isprintable():
            problems.append(f"{where}.id: must be printable text of 1 to 48 characters")
            return
        where = f"{where} ({name})"
        if self._ids.setdefault(name, where) != where:
            problems.append(f"{where}: has the id of {self._ids[name]}")
            return
        properties = feature.get("properties")
        kind = properties.get("kind") if isinstance(properties, dict) else None
        if not isinstance(properties, dict) or kind not in list(_PROPERTIES):
            problems.append(f"{where}.properties.kind: must be one of {', '.join(_PROPERTIES)}")
            return
        unknown = [k for k in properties if k not in _PROPERTIES[kind] and not k.startswith("x-")]
        problems += [f"{where}.properties.{_show(k)}: unknown key of a {kind}" for k in unknown]
        if kind == "grounds":
            self._grounds(name, feature.get("geometry"), properties, where)
        elif kind == "entrance":
            self._entrance(name, feature.get("geometry"), properties, where)
        else:
            self._way(name, feature.get("geometry"), properties, where)

    def finish(self) -> list[Site]:
        """The sites with their ways and entrances."""
        problems = self._notes.problems
        if not self._ids:
            problems.append("features: lists nothing; a register without premises protects nobody")
        if len(self._sites) > MAX_SITES:
            problems.append(f"features: {len(self._sites)} sites, at most {MAX_SITES}")
        ways: dict[str, list[Way]] = {}
        entrances: dict[str, list[Entrance]] = {}
        for owner, where, way in self._ways:
            self._owned(owner, where)
            ways.setdefault(owner, []).append(way)
        for owner, where, entrance in self._entrances:
            self._owned(owner, where)
            entrances.setdefault(owner, []).append(entrance)
        found = []
        for site in self._sites.values():
            whole = replace(
                site,
                ways=tuple(ways.get(site.id, ())),
                entrances=tuple(entrances.get(site.id, ())),
            )
            if whole.is_part_of_building and not whole.ways and not whole.entrances:
                problems.append(
                    f"{self._ids[site.id]}: is a part of a building, so it needs its driveway, "
                    "shared or not, or an entrance as a feature of its own"
                )
            found.append(whole)
        return found

    def _owned(self, owner: str, where: str) -> None:
        if owner not in self._sites and owner not in self._ids:
            self._notes.problems.append(f"{where}.properties.site: there are no grounds {owner!r}")
        elif owner not in self._sites:
            # Its grounds are there, but wrong, or not grounds: said already or here.
            self._notes.problems.append(f"{where}.properties.site: {owner!r} are no valid grounds")

    def _grounds(self, name: str, geometry: Any, properties: dict[str, Any], where: str) -> None:
        notes, at = self._notes, f"{where}.properties"
        before = len(notes.problems)
        title = _text(properties, "name", at, notes)
        authority = _text(properties, "authority", at, notes)
        category = properties.get("category")
        if category not in list(Category):
            notes.problems.append(f"{at}.category: must be one of {', '.join(Category)}")
            category = Category.CUSTOM
        setback = _number(properties, "setback_m", at, notes, (0.0, MAX_SETBACK_M))
        starts, ends = (_date(properties, key, at, notes) for key in ("valid_from", "valid_to"))
        if starts and ends and ends < starts:
            notes.problems.append(f"{at}.valid_to: is before valid_from")
        is_part = _flag(properties, "part_of_building", at, notes)
        patches = read_area(geometry, f"{where}.geometry", notes)
        if len(notes.problems) == before:
            self._sites[name] = Site(
                id=name, name=title, category=Category(category), authority=authority,
                setback_m=setback, grounds=patches, valid_from=starts, valid_to=ends,
                is_part_of_building=is_part,
            )  # fmt: skip

    def _way(self, name: str, geometry: Any, properties: dict[str, Any], where: str) -> None:
        notes, at = self._notes, f"{where}.properties"
        before = len(notes.problems)
        owner = _text(properties, "site", at, notes)
        kind, shared = WayKind(properties["kind"]), _flag(properties, "shared", at, notes)
        if isinstance(geometry, dict) and geometry.get("type") == "LineString":
            width = _number(properties, "width_m", at, notes, (0.5, MAX_WIDTH_M))
            line = read_line(geometry.get("coordinates"), f"{where}.geometry", notes)
            way = Way(name, kind, line=line, width_m=width, is_shared=shared)
        else:
            if "width_m" in properties:
                notes.problems.append(f"{at}.width_m: only a line has a width")
            way = Way(name, kind, read_area(geometry, f"{where}.geometry", notes), is_shared=shared)
        if len(notes.problems) == before:
            self._ways.append((owner, where, way))

    def _entrance(self, name: str, geometry: Any, properties: dict[str, Any], where: str) -> None:
        notes = self._notes
        before = len(notes.problems)
        owner = _text(properties, "site", f"{where}.properties", notes)
        if not isinstance(geometry, dict) or geometry.get("type") != "Point":
            notes.problems.append(f"{where}.geometry: an entrance is a Point")
            return
        place = read_place(geometry.get("coordinates"), f"{where}.geometry", notes)
        if place is not None and len(notes.problems) == before:
            self._entrances.append((owner, where, Entrance(name, place)))


def _look_over(sites: list[Site], bbox: Any, notes: Notes) -> None:
    """Swapped coordinates and stray sites: what only shows when all are seen together."""
    middles = [(site, next(iter(site.places()))) for site in sites]
    if isinstance(bbox, list) and len(bbox) == 4 and all(isinstance(v, int | float) for v in bbox):
        west, south, east, north = bbox
        for site, (lon, lat) in middles:
            wide = west <= lon <= east if west <= east else not east < lon < west
            if not (wide and south <= lat <= north):
                notes.problems.append(f"site {site.id}: lies outside the register's own bbox")
        return
    if len(middles) < 3:
        return
    lons, lats = sorted(m[1][0] for m in middles), sorted(m[1][1] for m in middles)
    typical = (lons[len(lons) // 2], lats[len(lats) // 2])
    for site, place in middles:
        if distance_m(place, typical) <= _FAR_M:
            continue
        turned = (place[1], place[0])
        if place_problem(turned) is None and distance_m(turned, typical) <= _FAR_M:
            notes.problems.append(f"site {site.id}: longitude and latitude look swapped")
        else:
            notes.warnings.append(f"site {site.id}: lies far from the others; is that right?")


# --- values ----------------------------------------------------------------------------------


def _text(values: dict[str, Any], key: str, where: str, notes: Notes) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
        notes.problems.append(f"{where}.{key}: must be printable text of 1 to 200 characters")
        return ""
    return value


def _number(
    values: dict[str, Any], key: str, where: str, notes: Notes, within: tuple[float, float]
) -> float:
    value = values.get(key)
    low, high = within
    if key not in values:
        notes.problems.append(f"{where}.{key}: missing")
    elif isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        notes.problems.append(f"{where}.{key}: must be a number within {low:g} to {high:g}")
    else:
        return float(value)
    return low


def _flag(values: dict[str, Any], key: str, where: str, notes: Notes) -> bool:
    value = values.get(key)
    if value is not None and not isinstance(value, bool):
        notes.problems.append(f"{where}.{key}: must be true or false")
    return value is True


def _date(values: dict[str, Any], key: str, where: str, notes: Notes) -> date | None:
    value = values.get(key)
    if value is None:
        return None
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        notes.problems.append(f"{where}.{key}: must be a day such as 2026-11-24")
        return None


def _show(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"
