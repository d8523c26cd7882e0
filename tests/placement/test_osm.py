"""Registers proposed from OpenStreetMap exports, in all three forms."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.local_plane import LocalPlane
from alpr_edge.exclusion.premises import Category
from alpr_edge.exclusion.register_file import check_register, format_register
from alpr_edge.placement.osm import Imported, import_map, read_map

PLANE = LocalPlane(-123.393, -48.876)
NODES = {
    1: (0, 0), 2: (20, 0), 3: (20, 20), 4: (0, 20),  # a building
    5: (10, 10),  # an office in it
    6: (-30, 10), 7: (-2, 10), 8: (-31, 60),  # a service road that meets it, and its street end
    9: (20, 10),  # an entrance
    10: (200, 200),  # an office without a building
    11: (300, 0), 12: (320, 0), 13: (320, 20), 14: (300, 20),  # grounds drawn as an area
}  # fmt: skip
TAGS = {
    5: {"office": "diplomatic", "name": "Suite (made up)"},
    9: {"entrance": "main"},
    10: {"amenity": "embassy", "name": "Lone (made up)"},
}
WAYS: dict[int, tuple[list[int], dict[str, str]]] = {
    20: ([1, 2, 3, 4, 1], {"building": "yes"}),
    21: ([7, 6], {"highway": "service", "width": "4"}),
    22: ([6, 8], {"highway": "service"}),
    23: ([11, 12, 13, 14, 11], {"diplomatic": "consulate", "name": "Grounds (made up)"}),
    24: ([1, 2, 3, 4, 1], {"amenity": "clinic", "name": "Clinic (made up)"}),
}


def place(node: int) -> tuple[float, float]:
    lon, lat = PLANE.to_lonlat(np.array(NODES[node], float))
    return float(lon), float(lat)


def overpass() -> bytes:
    elements: list[dict[str, Any]] = [
        {"type": "node", "id": n, "lon": place(n)[0], "lat": place(n)[1], "tags": TAGS.get(n, {})}
        for n in NODES
    ]
    elements += [
        {"type": "way", "id": n, "nodes": nodes, "tags": tags} for n, (nodes, tags) in WAYS.items()
    ]
    return json.dumps({"elements": elements}).encode()


def overpass_with_shapes() -> bytes:
    """`out geom;`: ways carry their places, and the office is a relation."""
    elements: list[dict[str, Any]] = [
        {"type": "node", "id": n, "lon": place(n)[0], "lat": place(n)[1], "tags": tags}
        for n, tags in TAGS.items()
    ]
    for number, (nodes, tags) in WAYS.items():
        shape = [{"lon": place(n)[0], "lat": place(n)[1]} for n in nodes]
        elements.append({"type": "way", "id": number, "geometry": shape, "tags": tags})
    return json.dumps({"elements": elements}).encode()


def xml() -> bytes:
    lines = ['<?xml version="1.0"?><osm version="0.6">']
    for n in NODES:
        tags = "".join(f'<tag k="{k}" v="{v}"/>' for k, v in TAGS.get(n, {}).items())
        lines.append(f'<node id="{n}" lon="{place(n)[0]}" lat="{place(n)[1]}">{tags}</node>')
    for number, (nodes, tags) in WAYS.items():
        inner = "".join(f'<nd ref="{n}"/>' for n in nodes)
        inner += "".join(f'<tag k="{k}" v="{v}"/>' for k, v in tags.items())
        lines.append(f'<way id="{number}">{inner}</way>')
    return ("\n".join(lines) + "</osm>").encode()


def geojson() -> bytes:
    features = [
        {"type": "Feature", "properties": {"@id": f"node/{n}", **tags},
         "geometry": {"type": "Point", "coordinates": place(n)}}
        for n, tags in TAGS.items()
    ]  # fmt: skip
    for number, (nodes, tags) in WAYS.items():
        line = [place(n) for n in nodes]
        closed = nodes[0] == nodes[-1]
        shape: dict[str, Any] = {
            "type": "Polygon" if closed else "LineString",
            "coordinates": [line] if closed else line,
        }
        features.append(
            {"type": "Feature", "properties": {"@id": f"way/{number}", **tags}, "geometry": shape}
        )
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def take(data: bytes, *categories: Category) -> Imported:
    return import_map(
        read_map(data, source="x"),
        title="Made up",
        authority="Made-up city",
        setback_m=5.0,
        issued=date(2026, 11, 24),
        categories=frozenset(categories or (Category.DIPLOMATIC,)),
    )


@pytest.mark.parametrize("export", [overpass, overpass_with_shapes, xml, geojson])
def test_every_form_gives_the_same_sites(export: Any) -> None:
    found = take(export())
    sites = {site.id: site for site in found.register.sites}
    assert set(sites) == {"node-5", "node-10", "way-23"}
    suite = sites["node-5"]
    assert suite.is_part_of_building
    assert len(suite.grounds[0].outer) == 4
    # The road that meets the building, drawn towards it, and the one that goes on from it.
    assert [way.width_m for way in suite.ways] == [4.0, 6.0]
    assert suite.ways[0].line[-1] == pytest.approx(place(7))
    assert all(way.is_shared for way in suite.ways)
    assert [e.place for e in suite.entrances] == [pytest.approx(place(9))]
    assert len(sites["node-10"].grounds[0].outer) > 8
    assert "a point without a building" in " ".join(found.notes)
    checked = check_register(format_register(found.register))
    assert checked.problems == ()


def test_other_categories_are_taken_when_asked() -> None:
    found = take(overpass(), Category.HEALTH)
    assert [site.category for site in found.register.sites] == [Category.HEALTH]
    with pytest.raises(ConfigError) as caught:
        take(overpass(), Category.WORSHIP)
    assert caught.value.code == "placement.osm.empty"


def test_a_relation_of_two_halves_is_one_ground() -> None:
    elements = json.loads(overpass())["elements"]
    elements += [
        {"type": "way", "id": 30, "nodes": [11, 12, 13]},
        {"type": "way", "id": 31, "nodes": [11, 14, 13]},
        {
            "type": "relation", "id": 40, "tags": {"type": "multipolygon", "diplomatic": "embassy"},
            "members": [{"type": "way", "ref": 30, "role": "outer"},
                        {"type": "way", "ref": 31, "role": "outer"}],
        },
    ]  # fmt: skip
    sites = take(json.dumps({"elements": elements}).encode()).register.sites
    ground = next(site for site in sites if site.id == "relation-40")
    assert len(ground.grounds[0].outer) == 4


def test_an_xml_bomb_and_other_files_are_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><osm><node id="&b;"/></osm>'
    for data in (bomb, b"", b"<osm", b"{}", b"[1]", b'{"elements": [{}]}', b'{"elements": [3]}'):
        with pytest.raises(ConfigError) as caught:
            read_map(data, source="x")
        assert caught.value.code == "placement.osm.invalid"


junk = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@settings(max_examples=60)
@given(st.sampled_from([overpass, geojson]), st.data(), junk)
def test_junk_anywhere_never_crashes(export: Any, data: st.DataObject, value: Any) -> None:
    record = json.loads(export())
    node: Any = record
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            node[key] = value
            break
        node = node[key]
    try:
        found = take(json.dumps(record).encode())
    except ConfigError as err:
        code = err.code
    else:
        code = f"{len(found.register.sites)} sites"
    assert code.startswith("placement.osm.") or code.endswith("sites")
