"""The register as GeoJSON: there and back, all problems at once, and nothing that crashes it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exclusion.world_samples import HOME, box_site, register_of, ring

from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.premises import (
    Category,
    Entrance,
    Patch,
    Register,
    Site,
    Way,
    WayKind,
    site_digest,
)
from alpr_edge.exclusion.register_file import (
    check_register,
    format_register,
    parse_register,
    register_values,
)

texts = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=9)
days = st.none() | st.dates(date(2020, 1, 1), date(2030, 1, 1))
offsets = st.tuples(st.floats(-900, 900), st.floats(-900, 900))


@st.composite
def sites(draw: st.DrawFn, name: str) -> Site:
    middle = draw(offsets)
    site = box_site(HOME, middle, draw(st.tuples(st.floats(1, 50), st.floats(1, 50))), name=name)
    line = ring(HOME, [middle, (middle[0] + draw(st.floats(1, 90)), middle[1])])
    wide = st.floats(0.5, 50)
    ways = [
        Way(f"{name}-d", WayKind.DRIVEWAY, line=line, width_m=draw(wide), is_shared=True),
        Way(f"{name}-a", WayKind.APPROACH, area=site.grounds),
    ]
    start, end = sorted([draw(days), draw(days)], key=lambda d: d or date(2031, 1, 1))
    return replace(
        site,
        name=draw(texts),
        category=draw(st.sampled_from(Category)),
        setback_m=draw(st.floats(0, 500)),
        ways=tuple(draw(st.lists(st.sampled_from(ways), unique=True))),
        entrances=tuple(draw(st.lists(st.just(Entrance(f"{name}-e", line[0])), max_size=1))),
        valid_from=start if end else None,
        valid_to=end,
        is_part_of_building=False,
    )


@st.composite
def registers(draw: st.DrawFn) -> Register:
    found = tuple(draw(sites(f"s{n}")) for n in range(draw(st.integers(1, 3))))
    return Register(
        draw(texts), draw(texts), draw(st.integers(1, 2**40)), draw(st.dates()), found,
        draw(days), draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=20)
@given(registers())
def test_there_and_back(register: Register) -> None:
    text = format_register(register)
    read = parse_register(text, source="made")
    assert replace(read, digest="") == register
    assert format_register(read) == text
    assert len(read.digest) == 64


def values(**properties: Any) -> dict[str, Any]:
    """A register of one site, its properties changed."""
    register: dict[str, Any] = json.loads(
        format_register(register_of(box_site(HOME, (0, 0), (9, 9))))
    )
    register["features"][0]["properties"].update(properties)
    return register


def problems(record: Any) -> str:
    checked = check_register(json.dumps(record))
    assert checked.register is None
    return "\n".join(checked.problems)


def with_ring(*points: tuple[float, float]) -> dict[str, Any]:
    record = values()
    record["features"][0]["geometry"]["coordinates"] = [[list(p) for p in points]]
    return record


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ([], "must be a GeoJSON FeatureCollection"),
        ({"type": "FeatureCollection", "features": 3}, "features: must be a list"),
        ({**values(), "features": []}, "lists nothing"),
        ({**values(), "crs": {}}, "crs: must be left out"),
        ({**values(), "alpr_edge_register": {}}, "serial: must be a whole number"),
        (values(setback_m=-1), "setback_m: must be a number within 0 to 500"),
        (values(setback_m=True), "setback_m: must be a number"),
        (values(set_back_m=3), "unknown key of a grounds"),
        (values(category="embassy"), "category: must be one of diplomatic"),
        (values(category=["diplomatic"]), "category: must be one of"),
        (values(kind=["grounds"]), "kind: must be one of grounds"),
        (values(kind="house"), "kind: must be one of grounds"),
        (values(name=""), "name: must be printable text"),
        (values(valid_from="tomorrow"), "valid_from: must be a day"),
        (values(valid_from="2026-05-01", valid_to="2026-04-01"), "is before valid_from"),
        (values(part_of_building=True), "needs its driveway"),
        (with_ring((0, 0), (1e-4, 1e-4), (1e-4, 0), (0, 1e-4), (0, 0)), "crosses or touches"),
        (with_ring((0, 0), (1e-4, 0), (1e-4, 1e-4), (0, 1e-4)), "must be the same"),
        (with_ring((0, 0), (1e-4, 0), (2e-4, 0), (0, 0)), "crosses or touches itself"),
        (with_ring((0, 0), (1, 0), (1, 1), (0, 0)), "is wider than 5 km"),
        (with_ring((34.0, -118.2), (34.1, -118.2), (34, -118.1), (34.0, -118.2)), "swapped?"),
        (with_ring((0, 88), (1e-3, 88), (0, 88.001), (0, 88)), "nearer to a pole"),
        (with_ring((0, 0), (1, 0)), "must be a list of 4"),
        (with_ring((float("1e400"), 0), (1, 0), (1, 1), (0, 0)), "finite"),
    ],
)
def test_what_is_wrong_is_said(record: Any, said: str) -> None:
    assert said in problems(record)


def test_all_problems_at_once_and_as_one_error() -> None:
    record = values(setback_m=-1, category="x", name=4)
    record["alpr_edge_register"]["serial"] = 0
    assert len(problems(record).splitlines()) == 4
    with pytest.raises(ConfigError) as caught:
        parse_register(json.dumps(record), source="made.geojson")
    assert caught.value.code == "exclusion.register.invalid"
    assert len(caught.value.problems) == 4
    assert "made.geojson" in str(caught.value)


def test_ways_need_their_grounds_a_width_and_an_id_of_their_own() -> None:
    line = {"type": "LineString", "coordinates": [[0, 0], [1e-4, 0]]}
    for feature, said in (
        (
            {"id": "d", "properties": {"kind": "driveway", "site": "no", "width_m": 4}},
            "there are no grounds",
        ),
        ({"id": "d", "properties": {"kind": "driveway", "site": "box"}}, "width_m: missing"),
        ({"id": "box", "properties": {"kind": "driveway", "site": "box"}}, "has the id of"),
        ({"id": "e", "properties": {"kind": "entrance", "site": "box"}}, "is a Point"),
    ):
        record = values()
        record["features"].append({"type": "Feature", "geometry": line, **feature})
        assert said in problems(record)


def test_warnings_do_not_refuse() -> None:
    hole = [[-118.2437, 34.0522], [-118.24369, 34.0522], [-118.24369, 34.05221]]
    record = values()
    record["features"][0]["geometry"]["coordinates"].append([*hole, hole[0]])
    checked = check_register(json.dumps(record))
    assert checked.register is not None
    assert "its holes are protected too" in checked.warnings[0]
    across = with_ring((179.9999, 0), (-179.9999, 0), (-179.9999, 1e-4), (179.9999, 0))
    assert "antimeridian" in " ".join(check_register(json.dumps(across)).warnings)


def test_one_site_with_swapped_coordinates_among_others_is_found() -> None:
    register = register_values(
        register_of(*[box_site(HOME, (n * 100.0, 0), (9, 9), name=f"s{n}") for n in range(4)])
    )
    berlin = [[13.4, 52.5], [13.4001, 52.5], [13.4001, 52.5001], [13.4, 52.5]]
    for feature in register["features"]:
        feature["geometry"]["coordinates"] = [berlin]
    swapped = [[lat, lon] for lon, lat in berlin]
    register["features"][2]["geometry"]["coordinates"] = [swapped]
    assert "s2: longitude and latitude look swapped" in problems(register)
    register["bbox"] = [13.0, 52.0, 14.0, 53.0]
    assert "s2: lies outside the register's own bbox" in problems(register)


def test_holes_must_be_holes() -> None:
    record = values()
    outside = [[-118.0, 34.0], [-118.0001, 34.0], [-118.0, 34.0001], [-118.0, 34.0]]
    record["features"][0]["geometry"]["coordinates"].append(outside)
    assert problems(record)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "9" * 5_000, b"\xff", '{"a": 1, "a": 2}', "NaN", "null"]
)
def test_broken_texts_are_refused(text: str | bytes) -> None:
    with pytest.raises(ConfigError):
        parse_register(text, source="x")


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(st.data(), junk)
def test_junk_anywhere_is_told_and_never_crashes(data: st.DataObject, value: Any) -> None:
    record = values()
    record["features"] = register_values(
        register_of(replace(box_site(HOME, (0, 0), (9, 9)), entrances=(Entrance("e", (0.0, 0.0)),)))
    )["features"]
    node: Any = record
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        child = node[key]
        if not isinstance(child, dict | list) or not child or data.draw(st.booleans()):
            node[key] = value
            break
        node = child
    checked = check_register(json.dumps(record))
    assert (checked.register is None) == bool(checked.problems)


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_bytes_are_told(text: str | bytes) -> None:
    assert check_register(text).problems


def test_the_digest_of_a_site_is_about_what_protects() -> None:
    site = box_site(HOME, (0, 0), (9, 9))
    assert site_digest(replace(site, name="other", authority="other")) == site_digest(site)
    for other in (
        replace(site, setback_m=3.0),
        replace(site, grounds=(Patch(site.grounds[0].outer[1:]),)),
        replace(site, entrances=(Entrance("e", (0.0, 0.0)),)),
        replace(site, valid_to=date(2030, 1, 1)),
    ):
        assert site_digest(other) != site_digest(site)


def test_validity() -> None:
    site = replace(
        box_site(HOME, (0, 0), (1, 1)), valid_from=date(2026, 2, 1), valid_to=date(2026, 3, 1)
    )
    register = register_of(site)
    assert site.is_valid(date(2026, 2, 1))
    assert site.is_valid(date(2026, 3, 1))
    assert not site.is_valid(date(2026, 1, 31))
    assert not site.is_valid(date(2026, 3, 2))
    assert site.is_valid(None)
    # What is to come is kept clear already; what is over is not; without a date all counts.
    assert register.sites_on(date(2026, 1, 1)) == (site,)
    assert register.sites_on(date(2026, 3, 2)) == ()
    assert register.sites_on(None) == (site,)
    assert not register.is_stale(None)
    assert replace(register, valid_to=date(2026, 5, 1)).is_stale(None)
