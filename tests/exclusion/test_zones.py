"""Zones round outwards: no touched pixel is left out, and more polygon never means less zone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.exclusion.zones import crosses, grow, is_far, make_zones, rasterise, touches
from alpr_edge.zone_set import GateLine, Taints, ZonePolygon, ZoneSet

SIZE = (48, 32)

share = st.floats(0, 1, allow_nan=False)
point = st.tuples(share, share)
polygon = st.lists(point, min_size=3, max_size=6)


def zones(*polygons, band_px=0, size=SIZE, margin_px=0):
    return make_zones(polygons, size_px=size, band_px=band_px, digest="d", margin_px=margin_px)


def touched_by_sampling(points_px: np.ndarray) -> np.ndarray:
    """Pixels that hold a point of the polygon's border, by walking along it finely."""
    width, height = SIZE
    hit = np.zeros((height, width), bool)
    for a, b in zip(points_px, np.roll(points_px, -1, axis=0), strict=True):
        walk = a + np.linspace(0, 1, 400)[:, None] * (b - a)
        cells = np.clip(np.floor(walk).astype(int), 0, (width - 1, height - 1))
        hit[cells[:, 1], cells[:, 0]] = True
    return hit


@given(polygon)
def test_every_pixel_that_the_border_passes_is_blanked(points):
    core = zones(points).core > 0
    assert core[touched_by_sampling(np.array(points) * SIZE)].all()


def test_every_pixel_inside_is_blanked():
    core = zones([(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]).core
    assert (core[8:24, 12:36] == 255).all()
    assert core[0, 0] == 0


@given(polygon, polygon)
def test_another_polygon_never_frees_a_pixel(first, second):
    alone, both = zones(first), zones(first, second)
    assert (both.core >= alone.core).all()
    assert (both.band >= alone.band).all()


@given(polygon, st.integers(0, 6), st.integers(0, 6))
def test_a_wider_band_never_frees_a_pixel(points, narrow, more):
    assert (zones(points, band_px=narrow + more).band >= zones(points, band_px=narrow).band).all()


@given(polygon, st.integers(0, 4))
def test_the_band_holds_the_core(points, band_px):
    made = zones(points, band_px=band_px)
    assert (made.band >= made.core).all()


@given(st.lists(point, min_size=4, max_size=4), polygon)
def test_touch_is_any_shared_pixel(quad, mask):
    made = zones(mask)
    quad_px = (np.array(quad) * SIZE).astype(np.float32)
    walked = touched_by_sampling(quad_px)
    if (walked & (made.core > 0)).any():
        assert touches(made.core, quad_px)


@given(st.lists(point, min_size=4, max_size=4), polygon, polygon)
def test_touch_is_monotone(quad, mask, more):
    quad_px = (np.array(quad) * SIZE).astype(np.float32)
    if touches(zones(mask).core, quad_px):
        assert touches(zones(mask, more).core, quad_px)
        assert touches(zones(mask, band_px=3).band, quad_px)


def test_numbers_that_are_not_finite_touch():
    empty = zones()
    assert touches(empty.core, np.array([[0, 0], [1, 0], [1, np.nan], [0, 1]], np.float32))


def test_a_polygon_that_is_not_finite_masks_everything():
    assert zones([(0.1, 0.1), (0.2, float("nan")), (0.3, 0.3)]).core.all()


def test_a_quad_beyond_the_frame_counts_as_on_its_edge():
    made = zones([(0.9, 0.0), (1.0, 0.0), (1.0, 1.0), (0.9, 1.0)])
    assert touches(made.core, np.array([[60, 5], [70, 5], [70, 9], [60, 9]], np.float32))
    assert not touches(made.core, np.array([[-9, 5], [-5, 5], [-5, 9], [-9, 9]], np.float32))


def test_a_grown_quad_holds_the_quad():
    quad = np.array([[10, 10], [20, 11], [20, 16], [10, 15]], np.float32)
    grown = grow(quad)
    assert (grown[0] < quad[0]).all()
    assert (grown[2] > quad[2]).all()


def test_nothing_protected():
    assert not zones().protected
    assert zones([(0, 0), (0.1, 0), (0, 0.1)]).protected


@pytest.mark.parametrize("bad", [{"size": (0, 4)}, {"band_px": -1}, {"margin_px": -1}])
def test_wrong_sizes_are_refused(bad):
    with pytest.raises(ValueError, match="no zones"):
        zones(**bad)


def test_a_hull_that_the_frame_cuts_touches_where_it_crosses():
    # From inside to far above: it crosses the upper edge at x = 30, not at the moved corner.
    made = zones([(0.6, 0.0), (0.66, 0.0), (0.66, 0.05), (0.6, 0.05)])
    path = np.array([[40, 20], [41, 20], [20, -20], [21, -20]], np.float32)
    assert touches(made.core, path)


@given(st.lists(st.tuples(st.floats(-2, 3), st.floats(-2, 3)), min_size=4, max_size=4), polygon)
def test_touch_sees_what_of_a_hull_lies_in_the_frame(quad, mask):
    made = zones(mask)
    quad_px = (np.array(quad) * SIZE).astype(np.float32)
    for a, b in zip(quad_px, np.roll(quad_px, -1, axis=0), strict=True):
        walk = a + np.linspace(0, 1, 400)[:, None] * (b - a)
        inside = ((walk >= 0) & (walk < SIZE)).all(1)
        cells = np.floor(walk[inside]).astype(int)
        if (made.core[cells[:, 1], cells[:, 0]] > 0).any():
            assert touches(made.core, quad_px)


BOX = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
HOLE = ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))


def pixels(zone_set: ZoneSet, size=(100, 100), **more):
    return rasterise(zone_set, size_px=size, digest="d", **more)


def test_a_hole_is_free_inside_and_never_its_outline():
    core = pixels(ZoneSet((ZonePolygon("a", BOX, (HOLE,)),))).core
    assert not core[45:56, 45:56].any()
    assert core[39:41, 40:60].all()
    assert core[40:60, 59:61].all()
    assert core[30, 30] == 255


def test_a_hole_frees_nothing_of_another_mask():
    both = ZoneSet((ZonePolygon("a", BOX, (HOLE,)), ZonePolygon("b", BOX)))
    assert pixels(both).core[50, 50] == 255


@given(polygon, polygon)
def test_a_hole_never_frees_more_than_itself(outer, hole):
    whole = pixels(ZoneSet((ZonePolygon("a", tuple(outer)),)), SIZE).core
    holed = pixels(ZoneSet((ZonePolygon("a", tuple(outer), (tuple(hole),)),)), SIZE).core
    inside = pixels(ZoneSet((ZonePolygon("h", tuple(hole)),)), SIZE).core
    assert (holed <= whole).all()
    assert (inside[(whole > 0) & (holed == 0)] > 0).all()
    walked = touched_by_sampling(np.array(hole) * SIZE)
    assert holed[walked & (whole > 0)].all()


def test_margin_widens_the_core_and_band_comes_on_top():
    made = pixels(ZoneSet((ZonePolygon("a", BOX),), margin=0.05, band=0.1))
    assert made.core[15, 50] == 255
    assert made.core[12, 50] == 0
    assert made.band[5, 50] == 255
    assert made.band[2, 50] == 0


def test_the_device_may_widen_the_band_and_not_narrow_it():
    zone_set = ZoneSet((ZonePolygon("a", BOX),), band=0.1)
    assert (pixels(zone_set, least_band=0.01).band == pixels(zone_set).band).all()
    assert pixels(zone_set, least_band=0.15).band.sum() > pixels(zone_set).band.sum()


def test_bands_and_gates_taint_but_blank_nothing():
    zone_set = ZoneSet(
        bands=(ZonePolygon("b", BOX),), gates=(GateLine("g", ((0.0, 0.9), (1.0, 0.95))),)
    )
    made = pixels(zone_set)
    assert not made.core.any()
    assert made.band[50, 50] == made.band[92, 50] == 255
    assert made.protected


def test_the_whole_frame():
    made = pixels(ZoneSet(whole_frame=True))
    assert made.core.all()
    assert made.band.all()


def test_a_one_way_line_blanks_and_bands_nothing_but_protects():
    made = pixels(ZoneSet(gates=(GateLine("g", ((0.0, 0.5), (1.0, 0.5)), Taints.LEFT_TO_RIGHT),)))
    assert not made.band.any()
    assert made.protected


UP = np.array([[40, 30], [50, 30], [50, 34], [40, 34]], np.float32)
DOWN = UP + np.array([0, 40], np.float32)


@pytest.mark.parametrize(
    ("taints", "down", "up"),
    [(Taints.LEFT_TO_RIGHT, True, False), (Taints.RIGHT_TO_LEFT, False, True)],
)
def test_only_the_stated_direction_taints(taints, down, up):
    # Drawn from left to right, the upper side is the left one.
    line = pixels(ZoneSet(gates=(GateLine("g", ((0.0, 0.5), (1.0, 0.5)), taints),))).one_way[0]
    assert crosses(line, UP, DOWN) is down
    assert crosses(line, DOWN, UP) is up
    assert not crosses(line, UP, UP + 5)


def test_a_crossing_that_is_not_clear_taints():
    line = pixels(
        ZoneSet(gates=(GateLine("g", ((0.0, 0.5), (1.0, 0.5)), Taints.LEFT_TO_RIGHT),))
    ).one_way[0]
    onto = UP + np.array([0, 20], np.float32)
    assert crosses(line, onto, UP)
    assert crosses(line, onto, onto)
    assert crosses(line, UP, np.full((4, 2), np.nan, np.float32))


def test_nothing_given_must_be_stated():
    with pytest.raises(ValueError, match="nothing_protected"):
        ZoneSet()
    with pytest.raises(ValueError, match="nothing_protected"):
        ZoneSet(whole_frame=True, nothing_protected=True)


@given(
    st.lists(st.tuples(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5)), min_size=8, max_size=8), polygon
)
def test_what_is_far_at_a_glance_touches_nothing(corners, mask):
    made = make_zones([mask], size_px=(200, 120), band_px=3, digest="d")
    points = (np.array(corners) * (200, 120)).astype(np.float32)
    one, other = points[:4], points[4:]
    if is_far(made, (one, other)):
        assert not touches(made.band, np.concatenate([grow(one), grow(other)]))


def test_a_small_plate_in_the_free_is_far_and_no_number_is_not():
    made = make_zones([BOX], size_px=(1000, 1000), band_px=3, digest="d")
    plate = np.array([[20, 20], [60, 20], [60, 40], [20, 40]], np.float32)
    assert is_far(made, (plate, plate + 5))
    assert not is_far(made, (plate, plate * np.nan))
