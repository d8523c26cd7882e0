"""The comparison of zone sets: never "covers" where one pixel is lost."""

from __future__ import annotations

import time
from dataclasses import replace
from math import cos, sin, tau

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from alpr_edge.config.polygon import shape_problems
from alpr_edge.exclusion.compare import MAX_CORNERS, compare, union
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.zone_set import GateLine, Ring, Taints, ZonePolygon, ZoneSet

W, H = 12, 8
SIZE = (W, H)


def box(x0: float, y0: float, x1: float, y1: float) -> Ring:
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def zones(*rings: Ring, **more: object) -> ZoneSet:
    masks = tuple(ZonePolygon(f"m{i}", ring) for i, ring in enumerate(rings))
    return ZoneSet(masks, **{"nothing_protected": not masks and not more, **more})


OLD = zones(box(0.2, 0.2, 0.5, 0.6), margin=0.02, band=0.05)


def covers(old: ZoneSet, new: ZoneSet, size: tuple[int, int] = (640, 360)) -> bool:
    return compare(old, new, size_px=size).covers


def test_the_same_set_covers_itself_whatever_its_names() -> None:
    assert covers(OLD, OLD)
    renamed = replace(OLD, masks=(ZonePolygon("other", OLD.masks[0].polygon),))
    assert covers(OLD, renamed)
    change = compare(OLD, renamed, size_px=SIZE)
    assert (change.core_added_px, change.core_removed_px) == (0, 0)
    assert (change.band_added_px, change.band_removed_px) == (0, 0)


@pytest.mark.parametrize(
    "new",
    [
        zones(box(0.1, 0.2, 0.5, 0.6), margin=0.02, band=0.05),
        zones(box(0.2, 0.2, 0.5, 0.6), box(0.7, 0.7, 0.8, 0.8), margin=0.02, band=0.05),
        zones(box(0.2, 0.2, 0.4, 0.6), box(0.4, 0.2, 0.5, 0.6), margin=0.02, band=0.05),
        zones(box(0.2, 0.2, 0.4, 0.6), box(0.3, 0.1, 0.5, 0.7), margin=0.02, band=0.05),
        replace(OLD, margin=0.03),
        replace(OLD, band=0.06),
        replace(OLD, margin=0.04, band=0.0301),
        replace(OLD, gates=(GateLine("g", ((0.7, 0.1), (0.9, 0.1))),)),
        replace(OLD, bands=(ZonePolygon("b", box(0.7, 0.1, 0.9, 0.2)),)),
        ZoneSet(whole_frame=True),
    ],
)
def test_what_covers(new: ZoneSet) -> None:
    assert covers(OLD, new)


@pytest.mark.parametrize(
    "new",
    [
        ZoneSet(nothing_protected=True),
        zones(box(0.2, 0.2, 0.5, 0.5999999), margin=0.02, band=0.05),
        zones(box(0.2, 0.2, 0.39, 0.6), box(0.4, 0.2, 0.5, 0.6), margin=0.02, band=0.05),
        zones(box(0.21, 0.21, 0.51, 0.61), margin=0.02, band=0.05),
        zones(box(0.1, 0.1, 0.6, 0.7), margin=0.01, band=0.06),
        replace(OLD, band=0.049),
        replace(OLD, margin=0.0199999),
        replace(
            OLD, masks=(ZonePolygon("m0", OLD.masks[0].polygon, (box(0.3, 0.3, 0.31, 0.31),)),)
        ),
    ],
)
def test_what_does_not(new: ZoneSet) -> None:
    change = compare(OLD, new, size_px=(640, 360))
    assert not change.covers
    assert all(change.narrowings)


def test_the_whole_frame_is_covered_by_the_whole_frame_only() -> None:
    whole = ZoneSet(whole_frame=True)
    assert covers(whole, whole)
    assert not covers(whole, zones(box(0, 0, 1, 1)))


LINE = ((0.7, 0.1), (0.9, 0.3))


@pytest.mark.parametrize(
    ("new", "kept"),
    [
        ({"gates": (GateLine("g", LINE),)}, True),
        ({"gates": (GateLine("h", LINE, Taints.LEFT_TO_RIGHT),)}, True),
        ({"gates": (GateLine("h", LINE, Taints.RIGHT_TO_LEFT),)}, False),
        ({"gates": (GateLine("h", LINE[::-1], Taints.LEFT_TO_RIGHT),)}, False),
        ({"gates": ()}, False),
        ({"bands": (ZonePolygon("b", box(0.7, 0.1, 0.9, 0.3)),)}, True),
        ({"bands": (ZonePolygon("b", box(0.7, 0.1, 0.9, 0.29)),)}, False),
    ],
)
def test_gates(new: dict[str, object], kept: bool) -> None:
    old = replace(OLD, gates=(GateLine("g", LINE, Taints.LEFT_TO_RIGHT),))
    assert covers(old, replace(OLD, **new)) is kept


def test_a_gate_both_ways_is_not_kept_by_one_way() -> None:
    old = replace(OLD, gates=(GateLine("g", LINE),))
    assert not covers(old, replace(OLD, gates=(GateLine("g", LINE, Taints.LEFT_TO_RIGHT),)))


def test_a_hole_that_leaves_its_ring_is_no_excuse() -> None:
    odd = ZonePolygon("m0", box(0.2, 0.2, 0.5, 0.6), (box(0.4, 0.4, 0.9, 0.5),))
    assert not covers(OLD, replace(OLD, masks=(odd,)))
    # As the old one it counts without its hole, and word for word it covers itself.
    assert covers(replace(OLD, masks=(odd,)), OLD)
    assert covers(replace(OLD, masks=(odd,)), replace(OLD, masks=(odd,)))


def test_hostile_sets_are_judged_in_a_moment() -> None:
    def star(shift: float) -> Ring:
        turns = [(i * tau / 255, 0.35 + 0.1 * (i % 2)) for i in range(255)]
        return tuple((0.5 + shift + r * cos(t), 0.5 + r * sin(t)) for t, r in turns)

    old = zones(*(star(i / 5000) for i in range(40)))
    new = zones(*(star(i / 5000 + 0.0001) for i in range(40)))
    began = time.process_time()
    assert not covers(old, new, SIZE)
    assert time.process_time() - began < 30


# --- against brute force ---------------------------------------------------------------------
#
# Corners lie on a grid of quarters of pixels, so that touching edges, corners on corners and
# slivers are common, and whole-number arithmetic decides exactly what touches a pixel.

GRID = 4
points = st.tuples(st.integers(0, W * GRID), st.integers(0, H * GRID))
rings = st.lists(points, min_size=3, max_size=6, unique=True).map(tuple)


def ring_of(corners: tuple[tuple[int, int], ...]) -> Ring:
    return tuple((x / (W * GRID), y / (H * GRID)) for x, y in corners)


def simple(corners: tuple[tuple[int, int], ...]) -> bool:
    return not shape_problems(ring_of(corners))


def touched(corners: tuple[tuple[int, int], ...], *, wholly: bool = False) -> NDArray[np.bool_]:
    """Pixels that the closed polygon touches, or (`wholly`) that lie inside it altogether.

    Doubled whole numbers, so that the middle of a pixel is one too.
    """
    y, x = np.mgrid[:H, :W] * (2 * GRID)
    meets = np.zeros((H, W), bool)
    inside = np.zeros((H, W), bool)
    for i in range(len(corners)):
        (ax, ay), (bx, by) = ((2 * u, 2 * v) for u, v in (corners[i - 1], corners[i]))
        near = (min(ax, bx) <= x + 2 * GRID) & (max(ax, bx) >= x)
        near &= (min(ay, by) <= y + 2 * GRID) & (max(ay, by) >= y)
        # The pixel's four corners are not all strictly on one side of the edge's line.
        sides = [
            (bx - ax) * (y + dy - ay) - (by - ay) * (x + dx - ax)
            for dx in (0, 2 * GRID)
            for dy in (0, 2 * GRID)
        ]
        meets |= near & (np.min(sides, axis=0) <= 0) & (np.max(sides, axis=0) >= 0)
        middle_x, middle_y = x + GRID, y + GRID
        if ay != by:
            spans = (ay > middle_y) != (by > middle_y)
            right = (middle_x - ax) * abs(by - ay) < (middle_y - ay) * (bx - ax) * np.sign(by - ay)
            inside ^= spans & right
    return (inside & ~meets) if wholly else (meets | inside)


@st.composite
def changed_rings(
    draw: st.DrawFn, ring: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    """The ring with one corner moved a little: pairs that nearly agree."""
    place = draw(st.integers(0, len(ring) - 1))
    dx, dy = draw(st.tuples(st.integers(-2, 2), st.integers(-2, 2)))
    x, y = ring[place][0] + dx, ring[place][1] + dy
    moved = (min(max(x, 0), W * GRID), min(max(y, 0), H * GRID))
    return (*ring[:place], moved, *ring[place + 1 :])


@given(st.data())
def test_never_covers_where_a_pixel_is_lost(data: st.DataObject) -> None:
    old_ring = data.draw(rings.filter(simple))
    near = data.draw(st.lists(changed_rings(old_ring), max_size=2))
    new_rings = [*near, *data.draw(st.lists(rings, max_size=1))]
    hole = data.draw(st.none() | rings)
    new_rings = [ring for ring in new_rings if simple(ring)]
    assume(new_rings)
    holes = (ring_of(hole),) if hole and simple(hole) else ()
    old = zones(ring_of(old_ring))
    new = ZoneSet(
        tuple(
            ZonePolygon(str(i), ring_of(r), holes if i == 0 else ())
            for i, r in enumerate(new_rings)
        )
    )
    change = compare(old, new, size_px=SIZE)
    event(f"covers {change.covers}")
    if not change.covers:
        return
    after = touched(new_rings[0])
    if holes and hole:
        after &= ~touched(hole, wholly=True)
    for ring in new_rings[1:]:
        after |= touched(ring)
    assert not (touched(old_ring) & ~after).any()
    lost = (rasterise(old, size_px=SIZE, digest="").core > 0) & (
        rasterise(new, size_px=SIZE, digest="").core == 0
    )
    assert not lost.any()


def test_the_brute_force_is_right_where_it_is_easy() -> None:
    square = ((4, 4), (12, 4), (12, 8), (4, 8))  # pixels 1 and 2 of row 1, to their very edges
    cells = np.argwhere(touched(square))
    assert {tuple(c) for c in cells} == {(y, x) for y in range(3) for x in range(4)}
    larger = ((3, 3), (13, 3), (13, 9), (3, 9))
    assert {tuple(c) for c in np.argwhere(touched(larger, wholly=True))} == {(1, 1), (1, 2)}
    assert not touched(square, wholly=True).any()


@given(rings.filter(simple), st.lists(rings.filter(simple), max_size=2), st.data())
def test_adding_always_covers(ring, more, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    """Not by refusing everything: what only adds is seen as such."""
    margin, band = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    old = zones(ring_of(ring), margin=margin / W, band=band / W)
    new = zones(
        *(ring_of(r) for r in (*more, ring)),
        margin=(margin + data.draw(st.integers(0, 1))) / W,
        band=(band + data.draw(st.integers(0, 1))) / W,
    )
    assert covers(old, new, SIZE)


sets = st.builds(
    lambda masks, bands, gates, margin, band, whole: ZoneSet(
        tuple(ZonePolygon(f"a{i % 2}", ring_of(r)) for i, r in enumerate(masks)),
        nothing_protected=not (masks or bands or gates or whole),
        bands=tuple(ZonePolygon("b", ring_of(r)) for r in bands),
        gates=tuple(GateLine("g", ring_of(r), t) for r, t in gates),
        margin=margin / W,
        band=band / W,
        whole_frame=whole,
    ),
    st.lists(rings.filter(simple), max_size=2),
    st.lists(rings.filter(simple), max_size=1),
    st.lists(st.tuples(rings, st.sampled_from(Taints)), max_size=1),
    st.integers(0, 2),
    st.integers(0, 2),
    st.booleans(),
)


@given(st.lists(sets, min_size=1, max_size=3))
def test_a_union_covers_each_part(parts: list[ZoneSet]) -> None:
    joined = union(parts)
    for part in parts:
        change = compare(part, joined, size_px=SIZE)
        assert change.covers, change.narrowings
    assert joined.is_empty is all(part.is_empty for part in parts)
    for items in (joined.masks, joined.bands, joined.gates):
        assert len({item.name for item in items}) == len(items)
    assert covers(joined, union([joined, joined]), SIZE)


def test_no_sets_have_no_union() -> None:
    with pytest.raises(ValueError, match="no zone set"):
        union([])


@given(sets, sets)
def test_the_counts_are_those_of_the_rasters(old: ZoneSet, new: ZoneSet) -> None:
    change = compare(old, new, size_px=SIZE)
    a, b = (rasterise(one, size_px=SIZE, digest="") for one in (old, new))
    assert change.core_added_px - change.core_removed_px == np.count_nonzero(
        b.core
    ) - np.count_nonzero(a.core)
    assert change.band_added_px - change.band_removed_px == np.count_nonzero(
        b.band
    ) - np.count_nonzero(a.band)
    if change.covers:
        assert change.core_removed_px == change.band_removed_px == 0


def test_the_pixels_are_counted_and_named_in_both_directions() -> None:
    """Beside the geometry, the rasters are a second net: each says what it lost by itself."""
    large = ZoneSet((ZonePolygon("m", ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))),))
    small = ZoneSet((ZonePolygon("m", ((0.25, 0.25), (0.5, 0.25), (0.5, 0.75), (0.25, 0.75))),))
    size = (64, 32)
    cores = [rasterise(z, size_px=size, digest="").core > 0 for z in (large, small)]
    bands = [rasterise(z, size_px=size, digest="").band > 0 for z in (large, small)]
    core, band = (int((a & ~b).sum()) for a, b in (cores, bands))
    assert core > 0
    assert band > 0
    less, more = compare(large, small, size_px=size), compare(small, large, size_px=size)
    assert (less.core_removed_px, less.band_removed_px) == (core, band)
    assert (less.core_added_px, less.band_added_px) == (0, 0)
    assert (more.core_added_px, more.band_added_px) == (core, band)
    assert (more.core_removed_px, more.band_removed_px) == (0, 0)
    assert f"{core} pixels of the core mask become visible" in less.narrowings
    assert f"{band} pixels no longer taint" in less.narrowings
    assert more.narrowings == ()


@pytest.mark.parametrize("too_many", [0, 1])
def test_so_many_corners_are_compared_together_and_no_more(too_many: int) -> None:
    """Two halves that cover the whole; each corner beyond the limit makes the answer a no."""
    old = zones(box(0.2, 0.2, 0.5, 0.6))
    # Rings are closed: five corners each of three boxes.
    more = MAX_CORNERS - 15 + too_many
    down_the_left = tuple((0.2, 0.6 - 0.4 * n / (more + 1)) for n in range(1, more + 1))
    halves = zones((*box(0.2, 0.2, 0.4, 0.6), *down_the_left), box(0.4, 0.2, 0.5, 0.6))
    assert covers(old, halves) is not bool(too_many)


def test_a_union_numbers_names_that_are_given_twice_and_keeps_them_short() -> None:
    rings = [box(0.1 * n, 0.1, 0.1 * n + 0.05, 0.2) for n in range(1, 5)]
    for name, expected in (
        ("m", ["m", "m (2)", "m (3)", "m (4)"]),
        ("x" * 64, ["x" * 64, *("x" * 60 + f" ({n})" for n in (2, 3, 4))]),
    ):
        joined = union([ZoneSet((ZonePolygon(name, ring),)) for ring in rings])
        assert [mask.name for mask in joined.masks] == expected
