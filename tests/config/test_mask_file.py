"""Mask records: nothing is repaired, nothing is taken for "all clear" by mistake."""

from __future__ import annotations

import json
import math
import os
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alpr_edge.config.mask_file import (
    MAX_MASK_BYTES,
    MAX_MASKS,
    MAX_POINTS,
    format_masks,
    mask_digest,
    parse_masks,
)
from alpr_edge.config.mask_store import load_device_masks, load_masks
from alpr_edge.config.polygon import shape_problems
from alpr_edge.errors import ConfigError, ExclusionError
from alpr_edge.zone_set import GateLine, Taints, ZonePolygon, ZoneSet

SQUARE = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]]


def record(*polygons: Any, **more: Any) -> str:
    masks = [{"name": f"m{i}", "polygon": polygon} for i, polygon in enumerate(polygons)]
    return json.dumps({"masks": masks, **more})


def problems(text: str | bytes) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_masks(text, source="m.json")
    assert caught.value.code == "exclusion.mask.invalid"
    assert caught.value.hint
    assert "m.json" in caught.value.message
    return caught.value.problems


def test_masks() -> None:
    found = parse_masks(record(SQUARE, [[0, 0], [1, 0], [1, 1]]), source="x")
    assert found == ZoneSet(
        (
            ZonePolygon("m0", ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.1, 0.5))),
            ZonePolygon("m1", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))),
        ),
        nothing_protected=False,
    )
    assert all(type(value) is float for m in found.masks for p in m.polygon for value in p)


FULL = """{"masks": [{"name": "yard", "polygon": [[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]],
    "holes": [[[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]]]}],
    "bands": [{"name": "mouth", "polygon": [[0.5, 0], [0.7, 0], [0.7, 0.4]]}],
    "gates": [{"name": "kerb", "line": [[0.1, 0.8], [0.4, 0.8]], "taints": "left_to_right"},
              {"name": "bollards", "line": [[0.6, 0.8], [0.7, 0.8], [0.7, 0.9]]}],
    "margin": 0.01, "band": 0.03, "whole_frame": true}"""


def test_holes_bands_gates_and_widths() -> None:
    found = parse_masks(FULL, source="x")
    assert found.masks[0].holes == (((0.1, 0.1), (0.2, 0.1), (0.2, 0.2)),)
    assert found.bands == (ZonePolygon("mouth", ((0.5, 0.0), (0.7, 0.0), (0.7, 0.4))),)
    assert found.gates == (
        GateLine("kerb", ((0.1, 0.8), (0.4, 0.8)), Taints.LEFT_TO_RIGHT),
        GateLine("bollards", ((0.6, 0.8), (0.7, 0.8), (0.7, 0.9)), Taints.BOTH),
    )
    assert (found.margin, found.band, found.whole_frame) == (0.01, 0.03, True)
    assert parse_masks(format_masks(found), source="y") == found


def test_problems_of_holes_bands_gates_and_widths() -> None:
    text = """{"masks": [{"name": "a", "polygon": [[0, 0], [1, 0], [1, 1]],
        "holes": [[[0, 0], [1, 1], [1, 0], [0, 1]], 5]}],
        "bands": [{"name": "b", "polygon": [[0, 0], [1, 0], [1, 1]], "holes": []}],
        "gates": [{"name": "c", "line": [[0, 0]]},
                  {"name": "d", "line": [[0, 0], [0, 0]], "taints": "in"}],
        "margin": -0.1, "band": NaN}"""
    assert problems(text) == (
        "margin: must be within 0 and 0.25 of the frame's width",
        "band: must be within 0 and 0.25 of the frame's width",
        "masks[0].holes[0]: crosses or touches itself: segment 0 meets segment 2",
        "masks[0].holes[1]: must be a list of points [x, y]",
        'bands[0]."holes": unknown key; known are name, polygon',
        "gates[0].line: has 1 points, 2 to 256 are possible",
        "gates[1].line: points 0 and 1 are equal",
        "gates[1].taints: must be one of both, left_to_right, right_to_left",
    )


def test_a_gate_alone_protects() -> None:
    text = '{"masks": [], "gates": [{"name": "g", "line": [[0, 0], [1, 1]]}]}'
    assert not parse_masks(text, source="x").nothing_protected
    assert parse_masks('{"masks": [], "whole_frame": true}', source="x").whole_frame


def test_nothing_protected_must_be_said() -> None:
    assert parse_masks('{"masks": [], "nothing_protected": true}', source="x") == ZoneSet((), True)
    empty = 'masks: empty without the statement "nothing_protected": true'
    assert problems('{"masks": []}') == (empty,)
    assert problems('{"masks": [], "nothing_protected": false}') == (empty,)
    assert problems('{"nothing_protected": true}') == ("masks: missing",)
    assert problems("{}") == ("masks: missing",)
    assert problems(record(SQUARE, nothing_protected=True)) == (
        "nothing_protected: true contradicts the masks that are given",
    )
    assert problems('{"masks": [], "nothing_protected": 1}') == (
        "nothing_protected: must be true or false",
        empty,
    )


def test_every_problem_at_once() -> None:
    text = """{"masks": [
        {"name": "a", "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]},
        {"name": "a", "polygon": [[0, 0], [1, 1.5], [NaN, 0], [1, "x"], [1], [0.1, -1e-9]]},
        {"nam": 1},
        {"name": "", "polygon": [[0, 0], [1, 1]]},
        7
    ], "nothing_protected": "no", "x": 1}"""
    assert problems(text) == (
        '"x": unknown key; known are masks, nothing_protected, bands, gates, margin, band, '
        "whole_frame",
        "nothing_protected: must be true or false",
        "masks[0].polygon: crosses or touches itself: segment 0 meets segment 2",
        "masks[1].polygon[1]: y 1.5 is outside 0 to 1: clamp it to the frame's edge",
        "masks[1].polygon[2]: x is not a finite number",
        "masks[1].polygon[3]: y must be a number",
        "masks[1].polygon[4]: must be a point [x, y]",
        "masks[1].polygon[5]: y -1e-09 is outside 0 to 1: clamp it to the frame's edge",
        'masks[1].name: "a" is also masks[0]',
        'masks[2]."nam": unknown key; known are name, polygon, holes',
        "masks[2].name: missing",
        "masks[2].polygon: missing",
        "masks[3].name: must be text of 1 to 64 characters",
        "masks[3].polygon: has 2 points, 3 to 256 are possible",
        "masks[4]: must be an object with name and polygon",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ('{"masks": [', "line 1, column"),
        (b"\xff\xfe", "not UTF-8"),
        ("[]", 'must be an object with the key "masks"'),
        ("null", "must be an object"),
        ('{"masks": {}}', "masks: must be a list"),
        ('{"masks": [], "masks": [], "nothing_protected": true}', 'key "masks" is given twice'),
        ("[" * 100_000, "nested too deeply"),
        ('{"masks": ' + "9" * 5_000 + "}", "out of range"),
        (" " * (MAX_MASK_BYTES + 1), "larger than"),
        (record([[math.inf, 0], [1, 1], [1, 0]]), "not a finite number"),
        (record([[True, 0], [1, 1], [1, 0]]), "x must be a number"),
        (record([[10**400, 0], [1, 1], [1, 0]]), "outside 0 to 1"),
        (record("polygon"), "must be a list of points"),
        (record([[0, 0]] * (MAX_POINTS + 1)), "has 257 points"),
        (record(*[SQUARE] * (MAX_MASKS + 1)), "129 masks, at most 128"),
        ('{"masks": [{"name": "a\\nb", "polygon": []}]}', "printable"),
        ('{"masks": [{"name": "\\ud800", "polygon": []}]}', "printable"),
    ],
)
def test_what_is_no_record(text: str | bytes, said: str) -> None:
    assert any(said in line for line in problems(text))


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([[0, 0], [1, 1], [0.5, 0.5]], "no area"),
        ([[0, 0], [0, 0], [0, 0]], "points 0 and 1 are equal"),
        ([*SQUARE, SQUARE[0]], "points 4 and 0 are equal: leave one out"),
        ([[0, 0], [1, 1], [1, 0], [0, 1]], "segment 0 meets segment 2"),
        ([[0, 0], [1, 0], [0.5, 0], [0.5, 1]], "segment 0 meets segment 1"),  # spike
        ([[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]], "segment 0 meets segment 2"),  # touches
        ([[0, 0], [0.4, 0], [0.4, 0.4], [0.8, 0.8], [0.4, 0.4], [0, 0.4]], "meets segment"),
        ([[0.5, 0], [1, 0], [1, 1], [0.5, 0], [0, 1], [0, 0]], "meets segment"),  # eight
    ],
)
def test_shapes_that_are_refused(points: list[list[float]], said: str) -> None:
    assert any(said in line for line in problems(record(points)))


@pytest.mark.parametrize(
    "points",
    [
        SQUARE,
        SQUARE[::-1],
        [[0, 0], [0.5, 0], [1, 0], [1, 1], [0, 1]],  # a point in the middle of an edge
        [[0, 0], [1, 0], [1, 1], [0.5, 0.0001], [0, 1]],  # nearly touches
        [[0, 0], [1, 0], [1, 1], [0.6, 1], [0.6, 0.2], [0.4, 0.2], [0.4, 1], [0, 1]],  # U
        [[0, 0], [5e-324, 0], [0, 5e-324]],
    ],
)
def test_shapes_that_are_accepted(points: list[list[float]]) -> None:
    assert len(parse_masks(record(points), source="x").masks) == 1


def test_a_crossing_by_one_rounding_unit_is_seen() -> None:
    """The edge from (0, 0) to (1, 1) is met by a corner one unit beyond it, not by one before."""
    unit = 2.0**-53
    corner = [0.5 - unit, 0.5]
    beyond = [0.5 + unit * 2, 0.5]
    base = [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    assert parse_masks(record([*base[:2], [0.6, 1.0], corner, [0.0, 1.0]]), source="x").masks
    assert "meets" in problems(record([*base[:2], [0.6, 1.0], beyond, [0.0, 1.0]]))[0]
    assert "meets" in problems(record([*base[:2], [0.6, 1.0], [0.5, 0.5], [0.0, 1.0]]))[0]


def test_the_largest_record_is_checked_in_time() -> None:
    ring = [
        [
            0.5 + 0.4 * math.cos(2 * math.pi * i / MAX_POINTS),
            0.5 + 0.4 * math.sin(2 * math.pi * i / MAX_POINTS),
        ]
        for i in range(MAX_POINTS)
    ]
    began = time.monotonic()
    assert len(parse_masks(record(*[ring] * 4), source="x").masks) == 4
    spiral = [ring[i * 127 % MAX_POINTS] for i in range(MAX_POINTS)]
    assert "meets" in problems(record(spiral))[0]
    assert time.monotonic() - began < 10


_COARSE = st.integers(0, 5).map(lambda i: i / 5)
_FINE = st.floats(0, 1).map(lambda value: value + 0.0)
_POINTS = st.lists(st.tuples(_COARSE, _COARSE), min_size=3, max_size=7) | st.lists(
    st.tuples(_FINE, _FINE), min_size=3, max_size=6
)


@given(_POINTS)
def test_the_check_agrees_with_exact_geometry(points: list[tuple[float, float]]) -> None:
    assert bool(shape_problems(tuple(points))) == (not _is_simple(points))


def _is_simple(points: list[tuple[float, float]]) -> bool:
    """Exact and slow: edges as parametrised segments, intersections solved in fractions."""
    exact = [(Fraction(x), Fraction(y)) for x, y in points]
    count = len(exact)
    edges = [(exact[i], exact[(i + 1) % count]) for i in range(count)]
    if any(a == b for a, b in edges):
        return False
    for i in range(count):
        for j in range(i + 1, count):
            common = _common(*edges[i], *edges[j])
            if common is None:
                continue
            neighbours = j == i + 1 or (i, j) == (0, count - 1)
            corner = exact[j] if j == i + 1 else exact[0]
            if not neighbours or common != (corner, corner):
                return False
    return True


def _common(a: Any, b: Any, c: Any, d: Any) -> Any:
    """First and last common point of two segments, or None."""
    ux, uy, vx, vy = b[0] - a[0], b[1] - a[1], d[0] - c[0], d[1] - c[1]
    wx, wy = c[0] - a[0], c[1] - a[1]
    det = ux * vy - uy * vx
    if det != 0:
        s, t = (wx * vy - wy * vx) / det, (wx * uy - wy * ux) / det
        if 0 <= s <= 1 and 0 <= t <= 1:
            point = (a[0] + s * ux, a[1] + s * uy)
            return point, point
        return None
    if wx * uy - wy * ux != 0:
        return None
    first, last = max(min(a, b), min(c, d)), min(max(a, b), max(c, d))
    return (first, last) if first <= last else None


@given(st.lists(_POINTS, max_size=4), st.text(min_size=1, max_size=10))
def test_formatting_and_parsing_are_inverse(
    polygons: list[list[tuple[float, float]]], name: str
) -> None:
    assume(name.isprintable() and name.strip())
    good = [tuple(p) for p in polygons if not shape_problems(tuple(p))]
    masks = tuple(ZonePolygon(f"{name}{i}", polygon) for i, polygon in enumerate(good))
    one = ZoneSet(masks, nothing_protected=not masks)
    assert parse_masks(format_masks(one), source="x") == one
    assert mask_digest(parse_masks(format_masks(one), source="x")) == mask_digest(one)


def test_digest() -> None:
    one = parse_masks(record(SQUARE), source="x")
    assert mask_digest(one) == mask_digest(parse_masks(record(SQUARE) + "\n", source="y"))
    moved = parse_masks(record([[0.1, 0.100000001], *SQUARE[1:]]), source="x")
    assert mask_digest(one) != mask_digest(moved)
    zero = [[0.0, 0.0], [1, 0], [1, 1]]
    minus = [[-0.0, 0.0], [1, 0], [1, 1]]
    assert mask_digest(parse_masks(record(zero), source="x")) == mask_digest(
        parse_masks(record(minus), source="x")
    )


@given(st.one_of(st.text(max_size=100), st.binary(max_size=100)))
def test_random_input_is_refused(text: str | bytes) -> None:
    assert problems(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(
                [
                    "masks",
                    "name",
                    "polygon",
                    "nothing_protected",
                    "gates",
                    "line",
                    "bands",
                    "holes",
                    "taints",
                    "band",
                    "margin",
                    "whole_frame",
                    "x",
                ]
            ),
            inner,
        )
    ),
    max_leaves=20,
)


@given(_JSON, st.booleans())
def test_random_json_is_refused_or_sound(value: Any, wrapped: bool) -> None:
    text = json.dumps({"masks": value} if wrapped else value)
    try:
        found = parse_masks(text, source="x")
    except ConfigError as err:
        lines = err.problems
        assert lines
        assert all(line.isprintable() for line in lines)
    else:
        assert found.nothing_protected == found.is_empty


@pytest.mark.parametrize("name", ["example", "nothing-protected", "street"])
def test_shipped_records(repository: Path, name: str) -> None:
    found = load_masks(repository / "configs" / "masks" / f"{name}.json")
    assert found.nothing_protected == (name == "nothing-protected")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: None, "missing"),
        (lambda path: path.mkdir(), "not_a_file"),
        (lambda path: os.mkfifo(path), "not_a_file"),
        (lambda path: path.symlink_to(path), "unreadable"),
        (lambda path: path.write_bytes(bytes(MAX_MASK_BYTES + 1)), "too_large"),
        (lambda path: path.write_bytes(b""), "invalid"),
        (lambda path: path.write_text(record(SQUARE)[:-2]), "invalid"),
    ],
)
def test_a_device_without_masks_is_refused_by_policy(tmp_path: Path, make: Any, code: str) -> None:
    path = tmp_path / "masks.json"
    make(path)
    with pytest.raises(ConfigError) as bench:
        load_masks(path)
    with pytest.raises(ExclusionError) as device:
        load_device_masks(path)
    assert bench.value.code == device.value.code == f"exclusion.mask.{code}"
    assert (bench.value.exit_status, device.value.exit_status) == (2, 3)
    assert str(path) in device.value.message
    assert all(line in device.value.message for line in bench.value.problems)
